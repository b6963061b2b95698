"""An installation without extras, on top of a whole one: what the core does not bring is not found.

python -m support.bare < COMMANDS.json    a list of command lines; their outcomes as JSON
"""

from __future__ import annotations

import io
import json
import sys
import tomllib
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def project() -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]  # type: ignore[no-any-return]


def brought(requirements: Iterable[str]) -> set[str]:
    """The installed packages that these requirements bring, themselves included, by their normal names."""
    found: set[str] = set()
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        key = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if key in done:
            continue
        done.add(key)
        try:
            needs = map(Requirement, distribution(wanted.name).requires or ())
        except PackageNotFoundError:  # of another system
            continue
        found.add(key[0])
        waiting += [
            need for need in needs if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (*wanted.extras, ""))
        ]
    return found


class Without:
    """A finder of modules and packages without some of them."""

    def __init__(self, finder: Any, modules: frozenset[str], packages: frozenset[str]) -> None:
        self._finder, self._modules, self._packages = finder, modules, packages

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """As of the finder."""
        return None if name.partition(".")[0] in self._modules else self._finder.find_spec(name, path, target)

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterable[Distribution]:
        """As of the finder."""
        find = getattr(self._finder, "find_distributions", None)
        found = find(context or DistributionFinder.Context()) if find else ()
        return (item for item in found if canonicalize_name(item.metadata["Name"]) not in self._packages)


def hide_extras() -> None:
    """Hide, for the rest of this process, every package that the core does not need, in whole or in part."""
    with suppress(ImportError):
        import importlib_metadata  # noqa: F401 - dask does on an older Python: it puts in a finder of packages of its own
    core = brought(project()["dependencies"])
    owners = {module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()}
    keep = core | {"cropcam", "packaging"}
    modules = frozenset(module for module, names in owners.items() if not names & keep)
    packages = frozenset(name for names in owners.values() for name in names if name not in keep)
    sys.meta_path[:] = [Without(finder, modules, packages) for finder in sys.meta_path]
    for name in [name for name in sys.modules if name.partition(".")[0] in modules]:
        del sys.modules[name]


def main() -> None:
    """Run the command lines of stdin, one after the other."""
    commands = json.load(sys.stdin)
    hide_extras()
    from cropcam.cli import main as cropcam

    outcomes = []
    for words in commands:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = cropcam(words)
        outcomes.append({"words": words, "code": code, "out": out.getvalue(), "err": err.getvalue()})
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
