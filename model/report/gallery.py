"""The report's gallery: the best, median and worst patches of the split, as pictures.

Axis suffixes: N patch, C band, K class, Y/X rows and columns.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import xarray as xr

from cropcam.model.evaluation.prediction_store import probability
from cropcam.model.networks import Network
from cropcam.model.report.figures import diverging, png
from cropcam.model.report.formatting import percent
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import Segmenter
from cropcam.model.segmentation.predictions import Scored, score
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.schema import to_reflectance

PER_GROUP = 3
TRUE_COLOR, FALSE_COLOR = ("B4", "B3", "B2"), ("B5", "B6", "B4")
STRETCH_PCT = (2.0, 98.0)
NODATA_RGB = (232, 234, 231)
Reflectance = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Composite:
    """Three bands shown as red, green and blue, and the reflectances that become black and full colour in each."""

    title: str
    bands: tuple[int, ...]
    names: tuple[str, ...]
    limits: tuple[tuple[float, float], ...]

    @property
    def stretch(self) -> str:
        """The stretch in words."""
        return ", ".join(f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in zip(self.names, self.limits, strict=True))

    def picture(self, reflectance_CYX: Reflectance) -> npt.NDArray[np.uint8]:
        """RGB (y, x, 3); pixels without data grey."""
        low, high = (np.array(limit, np.float32)[:, None, None] for limit in zip(*self.limits, strict=True))
        chosen = reflectance_CYX[list(self.bands)]
        scaled = np.clip((chosen - low) / np.maximum(high - low, 1e-6), 0, 1)
        known_YX1 = np.isfinite(np.moveaxis(reflectance_CYX, 0, -1)).all(axis=-1, keepdims=True)
        return np.where(known_YX1, np.moveaxis(np.nan_to_num(scaled) * 255 + 0.5, 0, -1), NODATA_RGB).astype(np.uint8)


@dataclass(frozen=True)
class Tile:
    """One picture of a patch: a PNG data URI, what it shows, the colour of its class if it belongs to one, and whether it is the run's own segmentation."""

    picture: str
    title: str
    alt: str
    note: str = ""
    color: str = ""
    is_own: bool = False


@dataclass(frozen=True)
class Specimen:
    """One patch of the gallery with its pictures."""

    patch: int
    row: int
    col: int
    pixel_accuracy: float
    labelled_pixels: int
    label_accuracy: float
    scale: float
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Gallery:
    """Groups ("best", "median", "worst") of specimens, and how they are coloured."""

    groups: dict[str, list[Specimen]]
    composites: tuple[Composite, ...]


