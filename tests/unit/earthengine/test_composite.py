"""The graph of the composite: bits, dates, bounds and names; counts of observations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.earthengine import graphs
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.sensor import packaged
from cropcam.pipeline.study.study import Study, load_study
from oracles.composite import QA_BITS, find_scenes, masked
from support import scenes
from support.engines import invocations
from support.graph_studies import variant

pytestmark = pytest.mark.usefixtures("transport")


@pytest.mark.parametrize("name", ["landsat", "landsat-4-9"])
def test_bits_are_those_of_the_oracle(name: str) -> None:
    assert {flag: about.bit for flag, about in packaged(name).flags.items() if about.bit is not None} == QA_BITS


def constants(layer: str, study: Study, function: str, argument: str) -> list[Any]:
    encoded = graphs.expression(graphs.graph(study, layer))
    values = encoded["values"]

    def resolve(node: Any) -> Any:
        node = values[node["valueReference"]] if "valueReference" in node else node
        return node.get("constantValue", node)

    return [
        resolve(call["arguments"][argument])
        for call in invocations(encoded)
        if call["functionName"] == function and argument in call["arguments"]
    ]


def test_bits_dates_bounds_and_names_are_the_studys() -> None:
    study = variant("demo-seasons", image={"mask": ["cloud", "shadow", "snow", "saturated"], "bands": ["SR_B4", "SR_B6"]})
    encoded = graphs.expression(graphs.graph(study, "image"))
    masks = [
        value["functionInvocationValue"]["arguments"]["value"]["constantValue"]
        for value in [*encoded["values"].values(), *({"functionInvocationValue": call} for call in invocations(encoded))]
        if value.get("functionInvocationValue", {}).get("functionName") == "Image.constant"
    ]
    assert {8 + 16 + 32, 8 + 32, 0, 0.5} == set(masks)
    assert sorted(constants("image", study, "DateRange", "start")) == ["2016-04-01", "2016-06-01", "2016-08-01"]
    assert sorted(constants("image", study, "DateRange", "end")) == ["2016-06-01", "2016-08-01", "2016-10-15"]
    assert constants("image", study, "GeometryConstructors.Rectangle", "coordinates")[0] == list(study.grid.bounds_xyxy)
    names = [name for group in constants("image", study, "Image.rename", "names") for name in group]
    assert sorted(names) == sorted(study.image.layers)


def test_the_median_is_exact_for_any_count_that_can_occur() -> None:
    assert set(constants("image", load_study("demo-seasons"), "Reducer.median", "maxRaw")) == {4096}


def test_one_season_keeps_the_bands_names_and_no_filter_by_cloud_cover_unless_asked() -> None:
    demo = load_study("demo")
    found = graphs.algorithms(graphs.expression(graphs.graph(demo, "image")))
    assert constants("image", demo, "Image.rename", "names") == [list(demo.image.bands)]
    assert "Filter.greaterThan" not in found
    assert constants("image", variant(image={"cloud_cover_max_pct": 35.5}), "Filter.greaterThan", "rightValue") == [35.5]


SEASONS = [["2016-05-01", "2016-07-01"], ["2016-07-01", "2016-10-01"]]


def test_counts_are_the_observations_valid_in_every_band(client: scenes.Client, archive: Path) -> None:
    study = scenes.study(image={"count": True, "seasons": SEASONS, "mask": ["cloud", "saturated"]})
    plain = scenes.study(image={"seasons": SEASONS, "mask": ["cloud", "saturated"]})
    assert client.value(graph(study, "image").bandNames()) == [*study.image.layers, "1_count", "2_count"]
    whole = client.pixels(graph(study, "image"), study.grid)
    assert whole.dtype == np.uint16
    np.testing.assert_array_equal(whole[:4], client.pixels(graph(plain, "image"), study.grid))
    np.testing.assert_array_equal(whole[4:], found := client.pixels(graph(study, "count"), study.grid))
    for number, season in enumerate(study.image.seasons):
        wanted = np.zeros(study.grid.shape_yx, int)
        for scene in find_scenes(study, archive, season):
            folder = scene.rasters["SR_B4"].path.parent
            read = {band: scenes.nearest(folder / f"{band}.tif", study.grid) for band in ("SR_B4", "SR_B5", "QA_PIXEL", "QA_RADSAT")}
            bad = masked(read["QA_PIXEL"][0], read["QA_RADSAT"][0], study.image.mask, study.image.bands)
            wanted += (read["SR_B4"][0] != 0) & (read["SR_B5"][0] != 0) & ~bad & read["QA_PIXEL"][1]
        assert np.array_equal(found[number], wanted)
        assert wanted.max() > 1


def test_counts_of_floats_are_floats_and_zero_where_nothing_was_seen(client: scenes.Client) -> None:
    study = scenes.study(image={"count": True, "derived": {"ratio": "SR_B5 / SR_B4"}, "seasons": [["2016-05-01", "2016-05-02"]]})
    image = graph(study, "image")
    assert [(band.name, band.type.dtype) for band in client.image(image).bands] == [
        (name, np.float32) for name in ("SR_B4", "SR_B5", "ratio", "count")
    ]
    values = client.pixels(image, study.grid).filled(-1)
    assert set(np.unique(values[3])) == {0, 1}
    np.testing.assert_array_equal(values[3] == 0, (values[:2] == -9999).any(axis=0))
