"""The files of the page."""

from __future__ import annotations

import re

from cropcam.pipeline.maps.view.assets import PAGE, assets


def test_every_file_that_the_page_names_is_there() -> None:
    found = assets()
    html, media_type = found[PAGE]()
    assert media_type == "text/html; charset=utf-8"
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', html.decode()))
    scripts = {name for name in found if name.endswith(".js") and name != "leaflet.js"}
    for name in scripts:
        named |= set(re.findall(r'from "\./([^"]+)"', found[name]()[0].decode()))
    assert named == set(found) - {PAGE}
    for name, read in found.items():
        content, media_type = read()
        assert content, name
        assert media_type.partition(";")[0] in {"text/html", "text/css", "text/javascript", "image/svg+xml"}


def test_nothing_of_the_page_comes_from_elsewhere() -> None:
    for name, read in assets().items():
        if not name.startswith("leaflet"):
            text = read()[0].decode().replace("http://www.w3.org/2000/svg", "").replace("https://leafletjs.com", "")
            assert "://" not in text, name


def test_the_page_has_no_script_or_style_of_its_own_lines() -> None:
    html = assets()[PAGE]()[0].decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", html)
