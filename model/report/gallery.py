"""The report's gallery: the best, median and worst patches of the split, as pictures.

Axis suffixes: N patch, C band, K class, Y/X rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from cropcam.model.evaluation.prediction_store import probability
from cropcam.model.networks import Network
from cropcam.model.report.figures import diverging, png
from cropcam.model.report.formatting import number
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import Segmenter
from cropcam.model.segmentation.predictions import PatchPredictions, predict_patches
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.patch_store import PatchStore

PER_GROUP = 3
COMPOSITES = {  # red, green, blue: of Landsat 8 and 9, and by common name
    "true colour": (("B4", "B3", "B2"), ("red", "green", "blue")),
    "false colour": (("B5", "B6", "B4"), ("nir", "swir1", "red")),
}
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
        scaled = np.clip((reflectance_CYX[list(self.bands)] - low) / np.maximum(high - low, 1e-6), 0, 1)
        valid_YX1 = np.isfinite(np.moveaxis(reflectance_CYX, 0, -1)).all(axis=-1, keepdims=True)
        return np.where(valid_YX1, np.moveaxis(np.nan_to_num(scaled) * 255 + 0.5, 0, -1), NODATA_RGB).astype(np.uint8)


@dataclass(frozen=True)
class Tile:
    """One picture of a patch: a PNG data URI, its title, the colour of its class if it belongs to one, and whether it is the default segmentation."""

    picture: str
    title: str
    alt: str
    note: str = ""
    color: str = ""
    is_default: bool = False


@dataclass(frozen=True)
class GalleryPatch:
    """One patch of the gallery: its row of patches.csv, the activation at the ends of the colour scale, its pictures."""

    row: Mapping[str, Any]
    scale: float
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Gallery:
    """Groups ("best", "median", "worst") of patches, and how they are coloured."""

    groups: dict[str, list[GalleryPatch]]
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

    Bands are recognised by the end of their names; of several seasons the middle one is shown.
    """
    chosen: dict[str, tuple[int, ...]] = {}
    for title, alternatives in COMPOSITES.items():
        for endings in alternatives:
            matches = [[index for index, name in enumerate(bands) if f"_{name}".endswith(f"_{ending}")] for ending in endings]
            if all(matches):
                chosen.setdefault(title, tuple(found[len(found) // 2] for found in matches))
    chosen = chosen or {"first bands": tuple(min(index, len(bands) - 1) for index in range(3))}
    stretch = {index: np.nanpercentile(reflectance_NCYX[:, index], STRETCH_PCT) for indices in chosen.values() for index in indices}
    limits = {index: (float(low), float(high)) for index, (low, high) in stretch.items()}
    return tuple(
        Composite(title, indices, tuple(bands[index] for index in indices), tuple(limits[index] for index in indices))
        for title, indices in chosen.items()
    )


def gallery(network: Network, config: RunConfig, store: PatchStore, table: pd.DataFrame, segmenter: Segmenter) -> Gallery:
    """The pictures of the chosen patches, predicted anew on the CPU.

    Raises:
        DataError: an output of the network is not finite.
    """
    groups = choose(table)
    rows = sorted(row for group in groups.values() for row in group)
    reflectance_NCYX = store.encoding.physical(store.images(table.loc[rows, "patch"].to_numpy()))
    shown = composites(config.store.bands, reflectance_NCYX)
    patches = {}
    for row, reflectance_CYX in zip(rows, reflectance_NCYX, strict=True):
        patch_1 = table.loc[[row], "patch"].to_numpy()
        (prediction,) = predict_patches(network, config, store, patch_1, torch.device("cpu"), segmenter)
        cams_KYX = np.where(prediction.nodata_BHW, np.nan, prediction.cams_BKHW[0])
        scale = float(np.nanmax(np.abs(cams_KYX)))
        images = [Tile(png(item.picture(reflectance_CYX)), item.title, f"{item.title} image") for item in shown]
        tiles = (*images, *_class_tiles(prediction, config.store.classes), *_cam_tiles(cams_KYX, scale, prediction, config.store.classes))
        patches[row] = GalleryPatch({str(key): value for key, value in table.loc[row].items()}, scale, tiles)
    return Gallery({name: [patches[row] for row in group] for name, group in groups.items()}, shown)


def class_picture(classes_YX: npt.NDArray[np.uint8], legend: Legend) -> npt.NDArray[np.uint8]:
    """RGB of class indices in the legend's colours; `UNLABELLED` grey."""
    palette = np.full((256, 3), NODATA_RGB, np.uint8)
    palette[: len(legend)] = [item.color for item in legend.classes]
    return palette[classes_YX]


def _class_tiles(prediction: PatchPredictions, legend: Legend) -> Iterator[Tile]:
    """The true classes, and the segmentation by each method with its accuracy, the default first; of one patch."""
    truth_YX, nodata_YX = prediction.truth_BHW[0], prediction.nodata_BHW[0]
    yield Tile(png(class_picture(truth_YX, legend)), "truth", "true classes")
    labelled_YX = truth_YX != UNLABELLED
    for name in sorted(prediction.segmentation_BHW, key=lambda name: name != prediction.default):
        class_YX = prediction.segmentation_BHW[name][0]
        accuracy = float((class_YX == truth_YX)[labelled_YX].mean()) if labelled_YX.any() else None
        note = f"{number(accuracy, is_share=True)} correct"
        picture = png(class_picture(np.where(nodata_YX, np.uint8(UNLABELLED), class_YX), legend))
        yield Tile(picture, name, f"classes by {name}, {note}", note, is_default=name == prediction.default)


def _cam_tiles(cams_KYX: npt.NDArray[np.floating], scale: float, prediction: PatchPredictions, legend: Legend) -> Iterator[Tile]:
    truth_YX, probability_K = prediction.truth_BHW[0], probability(prediction.logits_BK[0])
    labelled = max(int((truth_YX != UNLABELLED).sum()), 1)
    for k, item in enumerate(legend.classes):
        rgb = np.where(np.isnan(cams_KYX[k])[..., None], np.array(NODATA_RGB, np.uint8), diverging(np.nan_to_num(cams_KYX[k]), scale))
        note = f"p {probability_K[k]:.2f}, {100 * (truth_YX == k).sum() / labelled:.0f} % true"
        yield Tile(png(rgb), item.name, f"activation map of {item.name}, {note}", note, item.color_hex)
