"""Every command that writes: a place that is not free is refused in one line before work starts, and nothing is left, lost or changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cropcam.cli import main
from support.builds import GRID, write_inputs
from support.map_runs import BANDS, random_dn
from support.mapped_runs import make_fitted_run
from support.maps import write_map
from support.memory_source import make_grid
from support.rasters import random_dn as dn_of_seven
from support.rasters import write_raster
from support.snapshots import snapshot
from support.stores import make_store
from support.virtual import write_vrt
from support.windows import random_classes

Capture = pytest.CaptureFixture[str]
IMAGE = " ".join(f"{band}.tif" for band in BANDS)
FILES = {  # by command: words with OUT in the place of the file, and its ending
    "map": (f"map run --image {IMAGE} --out OUT", ".tif"),
    "map, probabilities": (f"map run --image {IMAGE} --out free.tif --probabilities OUT", ".tif"),
    "map, uncertainty": (f"map run --image {IMAGE} --out free.tif --uncertainty OUT", ".tif"),
    "map, polygons": (f"map run --image {IMAGE} --out free.tif --polygons OUT", ".gpkg"),
    "map, columns": (f"map run --image {IMAGE} --out free.tif --polygons OUT", ".parquet"),
    "map, overwrite": (f"map run --image {IMAGE} --out OUT --overwrite", ".tif"),
    "sample": ("sample map.tif --out OUT", ".csv"),
    "check": ("check s.zarr --out OUT", ".png"),
    "evaluate": ("evaluate map.tif --points points.csv --out OUT", ".json"),
    "preview": ("preview demo --api-url http://127.0.0.1:9 --out OUT", ".html"),
    "export-model": ("export-model run --to OUT", ".onnx"),
}
FOLDERS = {
    "patches": "patches demo --image seven.tif --labels cdl.tif --store OUT",
    "train": "train s.zarr --run OUT --labels shares --epochs 1",
    "crossval": "crossval s.zarr t.zarr --out OUT",
    "compare": "compare run run2 --out OUT",
    "evaluate": "evaluate run --store s.zarr --save OUT",
    "simulate": "simulate demo --archive OUT",
    "export": "export demo --api-url http://127.0.0.1:9 --to OUT",
    "fetch": "fetch demo --api-url http://127.0.0.1:9 --from drive:f --to OUT",
    "demo": "demo --out OUT",
    "view": "view map.tif --cache OUT",
    "emulate": "emulate --archive arch --out OUT",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an input of every kind, and a file of the user's under the name of each kind."""
    folder = tmp_path_factory.mktemp("outputs")
    make_store(folder / "s.zarr", count=8, size_px=16)
    make_store(folder / "t.zarr", count=8, size_px=16, seed=1)
    make_fitted_run(folder / "run")
    make_fitted_run(folder / "run2")
    write_inputs(folder)
    write_raster(folder / "seven.tif", dn_of_seven((7, *GRID.shape_yx)), GRID)
    grid = make_grid(40, 40)
    for name, values in zip(BANDS, random_dn(np.random.default_rng(0), 40, 40), strict=True):
        write_raster(folder / f"{name}.tif", values, grid)
    write_map(folder / "map.tif", random_classes(20, 20))
    (folder / "points.csv").write_text("lon,lat,class\n")
    (folder / "folder").mkdir()
    (folder / "folder" / "thesis.txt").write_text("years")
    for suffix in {suffix for _, suffix in FILES.values()}:
        (folder / f"notes{suffix}").write_text("field notes about cropcam")
        (folder / f"dangling{suffix}").symlink_to(folder / "absent" / "x")
        (folder / f"link{suffix}").symlink_to(folder / f"notes{suffix}")
        (folder / f"folder{suffix}").mkdir()
    (folder / "dangling").symlink_to(folder / "absent" / "x")
    return folder


