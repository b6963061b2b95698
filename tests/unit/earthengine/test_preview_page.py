"""The preview's page: Leaflet and our own panel are inside; layers are tiles or pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cropcam.pipeline.earthengine import preview_page
from cropcam.pipeline.earthengine.preview import cells_geojson
from cropcam.pipeline.earthengine.preview_page import draw
from cropcam.pipeline.earthengine.preview_pictures import Picture
from cropcam.pipeline.runtime.outputs import is_page
from support import scenes


def test_leaflet_lies_inside_the_page() -> None:
    for name, kind in (("leaflet.js", "text/javascript"), ("leaflet.css", "text/css")):
        ((found, url),) = preview_page._leaflet(name, kind)
        assert found == name
        assert url.startswith(f"data:{kind};base64,")


@pytest.mark.filterwarnings("ignore")  # geemap's own
def test_pictures_lie_in_the_page_which_then_has_no_background_map() -> None:
    study = scenes.study()
    cells = cells_geojson(study, 256)
    inside = draw(study, [("labels", Picture("data:image/webp;base64,AAAA", (-90.0, 40.0, -89.0, 41.0)))], cells).get_root().render()
    assert "openstreetmap" not in inside.casefold()
    assert re.search(r'L\.imageOverlay\(\s*"data:image/webp;base64,AAAA",\s*\[\[40\.0, -90\.0\], \[41\.0, -89\.0\]\]', inside)
    tiles = draw(study, [("labels", "http://127.0.0.1:1/{z}/{x}/{y}")], cells).get_root().render()
    assert "http://127.0.0.1:1/{z}/{x}/{y}" in tiles
    assert "openstreetmap" in tiles.casefold()
    for page in (inside, tiles):
        about = json.loads(re.findall(r"const PREVIEW = (.*);", page)[0])
        assert about["title"] == study.name
        assert [entry["name"] for entry in about["classes"]] == list(study.legend.names)
        assert [f"var {entry['variable']} = " in page for entry in about["layers"]] == [True]
        assert f"var {about['map']} = " in page


def test_a_finished_page_has_title_language_and_mark_and_letters_that_may_grow(tmp_path: Path) -> None:
    html = '<!DOCTYPE html>\n<html>\n<head>\n<meta name="viewport" content="width=device-width,\n initial-scale=1.0, user-scalable=no" />\n</head></html>'
    page = tmp_path / "page.html"
    page.write_text(preview_page.finished(html, "demo"))
    assert is_page(page)
    text = page.read_text()
    assert '<html lang="en">' in text
    assert "<title>demo \u00b7 cropcam</title>" in text
    assert "user-scalable" not in text
