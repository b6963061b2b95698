"""The pictures of README: the demo's map and its report, as headless Chromium shows them.

    python -m benchmarks.screens --demo demo [--pictures docs/pictures]

The folder is that of `cropcam demo`. The map page has the run's classes to the right of its divider and the true colour to the left, with one pixel
asked for. Of the report the first screen is shown. Both pages are local. `make pictures` makes the demo first.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from cropcam.model.run_scene import maps_of_run, scene_of_run, store_of_run
from cropcam.pipeline.maps.view.server import View

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
SIZE, SIZE_OF_REPORT = {"width": 920, "height": 680}, {"width": 1150, "height": 850}  # of the pages
SCALE, WIDTH_PX = 2, 1200  # screen pixels for one of the page, a whole number so that tiles meet; width of the picture
ZOOM, DIVIDER = 11.0, 0.42  # of the map: close enough for fields; where true colour ends and classes begin
MOST_BYTES, COLORS = 300_000, 192
WAIT_MS = 120_000


def screens(demo: Path, folder: Path) -> list[Path]:
    """Write map.png and report.png into a folder."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a tool of developers

    run, cache = demo / "run", demo / "pictures"
    store = store_of_run(run)
    cache.mkdir(exist_ok=True)
    scene = scene_of_run(run, maps_of_run(run, store, cache, device="cpu"), store, cache)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        page = browser.new_page(viewport=SIZE, device_scale_factor=SCALE)
        page.set_default_timeout(WAIT_MS)
        with View(scene) as view:
            taken = [_write(_map(page, view.url), folder / "map.png")]
        page.set_viewport_size(SIZE_OF_REPORT)
        page.goto((run / "report.html").resolve().as_uri())
        taken.append(_write(page.screenshot(), folder / "report.png"))
        browser.close()
    return taken


def _map(page: Any, url: str) -> bytes:  # noqa: ANN401 - playwright's
    page.goto(f"{url}#top=classes&base=true-colour-1&w={DIVIDER}&z={ZOOM}")
    page.wait_for_selector("html[data-drawn]")
    page.keyboard.press("Enter")  # the pixel at the centre
    page.wait_for_load_state("networkidle")
    return bytes(page.screenshot())


def _write(png: bytes, path: Path) -> Path:
    """A picture of WIDTH_PX; one with an image in it, whose colours are many, gets a palette.

    Raises:
        SystemExit: it has too many bytes for a page.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture = picture.resize((WIDTH_PX, round(picture.height * WIDTH_PX / picture.width)), Image.Resampling.LANCZOS)
    picture.save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        picture.quantize(COLORS, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)
    if (count := path.stat().st_size) > MOST_BYTES:
        sys.exit(f"{path}: {count:,} bytes; at most {MOST_BYTES:,}")
    return path


def main() -> None:
    """Take the pictures and list them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    args = parser.parse_args()
    if not shutil.which("chromium"):
        sys.exit("chromium is not on the path; Debian and Ubuntu: apt-get install chromium")
    if not (args.demo / "run" / "report.html").is_file():
        sys.exit(f"{args.demo}: no demo; make it with: cropcam demo --out {args.demo}")
    for path in screens(args.demo, args.pictures):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
