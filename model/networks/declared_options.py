"""What a network that is not built in declares: options of its constructor, and defaults of training settings."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from cropcam.model.networks.base import Network
from cropcam.model.options import OptimizerOptions, Settings
from cropcam.pipeline.errors import ConfigError

Value = bool | int | float | str
_KINDS = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a text"}
_WITH_DEFAULTS = (
    *(item.name for item in fields(OptimizerOptions)),
    "batch_size",
    "rot90",
    "precision",
    "channels_last",
    "pseudo_label_weight",
)


def options_of(kind: type[Network]) -> dict[str, Value]:
    """The options of a network with their defaults: keyword-only parameters of the constructor; a default is bool, int, float or str without comma."""
    parameters = inspect.signature(kind).parameters.values()
    declared = {item.name: item.default for item in parameters if item.kind is item.KEYWORD_ONLY}
    return {name: value for name, value in declared.items() if type(value) in _KINDS and "," not in str(value)}


def parse_options(kind: type[Network], text: str, network: str) -> dict[str, Value]:
    """The options in NAME=VALUE,... by name, each of its default's type; those that are not named are left out. Nothing is evaluated.

    Raises:
        ConfigError: an option is not declared, named twice or of another type.
    """
    declared, values = options_of(kind), dict[str, Value]()
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, equals, value = (part.strip() for part in item.partition("="))
        if name not in declared:
            known = ", ".join(f"{key}={_text(default)}" for key, default in declared.items()) or "none"
            raise ConfigError(
                f"--model-options {item}: the network {network} has no option {name!r}{near(name, declared)}; its options: {known}"
            )
        parsed = _parsed(value, type(declared[name])) if equals else None
        if parsed is None or name in values:
            problem = "is there twice" if name in values else f"must be {name}= and {_KINDS[type(declared[name])]}"
            raise ConfigError(f"--model-options {item}: the option {name} of the network {network} {problem}")
        values[name] = parsed
    return values


def complete_options(kind: type[Network], text: str, network: str, of_store: Mapping[str, Value] | None = None) -> str:
    """All options of a network as NAME=VALUE,..., in the order of their declaration; those that `text` does not name have their defaults.

    `of_store` are values that follow from the store, for the options of that name which the network declares.

    Raises:
        ConfigError: as of `parse_options`; `text` names another value than the store's.
    """
    declared, passed = options_of(kind), parse_options(kind, text, network)
    known = {name: value for name, value in (of_store or {}).items() if name in declared}
    for name, value in known.items():
        if passed.get(name, value) != value:
            raise ConfigError(
                f"--model-options {name}={_text(passed[name])}: the option {name} of the network {network} follows from the store, "
                f"which has {_text(value)}; leave it out"
            )
    return ",".join(f"{name}={_text(value)}" for name, value in {**declared, **passed, **known}.items())


def training_defaults(kind: type[Network], network: str) -> dict[str, Any]:
    """The training settings that a network declares as its defaults.

    Raises:
        ConfigError: one is unknown or out of range.
    """
    values = dict(kind.defaults)
    for name in values:
        if name not in _WITH_DEFAULTS:
            raise ConfigError(
                f"network {network}: its `defaults` name {name!r}, which is not a setting that a network can set"
                f"{near(name, _WITH_DEFAULTS)}; possible: {', '.join(_WITH_DEFAULTS)}"
            )
    try:
        Settings(**values)
    except (ConfigError, TypeError) as error:
        raise ConfigError(f"network {network}: its `defaults` are not valid: {error}") from error
    return values


def near(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest known name; empty where none is near.

    >>> near("widht", ["width", "depth"]), near("x", ["width"])
    (" (is it 'width'?)", '')
    """
    found = difflib.get_close_matches(name, list(known), 1, cutoff=0.5)
    return f" (is it {found[0]!r}?)" if found else ""


def _parsed(text: str, kind: type) -> Value | None:
    if kind is str:
        return text
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower())
    try:
        value: int | float = kind(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
