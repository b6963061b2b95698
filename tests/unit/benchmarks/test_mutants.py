"""Which tests belong to a module."""

from __future__ import annotations

import pytest

from benchmarks.mutants import ROOMS, ROOT, unit_tests


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_of_the_rooms_has_its_tests(room: str) -> None:
    modules = sorted((ROOT / room).glob("*.py")) if (ROOT / room).is_dir() else [ROOT / room]
    assert modules
    for path in modules:
        own, package = unit_tests(path.relative_to(ROOT).as_posix())
        assert path.name == "__init__.py" or (ROOT / own).is_file(), own
        assert (ROOT / package).is_dir()
