"""Headless Chromium, as root and without any connection of its own; what is wrong on a page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# what sticks out of the page, or out of the frame that scrolls it, and text that sticks out of its cell
_WIDE = """() => {
  const page = document.documentElement.clientWidth, name = (one) => `${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 40)}`
  const seen = [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().width && !one.closest('svg, .leaflet-map-pane'))
  const wide = seen.filter((one) => one.getBoundingClientRect().right > page + 1 && !one.parentElement.closest('.scroll'))
  const cells = seen.filter((one) => one.matches('td, th') && one.scrollWidth > one.clientWidth + 1)
  if (document.documentElement.scrollWidth > page) wide.push(document.documentElement)
  return [...wide.map((one) => `wider than the page: ${name(one)}`), ...cells.map((one) => `overflows its cell: ${name(one)}`)]
}"""


@contextmanager
def launched() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    if not CHROMIUM:
        pytest.skip("no chromium: the page is not looked at in a browser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: the page is not looked at in a browser")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


def too_wide(page: Any) -> list[str]:
    """The elements that are wider than the page, and the cells whose text is wider than they are."""
    found: list[str] = page.evaluate(_WIDE)
    return found


def hard_to_read(page: Any) -> list[str]:
    """What axe-core finds against WCAG 2 A and AA: contrast of text, names of controls, title, language; skipped without axe-core."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: contrast is not checked")
    found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"], "resultTypes": ["violations"]})
    return [
        f"{item['id']}: {node['html'][:120]}: {node['failureSummary'][:200]}"
        for item in found.response["violations"]
        for node in item["nodes"]
    ]
