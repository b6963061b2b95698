"""From finished windows to a map's files: complete or absent, in spite of full disks, failures and kills."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo import cog_validate

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import tiles
from cropcam.pipeline.maps import finishing
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.finishing import finish
from cropcam.pipeline.maps.mapping import make_windows
from cropcam.pipeline.maps.pixel_areas import pixel_hectares
from cropcam.pipeline.maps.window_files import WindowFiles
from cropcam.pipeline.maps.window_job import CLASSES, ENTROPY, LAYER, PROBABILITY, UNSHIFTED, WindowJob
from cropcam.pipeline.runtime.progress import silent
from support.memory_source import LEGEND
from support.windows import FirstBand, random_classes, raster, raster_of, wanted

ROOT = Path(__file__).parents[3]
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a file system of its own
HEIGHT, WIDTH = 90, 70
CLASS_OF = random_classes(HEIGHT, WIDTH)
# makes a map of noise, which deflate cannot shrink; the second argument limits the size of files, or kills before a file is published
SCRIPT = """
import os, resource, signal, sys
sys.path[:0] = {paths}
from pathlib import Path
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps import finishing
from test_finishing import SMALL, make_map
path, what = Path(sys.argv[1]), sys.argv[2]
if what.isdigit():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(what), int(what)))
else:
    publish = finishing.publish
    def killed(made, final, legend=None):
        if final.name == what:
            os.kill(os.getpid(), signal.SIGKILL)
        publish(made, final, legend)
    finishing.publish = killed
try:
    make_map(path, *SMALL)
except DataError as error:
    sys.exit("DataError " + str(error))
