"""Regions in graphs: the rectangle of the grid and the polygons of the study."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.region import bounds_lonlat, polygons
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.grid import Window
from cropcam.pipeline.study.study import load_study
from support import scenes
from support.graph_studies import variant

pytestmark = pytest.mark.usefixtures("transport")


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


def test_bounds_of_a_projected_grid_are_degrees() -> None:
    assert bounds_lonlat(load_study("corn-belt-2016-albers").grid)[0] < -94


BOX = (-90.006, 41.004, -89.996, 41.016)  # west, south, east, north


@pytest.mark.parametrize("layer", ["image", "labels", "count"])
def test_outside_the_region_is_nodata(client: scenes.Client, layer: str) -> None:
    west, south, east, north = BOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    text = f'{{"type": "Polygon", "coordinates": [{ring}]}}'
    inside, everywhere = scenes.study(area={"region": text}, image={"count": True}), scenes.study(image={"count": True})
    x, y = everywhere.grid.centres()
    kept = ((x > west) & (x < east))[None, :] & ((y > south) & (y < north))[:, None]
    found = client.pixels(graph(inside, layer), inside.grid).filled(0)
    whole = client.pixels(graph(everywhere, layer), everywhere.grid).filled(0)
    assert np.array_equal(found, np.where(kept, whole, 0))
    assert 0 < kept.sum() < kept.size


def test_outside_the_region_is_the_nodata_value_whatever_it_is(client: scenes.Client) -> None:
    west, south, east, north = BOX
    text = f'{{"type": "Polygon", "coordinates": [[[{west}, {south}], [{east}, {south}], [{east}, {north}], [{west}, {south}]]]}}'
    study = scenes.study(area={"region": text}, image={"derived": {"ratio": "SR_B5 / SR_B4"}})
    found = client.pixels(graph(study, "image"), study.grid)
    assert not np.ma.getmaskarray(found).any()  # the service writes a masked pixel as 0, which is a reflectance
    corner = Window(0, 0, 5, 5)
    assert (found.data[:, *corner.slices] == study.image.encoding.fill).all()
    assert study.image.encoding.fill == -9999
