"""The outlines of a finished class map as polygons: every pixel with a class lies in exactly one of them.

The map is read once, in bands of its blocks. A polygon goes to the file when no later row can extend it. The result does not depend on the
bands. Memory: that of the polygons that the last row read still touches, and of one band.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rasterio.io import DatasetReader

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.cog import disk_errors
from cropcam.pipeline.maps.pixel_areas import HECTARE_M2, pixel_hectares
from cropcam.pipeline.maps.polygons_files import COLUMNS, MOST_BYTES, SCHEMAS, WRITERS, Batches, is_polygons, pixels_in, sync
from cropcam.pipeline.maps.polygons_probabilities import open_probabilities, own_probabilities
from cropcam.pipeline.maps.polygons_rings import Outlines, rings_of
from cropcam.pipeline.maps.polygons_simplify import limits, simplify
from cropcam.pipeline.maps.polygons_stores import Floats, Int32
from cropcam.pipeline.maps.polygons_sweep import Sweep
from cropcam.pipeline.maps.polygons_wkb import bounds, wkb, wkb_bytes
from cropcam.pipeline.maps.quantised import STEPS
from cropcam.pipeline.maps.stac import seasons_of
from cropcam.pipeline.maps.windows import NODATA_CLASS, Classes
from cropcam.pipeline.runtime.atomic import exclusive_lock, temporary_path
from cropcam.pipeline.runtime.outputs import Output, check_outputs
from cropcam.pipeline.runtime.progress import Progress, silent

METHOD = "auto-imagery"  # fiboa: created automatically from imagery
_FIBOA_MOST_M2 = 1e9


@dataclass(frozen=True)
class OutlineSummary:
    """The written polygons.

    Attributes:
        path: of the file.
        polygons: by class, in the order of the legend.
        vertices: of all rings.
    """

    path: Path
    polygons: Mapping[str, int]
    vertices: int


def polygons_output(out: Path) -> Output:
    """The file of outlines as a command's output: GeoParquet or GeoPackage; polygons of a map that are there may be replaced."""
    return Output(out, "--polygons", "polygons", is_polygons)


def check_polygons(out: Path, *, simplify_m: float = 0.0, inputs: tuple[Path, ...] = (), overwrite: bool | None = None) -> None:
    """Refuse, before any work, a file that `write_polygons` would refuse.

    Args:
        out: the file to be written.
        simplify_m: the tolerance.
        inputs: files that are read, or written beside.
        overwrite: as of `check_outputs`.

    Raises:
        ConfigError: another suffix, or a tolerance below 0.
        DataError: an input, a folder, or a file that holds other things.
    """
    check_tolerance(simplify_m)
    check_outputs([polygons_output(out)], inputs, overwrite=overwrite)


def check_tolerance(simplify_m: float) -> None:
    """Refuse a tolerance that is no length.

    Raises:
        ConfigError: below 0, or not finite.
    """
    if not (math.isfinite(simplify_m) and simplify_m >= 0):
        raise ConfigError(f"--simplify {simplify_m:g}: it is a length in metres, 0 or more; 0 keeps every corner of the pixels")


def write_polygons(
    map_path: Path,
    out: Path,
    *,
    probabilities: Path | None = None,
    simplify_m: float = 0.0,
    overwrite: bool | None = None,
    progress: Progress = silent,
) -> OutlineSummary:
    """Write the outlines of a class map.

    Pixels with a class and an edge in common are one polygon (4-connected), whatever the class; nodata is none. Neighbours have the same
    vertices along their border. Polygons come in the order of their last row, then of their first pixel, whose number in raster order is the `id`.
    Coordinates are in the map's CRS, x before y. `docs/maps.md` describes the columns. A killed run leaves nothing at `out`.

    Args:
        map_path: a map that `cropcam map` wrote.
        out: a GeoParquet file (.parquet, .geoparquet) or a GeoPackage (.gpkg); polygons that are there are replaced.
        probabilities: the class probabilities made with the map: uint8 round(250 p), nodata 255, a band a class. Without it
            `mean_probability` is null.
        simplify_m: drops corners whose triangle with their neighbours is smaller than a square of so many metres; borders stay shared. 0 keeps all.
        overwrite: as of `check_outputs`.
        progress: called with rows done, all rows and a note.

    Raises:
        ConfigError: as of `check_polygons`.
        DataError: no map, no valid pixel, probabilities of another map, a polygon too large for a file, or the disk refuses.
    """
    check_polygons(out, simplify_m=simplify_m, inputs=(map_path, *([probabilities] if probabilities else [])), overwrite=overwrite)
    opened = open_map(map_path)
    counts_K = np.zeros(len(opened.legend), np.int64)
    with ExitStack() as stack:
        source = stack.enter_context(open_probabilities(probabilities, opened)) if probabilities else None
        with disk_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive_lock(out))
            folder = stack.enter_context(temporary_path(out))
            folder.mkdir()
            work = _Work(opened, source, simplify_m, counts_K, progress)
            partial = folder / out.name
            WRITERS[out.suffix.casefold()](partial, work.batches(), opened.grid.crs, opened.legend, _collection(opened, simplify_m))
            if not work.pixels:
                raise DataError(
                    f"{map_path}: all of its {opened.grid.width * opened.grid.height:,} pixels are nodata; there is nothing to outline"
                )
            if pixels_in(partial) != work.pixels:
                raise DataError(f"{out}: what arrived on the disk is not what was written; check the disk and its free space")
            sync(partial)
            partial.replace(out)
    return OutlineSummary(out, dict(zip(opened.legend.names, counts_K.tolist(), strict=True)), work.vertices)