def choose(table: pd.DataFrame, per_group: int = PER_GROUP) -> dict[str, list[int]]:
    """Rows of the table by group: best and worst by pixel accuracy, the others around the median; no patch twice.

    Patches without labelled pixels are left out; of equal accuracy the lower patch index is the better.
    """
    ranked = table.dropna(subset="pixel_accuracy").sort_values(["pixel_accuracy", "patch"], ascending=[False, True]).index.tolist()
    best, rest = ranked[:per_group], ranked[per_group:]
    worst, rest = rest[-per_group:], rest[:-per_group]
    first = max((len(rest) - per_group) // 2, 0)
    groups = {"best": best, "median": rest[first : first + per_group], "worst": worst}
    return {name: rows for name, rows in groups.items() if rows}


def composites(bands: Sequence[str], reflectance_NCYX: Reflectance) -> tuple[Composite, ...]:
    """True and false colour where the bands allow it, else the first three bands; one stretch for all patches given.

    Bands are known by the end of their names; of several seasons the middle one is shown.
    """
    wanted = {"true colour": TRUE_COLOR, "false colour": FALSE_COLOR}
    found = {title: _bands_ending(bands, endings) for title, endings in wanted.items()}
    kept = {title: chosen for title, chosen in found.items() if chosen} or {"first bands": _first_three(len(bands))}
    return tuple(_stretched(title, chosen, bands, reflectance_NCYX) for title, chosen in kept.items())


def gallery(network: Network, config: RunConfig, dataset: xr.Dataset, table: pd.DataFrame, segmenter: Segmenter) -> Gallery:
    """The pictures of the chosen patches, scored anew on the CPU.

    Raises:
        DataError: the network answers with something not finite.
    """
    chosen = choose(table)
    rows = sorted(row for group in chosen.values() for row in group)
    patches_N = table.loc[rows, "patch"].to_numpy()
    reflectance_NCYX = to_reflectance(dataset["image"].isel(patch=patches_N).to_numpy())
    shown = composites(config.store.bands, reflectance_NCYX)
    batches = score(network, config, dataset, patches_N, torch.device("cpu"), segmenter)
    scored = (_one(batch, i) for batch in batches for i in range(len(batch.patches_B)))
    lines = table.loc[rows].to_dict("records")
    specimens = {
        row: _specimen(line, shown, reflectance, one, config.store.classes)
        for row, line, reflectance, one in zip(rows, lines, reflectance_NCYX, scored, strict=True)
    }
    return Gallery({name: [specimens[row] for row in group] for name, group in chosen.items()}, shown)


def class_picture(classes_YX: npt.NDArray[np.uint8], legend: Legend) -> npt.NDArray[np.uint8]:
    """RGB of class indices in the legend's colours; `UNLABELLED` grey."""
    palette = np.full((256, 3), NODATA_RGB, np.uint8)
    palette[: len(legend)] = [item.color for item in legend.classes]
    return palette[classes_YX]


def _specimen(
    line: Mapping[Hashable, Any], shown: tuple[Composite, ...], reflectance_CYX: Reflectance, one: Scored, legend: Legend
) -> Specimen:
    cams_KYX = np.where(one.nodata_BHW, np.nan, one.cams_BKHW[0])
    limit = float(np.nanmax(np.abs(cams_KYX)))
    tiles = [Tile(png(item.picture(reflectance_CYX)), item.title, f"{item.title} image") for item in shown]
    tiles += [
        Tile(png(class_picture(one.truth_BHW[0], legend)), "truth", "true classes"),
        *_method_tiles(one, legend),
        *_cam_tiles(cams_KYX, limit, one, legend),
    ]
    return Specimen(
        patch=int(line["patch"]),
        row=int(line["row"]),
        col=int(line["col"]),
        pixel_accuracy=float(line["pixel_accuracy"]),
        labelled_pixels=int(line["labelled_pixels"]),
        label_accuracy=float(line["label_accuracy"]),
        scale=limit,
        tiles=tuple(tiles),
    )


def _method_tiles(one: Scored, legend: Legend) -> Iterator[Tile]:
    """What each method makes of the patch, the run's own first, and how many of its pixels are right."""
    truth_YX, nodata_YX = one.truth_BHW[0], one.nodata_BHW[0]
    labelled_YX = truth_YX != UNLABELLED
    for name in sorted(one.segmentation_BHW, key=lambda name: name != one.default):
        answer_YX = one.segmentation_BHW[name][0]
        note = percent(float((answer_YX == truth_YX)[labelled_YX].mean()) if labelled_YX.any() else None) + " right"
        picture = png(class_picture(np.where(nodata_YX, np.uint8(UNLABELLED), answer_YX), legend))
        yield Tile(picture, name, f"classes by {name}, {note}", note, is_own=name == one.default)


def _cam_tiles(cams_KYX: npt.NDArray[np.floating], limit: float, one: Scored, legend: Legend) -> Iterator[Tile]:
    truth, chance_K = one.truth_BHW[0], probability(one.logits_BK[0])
    labelled = max(int((truth != UNLABELLED).sum()), 1)
    for k, item in enumerate(legend.classes):
        rgb = np.where(np.isnan(cams_KYX[k])[..., None], np.array(NODATA_RGB, np.uint8), diverging(np.nan_to_num(cams_KYX[k]), limit))
        note = f"p {chance_K[k]:.2f}, {100 * (truth == k).sum() / labelled:.0f} % true"
        yield Tile(png(rgb), item.name, f"activation map of {item.name}, {note}", note, item.color_hex)


def _one(batch: Scored, i: int) -> Scored:
    here = slice(i, i + 1)
    segmentation = {name: values[here] for name, values in batch.segmentation_BHW.items()}
    truth, nodata = batch.truth_BHW[here], batch.nodata_BHW[here]
    return Scored(batch.patches_B[here], nodata, truth, batch.logits_BK[here], batch.cams_BKHW[here], segmentation, batch.default)


def _bands_ending(bands: Sequence[str], endings: Sequence[str]) -> tuple[int, ...]:
    matches = [[index for index, name in enumerate(bands) if name.endswith(ending)] for ending in endings]
    return tuple(found[len(found) // 2] for found in matches) if all(matches) else ()


def _first_three(count: int) -> tuple[int, ...]:
    return tuple(min(index, count - 1) for index in range(3))


def _stretched(title: str, chosen: tuple[int, ...], bands: Sequence[str], reflectance_NCYX: Reflectance) -> Composite:
    values = reflectance_NCYX[:, list(chosen)]
    known = np.moveaxis(values, 1, 0).reshape(3, -1)
    low, high = np.nanpercentile(known, STRETCH_PCT, axis=1)
    limits = tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
    return Composite(title, chosen, tuple(bands[index] for index in chosen), limits)
