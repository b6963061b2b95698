"""The GeoTIFF shards of an export, named as Earth Engine names them, placed by their georeferencing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from cropcam.pipeline.code_table import DEFAULT
from cropcam.pipeline.crs import same_crs
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import ALIGNED_PX, PixelGrid, Window, lattice_offset
from cropcam.pipeline.rasters.checked import checked, meaning_of, own_options
from cropcam.pipeline.rasters.label_mosaic import LabelMosaic, open_weights
from cropcam.pipeline.rasters.layers import in_order, known_layers
from cropcam.pipeline.rasters.mosaic import RasterMosaic, check_band_order, intersection
from cropcam.pipeline.rasters.raster import Raster, open_raster, open_stored
from cropcam.pipeline.runtime.console import detail
from cropcam.pipeline.study.polygons import meets
from cropcam.pipeline.study.study import Study, differences, parse_study
from cropcam.pipeline.text_files import parse_json

# as Earth Engine writes them: NAME-image-CELL-0000000000-0000012800.tif, all but the prefix optional
_SHARD_NAME = re.compile(r"^(?:.+[-_])?(image|labels|count)(?:[-_].+?)?(?:-\d{10}-\d{10})?\.tiff?$", re.IGNORECASE)
_COUNT = re.compile(r"(?:\d+_)?count")  # as in earthengine.layers.count_bands
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_TAGS = ("study", "study_digest", "graph", "graph_digest", "year", "seasons")
_DECIDE = {"image": ("area.", "image."), "labels": ("area.", "labels.")}  # keys of a study that decide the pixels of a layer
_EXCEPT = ("image.count", "labels.presence_min_share")


def open_shards(folder: Path, study: Study) -> tuple[RasterMosaic, LabelMosaic | None]:
    """Image and label shards of an export of `study`, found by name and placed by their georeferencing; no labels where the study has none.

    Raises:
        DataError: shards are missing, overlap, lie off the study's grid, have other bands, or are of another year or study.
    """
    source = open_image_shards(folder, study)
    first, end = study.image.period
    years = {str(year) for year in range(first.year, (end - timedelta(days=1)).year + 1)}
    _check_origin("image", [raster for raster, _, _ in source.pieces], study, years)
    if study.labels is None:
        return source, None
    paths = _find(folder, "labels")
    labels = tuple(open_raster(path, labels=True, band=1 if study.labels.weight else "") for path in paths)
    check_cover(study.grid, [(raster.path, place_on(study.grid, raster)) for raster in labels], study.area.region)
    _check_together(labels)
    _check_origin("labels", labels, study, set(_YEAR.findall(study.labels.asset)))
    return source, LabelMosaic(study.grid, labels, study.table, open_weights(paths, study.grid, 2) if study.labels.weight else None)


def open_image_shards(folder: Path, study: Study) -> RasterMosaic:
    """The image shards alone, of one export of any year with the bands and the grid of `study`; otherwise as `open_shards`."""
    bands, encoding = study.image.layers, study.image.encoding
    meaning, known = meaning_of(study.image, bands, is_export=True), known_layers(study.image, bands)
    pieces = []
    for path in _find(folder, "image"):
        raster = _without_counts(open_stored(path), bands)
        if len(raster.band_names) != len(bands):
            raise DataError(f"{path}: {len(raster.band_names)} bands, study {study.name} has {len(bands)} ({', '.join(bands)})")
        check_band_order(raster, bands)
        if in_order([raster], known)[0] is not raster:  # in another order
            raise DataError(
                f"{path}: its bands are named {', '.join(raster.band_names)}, another order than the study's ({', '.join(bands)}); export it again"
            )
        if raster.dtype != encoding.dtype:
            raise DataError(
                f"{path}: {raster.dtype}; image shards of {study.image.table.title} are {encoding.dtype}{' with derived bands' if study.image.derived else ''}: "
                f"export it again with this study, or cut it as own raster with --image{own_options(raster, meaning)}"
            )
        raster = replace(raster, encoding=encoding, nodata=encoding.nodata)
        pieces.append((raster, place_on(study.grid, raster), slice(0, len(bands))))
        detail(f"shard {raster.path}: {len(bands)} bands of {raster.dtype}")
    check_cover(study.grid, [(raster.path, place) for raster, place, _ in pieces], study.area.region)
    _check_together([raster for raster, _, _ in pieces])
    return checked(RasterMosaic(study.grid, bands, tuple(pieces)), meaning)


def _without_counts(raster: Raster, bands: tuple[str, ...]) -> Raster:
    """A shard's bands but those of counts (`image.count`), which older exports have in files of their own."""
    kept = [number for number, name in enumerate(raster.band_names) if name in bands or not _COUNT.fullmatch(name)]
    return raster if len(kept) == len(raster.band_names) else raster.of_layers(kept)


