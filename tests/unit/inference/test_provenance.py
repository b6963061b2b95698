"""Tags of a map, the specification of its windows, and inputs that do not fit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch

from cropcam.model.inference import provenance
from cropcam.model.inference.predictor import Predictor
from cropcam.model.inference.provenance import check_inputs, files_text, map_tags, rasters_of, specification
from cropcam.model.runs.checkpoint import BEST
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import unfitted
from cropcam.model.transfer.class_distance import ClassDistance
from cropcam.model.transfer.tally import Limits
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps.region import Region
from cropcam.pipeline.maps.window_job import ENTROPY, LAYER, PROBABILITY, WindowJob
from cropcam.pipeline.rasters.own_image import open_own_image
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import load_study
from support.map_runs import BANDS, info_of, make_config, make_run, random_dn, random_network, with_attrs
from support.memory_source import LEGEND, Memory
from support.rasters import write_raster
from support.stores import make_store
from support.virtual import write_nodata

METHODS = unfitted([0.1] * len(LEGEND))
GRID = Memory(np.zeros((3, 40, 50), np.uint16)).grid


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """An image of three files of a band each."""
    dn = random_dn(np.random.default_rng(0), *GRID.shape_yx)
    for name, band in zip(BANDS, dn, strict=True):
        write_raster(tmp_path / f"{name}.tif", band[None], GRID)
    return [tmp_path / f"{name}.tif" for name in BANDS]


def source_of(files: list[Path]) -> Any:
    study = load_study("demo")
    values = study.to_dict()
    values["image"]["bands"] = list(BANDS)
    from cropcam.pipeline.study.study import parse_study

    return open_own_image(files, parse_study(values).image)


def made(
    source: Any, predictor: Predictor, side_px: int = 16, region: Region | None = None, layers: tuple[str, ...] = (), digest: str = "a"
) -> dict[str, Any]:
    job = WindowJob(source, predictor, len(LEGEND), layers, predictor.config.seasons, region)
    tags = {"checkpoint_digest": digest, "store_digest": "b", "stac": "map.stac.json", "sieve_ha": "3"}
    return json.loads(json.dumps(specification(job, predictor, tags, side_px, region)))  # type: ignore[no-any-return]


def a_region(text: str = "{}") -> Region:
    return Region(Path("region.geojson"), GRID, text, shapely.box(0, 0, 1, 1))


def far(distance: float) -> Limits:
    nowhere = np.zeros((len(LEGEND), 3))
    fitted = ClassDistance.fit(np.random.default_rng(0).normal(size=(100, 64)).astype(np.float32), np.zeros(100, np.int64))
    return Limits(nowhere[0], nowhere[0], nowhere, nowhere, fitted, distance, 0.5)


PREDICTOR = Predictor(make_config(), random_network().state_dict(), METHODS["cam-argmax"], "cpu")
OTHER_STORE = replace(make_config().store, mean=(0.1, 0.3, 0.21))


def with_config(config: RunConfig) -> Predictor:
    return replace(PREDICTOR, config=config)


CHANGED: dict[str, Callable[[Any], dict[str, Any]]] = {
    "method": lambda source: made(source, replace(PREDICTOR, method=METHODS["score-argmax"])),
    "method ": lambda source: made(source, replace(PREDICTOR, method=replace(METHODS["cam-argmax"], temperature=1.5))),
    "shift": lambda source: made(source, replace(PREDICTOR, offset_K=(0.0, 0.0, 1.0, float("-inf"), 0.0))),
    "smoothness": lambda source: made(source, replace(PREDICTOR, smoothness=10.0)),
    "device": lambda source: made(source, replace(PREDICTOR, device="cuda")),
    "distance": lambda source: made(source, replace(PREDICTOR, distance=far(2.0))),
    "window": lambda source: made(source, PREDICTOR, 32),
    "region": lambda source: made(source, PREDICTOR, region=a_region()),
    "layers": lambda source: made(source, PREDICTOR, layers=(PROBABILITY,)),
    "run": lambda source: made(source, PREDICTOR, digest="c"),
    "network": lambda source: made(source, with_config(replace(make_config(), store=OTHER_STORE))),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_windows_depend_on_is_specified(files: list[Path], name: str) -> None:
    source = source_of(files)
    plain, found = made(source, PREDICTOR), CHANGED[name](source)
    assert [key for key in plain if plain[key] != found[key]] == [name.strip()]


def test_a_changed_input_is_another_one(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = made(source_of(files), PREDICTOR)
    assert made(source_of(files), PREDICTOR) == plain
    monkeypatch.chdir(tmp_path)
    assert made(source_of([Path(path.name) for path in files]), PREDICTOR) == plain  # another way to name the same files
    os.utime(files[1], ns=(1, 1))
    assert made(source_of(files), PREDICTOR)["input"] != plain["input"]
    before = source_of(files)
    values = made(before, PREDICTOR)
    scaled = made(_Scaled(before), PREDICTOR)
    assert [key for key in values if values[key] != scaled[key]] == ["input"]
    assert made(source_of([*files[:2], _copy(files[2])]), PREDICTOR)["input"] != values["input"]


def _copy(path: Path) -> Path:
    again = path.with_name("copy") / path.name
    again.parent.mkdir()
    again.write_bytes(path.read_bytes())
    return again


class _Scaled:
    """An image whose values are said to mean others: --scale."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    @property
    def encoding(self) -> BandEncoding:
        return BandEncoding.uniform("uint16", 3, 0.5, 0.0, 0.0)


