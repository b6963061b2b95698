"""The inputs of a study are checked before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.preflight import check_inputs
from cropcam.pipeline.errors import ConfigError, EarthEngineError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.study.study import parse_study
from support.engines import FakeService
from support.graph_studies import variant

pytestmark = pytest.mark.usefixtures("transport")
SEASONS = [["2016-05-01", "2016-07-01"], ["2016-07-01", "2016-10-01"]]


class Service(FakeService):
    """Has so many scenes in each season, and notes the pixels that it is asked for."""

    def __init__(self, *scenes: int) -> None:
        super().__init__()
        self.__dict__.update(left=list(scenes), asked=[], sizes={})

    def value(self, computed: Any, what: str) -> Any:  # noqa: ARG002
        return self.sizes if what.startswith("pixel sizes") else self.left.pop(0)

    def pixels(self, image: Any, grid: PixelGrid, what: str) -> bytes:  # noqa: ARG002
        self.asked.append((grid, what))
        return b""


def test_scenes_are_counted_by_season_and_one_pixel_of_the_labels_is_read() -> None:
    study = variant(image={"seasons": SEASONS})
    service = Service(4, 7)
    assert check_inputs(study, service) == [4, 7]
    (grid, what), *others = service.asked
    assert others == []
    assert what == "labels.asset USDA/NASS/CDL/2016"
    assert grid == study.grid.window(Window(study.grid.height // 2, study.grid.width // 2, 1, 1))


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (100.0, r"^no scene of LANDSAT/LC08/C02/T1_L2 from 2016-07-01 to 2016-10-01 meets the area; check image\.seasons"),
        (35.5, r"from 2016-07-01 to 2016-10-01 with at most 35\.5 % clouds meets the area"),
    ],
)
def test_a_season_without_scenes_is_named(limit: float, message: str) -> None:
    service = Service(4, 0)
    with pytest.raises(EarthEngineError, match=message) as caught:
        check_inputs(variant(image={"seasons": SEASONS, "cloud_cover_max_pct": limit}), service)
    assert isinstance(caught.value, ServiceError)
    assert caught.value.kind == "empty"
    assert service.asked == []


def test_a_study_without_labels_asks_for_none() -> None:
    values = variant(image={"seasons": SEASONS}).to_dict()
    del values["labels"]
    service = Service(4, 7)
    assert check_inputs(parse_study(values), service) == [4, 7]
    assert service.asked == []


def test_pixels_of_another_size_than_the_legends_are_named() -> None:
    service = Service(4)
    service.sizes.update(labels=10.0)
    with pytest.raises(
        ConfigError, match=r"labels\.asset USDA/NASS/CDL/2016: its pixels have 10 m, the study counts on 30 m; set labels\.scale_m = 10"
    ):
        check_inputs(variant(), service)


def test_a_collection_of_labels_without_an_image_is_named() -> None:
    study = variant(labels={"filter": {"season": "winter"}})
    assert check_inputs(study, Service(4, 2)) == [4]
    message = r"^no image of USDA/NASS/CDL/2016 meets labels\.filter, labels\.dates and the area; check them in the study"
    service = Service(4, 0)
    with pytest.raises(ServiceError, match=message):
        check_inputs(study, service)
    assert service.asked == []
