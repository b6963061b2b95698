"""The report's gallery: the best, median and worst patches of the split, as pictures.

Axis suffixes: N patch, C band, K class, Y/X rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from cropcam.model.evaluation.prediction_store import probability
from cropcam.model.networks import Network
from cropcam.model.report.composites import NODATA_RGB, Composite, scene_composites
from cropcam.model.report.figures import diverging, png
from cropcam.model.report.formatting import number
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import CAM_ARGMAX, Segmenter
from cropcam.model.segmentation.predictions import PatchPredictions, predict_patches
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.patch_store import PatchStore

PER_GROUP = 3


@dataclass(frozen=True)
class Tile:
    """One picture of a patch.

    Attributes:
        picture: a PNG data URI.
        title: below it.
        alt: what it shows, for readers who do not see it.
        note: below the title.
        color: of its class, if it belongs to one.
        is_default: whether it is the run's own segmentation.
    """

    picture: str
    title: str
    alt: str
    note: str = ""
    color: str = ""
    is_default: bool = False


@dataclass(frozen=True)
class GalleryPatch:
    """One patch of the gallery.

    Attributes:
        row: of patches.csv.
        place: latitude and longitude of its centre, in words.
        scale: the activation at the ends of the colour scale.
        tiles: image, truth, the run's own method and the poster's, activation maps.
        methods: the run's other methods.
    """

    row: Mapping[str, Any]
    place: str
    scale: float
    tiles: tuple[Tile, ...]
    methods: tuple[Tile, ...]


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


def gallery(network: Network, config: RunConfig, store: PatchStore, table: pd.DataFrame, segmenter: Segmenter) -> Gallery:
    """The pictures of the chosen patches, predicted anew on the CPU.

    Raises:
        DataError: an output of the network is not finite.
    """
    groups = choose(table)
    rows = sorted(row for group in groups.values() for row in group)
    reflectance_NCYX = store.encoding.physical(store.images(table.loc[rows, "patch"].to_numpy()))
    shown, legend = scene_composites(store), config.store.classes
    patches = {}
    for row, reflectance_CYX in zip(rows, reflectance_NCYX, strict=True):
        entries: dict[str, Any] = {str(key): value for key, value in table.loc[row].items()}
        (prediction,) = predict_patches(network, config, store, table.loc[[row], "patch"].to_numpy(), torch.device("cpu"), segmenter)
        cams_KYX = np.where(prediction.nodata_BHW, np.nan, prediction.cams_BKHW[0])
        scale = float(np.nanmax(np.abs(cams_KYX)))
        images = [Tile(png(item.picture(reflectance_CYX)), item.title, f"{item.title} image") for item in shown]
        truth = Tile(png(class_picture(prediction.truth_BHW[0], legend)), "truth", "true classes")
        methods = {name: _method_tile(name, prediction, legend) for name in prediction.segmentation_BHW}
        own = [methods.pop(name) for name in dict.fromkeys((prediction.default, CAM_ARGMAX)) if name in methods]
        tiles = (*images, truth, *own, *_cam_tiles(cams_KYX, scale, prediction, legend))
        place = _place(store.parts.get(str(entries.get("store")), store), int(entries["row"]), int(entries["col"]))
        patches[row] = GalleryPatch(entries, place, scale, tiles, tuple(methods.values()))
    return Gallery({name: [patches[row] for row in group] for name, group in groups.items()}, shown)


def class_picture(classes_YX: npt.NDArray[np.uint8], legend: Legend) -> npt.NDArray[np.uint8]:
    """RGB of class indices in the legend's colours; `UNLABELLED` grey."""
    palette = np.full((256, 3), NODATA_RGB, np.uint8)
    palette[: len(legend)] = [item.color for item in legend.classes]
    return palette[classes_YX]


def _method_tile(name: str, prediction: PatchPredictions, legend: Legend) -> Tile:
    """The segmentation of one patch by a method, with its accuracy."""
    truth_YX, class_YX = prediction.truth_BHW[0], prediction.segmentation_BHW[name][0]
    labelled_YX = truth_YX != UNLABELLED
    accuracy = float((class_YX == truth_YX)[labelled_YX].mean()) if labelled_YX.any() else None
    note = f"{number(accuracy, is_share=True)} correct"
    picture = png(class_picture(np.where(prediction.nodata_BHW[0], np.uint8(UNLABELLED), class_YX), legend))
    return Tile(picture, name, f"classes by {name}, {note}", note, is_default=name == prediction.default)


def _place(store: PatchStore, row: int, col: int) -> str:
    """Latitude and longitude of the centre of a patch."""
    (a, _, c, _, e, f), size = store.info.transform, store.info.patch_size_px
    lon, lat = (
        float(value)
        for (value,) in transform_points(store.info.crs, "EPSG:4326", [c + a * size * (col + 0.5)], [f + e * size * (row + 0.5)])
    )
    return f"{abs(lat):.4f}\u00b0\u00a0{'S' if lat < 0 else 'N'}, {abs(lon):.4f}\u00b0\u00a0{'W' if lon < 0 else 'E'}"


def _cam_tiles(cams_KYX: npt.NDArray[np.floating], scale: float, prediction: PatchPredictions, legend: Legend) -> Iterator[Tile]:
    truth_YX, probability_K = prediction.truth_BHW[0], probability(prediction.logits_BK[0])
    labelled = max(int((truth_YX != UNLABELLED).sum()), 1)
    for k, item in enumerate(legend.classes):
        rgb = np.where(np.isnan(cams_KYX[k])[..., None], np.array(NODATA_RGB, np.uint8), diverging(np.nan_to_num(cams_KYX[k]), scale))
        note = f"p {probability_K[k]:.2f}, {100 * (truth_YX == k).sum() / labelled:.0f} % true"
        yield Tile(png(rgb), item.name, f"activation map of {item.name}, {note}", note, item.color_hex)