@pytest.fixture
def refused(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Callable[..., str]:
    """Runs a command that must refuse; its line."""
    monkeypatch.chdir(place)
    before = snapshot(place)

    def run(words: str, out: str, codes: tuple[int, ...] = (3,)) -> str:
        argv = [out if word == "OUT" else word for word in words.split()]
        code = main(argv)
        *_, line = capsys.readouterr().err.strip().splitlines()
        assert code in codes, (argv, line)
        assert line.startswith("cropcam: "), (argv, line)
        assert snapshot(place) == before, argv
        return line

    return run


@pytest.mark.parametrize("command", FILES)
def test_a_place_that_is_not_free_for_a_file(command: str, refused: Callable[..., str], place: Path) -> None:
    words, suffix = FILES[command]
    if "--overwrite" not in words:
        assert "is there already" in refused(words, f"notes{suffix}")
    assert f"is a link to {place}/notes{suffix}; name that" in refused(words, f"link{suffix}")
    assert "which does not exist; mount or make it" in refused(words, f"dangling{suffix}")
    assert f"folder{suffix}: is a folder; give the file name" in refused(words, f"folder{suffix}")
    assert "notes.csv is a file; choose another place" in refused(words, f"notes.csv/new/x{suffix}")
    assert "lies inside the store" in refused(words, f"s.zarr/image/x{suffix}")
    assert "holds characters" in refused(words, f"new\nline{suffix}", (2,))
    assert "holds characters" in refused(words, f"latin\udce9{suffix}", (2,))
    assert "is read as an address" in refused(words, f"/vsimem/x{suffix}", (2,))
    assert "is read as an address" in refused(words, f"GTIFF_DIR:1:x{suffix}", (2,))
    assert "too long" in refused(words, "x" * 250 + suffix, (2,))


@pytest.mark.parametrize("command", FOLDERS)
def test_a_place_that_is_not_free_for_a_folder(command: str, refused: Callable[..., str]) -> None:
    words = FOLDERS[command]
    assert "notes.csv: is a file; name a folder" in refused(words, "notes.csv")
    assert "which does not exist; mount or make it" in refused(words, "dangling")
    assert "dangling is a link to a place that does not exist" in refused(words, "dangling/x")
    assert "notes.csv is a file; choose another place" in refused(words, "notes.csv/new/x")
    assert "lies inside the store" in refused(words, "s.zarr/image/x")
    assert "holds characters" in refused(words, "new\nline", (2,))
    if command in ("patches", "evaluate"):
        assert "holds no" in refused(words, "folder")
    if command == "train":
        assert "holds no run" in refused(words, "t.zarr")
        assert "is an input of this command" in refused(words, "s.zarr")


@pytest.mark.parametrize("name", ["m.qml", "m.stac.json", "m.tif.aux.xml"])
def test_files_beside_a_new_map_are_not_replaced(place: Path, name: str) -> None:
    (place / name).write_text("mine")
    try:
        words = FILES["map"][0]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            before = snapshot(place)
            assert main([word if word != "OUT" else "m.tif" for word in words.split()]) == 3
            assert snapshot(place) == before
    finally:
        (place / name).unlink()


def test_an_input_by_any_name(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(place)
    os.link(place / f"{BANDS[0]}.tif", place / "hard.tif")
    virtual = write_vrt(place / f"{BANDS[1]}.vrt", place / f"{BANDS[1]}.tif")
    before = snapshot(place)
    for out in ("hard.tif", f"folder/../{BANDS[1]}.tif", f"{place}/{BANDS[0]}.tif", virtual.name):
        for more in ([], ["--overwrite"]):
            assert main(["map", "run", "--image", f"{BANDS[0]}.tif", virtual.name, f"{BANDS[2]}.tif", "--out", out, *more]) == 3
            assert "is an input of this command" in capsys.readouterr().err
    assert snapshot(place) == before
    (place / "hard.tif").unlink()
    virtual.unlink()
