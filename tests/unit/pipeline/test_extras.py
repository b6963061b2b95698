from __future__ import annotations

import importlib
import sys

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.extras import COMMANDS, EXTRAS, absence, missing, need, need_of


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No jinja2, no matplotlib, and nothing below google.cloud."""
    for name in ("jinja2", "matplotlib", "google.cloud"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith("google.cloud.")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("module", sorted({module for packages in EXTRAS.values() for module in packages}))
def test_the_modules_are_those_of_the_packages(module: str) -> None:
    assert importlib.util.find_spec(module)
    packages = {packages[module] for packages in EXTRAS.values() if module in packages}
    assert len(packages) == 1
    importlib.metadata.version(*packages)


def test_a_whole_installation_lacks_nothing() -> None:
    assert [missing(extra) for extra in EXTRAS] == [[]] * len(EXTRAS)
    assert absence("all", *EXTRAS) == ""
    for command in (*COMMANDS, "train"):
        need_of(command)


def test_many_packages_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ee", "geemap", "googleapiclient", "PIL", "regex", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
    names = "earthengine-api and geemap and google-api-python-client and 3 packages more"
    assert absence("it", "earthengine", "report") == f"it needs {names}; install with: pip install 'cropcam[earthengine,report]'"


@pytest.mark.usefixtures("bare")
def test_the_line_has_the_packages_and_the_extras() -> None:
    assert missing("report") == ["jinja2", "matplotlib"]
    assert missing("earthengine") == ["google-cloud-storage", "matplotlib"]
    match = (
        r"^cropcam demo needs google-cloud-storage and matplotlib and jinja2; install with: pip install 'cropcam\[earthengine,report\]'$"
    )
    with pytest.raises(ConfigError, match=match):
        need_of("demo")
    need_of("train")
    need("--model trees", "trees")
    assert absence("all", "report", "earthengine").startswith("all needs jinja2 and matplotlib and google-cloud-storage; install")
    with pytest.raises(ConfigError, match=r"^a page needs jinja2 and matplotlib; .*'cropcam\[report\]', or go without$"):
        need("a page", "report", "trees", instead="or go without")
