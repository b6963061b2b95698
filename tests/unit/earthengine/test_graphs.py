"""The graphs of composite and labels: the wheel's own signatures, the agreed algorithms, golden JSON, no request.

Regenerate the golden graphs with: python tests/unit/earthengine/test_graphs.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from cropcam.pipeline.earthengine import graphs, layers
from cropcam.pipeline.earthengine.composite import QA_PIXEL_BITS, scenes
from cropcam.pipeline.earthengine.region import bounds_lonlat, polygons, rectangle
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.study.study import Study, load_study, parse_study
from oracles.composite import QA_BITS
from support.engines import Offline, invocations, offline, signatures

GOLDEN = Path(__file__).parents[2] / "golden"
AGREED = {
    "ImageCollection.load", "Image.load", "Collection.filter", "Collection.map", "Filter.intersects", "Filter.dateRangeContains",
    "DateRange", "Feature", "GeometryConstructors.Rectangle", "Projection", "Image.select", "Image.rename", "Image.constant",
    "Image.bitwiseAnd", "Image.eq", "Image.multiply", "Image.add", "Image.updateMask", "Image.copyProperties", "Image.remap",
    "Image.toFloat", "Image.toUint8", "Image.clip", "Image.addBands", "reduce.median", "Image.reproject", "Image.setDefaultProjection",
    "Image.clipToBoundsAndScale", "Image.round", "Image.floor", "Image.unmask", "Image.toUint16", "ImageCollection.merge", "Collection.size",
}  # fmt: skip
TRIANGLE = '{"type": "Polygon", "coordinates": [[[-90.1, 40.9], [-89.9, 40.9], [-90.0, 41.1], [-90.1, 40.9]]]}'


@pytest.fixture(autouse=True)
def transport() -> Iterator[Offline]:
    with offline() as one:
        yield one


def variant(name: str = "demo", **sections: dict[str, Any]) -> Study:
    values = load_study(name).to_dict()
    for section, keys in sections.items():
        values[section] |= keys
    return parse_study(values)


@pytest.fixture
def all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys whose other commands are not built yet are accepted."""


def everything() -> Study:
    return variant(
        area={"region": TRIANGLE},
        image={"collections": ["LANDSAT/LC08/C02/T1_L2", "LANDSAT/LC09/C02/T1_L2"], "mask": ["cloud", "snow", "saturated"], "count": True, "cloud_cover_max_pct": 60,
               "seasons": [["2016-04-01", "2016-06-01"], ["2016-06-01", "2016-08-01"]]},
        labels={"confidence_min_pct": 40},
    )  # fmt: skip


def write_golden() -> None:
    """Write the golden graphs anew; read the difference before you keep it."""
    for name in ("demo", "corn-belt-2016"):
        for layer in ("image", "labels"):
            text = json.dumps(graphs.expression(graphs.graph(load_study(name), layer)), indent=1, sort_keys=True)
            (GOLDEN / f"graph-{name}-{layer}.json").write_text(text + "\n", "utf-8")


@pytest.mark.parametrize("name", ["demo", "corn-belt-2016"])
@pytest.mark.parametrize("layer", ["image", "labels"])
def test_the_graphs_are_the_golden_ones(name: str, layer: str) -> None:
    golden = json.loads((GOLDEN / f"graph-{name}-{layer}.json").read_text("utf-8"))
    assert graphs.expression(graphs.graph(load_study(name), layer)) == golden


@pytest.mark.parametrize("name", ["demo", "demo-seasons", "corn-belt-2016", "corn-belt-2016-albers", "corn-belt-2017"])
def test_only_agreed_algorithms_in_the_default_graphs(name: str) -> None:
    study = load_study(name)
    sizes = [scenes(study, season).size() for season in study.image.seasons]
    found = [graphs.algorithms(graphs.expression(one)) for one in (graphs.graph(study, "image"), graphs.graph(study, "labels"), *sizes)]
    assert set().union(*found) <= AGREED
    task = ee.batch.Export.image.toDrive(
        graphs.graph(study, "image"), region=rectangle(study.grid), crs=study.grid.crs, crsTransform=list(study.grid.transform)
    )
    assert graphs.algorithms(ee.serializer.encode(task.config["expression"])) <= AGREED


def test_two_collections_are_merged_with_agreed_algorithms() -> None:
    study = variant(image={"collections": ["LANDSAT/LC08/C02/T1_L2", "LANDSAT/LC09/C02/T1_L2"], "mask": ["fill", "saturated", "snow"]})
    found = graphs.algorithms(graphs.expression(graphs.graph(study, "image")))
    assert found <= AGREED
    assert "ImageCollection.merge" in found


