from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given, settings
from hypothesis import strategies as st
from rio_cogeo import cog_validate

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import tiles
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps import cog
from cropcam.pipeline.maps.cog import is_map, written_map
from cropcam.pipeline.runtime.atomic import exclusive_lock
from support.memory_source import LEGEND, make_grid

ROOT = Path(__file__).parents[3]
TAGS = {"TIFFTAG_SOFTWARE": "cropcam 0", "study": "made-up", "seed": "3"}
# writes a map of noise, which deflate cannot shrink; the argument is what happens before its last window
SCRIPT = """
import os, resource, signal, sys
sys.path[:0] = {paths}
from pathlib import Path
from test_cog import make_map
from cropcam.pipeline.errors import DataError
path, what = Path(sys.argv[1]), sys.argv[2]
if what.isdigit():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(what), int(what)))
try:
    make_map(path, 900, 700, last=lambda: os.kill(os.getpid(), signal.SIGKILL) if what == "kill" else None)
except DataError as error:
    sys.exit("DataError " + str(error))
"""


def make_map(path: Path, height: int = 900, width: int = 700, block_px: int = 256, last=lambda: None, seed: int = 0) -> np.ndarray:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Write a map of random classes with a corner of nodata; what it holds."""
    classes = np.random.default_rng(seed).integers(0, len(LEGEND), (height, width), dtype=np.uint8)
    classes[: height // 3, : width // 4] = 255
    grid = make_grid(height, width)
    with written_map(path, grid, LEGEND, TAGS, block_px) as class_map:
        windows = list(tiles(grid.shape_yx, (block_px, block_px)))
        for window in windows:
            if window is windows[-1]:
                last()
            class_map.write(window, classes[window.slices])
    np.testing.assert_array_equal(class_map.counts, np.bincount(classes.ravel(), minlength=256))
    return classes


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def run_script(path: Path, what: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(paths=[str(folder) for folder in (ROOT / "tests", Path(__file__).parent)])
    return subprocess.run([sys.executable, "-c", script, str(path), what], capture_output=True, text=True, timeout=60, check=False)


def test_a_map_says_everything_about_itself(tmp_path: Path) -> None:
    path = tmp_path / "new" / "map.tif"
    classes = make_map(path)
    grid = make_grid(*classes.shape)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), classes)
        assert (file.crs.to_string(), tuple(file.transform)[:6]) == (grid.crs, grid.transform)
        assert (file.count, file.dtypes[0], file.nodata, file.descriptions) == (1, "uint8", 255, ("class",))
        assert file.profile["compress"] == "deflate"
        assert [file.colormap(1)[index][:3] for index in range(len(LEGEND))] == [c.color for c in LEGEND.classes]
        tags = file.tags()
    assert json.loads(tags["classes"]) == {str(index): name for index, name in enumerate(LEGEND.names)}
    assert TAGS.items() <= tags.items()
    assert left(path.parent) == {"map.tif", "map.tif.aux.xml"}
    assert is_map(path)


def test_a_map_is_a_valid_cog_whose_overviews_hold_only_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    classes = make_map(path, 1100, 1300)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4]
        small = file.read(1, out_shape=(275, 325))
    assert set(np.unique(small)) <= set(np.unique(classes))
    assert (small[:90, :80] == 255).all()


@settings(max_examples=12, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), block_px=st.integers(1, 100))
def test_pixels_come_back_whatever_the_windows(height: int, width: int, block_px: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        classes = make_map(Path(folder, "map.tif"), height, width, block_px)
        with rasterio.open(Path(folder, "map.tif")) as file:
            np.testing.assert_array_equal(file.read(1), classes)


def test_same_pixels_are_the_same_bytes(tmp_path: Path) -> None:
    for name, block_px in (("one", 256), ("two", 400)):
        make_map(tmp_path / name / "map.tif", block_px=block_px)
    for name in ("map.tif", "map.tif.aux.xml"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_class_names_stand_where_gdal_looks_for_them(tmp_path: Path) -> None:
    legend = Legend.from_codes({"corn & <soy>": [1], "wäld": [63]})
    with written_map(tmp_path / "map.tif", make_grid(8, 8), legend, TAGS, 8) as class_map:
        class_map.write(next(tiles((8, 8), (8, 8))), np.zeros((8, 8), np.uint8))
    text = (tmp_path / "map.tif.aux.xml").read_text("utf-8")
    assert re.findall("<Category>(.*)</Category>", text) == ["background", "corn &amp; &lt;soy&gt;", "wäld"]
    rasterio.shutil.copy(tmp_path / "map.tif", tmp_path / "map.vrt", driver="VRT")  # what GDAL makes of it
    assert "<Category>corn &amp; &lt;soy&gt;</Category>" in (tmp_path / "map.vrt").read_text("utf-8")


@pytest.mark.parametrize("error", [DataError("source broke"), KeyboardInterrupt("Ctrl-C")])
def test_a_failed_map_leaves_nothing_and_the_old_one_alone(tmp_path: Path, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error), match=r"source broke|Ctrl-C"):
        make_map(tmp_path / "map.tif", last=fail)
    assert left(tmp_path) == set()
    make_map(tmp_path / "map.tif")
    before = {name: (tmp_path / name).read_bytes() for name in left(tmp_path)}
    with pytest.raises(type(error), match=r"source broke|Ctrl-C"):
        make_map(tmp_path / "map.tif", last=fail, seed=1)
    assert before == {name: (tmp_path / name).read_bytes() for name in left(tmp_path)}


def test_a_killed_map_leaves_nothing_under_its_name_and_the_next_one_clears_up(tmp_path: Path) -> None:
    assert run_script(tmp_path / "map.tif", "kill").returncode == -signal.SIGKILL
    assert all(name.startswith(".map.tif.") for name in left(tmp_path))
    assert ".map.tif.partial" in left(tmp_path)
    make_map(tmp_path / "map.tif")
    assert left(tmp_path) == {"map.tif", "map.tif.aux.xml"}


# the disk fills while windows are written, when the last one is flushed, while it becomes a COG
@pytest.mark.parametrize("limit", ["4096", "200000", "225000"])
def test_a_full_disk_is_one_clear_line_and_leaves_the_old_map(tmp_path: Path, limit: str) -> None:
    path = tmp_path / "map.tif"
    path.write_bytes(b"the old map")
    done = run_script(path, limit)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"DataError {path}: ")
    assert "disk" in line
    assert left(tmp_path) == {"map.tif"}
    assert path.read_bytes() == b"the old map"


def test_what_arrived_is_compared_with_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert = cog.convert

    def damage(raw: Path, made: Path) -> None:
        with rasterio.open(raw, "r+") as file:
            pixel = file.read(1, window=((700, 701), (500, 501)))
            file.write((pixel + 1) % 5, 1, window=((700, 701), (500, 501)))
        convert(raw, made)

    monkeypatch.setattr(cog, "convert", damage)
    with pytest.raises(DataError, match=r"map\.tif: what arrived on the disk is not what was written"):
        make_map(tmp_path / "map.tif")
    assert left(tmp_path) == set()


def test_two_writers_of_one_map_are_refused(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "map.tif"), pytest.raises(DataError, match="another process is writing it"):
        make_map(tmp_path / "map.tif")


def test_a_folder_is_no_place_for_a_map(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; give the file name"):
        make_map(tmp_path)


def test_a_file_in_the_way_of_the_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"file/map\.tif: cannot be written: .*File exists"):
        make_map(tmp_path / "file" / "map.tif")


def test_only_maps_are_maps(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no raster")
    assert not is_map(tmp_path / "text.tif")
    assert not is_map(tmp_path / "absent.tif")
