"""The map page: how long a browser waits for the first picture, and a server for a tile.

    python -m benchmarks.view [--size 30000 17000] [--opens 5] [--store STORE]

A class map of made-up fields with noise is written once and served; headless Chromium opens the page anew each time. The first picture is there when every
tile of the first layer is loaded, in milliseconds since the page's load began. Tiles are timed in the server, at each zoom from the whole map to its pixels, in
the middle of the map, not kept in memory. --store also makes the quick looks of a store. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

PIXEL_DEG = 30 / 111_319.490793
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")


def made_up_map(path: Path, width: int, height: int) -> Path:
    """A class map of fields of 17 x 23 px with 3 % of noise, on the grid of the corn belt."""
    import rasterio  # noqa: PLC0415 - after the arguments

    from cropcam.pipeline.grid import tiles  # noqa: PLC0415
    from cropcam.pipeline.legend import Legend  # noqa: PLC0415
    from cropcam.pipeline.maps.cog import convert, publish, raster_window  # noqa: PLC0415
    from cropcam.pipeline.maps.map_layers import class_layer  # noqa: PLC0415

    legend, rng = Legend.from_codes({"corn": [1], "soybean": [5], "forest": [63], "grassland": [37]}), np.random.default_rng(0)
    layer, raw = class_layer(legend, {"TIFFTAG_SOFTWARE": "cropcam 0", "study": "made-up"}), path.with_name("raw.tif")
    shape = {"count": 1, "width": width, "height": height, "transform": rasterio.Affine(PIXEL_DEG, 0, -94, 0, -PIXEL_DEG, 41.5)}
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    with rasterio.open(raw, "w", "GTiff", dtype="uint8", nodata=255, crs="EPSG:4326", **shape, **layout) as file:
        file.write_colormap(1, dict(layer.colors or {}))
        file.update_tags(**layer.tags)
        for window in tiles((height, width), (1024, 1024)):
            fields = rng.integers(0, 5, (window.height // 17 + 1, window.width // 23 + 1)).astype(np.uint8)
            classes_YX = fields.repeat(17, 0).repeat(23, 1)[: window.height, : window.width].copy()
            noise_YX = rng.random(classes_YX.shape) < 0.03
            classes_YX[noise_YX] = rng.integers(0, 5, int(noise_YX.sum()))
            file.write(classes_YX, 1, window=raster_window(window))
    convert(raw, path.with_name("cog.tif"), layer)
    publish(path.with_name("cog.tif"), path, legend)
    raw.unlink()
    return path


def first_pictures(url: str, opens: int) -> list[int]:
    """Milliseconds from the page's load to its first picture, each in a new browser context."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        for _ in range(opens):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url)
            page.wait_for_selector("html[data-first-ms]", timeout=120_000)
            found.append(int(page.get_attribute("html", "data-first-ms") or 0))
            page.close()
        browser.close()
    return found


def tile_times(scene: Any) -> dict[int, float]:  # noqa: ANN401 - Scene
    """Milliseconds of the middle tile by zoom."""
    from cropcam.pipeline.maps.view.tiles import render  # noqa: PLC0415

    south, west, north, east = scene.bounds
    found = {}
    for zoom in range(scene.min_zoom, scene.native_zoom + 3):
        lat = np.radians((south + north) / 2)
        col = int(((west + east) / 2 + 180) / 360 * 2**zoom)
        row = int((1 - np.arcsinh(np.tan(lat)) / np.pi) / 2 * 2**zoom)
        started = time.perf_counter()
        render(scene.layers[0], zoom, col, row)
        found[zoom] = round(1000 * (time.perf_counter() - started), 1)
    return found


def quick_looks(store: Path, place: Path) -> dict[str, float]:
    """Pixels a second of making the quick looks of a store."""
    from cropcam.pipeline.maps.view.quick_looks import make_quick_looks  # noqa: PLC0415
    from cropcam.pipeline.store.patch_store import open_store  # noqa: PLC0415

    opened = open_store(store)
    started = time.perf_counter()
    make_quick_looks(opened, opened.info.classes, place)
    seconds = time.perf_counter() - started
    pixels = opened.grid.width * opened.grid.height
    return {"quick_look_s": round(seconds, 1), "quick_look_mpx_per_s": round(pixels / seconds / 1e6, 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(30_000, 17_000), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--opens", type=int, default=5)
    parser.add_argument("--store", type=Path)
    args = parser.parse_args()
    os.environ.setdefault("GDAL_CACHEMAX", "256")  # MB, as of the command line
    from cropcam.pipeline.maps.view.scenes import of_map  # noqa: PLC0415
    from cropcam.pipeline.maps.view.server import View  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="cropcam-bench-view-") as place:
        scene = of_map(made_up_map(Path(place) / "map.tif", *args.size))
        found: dict[str, Any] = {"size": list(args.size)}
        with View(scene) as view:
            times = first_pictures(view.url, args.opens)
            found |= {"first_picture_ms": times[0], "later_pictures_ms": median(times[1:] or times)}
        found["tile_ms_by_zoom"] = tile_times(scene)
        if args.store:
            found |= quick_looks(args.store, Path(place))
        found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(found))


if __name__ == "__main__":
    main()
