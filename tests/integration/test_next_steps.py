"""The next step that a message names works: each refused command, its message, and the command mended as the message has it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyogrio
import pytest
import shapely

from cropcam.cli import _parser, main
from cropcam.model.options import Settings
from cropcam.pipeline.store.patch_store import open_store
from support.runs import make_run
from support.small_scene import STUDY, write_small_scene
from support.vectors import write_vectors

POLYGON = {"type": "Polygon", "coordinates": [[[-87.99, 40.3], [-87.9, 40.3], [-87.9, 40.36], [-87.99, 40.3]]]}
CUT = "patches mine.toml --image img.tif --labels cdl.tif --store"
TRAIN = "--epochs 1 --device cpu"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study, rasters, a store, a run and a map, in the current folder, whose name needs quotes."""
    home = tmp_path / "a folder's"
    home.mkdir()
    monkeypatch.chdir(home)
    write_small_scene(home)
    assert main([*CUT.split(), "s.zarr"]) == 0
    for name in ("run", "my run"):
        make_run(home / name, home / "s.zarr", open_store(home / "s.zarr").info)
    assert main(shlex.split("map run --image img.tif --out map.tif --device cpu")) == 0
    return home


def _write(name: str, content: str | bytes) -> Callable[[], object]:
    return lambda: Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


def _fill(name: str) -> None:
    """The sample, labelled as it is mapped."""
    table = pd.read_csv(name)
    table.assign(**{"class": table["stratum"]}).to_csv(name, index=False)


def _points(text: str) -> Callable[[], object]:
    return _write("p.csv", text)


LINE = "{},{},{}\n{},-87.95,40.34\n"
# what is prepared; the command; its exit code and message; what is mended beside the command; the mended command
STEPS: list[tuple[Callable[[], object] | None, str, int, str, Callable[[], object] | None, str]] = [
    (None, "describe corn-belt-2106", 2, "did you mean corn-belt-2016?", None, "describe corn-belt-2016"),
    (_write("x.toml", STUDY.replace("size_px", "sise_px")), "describe x.toml", 2, "unknown key patches.sise_px; did you mean size_px?", _write("x.toml", STUDY), "describe x.toml"),
    (None, "describe mine.toml --set area.scale=60", 2, r"--set: unknown key area\.scale; did you mean scale_m\?", None, "describe mine.toml --set area.scale_m=45"),
    (None, "describe s.zarr --set area.scale_m=60", 2, "--set changes keys of a study, and s.zarr is a store; leave it out", None, "describe s.zarr"),
    (_write("y.toml", 'extends = "y.toml"'), "describe y.toml", 2, "y.toml, which extends y.toml: a circle; leave out one extends", _write("y.toml", 'extends = "mine.toml"'), "describe y.toml"),
    (_write("x.toml", STUDY.replace("[study]", "# N\xf6rd\n[study]").encode("cp1252")), "describe x.toml", 2, "line 1, column 4: byte 0xf6 is not UTF-8; save a TOML study file as UTF-8", _write("x.toml", STUDY.replace("[study]", "# N\xf6rd\n[study]")), "describe x.toml"),
    (_write("x.toml", STUDY.replace("name =", "name")), "describe x.toml", 2, "line 2, column 6: not TOML: .*; correct it there", _write("x.toml", STUDY), "describe x.toml"),
    (_write("x.toml", STUDY.replace("-88.1, 40.1, -87.6, 40.5", "-87.6, 40.1, -88.1, 40.5")), "describe x.toml", 2, "the order is west, south, east, north", _write("x.toml", STUDY), "describe x.toml"),
    (_write("h.geojson", json.dumps({"type": "Point", "coordinates": [1, 2]})), "map run --image img.tif --region h.geojson --out r.tif", 2, "holds no polygon but 1 Point; give one or more Polygon", _write("h.geojson", json.dumps(POLYGON)), "map run --image img.tif --region h.geojson --out r.tif"),
    (None, "map run --image img.tif --region none.gpkg --out r2.tif", 2, "no such file; name a GeoPackage", lambda: write_vectors(Path("none.gpkg"), [shapely.geometry.shape(POLYGON)], {}, "EPSG:4326"), "? map run --image img.tif --region none.gpkg --out r2.tif"),
    (lambda: pyogrio.write_dataframe(_frame(), "h.shp"), "map run --image img.tif --region h.shp --out r3.tif", 2, "convert it: ogr2ogr h.gpkg h.shp$", lambda: pyogrio.write_dataframe(pyogrio.read_dataframe("h.shp"), "h.gpkg"), "map run --image img.tif --region h.gpkg --out r3.tif"),
    (None, f"{CUT} s.zarr --seed 3", 3, "split seed: 0 against 3.*; choose another --store", None, f"{CUT} s3.zarr --seed 3"),
    (None, f"train none.zarr --run new {TRAIN}", 3, "make one with 'cropcam patches STUDY ... --store none.zarr'", None, f"? train none.zarr --run new {TRAIN}"),
    (None, f"train s.zarr --run run {TRAIN}", 2, "go on with it with --resume, or name another folder", None, f"? train s.zarr --run new2 {TRAIN}"),
    (None, "train s.zarr --run new3 --epochs 0 --device cpu", 2, "it must be at least 1", None, f"? train s.zarr --run new3 {TRAIN}"),
    (None, f"train s.zarr --run new4 --model basline {TRAIN}", 2, "known: baseline,", None, f"? train s.zarr --run new4 --model baseline {TRAIN}"),
    (None, "evaluate none --device cpu", 3, "make one with 'cropcam train STORE --run none'", None, "? evaluate none --device cpu"),
    (None, "report 'my run'", 3, "evaluate first: cropcam evaluate 'my run'$", None, "? report 'my run'"),
    (None, "compare 'my run'", 2, "compare takes two runs or more", None, "? compare 'my run' none --out c"),
    (None, "compare 'my run' 'my run'", 2, "name each once", None, "? compare 'my run' none --out c2"),
    (None, "evaluate 'my run' --on none2.zarr --device cpu", 3, "cropcam patches STUDY ... --store none2.zarr", None, "? evaluate 'my run' --on none2.zarr --device cpu"),
    (None, "sample map.tif --out p.txt", 2, "end the name in .csv", None, "sample map.tif --out p.csv"),
    (None, "sample map.tif --out p.csv --seed 4", 3, "give --out another name", None, "? sample map.tif --out q.csv --seed 4"),
    (None, "sample map.tif --out s.csv --expected-accuracy corn=2", 2, "an accuracy is above 0 and at most 1", None, "? sample map.tif --out s.csv"),
    (None, "area map.tif --reference p.csv", 3, "fill in the column class", lambda: _fill("p.csv"), "area map.tif --reference p.csv"),
    (None, "evaluate map.tif", 2, "cropcam evaluate map.tif --points FILE", None, "evaluate map.tif --points p.csv"),
    (_points("lon,lat,class\n40.34,-97.95,corn\n"), "evaluate map.tif --points p.csv", 3, "are lon and lat swapped?", _points("lon,lat,class\n-87.95,40.34,corn\n"), "evaluate map.tif --points p.csv"),
    (_points("lon,lat,crop\n-87.95,40.34,corn\n"), "evaluate map.tif --points p.csv", 3, "no column class among lon, lat, crop", None, "evaluate map.tif --points p.csv --label-column crop"),
    (_points("lon,lat,class\n-87.95,40.34,corn,1\n"), "evaluate map.tif --points p.csv", 3, "line 2: has 4 values for 3 columns", _points("lon;lat;class\n-87,95;40,34;Corn\n"), "evaluate map.tif --points p.csv"),
    (_points("PK\x03\x04"), "evaluate map.tif --points p.csv", 3, r"save the sheet as CSV \(UTF-8\)", _points("\ufefflon,lat,class\n-87.95,40.34,corn\n"), "evaluate map.tif --points p.csv"),
    (_points("lon,lat,class\n-87.95,40.34,maize\n"), "evaluate map.tif --points p.csv", 3, "it must be one of background, corn", _points("lon,lat,class\n-87.95,40.34,corn\n"), "evaluate map.tif --points p.csv"),
    (None, "area none.tif", 3, "give a map that cropcam map wrote", None, "area map.tif"),
    (None, "export-model run --to model.txt", 2, "end the name in .onnx or .pt2", None, ""),
    (None, "emulate --archive 'no archive'", 4, "cropcam simulate STUDY --archive 'no archive'", None, ""),
    (None, "fetch mine.toml --from x --to y", 2, "name the drive:FOLDER or gs://BUCKET/PREFIX", None, ""),
]  # fmt: skip


