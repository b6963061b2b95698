"""The map page in headless Chromium: it opens, draws, switches, swipes, answers clicks and keys, restores a link, fits 400 px; nothing leaves loopback."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.view.scenes import of_map, with_store
from cropcam.pipeline.maps.view.server import View
from support.chromium import CHROMIUM, hard_to_read, launched, too_wide
from support.maps import write_map
from support.views import Artefacts, centre, make_artefacts

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: the map page is not looked at in a browser")
WAIT_MS = 60_000


@dataclass
class Seen:
    """A page, and what went wrong on it."""

    page: Any
    wrong: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    return make_artefacts(tmp_path_factory.mktemp("view-browser"))


@pytest.fixture(scope="module")
def view(artefacts: Artefacts) -> Iterator[View]:
    with View(with_store(of_map(artefacts.map), artefacts.opened(), artefacts.map.parent)) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture
def seen(browser: Any, view: View, request: pytest.FixtureRequest) -> Iterator[Seen]:
    """The page, open at its first layer; the test fails at its end for errors of the console, failed requests and requests elsewhere."""
    width, height = getattr(request, "param", (1280, 800))
    found = Seen(browser.new_page(viewport={"width": width, "height": height}))
    found.page.set_default_timeout(WAIT_MS)
    found.page.on("console", lambda message: found.wrong.append(f"{message.type}: {message.text}"))
    found.page.on("pageerror", lambda error: found.wrong.append(str(error)))
    found.page.on("response", lambda answer: answer.status >= 400 and found.wrong.append(f"{answer.status} {answer.url}"))
    found.page.on("request", lambda asked: found.hosts.add(asked.url.split("/")[2]))
    opened(found, view.url)
    yield found
    found.page.close()
    assert not found.wrong
    assert found.hosts == {f"127.0.0.1:{view.port}"}


def opened(seen: Seen, url: str) -> None:
    seen.page.goto(url)
    seen.page.wait_for_selector("html[data-drawn]")


def state(seen: Seen) -> dict[str, str]:
    fragment = seen.page.evaluate("() => location.hash.slice(1)")
    return dict(part.split("=", 1) for part in fragment.split("&"))


def drawn(seen: Seen, layer: str) -> None:
    """Wait until every tile of a layer that was asked for is there."""
    seen.page.wait_for_selector(f'.leaflet-tile-loaded[src*="tiles/{layer}/"]')
    seen.page.wait_for_function("() => !document.querySelector('.leaflet-tile:not(.leaflet-tile-loaded)')")


def at(seen: Seen, view: View, row: int, col: int) -> tuple[float, float]:
    """Where a pixel of the scene is on the screen."""
    lon, lat = centre(view.scene.grid, row, col)
    box, now = seen.page.locator("#map").bounding_box(), state(seen)

    def world(lon: float, lat: float) -> tuple[float, float]:
        size = 256 * 2 ** float(now["z"])
        return (lon + 180) / 360 * size, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * size

    (x, y), (x0, y0) = world(lon, lat), world(float(now["lon"]), float(now["lat"]))
    return box["x"] + box["width"] / 2 + x - x0, box["y"] + box["height"] / 2 + y - y0


def test_it_opens_draws_and_switches(seen: Seen) -> None:
    drawn(seen, "classes")
    drawn(seen, "true-colour-1")
    assert seen.page.title() == "map.tif · cropcam"
    seen.page.wait_for_selector("#key tfoot")  # hectares are measured
    assert seen.page.locator("#key tbody tr").count() == 5
    shares = [float(text.removesuffix(" %")) for text in seen.page.locator("#key tbody tr td:last-child").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    for name, layer in (("Truth", "truth"), ("Uncertainty", "uncertainty"), ("Errors", "errors"), ("False colour", "false-colour-1")):
        seen.page.get_by_role("radio", name=name).check()
        drawn(seen, layer)
        assert state(seen)["top"] == layer
        assert seen.page.locator(f'#key [data-layer="{layer}"]').count() == 1
    seen.page.get_by_role("radio", name="Probability").check()
    seen.page.locator("#variant").select_option(label="soybean")
    drawn(seen, "probability-2")
    assert seen.page.locator("#key h3").first.inner_text() == "Probability: soybean"


def test_opacity_and_swipe_show_the_layer_beneath(seen: Seen) -> None:
    seen.page.locator("#opacity").fill("40")
    assert state(seen)["o"] == "40"
    assert seen.page.locator("#key [data-layer]").count() == 2
    seen.page.locator("#swipe").click()
    divider = seen.page.locator("#divider")
    assert divider.get_attribute("aria-valuenow") == "50"
    box, grip = seen.page.locator("#map").bounding_box(), divider.bounding_box()
    seen.page.mouse.move(grip["x"] + 1, 300)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 0.25 * box["width"], 310, steps=3)
    seen.page.mouse.up()
    assert abs(int(divider.get_attribute("aria-valuenow") or 0) - 25) <= 1
    clip = seen.page.locator(".leaflet-above-pane").evaluate("(pane) => pane.style.clipPath")
    left = float(clip.split("(")[1].split("px")[0])
    assert left == pytest.approx(0.25 * box["width"], abs=8)
    seen.page.mouse.move(box["x"] + box["width"] / 2, 500)
    before = state(seen)["lon"]
    divider.press("ArrowRight")  # moves the divider, not the map
    assert (int(divider.get_attribute("aria-valuenow") or 0), state(seen)["lon"]) == (27, before)
    seen.page.locator("#swipe").click()
    assert not divider.is_visible()
    assert seen.page.locator(".leaflet-above-pane").evaluate("(pane) => pane.style.clipPath") == ""


def test_a_click_shows_the_pixel_and_the_link_restores_everything(seen: Seen, view: View, artefacts: Artefacts) -> None:
    names = [entry["name"] for entry in view.scene.to_json()["classes"]]
    row, col = 150, 301
    seen.page.mouse.click(*at(seen, view, row, col))
    seen.page.wait_for_selector("#pixel-found table")
    text = seen.page.locator("#pixel-text").inner_text()
    found = dict(part.rsplit(" ", 1) for part in text.rstrip(".").replace(" %", "").split(", "))
    found_row, found_col = int(found["Row"]), int(found["column"])
    assert (abs(found_row - row), abs(found_col - col)) <= (3, 3)  # a pixel of the screen is two of the map
    assert found["class"] == names[artefacts.classes_YX[found_row, found_col]]
    assert found["truth"] == names[artefacts.truth_YX[found_row, found_col]]
    assert found["probability"] == "60"  # 150 of 250
    assert seen.page.locator("#pixel-found .bar").count() == 5
    seen.page.keyboard.press("s")
    seen.page.get_by_role("radio", name="Errors").check()
    link, before = seen.page.url, state(seen)
    seen.page.goto("about:blank")
    seen.hosts.discard("")
    opened(seen, link)
    seen.page.wait_for_selector("#pixel-found table")
    assert seen.page.locator("#pixel-text").inner_text() == text
    assert state(seen) == before
    assert seen.page.locator("#divider").is_visible()
    seen.page.evaluate("() => { location.hash = '#top=nothing&base=..&z=99&o=x&w=-4&at=a,b' }")  # a link with nonsense is the first view
    seen.page.wait_for_function("() => location.hash.includes('top=classes')")


def test_keys_alone_do_it_all(seen: Seen) -> None:
    page = seen.page
    page.keyboard.press("m")
    before = state(seen)
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(lon) => !location.hash.includes(`lon=${lon}&`)", arg=before["lon"])
    page.keyboard.press("+")
    page.wait_for_function("(zoom) => location.hash.startsWith(`#z=${zoom}`)", arg=int(before["z"]) + 1)
    assert page.locator("#cross").is_visible()
    page.keyboard.press("Enter")
    page.wait_for_selector("#pixel-found dl")
    page.keyboard.press("6")
    assert state(seen)["top"] == "probability-0"
    page.keyboard.press("]")
    assert state(seen)["top"] == "probability-1"
    page.keyboard.press(",")
    assert state(seen)["o"] == "90"
    page.keyboard.press("s")
    assert state(seen)["w"] == "0.5"
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()
    page.keyboard.press("h")
    page.wait_for_function("(zoom) => location.hash.startsWith(`#z=${zoom}&`)", arg=int(before["z"]))
    reached = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id || document.activeElement.tagName"))
    assert {"copy", "help", "opacity", "base", "swipe"} <= reached


def test_text_can_be_read_in_light_and_dark(seen: Seen) -> None:
    for scheme in ("light", "dark"):
        seen.page.emulate_media(color_scheme=scheme)
        assert hard_to_read(seen.page) == []
    seen.page.set_viewport_size({"width": 800, "height": 700})
    assert too_wide(seen.page) == []


@pytest.mark.parametrize("seen", [(400, 800), (320, 568)], indirect=True)
def test_small_screens_fit(seen: Seen) -> None:
    page = seen.page
    widths = page.evaluate("() => [document.documentElement.scrollWidth, document.getElementById('content').scrollWidth, innerWidth]")
    assert max(widths[:2]) <= widths[2]
    assert too_wide(page) == []
    assert page.locator("#map").bounding_box()["height"] > 200
    page.locator("#fold").click()
    assert not page.locator("#content").is_visible()
    box = page.locator("#map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#pixel-found dl")
    assert page.locator("#pixel-found dl").is_visible()  # the panel opened, at the pixel
    assert page.evaluate("() => document.documentElement.scrollTop + document.body.scrollTop") == 0


def test_a_map_that_went_away_is_said_on_the_page(browser: Any, artefacts: Artefacts, tmp_path: Path) -> None:
    shutil.copy(artefacts.map, tmp_path / "gone.tif")
    with View(of_map(tmp_path / "gone.tif")) as view:
        page = browser.new_page(viewport={"width": 800, "height": 600})
        page.goto(view.url)
        page.wait_for_selector("html[data-drawn]")
        (tmp_path / "gone.tif").unlink()
        page.get_by_title("Zoom in (+)").click()
        page.wait_for_selector("#message:not([hidden])")
        assert page.locator("#message").inner_text() == "gone.tif: is gone since the page was opened; start cropcam view again"
        page.close()


def test_hostile_and_long_names_are_text_and_leave_the_hectares_in_sight(browser: Any, tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "y" * 120, "ünï</td>")
    classes_YX = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64) % len(names)
    path = write_map(tmp_path / f"<img src=x onerror=alert(3)> {'n' * 180}.tif", classes_YX, Legend.of_names(names))
    wrong: list[str] = []
    with View(of_map(path)) as view:
        page = browser.new_page(viewport={"width": 400, "height": 800})
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda message: wrong.append(message.text))
        page.goto(view.url)
        page.wait_for_selector(".key table tfoot")
        shown = page.locator(".key tbody th").all_inner_texts()
        assert [text.strip() for text in shown] == list(names)
        assert page.evaluate(
            "() => [...document.querySelectorAll('.key td')].every(cell => cell.getBoundingClientRect().right <= innerWidth)"
        )
        assert page.locator("h1").bounding_box()["height"] < 80
        page.close()
    assert not wrong
