"""Notebooks are stored without outputs, and without its extra each ends in the first cell with the line to type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline import extras

NOTEBOOKS = sorted((Path(__file__).parents[3] / "docs/notebooks").glob("*.ipynb"))


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["a-map-in-geemap", "the-store-in-xarray", "the-whole-way"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_stored(path: Path) -> None:
    cells = code_cells(path)
    assert len(cells) > 3
    assert not [cell["id"] for cell in cells if cell["outputs"] or cell["execution_count"] is not None]


@pytest.mark.parametrize(
    ("path", "extra"), [*zip(NOTEBOOKS, ("earthengine", "report", "report"), strict=True)], ids=lambda value: Path(value).stem
)
def test_without_its_extra_the_first_cell_ends_with_the_line_to_type(path: Path, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = "".join(code_cells(path)[0]["source"])
    exec(first, {})  # noqa: S102 - our own; all is installed
    monkeypatch.setattr(extras, "_is_there", lambda module: module != "matplotlib")
    with pytest.raises(SystemExit, match=rf"^this notebook needs matplotlib; install with: pip install 'cropcam\[{extra}\]'$"):
        exec(first, {})  # noqa: S102
