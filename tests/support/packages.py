"""Installed packages for tests: a module beside a dist-info folder with entry points, as pip leaves them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

SMALL = """
from torch import nn
from cropcam.model.networks import Network

class Small(Network):
    stride = 2

    def __init__(self, bands, classes, *, width: int = 4, name: str = "plain", slope: float = 0.5, wide: bool = False):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(bands, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.dense = nn.Linear(width, classes)
"""


def install(patch: pytest.MonkeyPatch, folder: Path, module: str, code: str = SMALL, networks: Mapping[str, str] | None = None) -> Path:
    """Write MODULE.py and the package `MODULE-nets` 1.2 with these entry points of `cropcam.networks`; importable until the test ends."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}_nets-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}-nets\nVersion: 1.2\n")
    (info / "RECORD").write_text(f"{module}.py,,\n{info.name}/METADATA,,\n")
    entries = "".join(f"{name} = {value}\n" for name, value in (networks or {}).items())
    (info / "entry_points.txt").write_text(f"[cropcam.networks]\n{entries}")
    patch.syspath_prepend(folder)
    forget(patch, module)
    return folder


def forget(patch: pytest.MonkeyPatch, module: str) -> None:
    """Let the next import of a module read its file, and let nothing of it stay when the test ends."""
    patch.setitem(sys.modules, module, ModuleType(module))  # so monkeypatch restores what was there before: nothing
    del sys.modules[module]
