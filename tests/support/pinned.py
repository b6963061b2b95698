"""Constants pinned by literals: measured, published or agreed values, which tests elsewhere import.

Another value needs its reason, and changes stores, runs, maps or figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import pytest


def pinned(package: str, values: Mapping[str, Any]) -> Callable[[str], None]:
    """A test, to be bound to a name in a module of tests, that each "MODULE.CONSTANT" of a package has the value given here."""

    @pytest.mark.parametrize("name", values)
    def test(name: str) -> None:
        module, _, constant = name.partition(".")
        assert getattr(import_module(f"{package}.{module}"), constant) == values[name]

    return test
