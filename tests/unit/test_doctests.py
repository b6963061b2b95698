"""The examples in docstrings, run module by module."""

from __future__ import annotations

import doctest
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import cropcam.model
import cropcam.pipeline


def modules(path: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Name and file of each module of a package; nothing is imported."""
    yield name, path / "__init__.py"
    for module in pkgutil.iter_modules([str(path)], f"{name}."):
        leaf = module.name.rpartition(".")[2]
        yield from modules(path / leaf, module.name) if module.ispkg else [(module.name, path / f"{leaf}.py")]


def examples() -> dict[str, int]:
    """How many examples each module has, where it has any."""
    planes = [(Path(plane.__path__[0]), plane.__name__) for plane in (cropcam.pipeline, cropcam.model)]
    files = [found for path, name in planes for found in modules(path, name)]
    counts = {name: len(re.findall(r"^ *>>> ", file.read_text("utf-8"), re.MULTILINE)) for name, file in files}
    return {name: count for name, count in counts.items() if count}


EXAMPLES = examples()


def test_both_planes_have_examples() -> None:
    assert {name.split(".")[1] for name in EXAMPLES} == {"model", "pipeline"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.failed == 0
    assert result.attempted == EXAMPLES[name] > 0
