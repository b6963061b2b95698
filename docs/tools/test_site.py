"""The built site: every page within two clicks, no broken link, and nothing asked of another machine when it is opened. Part of `make docs`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(__file__).parents[2] / "build" / "docs"
NO_PAGES = {"genindex.html", "search.html", "py-modindex.html"}
WIDTHS = (1280, 400)


class Links(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's address or name."""
        values = dict(attrs)
        if tag == "a" and values.get("href"):
            self.links.append(str(values["href"]))
        self.anchors |= {str(values[name]) for name in ("id", "name") if values.get(name)}


def pages() -> dict[str, Links]:
    """Every page of the site by its path."""
    found = {path.relative_to(SITE).as_posix(): Links(path) for path in SITE.rglob("*.html") if "_static" not in path.parts}
    return {name: links for name, links in found.items() if name not in NO_PAGES}


def inside(page: str, links: Links) -> Iterator[tuple[str, str]]:
    """The targets of a page's links within the site, with their anchors."""
    for link in links.links:
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            path = (SITE / page).parent / unquote(parts.path) if parts.path else SITE / page
            yield path.resolve().relative_to(SITE.resolve()).as_posix(), parts.fragment


def test_every_page_is_reached_in_two_clicks() -> None:
    found = pages()
    assert len(found) > 40
    reached, last = {"index.html"}, {"index.html"}
    for _click in range(2):
        last = {target for page in last & set(found) for target, _ in inside(page, found[page])} - reached
        reached |= last
    assert not set(found) - reached


def test_every_link_has_its_target() -> None:
    found = pages()
    broken = []
    for page, links in found.items():
        for target, anchor in inside(page, links):
            if not (SITE / target).is_file() or (anchor and target in found and anchor not in found[target].anchors):
                broken.append(f"{page}: {target}#{anchor}")
    assert not broken


def test_pages_name_no_file_of_this_machine() -> None:
    folders = {str(SITE.parents[1]), str(Path.home()) + "/"}
    assert not [page for page in pages() for folder in folders if folder in (SITE / page).read_text("utf-8")]


@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium on this machine")
def test_opened_pages_ask_nothing_of_another_machine_and_fit_the_window() -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    asked, errors, wide = [], [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        view = browser.new_page()
        view.on("request", lambda request: asked.append(request.url))
        view.on("console", lambda message: errors.append(f"{view.url}: {message.text}") if message.type == "error" else None)
        view.on("pageerror", lambda error: errors.append(f"{view.url}: {error}"))
        for page in pages():
            view.goto((SITE / page).as_uri())
            for width in WIDTHS:
                view.set_viewport_size({"width": width, "height": 900})
                if view.evaluate("document.documentElement.scrollWidth") > width:
                    wide.append(f"{page} at {width}")
        browser.close()
    assert len(asked) > len(pages())
    assert not [url for url in asked if not re.match(r"file://|data:|about:|blob:", url)]
    assert not errors
    assert not wide
