"""Changes of single keys of a study, as they are written on a command line: KEY=VALUE."""

from __future__ import annotations

import datetime
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.forms import FORMS
from cropcam.pipeline.study.source import CHANGED, Key
from cropcam.pipeline.toml_files import parse_toml

_QUOTED = ("'", '"', "[", "{")  # how a value begins that is no bare word
_TEXTS = ("study.name", "area.region", "area.crs", "labels.asset", "labels.mosaic", "splits.holdout", "splits.method")


def parse_changes(texts: Iterable[str]) -> dict[Key, Any]:
    """The values of KEY=VALUE, by their key; of a key that is there twice the last.

    A value is TOML. What is none is a text, as is any value of a key that takes texts alone: `study.name=2017`.

    Raises:
        ConfigError: no KEY=VALUE, a key that is not TOML or names a section, or a value that begins as TOML and is none.
    """
    found = {}
    for text in texts:
        key, is_given, value = text.partition("=")
        path = _path(key.strip() if is_given else "", text)
        found[path] = _value(".".join(path), value.strip())
    return found


def as_changes(changes: Iterable[str] | Mapping[str, Any]) -> dict[Key, Any]:
    """`parse_changes`, or values by their dotted key as they are.

    Raises:
        ConfigError: as `parse_changes`.
    """
    if isinstance(changes, Mapping):
        return {_path(key, key): value for key, value in changes.items()}
    return parse_changes(changes)


def changed_name(texts: Iterable[str]) -> str:
    """The name that changes give to a study; empty where they give none.

    Raises:
        ConfigError: as `parse_changes`.
    """
    return str(parse_changes(texts).get(("study", "name"), ""))


def _path(key: str, text: str) -> Key:
    try:
        level: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        level = {}
    path = []
    while isinstance(level, dict) and len(level) == 1:
        ((name, level),) = level.items()
        path.append(name)
    if level != 0:
        raise ConfigError(f"{CHANGED} {text[:60]!r}: write KEY=VALUE with a key of the study, such as area.scale_m=10")
    section = [name for name in FORMS if name.startswith(f"{path[0]}.")]
    if len(path) == 1 and section:
        raise ConfigError(f"{CHANGED} {path[0]}: is a section; set its keys, such as {section[0]}={FORMS[section[0]].example}")
    return tuple(path)


def _value(key: str, text: str) -> Any:  # noqa: ANN401 - TOML
    try:
        parsed = parse_toml(f"value = {text}", CHANGED, error=ConfigError)
    except ConfigError:
        if not text.startswith(_QUOTED):
            return text
        example = f"{key}={FORMS[key].example}" if key in FORMS else "KEY='[1, 2]'"
        raise ConfigError(
            f"{CHANGED} {key}: {text[:40]} is not TOML; inside lists and tables texts need quotes, and the shell needs some around all: "
            f"{CHANGED} {shlex.quote(example)}"
        ) from None
    value = parsed["value"]
    is_whole = len(parsed) == 1 and not isinstance(value, str | list | dict | datetime.time)
    return text if len(parsed) > 1 or (key in _TEXTS and is_whole) else value
