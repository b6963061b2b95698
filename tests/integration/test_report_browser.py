"""Report and comparison in headless Chromium, with twelve classes and twenty long file names: three widths, dark, and on paper."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cropcam.model.report.compare import compare
from cropcam.model.report.run_report import write_report
from support.chromium import CHROMIUM, hard_to_read, launched, too_wide
from support.report_runs import FILES, make_wide_run

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: the pages are not looked at in a browser")
A4_PX, MARGIN_MM = 794, 14  # width of the paper at 96 px an inch
SCROLLING = "() => [...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth + 1).length"


@dataclass
class Shown:
    """A page, and what it did."""

    page: Any
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    run = make_wide_run(folder, count=20, size_px=12)
    others = [shutil.copytree(run, folder / name) for name in ("a-run-with-a-rather-long-name-and-a-number-2", "another", "x" * 60)]
    return {"report": write_report(others[-1]), "comparison": compare([run, *others], folder / "compared").page}


@pytest.fixture(scope="module", params=["report", "comparison"])
def shown(request: pytest.FixtureRequest, pages: dict[str, Path]) -> Iterator[Shown]:
    with launched() as browser:
        found = Shown(browser.new_page())
        found.page.on("console", lambda message: found.wrong.append(message.text))
        found.page.on("pageerror", lambda error: found.wrong.append(str(error)))
        found.page.on("request", lambda asked: found.asked.append(asked.url))
        found.page.goto(pages[request.param].as_uri())
        yield found


@pytest.mark.parametrize("width", [1280, 800, 400])
def test_nothing_is_wider_than_the_page_and_no_number_than_its_cell(shown: Shown, width: int) -> None:
    shown.page.set_viewport_size({"width": width, "height": 900})
    assert too_wide(shown.page) == []
    if width == 1280:
        assert shown.page.evaluate(SCROLLING) == 0


def test_it_asks_for_nothing_and_has_no_error(shown: Shown) -> None:
    assert shown.wrong == []
    assert {url.partition(":")[0] for url in shown.asked} <= {"file", "data"}
    assert [url for url in shown.asked if url.startswith("file:")] == [shown.page.url]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(shown: Shown, scheme: str) -> None:
    shown.page.set_viewport_size({"width": 1280, "height": 900})
    shown.page.emulate_media(color_scheme=scheme)
    shown.page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true })")
    paper = shown.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert hard_to_read(shown.page) == []
    shown.page.emulate_media(color_scheme="light")


def test_on_paper_no_table_is_cut_and_the_pages_are_few(shown: Shown) -> None:
    width = round(A4_PX - 2 * MARGIN_MM / 25.4 * 96)
    shown.page.set_viewport_size({"width": width, "height": 1000})
    shown.page.emulate_media(media="print", color_scheme="dark")
    assert shown.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert too_wide(shown.page) == []
    assert shown.page.evaluate(SCROLLING) == 0
    assert hard_to_read(shown.page) == []
    lines = shown.page.evaluate("() => [...document.querySelectorAll('.digests dd')].map((one) => one.getBoundingClientRect().height)")
    assert len(lines) in (0, len(FILES) + 3)
    assert all(height < 40 for height in lines)  # a digest on two lines at most
    pages = len(re.findall(rb"/Type /Page\b", shown.page.pdf(format="A4")))
    assert 2 <= pages <= 10
    shown.page.emulate_media(media="screen", color_scheme="light")
