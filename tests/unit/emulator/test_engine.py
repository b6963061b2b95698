"""The engine: the graphs of a study against a numpy oracle to the pixel, and images kept between requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.earthengine.composite import composite, count
from cropcam.pipeline.earthengine.labels import labels
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.grid import PixelGrid, Window, tiles
from cropcam.pipeline.study.study import Study
from oracles.composite import compose
from oracles.labels import commonest
from support import scenes
from support.expressions import invoke
from support.scenes import Client, study

STUDIES = {
    "poster": {},
    "albers": {"area": {"crs": "EPSG:5070"}},
    "web-mercator": {"area": {"crs": "EPSG:3857", "scale_m": 47.0}},
    "seasons": {"image": {"seasons": [["2016-05-01", "2016-07-01"], ["2016-07-01", "2016-10-01"]]}},
    "saturated": {"image": {"mask": ["cloud", "snow", "saturated"]}},
    "unmasked": {"image": {"mask": []}},
    "clear": {"image": {"cloud_cover_max_pct": 20.0}},
    "landsat-9": {"image": {"collections": [scenes.LANDSAT, scenes.LANDSAT_9]}},
    "coarse": {"area": {"scale_m": 111.0}},
}


@pytest.fixture(scope="module")
def oracle(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def composed(name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in found:
            own = study(**STUDIES[name])
            image, codes = (rasterio.open(path).read() for path in compose(own, archive, tmp_path_factory.mktemp(name)))
            if own.area.scale_m > scenes.CDL.transform[0]:  # finer labels: the commonest, which the composite's oracle does not know
                with rasterio.open(archive / scenes.LABELS / "cropland.tif") as file:
                    codes = commonest((file.read(1), scenes.CDL), own.grid)[0][None]
            found[name] = image, codes
        return found[name]

    return composed


def exported(image: Any, grid: PixelGrid) -> Any:
    """The image as an export with crs and crsTransform sends it."""
    west, south, east, north = grid.bounds_xyxy
    region = ee.Geometry.Rectangle([west, south, east, north], grid.crs, False)
    return image.reproject(grid.crs, list(grid.transform)).clip(region)


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_composite_and_labels_equal_the_oracle(client: Client, oracle: Any, name: str) -> None:
    own = study(**STUDIES[name])
    image, codes = oracle(name)
    assert len(np.unique(image)) > 50
    for built, expected in ((composite(own), image), (labels(own), codes)):
        pixels = client.pixels(built, own.grid)
        assert pixels.dtype == expected.dtype
        np.testing.assert_array_equal(pixels.filled(0), expected)
        lazy = client.image(exported(built, own.grid))
        assert lazy.grid == own.grid
        values, mask = lazy.read(own.grid)
        np.testing.assert_array_equal(values * mask, expected)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_window_equals_that_part_of_the_oracle(client: Client, oracle: Any, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["poster", "albers", "seasons"]))
    own = study(**STUDIES[name])
    row, col = data.draw(st.integers(0, own.grid.height - 1)), data.draw(st.integers(0, own.grid.width - 1))
    window = Window(row, col, data.draw(st.integers(1, own.grid.height - row)), data.draw(st.integers(1, own.grid.width - col)))
    for built, expected in zip((composite(own), labels(own)), oracle(name), strict=True):
        image = exported(built, own.grid) if data.draw(st.booleans()) else built
        pixels = client.pixels(image, own.grid.window(window))
        np.testing.assert_array_equal(pixels.filled(0), expected[:, *window.slices])


@pytest.mark.parametrize("side", [7, 32, 64])
def test_blocks_of_any_size_fit_together(client: Client, oracle: Any, side: int) -> None:
    own: Study = study()
    image = client.image(exported(composite(own), own.grid))
    whole = np.zeros((2, *own.grid.shape_yx), np.uint16)
    for window in tiles(own.grid.shape_yx, (side, side)):
        whole[:, *window.slices] = image.read(own.grid.window(window))[0]
    np.testing.assert_array_equal(whole, oracle("poster")[0])


def test_the_count_is_that_of_clear_observations(client: Client) -> None:
    own = study()
    counts = client.pixels(count(own), own.grid).filled(0)[0]
    single = study(image={"seasons": [["2016-07-01", "2016-07-02"]]})
    once = client.pixels(count(single), own.grid).filled(0)[0]
    assert set(np.unique(counts)) >= {0, 1, 2, 3}
    assert set(np.unique(once)) == {0, 1}
    assert (counts >= once).all()


def test_only_scenes_of_the_period_that_meet_the_area_are_taken(client: Client) -> None:
    own = study()
    west, south, east, north = own.grid.bounds_xyxy
    area = ee.Geometry.Rectangle([west, south, east, north], "EPSG:4326", False)
    collection = ee.ImageCollection(scenes.LANDSAT)
    assert client.value(collection.size()) == 8
    assert client.value(collection.filterBounds(area).size()) == 7
    taken = collection.filterBounds(area).filterDate("2016-05-01", "2016-10-01")
    assert client.value(taken.aggregate_array("system:index")) == ["LC08_A", "LC08_B", "LC08_C", "LC08_D", "LC08_E"]
    assert client.value(taken.filter(ee.Filter.lte("CLOUD_COVER", 20)).size()) == 3


def test_images_are_kept_between_requests(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    expressions = [{"result": "0", "values": {"0": invoke("Image.constant", value={"constantValue": i})}} for i in range(20)]
    first = engine.image(expressions[0])
    assert engine.image(expressions[0]) is first
    for expression in expressions:
        engine.image(expression)
    assert engine.image(expressions[0]) is not first
    with pytest.raises(EngineError, match="does not evaluate to an Image: it is of type Integer"):
        engine.image({"result": "0", "values": {"0": {"constantValue": 1}}})
    empty = invoke("ImageCollection.fromImages", images={"constantValue": []})
    with pytest.raises(EngineError, match="it is of type ImageCollection"):
        engine.image({"result": "0", "values": {"0": empty}})