@pytest.mark.usefixtures("all_keys")
def test_every_invocation_fits_the_wheels_signatures() -> None:
    known = signatures()
    study = everything()
    for layer in layers.layers_of(study):
        for call in invocations(graphs.expression(graphs.graph(study, layer.name))):
            arguments = known[call["functionName"]]
            assert set(call["arguments"]) <= set(arguments)
            required = {name for name, about in arguments.items() if not about.get("optional")}
            assert required <= set(call["arguments"])


def test_building_sends_nothing_and_refuses_what_the_client_does_not_know(transport: Offline) -> None:
    transport.requests.clear()
    for name in ("demo", "corn-belt-2016"):
        graphs.graph_digest(load_study(name), "image")
    assert transport.requests == []
    with pytest.raises(AttributeError, match="updateMsk"):
        ee.Image("A").updateMsk(1)


def test_bits_are_the_twins() -> None:
    assert QA_PIXEL_BITS == QA_BITS


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


def test_one_season_keeps_the_bands_names_and_no_filter_by_cloud_cover_unless_asked() -> None:
    found = graphs.algorithms(graphs.expression(graphs.graph(load_study("demo"), "image")))
    assert "Image.rename" not in found
    assert "Filter.greaterThan" not in found
    assert constants("image", variant(image={"cloud_cover_max_pct": 35.5}), "Filter.greaterThan", "rightValue") == [35.5]


@pytest.mark.usefixtures("all_keys")
def test_region_count_and_confidence() -> None:
    study = everything()
    assert [layer.bands for layer in layers.layers_of(study)][1:] == [("cropland",), ("1_count", "2_count")]
    for layer in ("image", "labels", "count"):
        assert "Image.clip" in graphs.algorithms(graphs.expression(graphs.graph(study, layer)))
    assert "reduce.count" in graphs.algorithms(graphs.expression(graphs.graph(study, "count")))
    assert "Image.gte" in graphs.algorithms(graphs.expression(graphs.graph(study, "labels")))


def test_polygons_of_any_geojson_reach_the_graph() -> None:
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
    second, third = ([[x + shift, y] for x, y in ring] for shift in (1, 2))  # neighbours that share an edge stay as they are
    multi = {"type": "MultiPolygon", "coordinates": [[second], [third]]}
    features = {"type": "FeatureCollection", "features": [feature, {"type": "Feature", "geometry": multi, "properties": {}}]}
    assert polygons(variant(area={"region": json.dumps(features)}).area.region) == [[ring], [second], [third]]
    collection = {"type": "GeometryCollection", "geometries": [multi]}
    assert polygons(variant(area={"region": json.dumps(collection)}).area.region) == [[second], [third]]


def test_polygons_that_overlap_become_one() -> None:
    squares = [[[[x, 0], [x + 2, 0], [x + 2, 2], [x, 2], [x, 0]]] for x in (0, 1, 5)]
    found = polygons(variant(area={"region": json.dumps({"type": "MultiPolygon", "coordinates": squares})}).area.region)
    assert sorted(sorted({x for x, _ in shell}) for (shell,) in found) == [[0, 1, 2, 3], [5, 7]]
    inside = Geometry("MultiPolygon", tuple(tuple(tuple(map(tuple, ring)) for ring in polygon) for polygon in found))
    assert inside.contains(np.array([0.5, 1.5, 2.5, 4.0, 6.0]), np.array([1.0])).tolist() == [True, True, True, False, True]


def test_digests_tell_graphs_and_grids_apart_and_nothing_else() -> None:
    demo = load_study("demo")
    same = variant(patches={"size_px": 25}, classes={})
    assert graphs.study_digest(same) == graphs.study_digest(demo)
    others = [variant(area={"scale_m": 60.0}), variant(image={"mask": ["cloud"]}), variant(area={"crs": "EPSG:5070"})]
    assert len({graphs.graph_digest(one, "image") for one in (demo, *others)}) == 4
    assert graphs.graph_digest(others[1], "labels") == graphs.graph_digest(demo, "labels")


def test_the_export_rectangle_holds_the_grids_pixel_centres_and_rounds_outward_to_the_grid() -> None:
    for name in ("demo", "corn-belt-2016", "corn-belt-2016-albers"):
        grid = load_study(name).grid
        a, _, c, _, e, f = grid.transform
        box = next(invocations(ee.serializer.encode(rectangle(grid))))
        west, south, east, north = box["arguments"]["coordinates"]["constantValue"]
        assert (west, south, east, north) == pytest.approx(grid.bounds_xyxy, abs=a * 1e-6)
        assert c < west
        assert east < c + a * grid.width
        assert f + e * grid.height < south
        assert north < f
    assert bounds_lonlat(load_study("corn-belt-2016-albers").grid)[0] < -94


if __name__ == "__main__":
    with offline():
        write_golden()