class _Work:
    """One pass over a map."""

    def __init__(self, opened: FinishedMap, source: DatasetReader | None, simplify_m: float, counts_K: Any, progress: Progress) -> None:  # noqa: ANN401
        self._map, self._source, self._progress = opened, source, progress
        self._limit_Y = limits(opened.grid, simplify_m) if simplify_m else None
        self._counts_K = counts_K
        self._observed = observed(opened.tags)
        self.pixels = self.vertices = 0

    def batches(self) -> Batches:
        """The polygons in order."""
        height = self._map.grid.height
        sweep = Sweep(self._map.grid.shape_yx, corners=self._limit_Y is not None)
        self._progress(0, height, "")
        for row, classes_YX, own_YX, hectares_YX in self._bands():
            self.pixels += int((classes_YX != NODATA_CLASS).sum())
            sweep.rows(classes_YX, own_YX, hectares_YX)
            done = row + len(classes_YX)
            if done == height:
                sweep.end()
            for done_P, outlines in rings_of(sweep, sweep.take()):
                yield self._batch(sweep, done_P, outlines)
            self._progress(done, height, f"{int(self._counts_K.sum()):,} polygons")

    def _bands(self) -> Iterator[tuple[int, Classes, Classes, Floats]]:
        """Rows of blocks: their first row, class indices (Y, X), round(250 p) of each pixel's class (Y, X), and hectares (Y, X) or (Y, 1)."""
        width = self._map.grid.width
        for window, classes_YX in self._map.blocks():
            if window.col == 0:
                band_YX, own_YX = (np.empty((window.height, width), np.uint8) for _ in range(2))
                areas: list[Floats] = []
            band_YX[:, window.slices[1]] = classes_YX
            own_YX[:, window.slices[1]] = own_probabilities(self._source, self._map, window, classes_YX) if self._source else 0
            if not areas or areas[0].shape[1] > 1:
                areas.append(pixel_hectares(self._map.grid, window))
            if window.col + window.width == width:
                yield window.row, band_YX, own_YX, np.concatenate(areas, axis=1)

    def _batch(self, sweep: Sweep, done_P: Int32, outlines: Outlines) -> tuple[pa.RecordBatch, Floats]:
        c, names, classes = sweep.components, self._map.legend.names, self._map.legend.classes
        kind_P, pixels_P, hectares_P = c.kind[done_P], c.pixels[done_P], c.hectares[done_P]
        if self._limit_Y is not None:
            simplify(outlines, sweep.corner_YB, self._limit_Y)
            hectares_P = hectares_P * np.add.reduceat(outlines.area_R, outlines.first_P[:-1]) / (2 * pixels_P)
        bytes_P = wkb_bytes(outlines)
        if (largest := int(bytes_P.max())) > MOST_BYTES:
            raise DataError(
                f"{self._map.path}: its largest polygon, of {names[kind_P[bytes_P.argmax()]]}, takes {largest:,} bytes, a file holds "
                f"{MOST_BYTES:,} at most; clear the map of single pixels with cropcam map --sieve"
            )
        buffer, offset_P = wkb(outlines, self._map.grid.transform)
        geometry = pa.Array.from_buffers(pa.binary(), len(done_P), [None, pa.py_buffer(offset_P.astype(np.int32)), pa.py_buffer(buffer)])
        area_P = hectares_P * HECTARE_M2
        codes = [",".join(map(str, each.codes)) or None for each in classes]
        columns = [
            pa.array(c.first[done_P]).cast(pa.string()),
            pa.array(names).take(pa.array(kind_P)),
            pa.array(kind_P.astype(np.int16)),
            pa.array(codes, pa.string()).take(pa.array(kind_P)),
            pa.array(c.probability[done_P] / (STEPS * pixels_P) if self._source else [None] * len(done_P), pa.float64()),
            pa.array(pixels_P),
            pa.array(hectares_P),
            pa.array(area_P.astype(np.float32), mask=area_P > _FIBOA_MOST_M2),
            pa.repeat(METHOD, len(done_P)),
            pa.repeat(pa.scalar(self._observed, COLUMNS.field("determination:datetime").type), len(done_P)),
            geometry,
        ]
        self._counts_K += np.bincount(kind_P, minlength=len(names))
        self.vertices += int(outlines.length_R.sum())
        return pa.RecordBatch.from_arrays(columns, schema=COLUMNS), bounds(outlines, self._map.grid.transform)


def observed(tags: Mapping[str, str]) -> datetime | None:
    """The last second of the last of a map's seasons; None where its tags have none."""
    ends = [datetime.fromisoformat(end).replace(tzinfo=UTC) for _, end in seasons_of(tags)]
    return max(ends) - timedelta(seconds=1) if ends else None


def _collection(opened: FinishedMap, simplify_m: float) -> dict[str, Any]:
    """The properties that all polygons share, as Vecorel has them, and the origin of the map."""
    name = opened.path.stem
    made = {key: text for key, text in opened.tags.items() if key in ("study", "model", "method", "checkpoint_digest", "code_version")}
    details = f"outlines of the classes in {opened.path.name}, {opened.tags.get('TIFFTAG_SOFTWARE', 'cropcam')}"
    if simplify_m:
        details += f", simplified to {simplify_m:g} m"
    return {
        "collection": name,
        "schemas": {name: list(SCHEMAS)},
        "determination:details": details,
        **{f"cropcam:{key}": made[key] for key in made},
    }
