"""The errors that a user can act on, and their exit codes."""

from __future__ import annotations

import pytest

from cropcam.pipeline import errors


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (errors.CropcamError, 1),
        (errors.ConfigError, 2),
        (errors.DataError, 3),
        (errors.WorkStoppedError, 3),
        (errors.EarthEngineError, 4),
    ],
)
def test_each_error_has_the_exit_code_of_the_command_surface(kind: type[errors.CropcamError], exit_code: int) -> None:
    assert kind("x").exit_code == exit_code
    with pytest.raises(errors.CropcamError, match=r"^what, where, next step$"):
        raise kind("what, where, next step")


def test_every_error_of_the_module_is_one_a_command_reports() -> None:
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception) and not issubclass(value, Warning)
    ]
    assert len(found) == 5
    assert all(issubclass(kind, errors.CropcamError) for kind in found)
    assert not issubclass(errors.ConfigError, errors.DataError)


def test_problems_are_lines_below_a_heading_and_one_line_as_text() -> None:
    assert errors.DataError("x").lines == ("x",)
    assert errors.ConfigError("x").lines == ("x",)
    several = errors.ConfigError("s.toml: 2 problems", ["line 1: a", "line 2: b"])
    assert several.lines == ("s.toml: 2 problems", "line 1: a", "line 2: b")
    assert str(several) == "s.toml: 2 problems: line 1: a; line 2: b"
