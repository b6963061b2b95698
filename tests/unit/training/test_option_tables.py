"""The tables of docs/training.md follow from the declarations."""

from __future__ import annotations

from support.option_tables import PAGE, with_tables


def test_the_page_has_the_tables_of_the_declarations() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_tables(page), "write them anew with: python tests/support/option_tables.py"
