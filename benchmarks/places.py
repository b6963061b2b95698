"""The places of the benchmark `travel`: patch stores, halves of them, and weak labels of a half.

    python -m benchmarks.places --out DIR [--data DIR] [--only PLACE ...]

dakota-2015 and illinois-2023 are real scenes (CROPCAM_DATA). A-2016, A-2017, B-2016 and B-2017 are simulated: two regions of the simulated
corn belt, each 48 x 48 km in EPSG:5070, in two years with one image each, and CDL with its mistakes. A region has its own land (seed), a
year its crops, its weather (days that the crops are ahead on the image's date) and its haze. Everything follows from the numbers below.

Haze and weather were set so that pairs differ, within what the landscape draws for its scenes (haze .002 to .016). Trained on shares with the
defaults of 2026-11-29, 16 epochs, one seed: at home A-2016 has .868, A-2017 .870, B-2016 .883; A-2016 loses .064 in A-2017, .189 in B-2016, .003 in
B-2017; A-2017 loses .002 in A-2016, .064 in B-2016 and gains .020 in B-2017; B-2016 loses
.036 in A-2016, .098 in A-2017, .071 in B-2017.

A place that is there is left as it is; a killed command goes on. The last line is one JSON object: seconds and kept patches of each place.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.grid import CDL_CRS, CDL_ORIGIN_XY, PixelGrid, Window, tiles
from cropcam.pipeline.landscape import atmosphere, reflectance
from cropcam.pipeline.landscape.noise import lattice_hash, salt, uniform_bytes
from cropcam.pipeline.landscape.scenes import LOOK_NOISE, labels, positions, to_dn
from cropcam.pipeline.landscape.surface import blur
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.patches.build import from_rasters
from cropcam.pipeline.runtime.atomic import atomic_path, atomic_write
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.study.study import Study, load_study

DATA = Path(os.environ.get("CROPCAM_DATA", Path(__file__).parents[2] / "shared" / "data"))
REAL = ("dakota-2015", "illinois-2023")
SIDE_PX, WINDOW_PX = 1600, 400  # 32 x 32 patches; simulated at once
Indices = npt.NDArray[np.int64]
Half = Literal["left", "right"]


class Simulated(NamedTuple):
    """A simulated place: its land, where its north-west corner lies (degrees), and its image.

    The image is of `date`, when the crops stand as they do `ahead` days later in the landscape's calendar. `haze` is the mean reflectance
    that the air adds in ultra blue; it varies by a third over some 10 km and falls to .07 of it in SWIR 2. `gain` is the sensor's.
    """

    seed: int
    corner: tuple[float, float]
    date: datetime.date
    ahead: int
    haze: float
    gain: float


_A, _B = (11, (-93.6, 41.4)), (12, (-89.6, 38.6))
SIMULATED = {
    "A-2016": Simulated(*_A, datetime.date(2016, 8, 27), 0, 0.004, 1.0),
    "A-2017": Simulated(*_A, datetime.date(2017, 8, 23), -8, 0.010, 1.01),
    "B-2016": Simulated(*_B, datetime.date(2016, 8, 27), 14, 0.013, 0.99),
    "B-2017": Simulated(*_B, datetime.date(2017, 9, 2), -16, 0.007, 1.02),
}


def places() -> tuple[str, ...]:
    """Names of all places; `REAL` are real, the others (`SIMULATED`) simulated."""
    return (*REAL, *SIMULATED)


def cut(place: str, folder: Path, data: Path) -> Path:
    """The patch store FOLDER/PLACE.zarr, made where it is missing; of a simulated place the rasters stay in FOLDER/PLACE.

    `data` is the folder of the real scenes.
    """
    store, rasters = folder / f"{place}.zarr", (data if place in REAL else folder) / place
    if place in SIMULATED and not rasters.exists():
        with atomic_path(rasters) as unfinished:
            simulate(SIMULATED[place], unfinished)
    build(rasters, store)
    return store


def build(rasters: Path, store: Path, study: Study | None = None) -> None:
    """The patch store of a folder of GeoTIFFs, where it is missing; the labels have "cdl" in their name."""
    files = sorted(rasters.glob("*.[tT][iI][fF]"))
    codes = [path for path in files if "cdl" in path.name.lower()]
    from_rasters(study or load_study("corn-belt-2016"), [path for path in files if path not in codes], codes, store)


def simulate(place: Simulated, folder: Path, side_px: int = SIDE_PX) -> None:
    """Write image.tif (7 bands, Landsat DN, uint16, 0 = nodata) and cdl.tif (codes, uint8), both on CDL's lattice."""
    x0, y0 = CDL_ORIGIN_XY
    west, north = (float(value) for value in transform_points("EPSG:4326", CDL_CRS, *place.corner))
    corner = x0 + round((west - x0) / 30) * 30.0, y0 + round((north - y0) / 30) * 30.0
    grid = PixelGrid(CDL_CRS, (30.0, 0.0, corner[0], 0.0, -30.0, corner[1]), side_px, side_px)
    dn, codes = np.empty((len(LOOK_NOISE), *grid.shape_yx), np.uint16), np.empty(grid.shape_yx, np.uint8)
    for window in tiles(grid.shape_yx, (WINDOW_PX, WINDOW_PX)):
        dn[:, *window.slices] = _seen(place, grid.window(window))
        codes[window.slices] = labels(grid.window(window), place.seed, place.date.year)[0]
    folder.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "crs": grid.crs, "transform": rasterio.Affine(*grid.transform), "width": side_px, "height": side_px}
    for name, values in (("image", dn), ("cdl", codes[None])):
        options = {"count": len(values), "dtype": values.dtype, "nodata": 0, "tiled": True, "compress": "deflate", "zlevel": 1}
        with rasterio.open(folder / f"{name}.tif", "w", **profile, **options) as file:
            file.write(values)