def test_versions_are_specified(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(files)
    plain = made(source, PREDICTOR)
    monkeypatch.setattr(provenance, "__version__", "99")
    assert made(source, PREDICTOR)["version"] == ["99", torch.__version__]
    monkeypatch.setattr(provenance.torch, "__version__", "77")
    assert made(source, PREDICTOR)["version"] != plain["version"]


def test_two_distances_differ(files: list[Path]) -> None:
    source = source_of(files)
    one, two = (made(source, replace(PREDICTOR, distance=far(each))) for each in (2.0, 3.0))
    assert [key for key in one if one[key] != two[key]] == ["distance"]


def test_what_comes_after_the_windows_is_not_specified(files: list[Path]) -> None:
    text = json.dumps(made(source_of(files), PREDICTOR))
    assert "stac" not in text
    assert "sieve" not in text


def test_a_store_is_known_by_its_digest(tmp_path: Path) -> None:
    make_store(tmp_path / "s.zarr", count=4, size_px=16)
    store = open_store(tmp_path / "s.zarr")
    assert made(store, PREDICTOR)["input"] == store.info.digest


def tags_of(run: Path, out: Path, predictor: Predictor = PREDICTOR, **more: Any) -> dict[str, str]:
    return map_tags(run, make_config(), predictor, Memory(np.zeros((3, 9, 9), np.uint16), ("a.tif", "b.tif")), out=out, **more)


def test_tags_say_what_made_the_map(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", random_network(), make_config())
    plain = tags_of(run, tmp_path / "map.tif", beside={})
    assert plain["checkpoint_digest"] == file_sha256(run / BEST)
    assert (plain["study"], plain["inputs"], plain["method"], plain["temperature"]) == ("made-up", "a.tif b.tif", "cam-argmax", "1")
    assert (
        not {"region", "sieve_ha", "smoothness", "shifted_logits", "read_with_inputs", "probabilities", "uncertainty", "shift"}
        & plain.keys()
    )
    predictor = replace(PREDICTOR, smoothness=10.0, offset_K=(0.5, float("-inf"), 0.0, 0.0, 0.0))
    beside = {PROBABILITY: tmp_path / "p.tif", ENTROPY: tmp_path / "sub" / "u.tif", LAYER: tmp_path.parent / "n.tif"}
    full = tags_of(run, tmp_path / "map.tif", predictor, beside=beside, sieve_ha=0.5, region=Path("x") / "fields.geojson")
    assert {key: full[key] for key in full.keys() - plain.keys()} == {
        "region": "fields.geojson",
        "sieve_ha": "0.5",
        "smoothness": "10",
        "shifted_logits": "0.5 -inf 0 0 0",
        "probabilities": "p.tif",
        "uncertainty": "sub/u.tif",
        "shift": str(tmp_path.parent / "n.tif"),
    }
    assert all(isinstance(value, str) for value in full.values())


def check(source: Any, config: RunConfig | None = None) -> None:
    check_inputs(config or make_config(), source, Path("run"))


def test_inputs_that_fit(files: list[Path]) -> None:
    check(source_of(files))


def test_the_rasters_of_a_source(files: list[Path]) -> None:
    assert rasters_of(source_of(files)) == tuple(files)
    assert rasters_of(Memory(np.zeros((3, 9, 9), np.uint16))) == ()


def test_a_file_that_is_read_with_an_input_is_specified_and_named(files: list[Path], tmp_path: Path) -> None:
    source = source_of(files)
    plain = made(source, PREDICTOR)
    write_nodata(files[1], 7)
    assert [key for key, value in made(source, PREDICTOR).items() if value != plain[key]] == ["input"]
    run = make_run(tmp_path / "run", random_network(), make_config())
    tags = map_tags(run, make_config(), PREDICTOR, source, out=tmp_path / "map.tif", beside={})
    assert tags["read_with_inputs"] == f"{files[1].name}.aux.xml"


def test_another_number_of_bands() -> None:
    with pytest.raises(
        DataError,
        match=r"memory\.tif: 2 bands \(band 0, band 1\), the run run was trained on 3 \(SR_B4, SR_B5, SR_B6\); give each of them once",
    ):
        check(Memory(np.zeros((2, 9, 9), np.uint16)))


def test_a_store_of_other_bands(tmp_path: Path) -> None:
    make_store(tmp_path / "s.zarr", count=4, size_px=16)
    store = open_store(tmp_path / "s.zarr")
    config = with_attrs(make_config(16), info_of(load_study("demo"), 16))
    names = tuple(f"B{index}" for index in range(len(store.bands)))
    config = replace(config, store=replace(config.store, bands=names))
    with pytest.raises(
        DataError, match=r"s\.zarr: its bands are SR_B1, .*, the run run was trained on B0, .*; map a store of a study with these"
    ):
        check(store, config)


def test_files_in_messages() -> None:
    assert files_text(Memory(np.zeros((1, 1, 1)), ("a.tif",))) == "a.tif"
    assert files_text(Memory(np.zeros((1, 1, 1)), ("a.tif", "b.tif", "c.tif"))) == "a.tif and 2 more"


def test_the_grid_is_specified() -> None:
    one, two = Memory(np.zeros((3, 9, 9), np.uint16)), Memory(np.zeros((3, 9, 10), np.uint16))
    assert isinstance(one.grid, PixelGrid)
    plain, found = made(one, PREDICTOR), made(two, PREDICTOR)
    assert [key for key in plain if plain[key] != found[key]] == ["grid"]