def _find(folder: Path, kind: str) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; it should hold the export's GeoTIFF shards (image*.tif, labels*.tif)")
    matches = ((path, _SHARD_NAME.match(path.name)) for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    paths = [path for path, match in matches if match and match.group(1).lower() == kind]
    if not paths:
        raise DataError(f"{folder}: no {kind} shard in it (a GeoTIFF named like {kind}.tif or NAME-{kind}-0000000000-0000000000.tif)")
    return paths


def place_on(grid: PixelGrid, raster: Raster) -> Window:
    """The window of a shard on the study's grid.

    Raises:
        DataError: another CRS or pixel size, shifted by part of a pixel, or outside.
    """
    shard_grid = raster.grid
    if not same_crs(shard_grid.crs, grid.crs):
        raise DataError(
            f"{raster.path}: CRS {shard_grid.crs}, the study's grid has {grid.crs}; export it again, or cut it as own raster with --image"
        )
    if (offset := lattice_offset(grid, shard_grid)) is None:
        (a, _, _, _, e, _), (ga, _, _, _, ge, _) = shard_grid.transform, grid.transform
        raise DataError(f"{raster.path}: pixels of {a} x {-e}, the study's grid has {ga} x {-ge}; export it again at the study's scale")
    row, col = offset
    if abs(col - round(col)) > ALIGNED_PX or abs(row - round(row)) > ALIGNED_PX:
        raise DataError(
            f"{raster.path}: lies {round(col, 3) + 0.0:.3f} columns and {round(row, 3) + 0.0:.3f} rows from the grid's origin, not whole pixels; export it on the study's grid"
        )
    place = Window(round(row), round(col), shard_grid.height, shard_grid.width)
    if place.row < 0 or place.col < 0 or place.row + place.height > grid.height or place.col + place.width > grid.width:
        raise DataError(
            f"{raster.path}: covers rows {place.row}..{place.row + place.height}, columns {place.col}..{place.col + place.width} of a grid of {grid.height} x {grid.width}: not this study's export"
        )
    return place


def _check_origin(kind: str, rasters: Sequence[Raster], study: Study, years: set[str]) -> None:
    """Check that shards with an origin in tags or names belong to the study; shards without one pass.

    Raises:
        DataError: names the shard and the field that differs.
    """
    parsed = {"": study}  # of thousands of shards one text
    for raster in rasters:
        text = raster.tags.get("STUDY_JSON", "")
        try:
            if text not in parsed:
                parsed[text] = parse_study(parse_json(text, str(raster.path), error=ConfigError))
            other = parsed[text]
        except (ValueError, TypeError, ConfigError):
            raise DataError(f"{raster.path}: its tag STUDY_JSON holds no study; export it again") from None
        # codes are stored raw, so another legend gives the same pixels: but for CDL's default band, or another code for "no label"
        is_raw = DEFAULT not in (other.table.name, study.table.name) and other.table.fill == study.table.fill
        for line in differences(other.to_dict(), study.to_dict()):
            if line.startswith(_DECIDE[kind]) and not line.startswith((*_EXCEPT, *(["labels.legend"] if is_raw else []))):
                raise DataError(f"{raster.path}: a shard of another study ({line}); cut it with the study it was exported for")
    for raster, name_years in _years(rasters):
        if name_years and years and not years & set(name_years.split()):
            raise DataError(
                f"{raster.path}: its name has {name_years}, the study's {kind} {' or '.join(sorted(years))}; take the shards of that year, or rename it"
            )


def _check_together(rasters: Sequence[Raster]) -> None:
    """Check that shards of one layer with an origin in tags or names are of one export.

    Raises:
        DataError: names the shard and the field that differs.
    """
    for tag in _TAGS:
        _check_same(tag, ((raster, _tag(raster, tag)) for raster in rasters))
    _check_same("year", _years(rasters))


def _years(rasters: Sequence[Raster]) -> list[tuple[Raster, str]]:
    """The years in each shard's name, without the offsets at its end."""
    return [(raster, " ".join(_YEAR.findall(re.sub(r"(-\d{10}){2}$", "", raster.path.stem)))) for raster in rasters]


def _check_same(field: str, values: Iterable[tuple[Raster, str | None]]) -> None:
    known = [(raster, value) for raster, value in values if value]
    for raster, value in known[1:]:
        if value != known[0][1]:
            raise DataError(
                f"{raster.path}: {field} {value}, {known[0][0].path.name} has {known[0][1]}: shards of different exports; keep those of one"
            )


def _tag(raster: Raster, tag: str) -> str | None:
    return next((value for key, value in raster.tags.items() if key.lower().removeprefix("cropcam_") == tag), None)


def check_cover(grid: PixelGrid, places: Sequence[tuple[Path, Window]], region: str = "") -> None:
    """Check that every pixel of the grid lies in exactly one shard; outside the polygons of a region (GeoJSON text) in at most one.

    Raises:
        DataError: names two overlapping shards, or the number of pixels without a shard.
    """
    for index, (path, place) in enumerate(places):
        for other_path, other in places[:index]:
            if intersection(place, other) is not None:
                raise DataError(f"{path} and {other_path.name} overlap; keep one of them")
    missing = sum(gap.height * gap.width for gap in _gaps(grid, [place for _, place in places]) if meets(region, grid, gap))
    if missing:
        raise DataError(
            f"{places[0][0].parent}: {missing:,} of {grid.width * grid.height:,} pixels lie in no {places[0][0].name} or sibling; a shard is missing: fetch the rest"
        )


def _gaps(grid: PixelGrid, places: Sequence[Window]) -> list[Window]:
    """The windows that no shard covers, cut along the edges of the shards."""
    if sum(place.height * place.width for place in places) == grid.width * grid.height:
        return []
    rows = sorted({0, grid.height, *(edge for place in places for edge in (place.row, place.row + place.height))})
    cols = sorted({0, grid.width, *(edge for place in places for edge in (place.col, place.col + place.width))})
    covered = np.zeros((len(rows) - 1, len(cols) - 1), bool)
    for place in places:
        down = slice(rows.index(place.row), rows.index(place.row + place.height))
        covered[down, cols.index(place.col) : cols.index(place.col + place.width)] = True
    return [Window(rows[i], cols[j], rows[i + 1] - rows[i], cols[j + 1] - cols[j]) for i, j in np.argwhere(~covered)]
