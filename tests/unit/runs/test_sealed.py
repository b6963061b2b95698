"""A file that was changed after it was written is noticed, whatever was changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropcam.model.runs.sealed import read_sealed, sealed
from cropcam.pipeline.errors import DataError

VALUES: dict[str, Any] = {"a": [0.1, None, 3], "about": {"x": "y"}}


@pytest.mark.parametrize("within", ["", "about"])
def test_what_was_written_is_read(tmp_path: Path, within: str) -> None:
    (tmp_path / "m.json").write_text(json.dumps(sealed(VALUES, within), indent=2))
    assert read_sealed(tmp_path / "m.json", "metrics", within, step="evaluate again") == VALUES


@pytest.mark.parametrize("within", ["", "about"])
@pytest.mark.parametrize("change", [lambda v: v["a"].pop(), lambda v: v.update(b=1), lambda v: v["about"].update(x="z")])
def test_what_was_changed_is_refused(tmp_path: Path, within: str, change: Any) -> None:
    values = json.loads(json.dumps(sealed(VALUES, within)))
    change(values)
    (tmp_path / "m.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"m\.json: was changed after it was written; evaluate again$"):
        read_sealed(tmp_path / "m.json", "metrics", within, step="evaluate again")


def test_a_file_of_an_earlier_version_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(VALUES))
    assert read_sealed(tmp_path / "m.json", "metrics", "about", step="evaluate again") == VALUES


@pytest.mark.parametrize(
    ("text", "message"), [("[]", "holds no JSON object but a list"), ('{"about": 3}', "about is no object"), ("{", "not JSON")]
)
def test_what_is_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(DataError, match=rf"m\.json.*{message}.*; evaluate again$"):
        read_sealed(tmp_path / "m.json", "metrics", "about", step="evaluate again")
