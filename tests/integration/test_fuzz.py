"""A few changed inputs of each kind, always the same; `make fuzz` tries many, in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz import fixture
from fuzz.kinds import KINDS, way_of
from fuzz.trial import here

AWAY = {"archive", "manifest"}  # their fixture takes minutes of a busy machine
COSTLY = {"compare", "report", "train"}
EACH = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # back to where it was, at the end
        fixture.make(folder, away=False)
        yield folder


def _numbers(kind: str) -> list[int]:
    """The first inputs whose command is quick and needs nothing of another place."""
    found = [
        number for number in range(200) if not COSTLY & {*(way := way_of(kind, number)).argv} and not {"arch", "other.zarr"} & {*way.items}
    ]
    return found[:EACH]


@pytest.mark.parametrize(("kind", "number"), [(kind, number) for kind in KINDS if kind not in AWAY for number in _numbers(kind)])
def test_a_changed_input_is_refused_in_one_line_or_read(made: Path, tmp_path: Path, kind: str, number: int) -> None:
    trial = here(made, tmp_path / "work", kind, number)
    assert not trial.fault, f"{kind} {number}: {trial.case.file} changed; cropcam {' '.join(trial.case.way.argv)}: {trial.last_line}"