def _frame():  # noqa: ANN202 - a table of geopandas
    import geopandas

    return geopandas.GeoDataFrame(geometry=[shapely.geometry.shape(POLYGON)], crs="EPSG:4326")


@pytest.mark.usefixtures("folder")
def test_the_next_step_of_a_message_works(capsys: pytest.CaptureFixture[str]) -> None:
    for prepare, refused, code, message, mend, mended in STEPS:
        if prepare:
            prepare()
        capsys.readouterr()
        assert main(shlex.split(refused)) == code, refused
        lines = capsys.readouterr().err.splitlines()
        assert re.search(message, lines[-1]), lines[-1]
        assert not any("Traceback" in line for line in lines)
        for named in re.findall(r"cropcam ((?:[^';`]|'[^']*')+)", lines[-1].split("cropcam: ", 1)[-1]):
            _check_parses(named)
        if mend:
            mend()
        words = shlex.split(mended.removeprefix("? "))
        if mended.startswith("? "):  # costly: it parses
            _parser().parse_args(words)
        else:
            assert not mended or main(words) == 0, (mended, capsys.readouterr().err)


def _check_parses(named: str) -> None:
    """A whole command line, without an ellipsis, is one that the program takes."""
    words = shlex.split(named if named.count("'") % 2 == 0 else named.rstrip("'"))
    if len(words) > 1 and "..." not in words and words[0] not in ("map", "wrote"):
        _parser().parse_args(words)


def test_a_removed_option_names_a_setting() -> None:
    assert main(["train", "s.zarr", "--run", "x", "--feed", "resident"]) == 2
    assert Settings(data_loading="memory", rot90=True, grad_clip_norm=1.0)
