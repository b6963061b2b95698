"""Field boundaries with a crop: labels of the pixels inside, of one point a field, or shares of patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import shapely

from cropcam.model.labels import field_shapes
from cropcam.model.labels.crop_columns import classes_of
from cropcam.model.labels.derive import Classes
from cropcam.model.labels.field_shapes import Shapes
from cropcam.model.labels.files import check_label_file
from cropcam.model.labels.points import places
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels
from cropcam.pipeline.class_names import NO_CLASS, allowed
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.longitudes import near_grid
from cropcam.pipeline.vectors import open_vectors

_POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
_LEAST_COVER = 1e-6  # of a patch: below this exactextract's float32 has no share
_SPARSE = 0.5  # of a patch
_HINT = "--label-column names the column of the crop, and --label-table FILE.csv says which class a crop is"


@dataclass(frozen=True, eq=False)  # kept in caches by identity
class Fields:
    """Fields as they are used: polygons in the store's CRS, shrunk, without overlap."""

    shape_F: Shapes
    class_F: Classes  # class index
    notes: tuple[str, ...]  # how many were left out, a line for each reason


def field_labels(spec: LabelSpec, legend: Legend, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> WeakLabels:
    """The labels that the fields of a file give to patches: of pixels or points, or shares. Arguments as of `labels.areas.area_labels`.

    Pixels: those whose centre lies in a field. Points: the pixel of one point inside each field. Shares: of the part of a patch that fields
    cover; a patch without a field has no label.

    Raises:
        DataError: a file is missing or has changed, or no field can be used.
    """
    fields = read_fields(spec, legend, grid)
    notes = fields.notes
    if spec.kind == "shares":
        cover_NK = _covers(fields, len(legend), grid)[place_N2[:, 0], place_N2[:, 1]]
        total_N1 = cover_NK.sum(axis=1, keepdims=True)
        covered_N1 = total_N1 > _LEAST_COVER
        image_NK = np.divide(cover_NK, total_N1, out=np.full_like(cover_NK, np.nan), where=covered_N1)
        unmatched = int((~covered_N1).sum())
        if sparse := int((covered_N1 & (total_N1 < _SPARSE)).sum()):
            notes += (f"less than half of {sparse:,} of the {len(place_N2) - unmatched:,} patches with shares lies in fields",)
        return WeakLabels(spec.kind, image_NK=image_NK, n_unmatched=unmatched, notes=notes)
    if spec.kind == "pixels":
        pixel_NHW = field_shapes.burnt(fields.shape_F, fields.class_F, grid, place_N2)
    else:
        pixel_NHW, contradicting = _points(fields, grid, place_N2)
        notes += (f"{contradicting:,} pixels hold the points of fields of several classes and have no label",) * (contradicting > 0)
    unmatched = int((pixel_NHW == UNLABELLED).all(axis=(1, 2)).sum())
    return WeakLabels(spec.kind, pixel_NHW=pixel_NHW, n_unmatched=unmatched, notes=notes)


def read_fields(spec: LabelSpec, legend: Legend, grid: PatchGrid) -> Fields:
    """The fields of a file that can be used on the grid.

    Raises:
        DataError: the files cannot be used, or no field can.
    """
    digests = tuple(check_label_file(path, spec.digests.get(name, "")) for name, path in _files(spec))
    return _read(spec.fields, spec.label_column, spec.label_table, spec.fields_buffer, digests, legend, grid)


def _files(spec: LabelSpec) -> Iterator[tuple[str, str]]:
    yield "fields", spec.fields
    if spec.label_table:
        yield "label_table", spec.label_table


@lru_cache(maxsize=1)  # train and validation have the same fields
def _read(path: str, column: str, table: str, buffer_m: float, _: tuple[str, ...], legend: Legend, grid: PatchGrid) -> Fields:
    file, notes = open_vectors(path), list[str]()
    spec = LabelSpec(fields=path, label_column=column, label_table=table, labels="pixels")
    frame, classes = classes_of(file, spec, legend, grid.pixels)
    shape_F, class_F = frame.geometry.to_numpy(), classes.class_P

    def keep(kept_F: npt.NDArray[np.bool_], reason: str, more: int = 0) -> None:
        nonlocal shape_F, class_F
        if lost := len(kept_F) - int(kept_F.sum()) + more:
            notes.append(f"{lost:,} of its {file.count:,} fields {reason}")
        shape_F, class_F = shape_F[kept_F], class_F[kept_F]

    notes += classes.notes
    shape_F, class_F = shape_F[class_F != NO_CLASS], class_F[class_F != NO_CLASS]
    keep(~(shapely.is_missing(shape_F) | shapely.is_empty(shape_F)), "have no geometry")
    if (wrong := np.flatnonzero(~np.isin(shapely.get_type_id(shape_F), _POLYGONS))).size:
        kind = shape_F[wrong[0]].geom_type
        hint = "points go with --points FILE" if kind.endswith("Point") else "only polygons have pixels inside"
        raise DataError(f"{path}: {len(wrong):,} of its features are no polygons, the first is a {kind}; {hint}")
    keep(shapely.is_valid(shape_F), "are not valid polygons (their edges cross)")
    keep(~_doubled(shape_F, class_F), "are there twice and count once")
    if buffer_m:
        shape_F = field_shapes.shrunk(field_shapes.reprojected(shape_F, file.crs, "EPSG:4326"), buffer_m)
        keep(~shapely.is_empty(shape_F), f"are too small for the inner buffer of {buffer_m:g} m")
    shape_F = near_grid(field_shapes.reprojected(shape_F, "EPSG:4326" if buffer_m else file.crs, grid.pixels.crs), grid.pixels)
    near_F = np.isfinite(shapely.bounds(shape_F)).all(axis=1)  # else a vertex does not project to the store's CRS
    near_F[near_F] = shapely.intersects(shapely.box(*grid.pixels.bounds_xyxy), shape_F[near_F])
    keep(near_F, "lie outside the store or have no geometry", more=file.count - len(frame))
    shape_F, conflict_F = field_shapes.disjoint(shape_F, class_F)
    if conflict_F.any():
        notes.append(f"{conflict_F.sum():,} of its fields overlap a field of another class; what lies in both has no label")
    shape_F, class_F = shape_F[(alive := ~shapely.is_empty(shape_F))], class_F[alive]
    if not len(shape_F):
        raise DataError(f"{path}: no field can be used: {'; '.join(notes)}; {_HINT} ({allowed(legend)})")
    return Fields(shape_F, class_F, tuple(notes))


def forget_fields() -> None:
    """Free the memory of the fields that were read last: a million take gigabytes."""
    _read.cache_clear()
    _covers.cache_clear()


@lru_cache(maxsize=1)
def _covers(fields: Fields, classes: int, grid: PatchGrid) -> npt.NDArray[np.float32]:
    return field_shapes.covers(fields.shape_F, fields.class_F, classes, grid)


def _doubled(shape_F: Shapes, class_F: Classes) -> npt.NDArray[np.bool_]:
    """Whether the same polygon with the same class stands above."""
    import pandas as pd  # noqa: PLC0415

    wkb = shapely.to_wkb(shapely.normalize(shape_F))
    return np.asarray(pd.DataFrame({"shape": wkb, "class": class_F}).duplicated())


def _points(fields: Fields, grid: PatchGrid, place_N2: npt.NDArray[np.int32]) -> tuple[Classes, int]:
    """One labelled pixel a field, and the number of pixels that hold points of several classes."""
    x_F, y_F = field_shapes.inner_points(fields.shape_F)
    inside_F, *place = places(grid, place_N2, *grid.pixels.index(x_F, y_F))
    pixel_NHW = np.full((len(place_N2), grid.size_px, grid.size_px), UNLABELLED, np.uint8)
    highest_NHW = np.zeros_like(pixel_NHW)
    np.minimum.at(pixel_NHW, tuple(place), fields.class_F[inside_F])
    np.maximum.at(highest_NHW, tuple(place), fields.class_F[inside_F])
    several_NHW = (pixel_NHW != UNLABELLED) & (pixel_NHW != highest_NHW)
    pixel_NHW[several_NHW] = UNLABELLED
    return pixel_NHW, int(several_NHW.sum())