"""
SMALL = (600, 500)


def make_map(
    out: Path, height: int = HEIGHT, width: int = WIDTH, side: int = 256, seed: int = 0, sieve_ha: float = 0.0
) -> finishing.Done | None:
    """Map random classes, with their probabilities and a layer of numbers beside it, as `map_raster` does."""
    numbers = np.random.default_rng(seed).integers(1, 9999, (height, width))
    job = WindowJob(raster_of(random_classes(height, width, seed), numbers), FirstBand(2, beside=True), 5, (PROBABILITY, LAYER, UNSHIFTED))
    files = WindowFiles(out.with_name(f".{out.name}.windows"), job.source.grid, list(tiles((height, width), (side, side))))
    paths = {CLASSES: out, PROBABILITY: out.with_name("p.tif"), LAYER: out.with_name("n.tif")}
    files.begin({"seed": seed, "side": side}, lambda _: None)
    make_windows(job, files, silent)
    done = finish(files, wanted(job, paths, sieve_ha=sieve_ha), job.bands)  # type: ignore[arg-type]
    files.discard()
    return done


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


FILES = {"map.tif", "map.tif.aux.xml", "p.tif", "n.tif"}


def test_the_files_hold_what_the_windows_hold(tmp_path: Path) -> None:
    done = make_map(tmp_path / "map.tif", side=40)
    assert left(tmp_path) == FILES
    for name in ("map.tif", "p.tif", "n.tif"):
        assert cog_validate(tmp_path / name, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(tmp_path / "map.tif") as one, rasterio.open(tmp_path / "p.tif") as two, rasterio.open(tmp_path / "n.tif") as three:
        np.testing.assert_array_equal(one.read(1), CLASS_OF)
        assert (two.descriptions, set(two.scales), two.nodata, two.dtypes[0]) == (LEGEND.names, {0.004}, 255, "uint8")
        assert (three.dtypes, three.descriptions, three.tags()["seed"]) == (("float32",), ("numbers",), "3")
        np.testing.assert_array_equal(two.read().argmax(axis=0)[CLASS_OF != 255], CLASS_OF[CLASS_OF != 255])
        np.testing.assert_array_equal(np.isnan(three.read(1)), CLASS_OF == 255)
    assert done is not None
    np.testing.assert_array_equal([*done.pixels_K, done.nodata_pixels], np.bincount(CLASS_OF.ravel(), minlength=256)[[0, 1, 2, 3, 4, 255]])
    opened = open_map(tmp_path / "map.tif")
    (whole,) = tiles(opened.grid.shape_yx, opened.grid.shape_yx)
    pixel = float(np.mean(pixel_hectares(opened.grid, whole)))
    np.testing.assert_allclose(done.hectares_K, np.array(done.pixels_K) * pixel, rtol=1e-3)
    before_K = np.bincount((CLASS_OF[CLASS_OF != 255] + 1) % 5, minlength=5)  # `FirstBand`: the next class
    np.testing.assert_allclose(done.unshifted_hectares_K, before_K * pixel, rtol=1e-3)


def test_the_windows_leave_no_trace(tmp_path: Path) -> None:
    for name, side in (("one", 40), ("two", 33), ("three", 200)):
        (tmp_path / name).mkdir()
        make_map(tmp_path / name / "map.tif", side=side)
    assert content(tmp_path / "one") == content(tmp_path / "two") == content(tmp_path / "three")


def test_the_sieve_touches_the_class_map_alone_and_its_counts(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    make_map(tmp_path / "plain" / "map.tif")
    done = make_map(tmp_path / "map.tif", sieve_ha=0.5)
    assert left(tmp_path) == FILES | {"plain"}
    with rasterio.open(tmp_path / "map.tif") as file:
        found = file.read(1)
        assert file.colormap(1)[1][:3] == LEGEND.classes[1].color
    np.testing.assert_array_equal(found == 255, CLASS_OF == 255)
    assert (found != CLASS_OF).mean() > 0.2
    assert done is not None
    np.testing.assert_array_equal([*done.pixels_K, done.nodata_pixels], np.bincount(found.ravel(), minlength=256)[[0, 1, 2, 3, 4, 255]])
    assert (tmp_path / "p.tif").read_bytes() == (tmp_path / "plain" / "p.tif").read_bytes()
    assert cog_validate(tmp_path / "map.tif", strict=True, quiet=True) == (True, [], [])


def test_no_pixel_with_a_class_makes_nothing(tmp_path: Path) -> None:
    job = WindowJob(raster(np.zeros((2, 9, 9), np.uint16)), FirstBand(), 5)
    files = WindowFiles(tmp_path / ".w", job.source.grid, list(tiles((9, 9), (4, 4))))
    files.begin({}, lambda _: None)
    make_windows(job, files, silent)
    assert finish(files, wanted(job, {CLASSES: tmp_path / "map.tif"}), job.bands) is None
    assert left(tmp_path) == {".w"}


def test_each_file_is_complete_before_the_first_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_map(tmp_path / "map.tif")
    before, convert, published = content(tmp_path), finishing.convert, list[str]()

    def third(raster_path: Path, made: Path, layer: object) -> None:
        if made.name == "n.tif":
            raise DataError("the disk broke")
        convert(raster_path, made, layer)  # type: ignore[arg-type]

    monkeypatch.setattr(finishing, "convert", third)
    with pytest.raises(DataError, match="the disk broke"):
        make_map(tmp_path / "map.tif", seed=1)
    assert content(tmp_path) == before
    assert left(tmp_path) == FILES | {".map.tif.windows"}
    monkeypatch.setattr(finishing, "convert", convert)
    publish = finishing.publish
    monkeypatch.setattr(finishing, "publish", lambda made, path, legend: (published.append(path.name), publish(made, path, legend)))
    make_map(tmp_path / "map.tif", seed=1)
    assert sorted(published[:2]) == ["n.tif", "p.tif"]
    assert published[2:] == ["map.tif"]
    assert left(tmp_path) == FILES


def test_the_item_of_an_older_map_goes_before_the_new_map_comes(tmp_path: Path) -> None:
    for name in ("map.stac.json", "map.qml"):
        (tmp_path / name).write_text("of an older map")
    make_map(tmp_path / "map.tif")
    assert left(tmp_path) == FILES


def run_script(path: Path, what: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(paths=[str(folder) for folder in (ROOT / "tests", Path(__file__).parent)])
    return subprocess.run([sys.executable, "-c", script, str(path), what], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("name", ["p.tif", "map.tif"])
def test_a_killed_map_leaves_hidden_files_alone_and_the_next_one_clears_up(tmp_path: Path, name: str) -> None:
    assert run_script(tmp_path / "map.tif", name).returncode == -signal.SIGKILL
    there = left(tmp_path)
    assert ".map.tif.windows" in there
    assert {each for each in there if not each.startswith(".")} == ({"n.tif", "p.tif"} - {name} if name == "map.tif" else set())
    make_map(tmp_path / "map.tif", *SMALL)
    assert left(tmp_path) == FILES
    (tmp_path / "again").mkdir()
    make_map(tmp_path / "again" / "map.tif", *SMALL)
    shutil.move(tmp_path / "again", tmp_path.parent / f"{tmp_path.name}-again")
    assert content(tmp_path) == content(tmp_path.parent / f"{tmp_path.name}-again")


# the disk fills when the specification is written, while windows are, while they become a COG
@pytest.mark.parametrize("limit", ["10", "4096", "270000"])
def test_a_full_disk_is_one_clear_line_and_leaves_the_old_map(tmp_path: Path, limit: str) -> None:
    path = tmp_path / "map.tif"
    path.write_bytes(b"the old map")
    done = run_script(path, limit)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert str(tmp_path) in line
    assert "File too large" in line or "disk" in line
    if limit != "10":
        assert line.startswith("DataError ")
    assert {name for name in left(tmp_path) if not name.startswith(".")} == {"map.tif"}
    assert path.read_bytes() == b"the old map"
    assert "Traceback" not in done.stderr or limit == "10"


def test_a_layer_may_lie_on_another_disk(tmp_path: Path) -> None:
    if not os.access(SHARED_MEMORY, os.W_OK) or SHARED_MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    other = SHARED_MEMORY / f"cropcam-{os.getpid()}"
    other.mkdir()
    try:
        job = WindowJob(raster_of(CLASS_OF), FirstBand(), 5, (ENTROPY,))
        files = WindowFiles(tmp_path / ".w", job.source.grid, list(tiles(CLASS_OF.shape, (50, 50))))
        files.begin({}, lambda _: None)
        make_windows(job, files, silent)
        assert finish(files, wanted(job, {CLASSES: tmp_path / "map.tif", ENTROPY: other / "u.tif"}), job.bands) is not None
        assert left(other) == {"u.tif"}
    finally:
        shutil.rmtree(other)
