"""Networks by name: the built-in ones, those of installed packages, and any class as package.module:Class.

An installed package offers a network as an entry point of the group `cropcam.networks`. A built-in name wins.
"""

from __future__ import annotations

import importlib
import traceback
from importlib.metadata import EntryPoint, entry_points, packages_distributions, version
from types import ModuleType
from typing import Any

from cropcam.model.networks.base import Network
from cropcam.model.networks.baseline import Baseline
from cropcam.model.networks.contract import PAGE, check_parts, one_line
from cropcam.model.networks.declared_options import parse_options
from cropcam.model.networks.fcn import FCN
from cropcam.model.networks.fcn_time import FCNTime
from cropcam.model.networks.linear import Linear
from cropcam.model.networks.resnet50 import ResNet50
from cropcam.model.networks.trees import Trees
from cropcam.model.networks.unet import UNet
from cropcam.model.options import GROUP
from cropcam.pipeline.errors import ConfigError

NETWORKS: dict[str, type[Network]] = {
    "baseline": Baseline,
    "resnet50": ResNet50,
    "unet": UNet,
    "fcn": FCN,
    "fcn-time": FCNTime,
    "linear": Linear,
    "trees": Trees,
}


def build(name: str, bands: int, classes: int, options: str = "", *, package: str = "") -> Network:
    """A new network by name, with `options` NAME=VALUE,... for its constructor; `package` as of `network_class`.

    Raises:
        ConfigError: as of `network_class`; an option is not declared; the constructor raises; `dense` or `stride` is not as required.
    """
    kind = network_class(name, package)
    arguments = parse_options(kind, options, name)
    try:
        network = kind(bands, classes, **arguments)
    except ConfigError:
        raise
    except Exception as error:
        call = f"{kind.__name__}({', '.join([str(bands), str(classes), *(f'{key}={value!r}' for key, value in arguments.items())])})"
        raise ConfigError(
            f"network {name}: {call} raised {one_line(error)}; it has to take bands and classes, then keywords with defaults ({PAGE})"
        ) from error
    check_parts(network, name, classes)
    return network


def network_class(name: str, package: str = "") -> type[Network]:
    """The class of a network by its name or as package.module:Class. Only a class that is not built in is imported.

    `package` is the package it was imported from before, as NAME==VERSION, for the error where it is missing.

    Raises:
        ConfigError: no such name, module or class; several packages have the name; importing raises; the class is no `Network`.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if ":" in name:
        return _imported(name, f"network {name}", package)
    entries = entry_points(group=GROUP, name=name)
    if not entries:
        known = ", ".join([*NETWORKS, *sorted(entry_points(group=GROUP).names - NETWORKS.keys())])
        install = f"; it was of {package}: pip install {package}" if package else "; or name a class as package.module:Class"
        raise ConfigError(f"no network {name!r}; known: {known}{install}")
    values = sorted({entry.value for entry in entries})
    owners = " and ".join(sorted({_owner(entry) for entry in entries}))
    if len(values) > 1:
        raise ConfigError(f"network {name!r} is of {owners}; name one of the classes: --model {' or '.join(values)}")
    return _imported(values[0], f"network {name!r} of {owners} ({values[0]})", package)


def package_of(name: str) -> str:
    """The package that a network is of, as NAME==VERSION; empty for a built-in one and where no installed package has its module."""
    if name in NETWORKS:
        return ""
    if ":" not in name:
        return next((f"{entry.dist.name}=={entry.dist.version}" for entry in entry_points(group=GROUP, name=name) if entry.dist), "")
    owners = sorted(set(packages_distributions().get(name.partition(":")[0].partition(".")[0], [])))
    return f"{owners[0]}=={version(owners[0])}" if len(owners) == 1 else ""


def _owner(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def _imported(value: str, where: str, package: str) -> type[Network]:
    module_name, _, class_name = value.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *class_name.split("."))):
        raise ConfigError(f"{where}: name a class as package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # code that is not ours: whatever it raises becomes one line; --debug shows where
        raise ConfigError(f"{where}: {_import_fault(error, module_name, package)}") from error
    found: Any = module
    for part in class_name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise ConfigError(f"{where}: the module {module_name} has no {class_name}; its networks: {_networks_in(module)}")
    if not (isinstance(found, type) and issubclass(found, Network)):
        raise ConfigError(f"{where}: {class_name} is not a subclass of cropcam.model.networks.Network ({PAGE})")
    return found


def _networks_in(module: ModuleType) -> str:
    found = [
        name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, Network) and value is not Network
    ]
    return ", ".join(found) or "none"


def _import_fault(error: BaseException, module_name: str, package: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}."):
        install = f"pip install {package}" if package else "install the package that has it"
        return f"there is no module {error.name!r}; {install}, or put its folder on PYTHONPATH"
    ours = (__file__, importlib.__file__)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in ours and not frame.filename.startswith("<")
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"importing {module_name} raised {one_line(error)}{place}; mend, update or uninstall the package"