def _seen(place: Simulated, grid: PixelGrid) -> npt.NDArray[np.uint16]:
    """DN (band, y, x) of the land through haze, point spread and noise; the same in any window."""
    calendar = place.date + datetime.timedelta(place.ahead)
    wider = grid.window(Window(-1, -1, grid.height + 2, grid.width + 2))
    surface_CYX = blur(reflectance(wider, [calendar], place.seed)[0])
    key = salt(place.seed, "place", place.date.year)
    clear = atmosphere.sky(place.date, key)._replace(cloud_level=99.0, cirrus=False, haze=place.haze, gain=place.gain, offset=0.0)
    x_m, y_m = positions(grid)
    over = atmosphere.air(clear, x_m, y_m)
    cell_x, cell_y = np.floor(x_m / 30).astype(np.int32), np.floor(y_m / 30).astype(np.int32)
    noise_CYX = [layer for k in (0, 1) for layer in uniform_bytes(lattice_hash(cell_x, cell_y, salt(key, "look", k)))]
    seen = [
        atmosphere.through(band, surface_CYX[band], clear, over) + noise_CYX[band] * np.float32(sigma)
        for band, sigma in enumerate(LOOK_NOISE)
    ]
    return to_dn(np.stack(seen))


def halves(store: PatchStore) -> tuple[Indices, Indices]:
    """Kept patches of the left half, up to the median of their columns and with it, and of the right half."""
    is_left_N = store.col_N <= np.median(store.col_N)
    return np.flatnonzero(is_left_N), np.flatnonzero(~is_left_N)


def classes(store: PatchStore, index_B: Indices) -> npt.NDArray[np.uint8]:
    """Class index (B, y, x) of the pixels of patches, 255 without a label."""
    return store.info.classes.lookup()[store.labels(index_B)]


def polygons(store: PatchStore, count: int, half: Half, out: Path) -> Path:
    """A GeoJSON in the store's CRS for `--areas`: a half in `count` rectangles with the areas (m2) of each class among their labelled pixels.

    `count` is a power of two. The half is cut in two again and again, each part across its longer side where both pieces hold as many kept
    patches, or at a border of the store's split blocks if that leaves the smaller piece a third. Each rectangle bounds its kept patches.
    """
    parts, names = [halves(store)[half == "right"]], store.info.classes.names
    while len(parts) < count:
        parts = [piece for part in parts for piece in _in_two(store, part)]
    a, _, c, _, e, f = store.grid.transform
    features, side_px = [], store.info.patch_size_px
    for number, part in enumerate(parts, 1):
        row_B, col_B = store.row_N[part] * side_px, store.col_N[part] * side_px
        west, east, north, south = (
            *(c + a * int(col) for col in (col_B.min(), col_B.max() + side_px)),
            *(f + e * int(row) for row in (row_B.min(), row_B.max() + side_px)),
        )
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        pixels_K = np.bincount(classes(store, part).ravel(), minlength=UNLABELLED)[: len(names)]
        areas = {name: float(pixels * abs(a * e)) for name, pixels in zip(names, pixels_K.tolist(), strict=True)}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"name": f"{half} {number}", **areas}, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": store.grid.crs}}
    atomic_write(out, json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}) + "\n")
    return out


def _in_two(store: PatchStore, part: Indices) -> tuple[Indices, Indices]:
    blocks = store.info.study["splits"]["block_patches"]  # columns, rows
    (col_B, columns), (row_B, rows) = ((place_N[part], blocks[axis]) for axis, place_N in enumerate((store.col_N, store.row_N)))
    place_B, block = (col_B, columns) if np.ptp(col_B) > np.ptp(row_B) else (row_B, rows)
    edges = np.arange(place_B.min() + 1, place_B.max() + 1)
    unequal = np.abs((place_B < edges[:, None]).mean(axis=1) - 0.5)
    is_before_B = place_B < edges[np.argmin(unequal + (edges % block != 0) / 6)]
    return part[is_before_B], part[~is_before_B]


def points(store: PatchStore, count: int, seed: int, out: Path) -> Path:
    """A CSV of lon, lat (degrees) and class for `--points`: `count` labelled pixels of the left half's kept patches, drawn at random."""
    part, side_px = halves(store)[0], store.info.patch_size_px
    class_BHW = classes(store, part)
    drawn = np.random.default_rng(seed).choice(np.flatnonzero(class_BHW != UNLABELLED), count, replace=False)
    patch, row, col = np.unravel_index(drawn, class_BHW.shape)
    a, _, c, _, e, f = store.grid.transform
    x, y = c + a * (store.col_N[part][patch] * side_px + col + 0.5), f + e * (store.row_N[part][patch] * side_px + row + 0.5)
    lon, lat = transform_points(store.grid.crs, "EPSG:4326", x, y)
    table = pd.DataFrame({"lon": lon, "lat": lat, "class": np.array(store.info.classes.names)[class_BHW.ravel()[drawn]]})
    atomic_write(out, table.to_csv(index=False, float_format="%.8f", lineterminator="\n"))
    return out


def main() -> None:
    """Make the places that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of stores")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real scenes")
    parser.add_argument("--only", nargs="+", choices=places(), default=places(), metavar="PLACE", help="of " + ", ".join(places()))
    args, made = parser.parse_args(), {}
    for place in args.only:
        started = time.perf_counter()
        store = open_store(cut(place, args.out, args.data))
        made[place] = {"s": round(time.perf_counter() - started, 1), "patches": len(store), "halves": [len(part) for part in halves(store)]}
        print(place, made[place], flush=True)
    print(json.dumps(made))


if __name__ == "__main__":
    main()
