"""The graphs of composite and labels: the wheel's own signatures, the agreed algorithms, golden JSON, no request.

Regenerate the golden graphs with: python tests/unit/earthengine/test_graphs.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ee
import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from cropcam.pipeline.earthengine import graphs, layers
from cropcam.pipeline.earthengine.scenes import scenes
from cropcam.pipeline.study.study import load_study
from support.engines import Offline, invocations, offline, signatures
from support.graph_studies import everything, variant

GOLDEN = Path(__file__).parents[2] / "golden"
AGREED = {
    "ImageCollection.load", "Image.load", "Collection.filter", "Collection.map", "Filter.intersects", "Filter.dateRangeContains",
    "DateRange", "Feature", "GeometryConstructors.Rectangle", "Projection", "Image.select", "Image.rename", "Image.constant",
    "Image.bitwiseAnd", "Image.eq", "Image.multiply", "Image.add", "Image.updateMask", "Image.copyProperties", "Image.remap",
    "Image.toFloat", "Image.toUint8", "Image.clip", "Image.addBands", "ImageCollection.reduce", "Reducer.median", "Image.reproject", "Image.setDefaultProjection",
    "Image.clipToBoundsAndScale", "Image.projection", "Image.round", "Image.floor", "Image.unmask", "Image.toUint16", "ImageCollection.merge", "Collection.size",
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("transport")


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
        graphs.graph(study, "image"),
        crs=study.grid.crs,
        crsTransform=list(study.grid.transform),
        dimensions=f"{study.grid.width}x{study.grid.height}",
    )
    assert graphs.algorithms(ee.serializer.encode(task.config["expression"])) <= AGREED


def test_two_collections_are_merged_with_agreed_algorithms() -> None:
    study = variant(image={"collections": ["LANDSAT/LC08/C02/T1_L2", "LANDSAT/LC09/C02/T1_L2"], "mask": ["fill", "saturated", "snow"]})
    found = graphs.algorithms(graphs.expression(graphs.graph(study, "image")))
    assert found <= AGREED
    assert "ImageCollection.merge" in found


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


def test_digests_differ_by_graph_and_grid_alone() -> None:
    demo = load_study("demo")
    same = variant(patches={"size_px": 25}, classes={"corn": [1]})
    assert [graphs.graph_digest(study, "image") for study in (same, demo)] == [graphs.graph_digest(demo, "image")] * 2
    others = [variant(area={"scale_m": 60.0}), variant(image={"mask": ["cloud"]}), variant(area={"crs": "EPSG:5070"})]
    assert len({graphs.graph_digest(one, "image") for one in (demo, *others)}) == 4
    assert graphs.graph_digest(others[1], "labels") == graphs.graph_digest(demo, "labels")


if __name__ == "__main__":
    with offline():
        write_golden()
