"""The reference page of the embedded engine is that of its own declarations."""

from __future__ import annotations

from cropcam.pipeline.emulator.registry import ALGORITHMS
from support.emulator_page import PAGE, TABLES, with_tables


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_tables(page), "write it anew with: python tests/support/emulator_page.py"


def test_every_table_is_in_the_page_once_and_names_everything() -> None:
    page = PAGE.read_text("utf-8")
    for name in TABLES:
        assert page.count(f"<!-- end of {name} -->") == 1
    assert [name for name in ALGORITHMS if f"| `{name}` |" not in page] == []
    for text in ("Image.resample to", "`request_bytes` | 50,331,648", "`image:export` | `POST image:export`", "`gs:media`"):
        assert text in page
