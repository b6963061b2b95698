"""A Sphinx extension: fills pages with what the code declares, and turns links of the repository into links of the site.

A page asks for generated text with a comment, `<!-- generated: commands -->` (`site_reference.PARTS`), or for a text file of the
repository's root, `<!-- generated: file CONTRIBUTING.md -->`. `<!-- toctree -->` makes its list of links the navigation below it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from site_reference import PARTS
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
# what has another place on the site
PAGES = {
    "CONTRIBUTING.md": "developers/contributing.md",
    "CHANGELOG.md": "developers/changelog.md",
    "README.md": "index.md",
    "docs/decisions": "developers/README.md",
}
_MARK = re.compile(r"^<!-- generated: (.+) -->$", re.MULTILINE)
_TOCTREE = re.compile(r"^<!-- toctree(?:: (.+))? -->$", re.MULTILINE)
_ENTRY = re.compile(r"^- \[[^\]]+\]\(([^)#]+)\)", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", lambda _app, page, source: source.__setitem__(0, prepared(page, source[0])))
    return {"parallel_read_safe": True}


def prepared(page: str, text: str) -> str:
    """The source of a page (its path below docs/ without the ending) as Sphinx reads it."""
    text = relinked(text, Path("docs", page).parent, page)
    text = _TOCTREE.sub(lambda found: toctree(found[1].split(", ") if found[1] else _ENTRY.findall(text)), text)
    return _MARK.sub(lambda found: generated(page, found[1]), text)


def toctree(entries: list[str]) -> str:
    """The entries of the navigation below a page; the list of links that a reader sees is the page's own."""
    return "\n".join(["```{toctree}", ":hidden:", *(re.sub(r"\.(md|ipynb)$", "", entry) for entry in entries), "```"])


def generated(page: str, part: str) -> str:
    """The text that a mark asks for."""
    kind, _, name = part.partition(" ")
    if kind == "file":
        return relinked((ROOT / name).read_text("utf-8"), Path(), page)
    return PARTS[kind](*name.split())


def relinked(text: str, folder: Path, page: str) -> str:
    """Links of a text that lies in `folder` of the repository, for a page of the site."""

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder.as_posix(), found[1]))
        target = posixpath.join("docs", PAGES[target]) if target in PAGES else target
        return posixpath.relpath(target, posixpath.join("docs", posixpath.dirname(page))) + (found[2] or "")

    return _LINK.sub(link, text)
