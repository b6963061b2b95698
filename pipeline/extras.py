"""The extras of the installation: the packages of each, the commands that need one, and the line to type where one is absent.

Nothing is imported here. A module of an extra's package is imported inside the function that needs it, after `need`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from cropcam.pipeline.errors import ConfigError

# of each extra in pyproject.toml: the module that is imported, and the package that has it
EXTRAS: Mapping[str, Mapping[str, str]] = {
    "cluster": {"distributed": "distributed"},
    "earthengine": {
        "ee": "earthengine-api",
        "geemap": "geemap",
        "googleapiclient": "google-api-python-client",
        "google.auth": "google-auth",
        "google.cloud.storage": "google-cloud-storage",
        "google_crc32c": "google-crc32c",
        "matplotlib": "matplotlib",
        "PIL": "pillow",
        "regex": "regex",
        "requests": "requests",
        "xstatic.pkg.leaflet": "xstatic-leaflet",
    },
    "export": {"onnx": "onnx", "onnxscript": "onnxscript", "onnxruntime": "onnxruntime"},
    "report": {"jinja2": "jinja2", "matplotlib": "matplotlib"},
    "tensorboard": {"tensorboard": "tensorboard"},
    "trees": {"lightgbm": "lightgbm"},
    "view": {"PIL": "pillow", "rio_tiler": "rio-tiler", "xstatic.pkg.leaflet": "xstatic-leaflet"},
}
# the commands that always need extras; options that need one ask for it where they are read
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "demo": ("earthengine", "report"),
    "emulate": ("earthengine",),
    "export": ("earthengine",),
    "tasks": ("earthengine",),
    "fetch": ("earthengine",),
    "preview": ("earthengine",),
    "compare": ("report",),
    "report": ("report",),
    "view": ("view",),
}
_MOST_NAMES = 4  # in a message


def need_of(command: str) -> None:
    """As `need`, of the extras of a command; nothing of a command of the core."""
    need(f"cropcam {command}", *COMMANDS.get(command, ()))


def need(what: str, *extras: str, instead: str = "") -> None:
    """Refuse, before any work, what needs an extra that is not installed.

    Args:
        what: the command or option.
        extras: names in EXTRAS.
        instead: what to do without it, as the end of the line.

    Raises:
        ConfigError: a package of an extra is absent.
    """
    if line := absence(what, *extras):
        raise ConfigError(f"{line}{instead and f', {instead}'}")


def absence(what: str, *extras: str) -> str:
    """One line about the packages of extras that are not installed, with what to type; empty where all are there."""
    absent = {extra: packages for extra in extras if (packages := missing(extra))}
    names = list(dict.fromkeys(package for packages in absent.values() for package in packages))
    if len(names) > _MOST_NAMES:
        names[_MOST_NAMES - 1 :] = [f"{len(names) - _MOST_NAMES + 1} packages more"]
    return f"{what} needs {' and '.join(names)}; install with: pip install 'cropcam[{','.join(absent)}]'" if absent else ""


def missing(extra: str) -> list[str]:
    """The packages of an extra that are not installed."""
    return [package for module, package in EXTRAS[extra].items() if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it is absent
        return False
