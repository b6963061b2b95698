"""The STAC item of a run: valid with MLM, the facts of the run, the same bytes again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pystac
import pytest
from pystac.errors import STACValidationError
from pystac.extensions.mlm import MLMExtension

from cropcam.model.evaluation.run_item import model_name, run_item, write_run_item
from cropcam.model.runs.config import RunConfig, StorePart
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.study.study import load_study
from support import stac_schemas
from support.map_runs import BANDS, info_of, make_config, make_run, random_network, with_attrs
from support.memory_source import LEGEND

INFO = info_of(load_study("demo"))
NETWORK = random_network()


@pytest.fixture
def config() -> RunConfig:
    return with_attrs(make_config(), INFO)


@pytest.fixture
def run(tmp_path: Path, config: RunConfig) -> Path:
    path = make_run(tmp_path / "run", NETWORK, config)
    (path / "environment.json").write_text(json.dumps({"torch": "2.13.0+cpu"}))
    return path


def test_the_item_is_valid_with_all_its_extensions(run: Path, config: RunConfig) -> None:
    item = json.loads(write_run_item(run, NETWORK, config).read_text("utf-8"))
    assert len(stac_schemas.validate(item)) == 1 + len(item["stac_extensions"])
    assert stac_schemas.schema_uri("mlm/v1.4.0") in item["stac_extensions"]


@pytest.mark.parametrize("name", ["mlm:name", "mlm:input", "mlm:output", "mlm:tasks", "bands"])
def test_the_validator_misses_a_required_field(run: Path, config: RunConfig, name: str) -> None:
    item = run_item(run, NETWORK, config)
    del item["properties"][name]
    with pytest.raises(STACValidationError, match=f"'{name}' is a required property"):
        stac_schemas.validate(item)


def test_the_validator_wants_a_model_among_the_assets(run: Path, config: RunConfig) -> None:
    item = run_item(run, NETWORK, config)
    item["assets"]["model"]["roles"] = ["data"]
    with pytest.raises(STACValidationError, match="Validation failed"):
        stac_schemas.validate(item)


def test_pystac_reads_the_facts_of_the_run(run: Path, config: RunConfig) -> None:
    item = pystac.Item.from_dict(run_item(run, NETWORK, config))
    model = MLMExtension.ext(item)
    assert (item.properties["mlm:name"], model.architecture, model.framework) == ("baseline-made-up-presence-seed-0", "baseline", "PyTorch")
    assert (model.framework_version, model.pretrained, model.batch_size_suggestion) == ("2.13.0+cpu", False, 4)
    assert model.total_parameters == sum(
        tensor.numel() for tensor in NETWORK.state_dict().values() if tensor.is_floating_point() and tensor.dim()
    )
    assert [str(task) for task in model.tasks] == ["semantic-segmentation"]
    [given], [result] = model.input, model.output
    assert given.bands == list(BANDS)
    assert given.input.shape == [-1, 3, 16, 16]
    scaling = [(each["mean"], each["stddev"]) for each in item.properties["mlm:input"][0]["value_scaling"]]
    assert scaling == [pytest.approx(each) for each in zip(config.store.mean, config.store.std, strict=True)]
    assert result.result.shape == [-1, len(LEGEND), 16, 16]
    assert [each["title"] for each in item.properties["mlm:output"][0]["classification:classes"]] == list(LEGEND.names)
    assert item.properties["mlm:hyperparameters"]["epochs"] == 1
    [[start, end]] = INFO.study["image"]["seasons"]
    assert item.properties["start_datetime"] == f"{start}T00:00:00Z"
    assert item.properties["end_datetime"] < end
    west, south, east, north = INFO.study["area"]["bounds"]
    assert item.bbox == pytest.approx([west, south, east, north], abs=1e-3)


def test_the_weights_are_the_asset_of_the_model(run: Path, config: RunConfig) -> None:
    (run / "metrics.json").write_text("{}")
    assets = run_item(run, NETWORK, config)["assets"]
    model = assets["model"]
    assert model["href"] == "./best.safetensors"
    assert model["roles"] == ["mlm:model", "mlm:weights"]
    assert model["file:checksum"] == "1220" + file_sha256(run / "best.safetensors")
    assert [band["name"] for band in model["bands"]] == list(BANDS)
    assert "file:checksum" not in assets["config"]  # it has places in it, the history has times
    assert set(assets) == {"model", "config", "metrics"}  # of the files that a run can have, those that are there


def test_the_same_run_gives_the_same_bytes(run: Path, config: RunConfig) -> None:
    before = write_run_item(run, NETWORK, config).read_bytes()
    assert write_run_item(run, NETWORK, config).read_bytes() == before


def test_a_run_on_several_stores_has_the_place_and_the_time_of_all_trained_on(run: Path, config: RunConfig) -> None:
    a, b, c, d, e, f = INFO.transform
    east = replace(
        INFO,
        transform=(a, b, c + 2 * a * INFO.width, d, e, f),
        study={**INFO.study, "image": {**INFO.study["image"], "seasons": [["2030-06-01", "2030-07-01"]]}},
    )
    held = replace(INFO, transform=(a, b, c - 5 * a * INFO.width, d, e, f))
    stores = [("one", INFO, False), ("east", east, False), ("held", held, True)]
    parts = tuple(StorePart(name=name, path=name, digest=name, held_out=out, attrs=info.attrs()) for name, info, out in stores)
    item = run_item(run, NETWORK, replace(config, stores=parts))
    stac_schemas.validate(item)
    assert item["geometry"]["type"] == "MultiPolygon"
    assert item["bbox"][0] == pytest.approx(INFO.study["area"]["bounds"][0], abs=1e-3)
    assert item["properties"]["end_datetime"] == "2030-06-30T23:59:59Z"


def test_dates_in_file_names_stand_before_the_seasons_of_the_study(run: Path, config: RunConfig) -> None:
    info = replace(INFO, digests={"study": "0", "image:LC08_L2SP_023032_20230831_20230911_02_T1_SR_B1.TIF": "blake3:0"})
    properties = run_item(run, NETWORK, with_attrs(config, info))["properties"]
    assert (properties["start_datetime"], properties["end_datetime"]) == ("2023-08-31T00:00:00Z", "2023-08-31T23:59:59Z")


def test_a_run_without_the_attributes_of_its_store_has_no_place(run: Path) -> None:
    item = run_item(run, NETWORK, make_config())
    stac_schemas.validate(item)
    assert item["geometry"] is None
    assert "bbox" not in item
    assert "dates of the images are not known" in item["properties"]["description"]


def test_initial_weights_are_named_without_their_folder(run: Path, config: RunConfig) -> None:
    properties = run_item(run, NETWORK, config.changed(init="/home/someone/start.safetensors"))["properties"]
    assert (properties["mlm:pretrained"], properties["mlm:pretrained_source"]) == (True, "start.safetensors")
    assert "someone" not in json.dumps(properties)


@pytest.mark.parametrize(("text", "known"), [("2.13.0", True), ("2.14.0a0+git1", False), (None, False)])
def test_a_version_of_torch_that_is_no_release_is_left_out(run: Path, config: RunConfig, text: str | None, known: bool) -> None:
    (run / "environment.json").write_text(json.dumps({"torch": text}) if text else "")
    item = run_item(run, NETWORK, config)
    stac_schemas.validate(item)
    assert ("mlm:framework_version" in item["properties"]) == known


def test_a_name_of_other_letters_is_a_name_of_mlm(config: RunConfig) -> None:
    found = model_name(replace(config, store=replace(config.store, study="blé d'hiver 2020")).changed(model="1my.package:Net"))
    assert found == "my.package-Net-bl-d-hiver-2020-presence-seed-0"
