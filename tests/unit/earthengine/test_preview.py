"""The preview page: export cells in degrees, class colours, a composite per season."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.earthengine import graphs, preview
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import tiles
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support import scenes
from support.engines import FakeService
from support.graph_studies import variant


@pytest.mark.parametrize(("name", "count"), [("corn-belt-2016", 12), ("corn-belt-2016-albers", 9)])
def test_each_cell_is_a_closed_ring_whose_corners_are_the_cells(name: str, count: int) -> None:
    study = load_study(name)
    found = preview.cells_geojson(study, 8192)["features"]
    cells = list(tiles(study.grid.shape_yx, (8192, 8192)))
    assert len(found) == len(cells) == count
    for feature, cell in zip(found, cells, strict=True):
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert feature["properties"]["rows"] == f"{cell.row}..{cell.row + cell.height}"
        west, south, east, north = study.grid.window(cell).bounds_xyxy
        for x, y in ((west, north), (east, north), (east, south), (west, south)):
            corner = [float(value) for value in transform_points(study.grid.crs, "EPSG:4326", x, y)]
            assert any(point == pytest.approx(corner, abs=1e-6) for point in ring)


def test_labels_are_drawn_as_class_numbers_in_the_colours_of_the_study(client: scenes.Client, archive: Path) -> None:
    study = scenes.study()
    image, look = preview.labels_view(study)
    codes, _ = scenes.nearest(archive / scenes.LABELS / "cropland.tif", study.grid)
    index = study.legend.index(codes.astype(np.uint8))
    found = client.pixels(image, study.grid)[0]
    np.testing.assert_array_equal(np.ma.getmaskarray(found), index == UNLABELLED)
    np.testing.assert_array_equal(found.filled(UNLABELLED), index)
    assert look == {"min": "0", "max": "4", "palette": look["palette"], "format": "png"}
    assert [f"#{colour}" for colour in look["palette"].split(",")] == [one.color_hex for one in study.legend.classes]


def views(study: Study) -> list[Any]:
    return preview._views(study, graphs.graph(study, "image"))


@pytest.mark.usefixtures("transport")
def test_each_season_is_drawn_in_true_colour_or_in_the_bands_there_are() -> None:
    seasons = [["2016-05-01", "2016-07-01"], ["2016-07-01", "2016-10-01"]]
    layers = views(variant(image={"seasons": seasons}))
    assert [name for name, _, _ in layers] == ["composite 2016-05-01 to 2016-07-01", "composite 2016-07-01 to 2016-10-01", "labels"]
    assert [look["bands"] for _, _, look in layers[:2]] == ["1_SR_B4,1_SR_B3,1_SR_B2", "2_SR_B4,2_SR_B3,2_SR_B2"]
    assert "Image.updateMask" in graphs.algorithms(graphs.expression(layers[0][1]))
    assert views(variant(image={"bands": ["SR_B5", "SR_B6"]}))[0][2]["bands"] == "SR_B5,SR_B6,SR_B5"
    without = {key: values for key, values in variant().to_dict().items() if key != "labels"}
    assert [name for name, _, _ in views(parse_study(without))] == ["composite 2016-05-01 to 2016-10-01"]


def test_a_page_is_html_and_asks_nothing_before_that_is_clear(tmp_path: Path) -> None:
    service = FakeService()
    with pytest.raises(ConfigError, match=r"--out .*page\.htm: does not fit the kind of the file \(page\); end the name in \.html"):
        preview.preview(load_study("demo"), service, tmp_path / "page.htm")
    assert service.looks == 0
    assert list(tmp_path.iterdir()) == []
