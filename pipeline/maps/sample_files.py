"""A sample of a map to be labelled, as CSV and GeoPackage: a line a point, its class to be filled in."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cropcam.pipeline.class_columns import CLASS
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.csv_cells import table_text
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.maps.areas import measure
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.polygons_files import without_clock
from cropcam.pipeline.maps.reference_points import DIGEST, PROBABILITY, STRATUM
from cropcam.pipeline.maps.sample_design import Indices, allocate, draw, sample_size
from cropcam.pipeline.runtime.atomic import atomic_write, exclusive_lock, publish, temporary_path
from cropcam.pipeline.runtime.outputs import Output, always, check_outputs
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.vectors import nearest_first

STANDARD_ERROR = 0.01


@dataclass(frozen=True)
class SampleSummary:
    """What was drawn.

    Attributes:
        csv: the table.
        geopackage: the same points as a layer.
        counts: points by class.
        existed: the same sample was already there.
    """

    csv: Path
    geopackage: Path
    counts: Mapping[str, int]
    existed: bool


def write_sample(
    path: Path,
    out: Path,
    *,
    seed: int = 0,
    expected: Mapping[str, float] | None = None,
    standard_error: float = STANDARD_ERROR,
    progress: Progress = silent,
) -> SampleSummary:
    """Draw a stratified random sample of a map's pixels and write it. A file that is there is never replaced: it may be filled in.

    Args:
        path: a map that `cropcam map` wrote.
        out: the CSV; the GeoPackage lies beside it.
        seed: of the random numbers.
        expected: user's accuracy expected of each class, from which the size follows; without it 25 points a class and 100 in all.
        standard_error: wanted of the overall accuracy, with `expected`.
        progress: called after each block of the map.

    Raises:
        ConfigError: `out` is no CSV, or `expected` is not of the map's classes.
        DataError: no map, all of it nodata, or another file is there.
    """
    geopackage = out.with_suffix(".gpkg")
    check_outputs([Output(out, "--out", "sample", always), Output(geopackage, "", "sample", always)], [path])
    if geopackage.exists() and not out.exists():
        raise DataError(f"{geopackage}: is there already and may be filled in; give --out another name")
    opened = open_map(path)
    names = opened.legend.names
    expected = _checked(expected or {}, names, standard_error)
    areas = measure(opened, progress=progress)
    pixels_K = areas.whole.pixels_K.astype(np.int64)
    total = 0
    if expected:
        here_K = pixels_K > 0
        if lacking := [name for name, here in zip(names, here_K, strict=True) if here and name not in expected]:
            raise ConfigError(f"--expected-accuracy lacks {', '.join(lacking)}; give CLASS=ACCURACY for each mapped class")
        expected_K = np.array([expected.get(name, 1.0) for name in names])
        total = sample_size(pixels_K / pixels_K.sum(), expected_K, standard_error)
    count_K = allocate(pixels_K, total)
    table = _table(opened, pixels_K, count_K, areas.digest, seed)
    existed = _publish(table, out)
    counts = dict(zip(names, count_K.tolist(), strict=True))
    return SampleSummary(out, out.with_suffix(".gpkg"), counts, existed)


def _checked(expected: Mapping[str, float], names: tuple[str, ...], standard_error: float) -> dict[str, float]:
    """The accuracies by the map's own names of classes, which are compared without case."""
    found, plain = dict[str, float](), {name.casefold(): name for name in names}
    for name, value in expected.items():
        if name.casefold() not in plain:
            near = nearest_first(name, names)[0]
            raise ConfigError(f"--expected-accuracy {name}: no class of the map, nearest {near}; its classes are {', '.join(names)}")
        found[plain[name.casefold()]] = value
        if not 0 < value <= 1:
            raise ConfigError(f"--expected-accuracy {name}={value:g}: an accuracy is above 0 and at most 1")
    if not 0 < standard_error < 1:
        raise ConfigError(f"--standard-error {standard_error:g}: it is above 0 and below 1")
    return found


def _table(opened: FinishedMap, pixels_K: Indices, count_K: Indices, digest: str, seed: int) -> pd.DataFrame:
    drawn = draw(opened, pixels_K, count_K, seed)
    x_W, y_H = opened.grid.centres()
    lon_S, lat_S = transform_points(opened.grid.crs, "EPSG:4326", x_W[drawn.col_S], y_H[drawn.row_S])
    table = pd.DataFrame(
        {
            "id": 0,
            "lon": np.round(lon_S, 9),
            "lat": np.round(lat_S, 9),
            STRATUM: np.array(opened.legend.names, object)[drawn.class_S],
            PROBABILITY: (count_K / np.maximum(pixels_K, 1))[drawn.class_S],
            CLASS: "",
            DIGEST: digest,
        }
    )
    # in random order: those who label do not see the classes one after the other
    table = table.iloc[np.random.default_rng([seed, 1]).permutation(len(table))].reset_index(drop=True)
    table["id"] = np.arange(1, len(table) + 1)
    return table


def _publish(table: pd.DataFrame, out: Path) -> bool:
    """Write both files, complete or not at all; whether the table was there."""
    import geopandas  # noqa: PLC0415 - heavy

    geopackage = out.with_suffix(".gpkg")
    data = table_text(table).encode()
    existed = out.exists()
    if existed and out.read_bytes() != data:
        raise DataError(f"{out}: is there already and may be filled in; give --out another name")
    try:
        if not existed:
            atomic_write(out, data)
        if not geopackage.exists():
            with exclusive_lock(geopackage), temporary_path(geopackage) as folder:  # a folder: SQLite keeps a journal beside the file
                folder.mkdir()
                partial = folder / geopackage.name
                places = geopandas.points_from_xy(table["lon"], table["lat"], crs="EPSG:4326")
                geopandas.GeoDataFrame(table.drop(columns=["lon", "lat"]), geometry=places).to_file(partial, layer="sample", driver="GPKG")
                without_clock(partial)
                publish(partial, geopackage)
    except (OSError, RuntimeError, sqlite3.Error) as error:  # of the file system, of GDAL, of SQLite
        raise DataError(f"{out}: cannot be written ({error}); give --out a folder that can be written") from None
    return existed
