"""A composite that was kept as an asset: found by the manifest, believed by its own properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ee
import pytest

from cropcam.pipeline.earthengine.destinations import Asset, Drive
from cropcam.pipeline.earthengine.graphs import algorithms, expression, graph_digest
from cropcam.pipeline.earthengine.kept import GRAPH_PROPERTY, is_recorded, pixels_of
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.study.study import parse_study
from support.engines import FakeService, invocations, run_export

pytestmark = pytest.mark.usefixtures("transport")
NAME = "projects/test/assets/corn"


@pytest.fixture
def service(made: Plan, file: Path) -> FakeService:
    """A service that has written the asset."""
    one = FakeService()
    run_export(plan(made.study, Asset("corn")), one, file)
    assert one.assets[NAME]["properties"][GRAPH_PROPERTY] == graph_digest(made.study, "image")
    return one


def reads(image: ee.Image) -> set[str]:
    """The images that a graph loads by name."""
    return {call["arguments"]["id"]["constantValue"] for call in invocations(expression(image)) if call["functionName"] == "Image.load"}


def test_the_composite_is_read_from_the_asset_and_labels_from_their_own(made: Plan, file: Path, service: FakeService) -> None:
    lines: list[str] = []
    pixels = pixels_of(made.study, service, file, lines.append)
    image = pixels("image", made.study.grid)
    assert reads(image) == {NAME}
    assert not algorithms(expression(image)) & {"ImageCollection.load", "ImageCollection.reduce"}
    assert made.study.labels is not None
    assert NAME not in reads(pixels("labels", None))
    assert lines == [f"the composite is read from {NAME}"]
    assert is_recorded(made.study, file)


@pytest.mark.parametrize(
    ("asset", "line"),
    [
        (None, "deleted since its export"),
        ({"properties": {GRAPH_PROPERTY: "other"}}, "replaced by another image"),
        ({}, "replaced by another"),
    ],
)
def test_an_asset_that_is_not_what_was_exported_is_not_read(
    made: Plan, file: Path, service: FakeService, asset: dict[str, Any] | None, line: str
) -> None:
    lines: list[str] = []
    service.assets.clear()
    if asset is not None:
        service.assets[NAME] = asset
    pixels = pixels_of(made.study, service, file, lines.append)
    assert NAME not in reads(pixels("image", None))
    assert len(lines) == 1
    assert line in lines[0]


def test_another_study_or_no_asset_computes(made: Plan, file: Path, service: FakeService, tmp_path: Path) -> None:
    values = made.study.to_dict()
    values["image"]["cloud_cover_max_pct"] = 40.0
    other = parse_study(values)
    assert NAME not in reads(pixels_of(other, service, file)("image", None))
    run_export(made, FakeService(), tmp_path / "drive.json")
    assert not is_recorded(made.study, tmp_path / "drive.json")
    assert NAME not in reads(pixels_of(made.study, service, tmp_path / "drive.json")("image", None))


def test_an_export_reads_the_asset_and_its_digest_stays_that_of_the_study(made: Plan, file: Path, service: FakeService) -> None:
    run_export(plan(made.study, Drive("folder"), cell_px=1024), service, file)
    images = [operation["body"]["expression"] for operation in service.held.values() if "image-r" in operation["metadata"]["description"]]
    assert len(images) == 4
    for body in images:
        assert NAME in {call["arguments"]["id"].get("constantValue") for call in invocations(body) if call["functionName"] == "Image.load"}
    assert graph_digest(made.study, "image") in file.read_text()
