"""Where a study comes from: a TOML file or a preset, what it extends, and changes of single keys; merged, with the place of each key."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.presets import names as presets
from cropcam.pipeline.suggestions import nearest
from cropcam.pipeline.text_files import read_text
from cropcam.pipeline.toml_files import parse_toml
from cropcam.pipeline.toml_lines import key_lines

EXTENDS = "extends"
CHANGED = "--set"
Key = tuple[str, ...]


class Layer(NamedTuple):
    """Values that stand in one place: a file or a preset.

    Attributes:
        name: of the file or preset, or `CHANGED` for what stands in neither.
        folder: to which the names of files in it are relative.
        values: parsed TOML, without `extends`.
        lines: of its keys.
    """

    name: str
    folder: Path
    values: Mapping[str, Any]
    lines: Mapping[Key, int]


class Source(NamedTuple):
    """A study's file or preset, then what it extends; and values of single keys that count more than all of them."""

    layers: tuple[Layer, ...]
    changes: Mapping[Key, Any]

    @property
    def name(self) -> str:
        """Of the file or preset."""
        return self.layers[0].name

    def merged(self) -> dict[str, Any]:
        """The values of all layers: tables are merged key by key, anything else replaces what it extends. Then the changes.

        A class that is inherited and then has no codes, `corn = []`, is left out.

        Raises:
            ConfigError: a change is of a key in what is no table.
        """
        values: dict[str, Any] = {}
        for layer in reversed(self.layers):
            values = merge(values, layer.values)
        for (*above, name), value in self.changes.items():
            level = values
            for part in above:
                level = level.setdefault(part, {})
                if not isinstance(level, dict):
                    raise ConfigError(f"{CHANGED} {'.'.join([*above, name])}: {part} is {str(level)[:40]!r}, no table; set it whole")
            level[name] = copy.deepcopy(value)
        if isinstance(classes := values.get("classes"), dict):
            inherited = {name for layer in self.layers for name, codes in _classes(layer).items() if codes}
            values["classes"] = {name: codes for name, codes in classes.items() if codes or name not in inherited}
        return values

    def layer_of(self, key: Sequence[str | int]) -> Layer:
        """The layer in which the value of a key stands, else the nearest key above it; of one that stands nowhere, the study's own file."""
        if any(tuple(key[: len(changed)]) == changed for changed in self.changes):
            return Layer(CHANGED, Path(), {}, {})
        depths = [_depth(layer.values, key) for layer in self.layers]
        if not max(depths) and any(changed[:1] == tuple(key[:1]) for changed in self.changes):
            return Layer(CHANGED, Path(), {}, {})
        return self.layers[depths.index(max(depths))]

    def place(self, key: Sequence[str | int]) -> tuple[str, int]:
        """The name of a key's layer, and the line of the nearest key above it there; 0 where it has none."""
        layer, named = self.layer_of(key), tuple(part for part in key if isinstance(part, str))
        return layer.name, next((line for end in range(len(named), 0, -1) if (line := layer.lines.get(named[:end]))), 0)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two levels of tables as one: tables key by key, other values are those of `over`. Keys of `base` come first.

    >>> merge({"a": {"x": 1, "y": [1, 2]}}, {"a": {"y": [3]}, "b": 4})
    {'a': {'x': 1, 'y': [3]}, 'b': 4}
    """
    values = {name: copy.deepcopy(value) for name, value in base.items()}
    for name, value in over.items():
        is_table = isinstance(values.get(name), dict) and isinstance(value, Mapping)
        values[name] = merge(values[name], value) if is_table else copy.deepcopy(value)
    return values


def read_source(name_or_path: str, changes: Mapping[Key, Any] | None = None) -> Source:
    """The preset of that name, else the TOML file, with everything that it extends, and with changes.

    Args:
        name_or_path: of the study.
        changes: values by their key; the names of files in them are relative to the working directory.

    Raises:
        ConfigError: a study or one that it extends does not exist, is no TOML, or extends itself.
    """
    layers, seen = list[Layer](), list[str]()
    named, folder = name_or_path, Path()
    while True:
        is_preset = named in presets()
        path = named if is_preset else str(folder / named)
        if not is_preset and not os.path.lexists(path):
            raise ConfigError(_missing(named, path, layers[-1] if layers else None))
        if (identity := named if is_preset else os.path.realpath(path)) in seen:
            chain = ", which extends ".join([*(layer.name for layer in layers[seen.index(identity) :]), path])
            raise ConfigError(f"{chain}: a circle; leave out one {EXTENDS}")
        seen.append(identity)
        layer, base = _layer(path, is_preset=is_preset)
        layers.append(layer)
        if base is None:
            break
        named, folder = base, layer.folder
    return Source(tuple(layers), changes or {})


def _layer(path: str, *, is_preset: bool) -> tuple[Layer, str | None]:
    """A file or preset, and what it extends."""
    if is_preset:
        text = resources.files("cropcam.pipeline.presets").joinpath(f"{path}.toml").read_text("utf-8")
    else:
        text = read_text(path, "a TOML study file", error=ConfigError)
    values = parse_toml(text, path, error=ConfigError)
    layer = Layer(path, Path(path).parent, values, key_lines(text))
    base = values.pop(EXTENDS, None)
    if base is not None and not (isinstance(base, str) and base.strip()):
        line = layer.lines.get((EXTENDS,), 1)
        raise ConfigError(f"{path}, line {line}: {EXTENDS}: {str(base)[:40]!r} is no study; name a preset or a TOML file, in quotes")
    return layer, base


def _missing(named: str, path: str, extended_by: Layer | None) -> str:
    near = nearest(named, presets())
    hint = f"; did you mean {near}?" if near else ""
    if extended_by is None:
        return f"no study {named!r}: neither a TOML file nor a preset ({', '.join(presets())}){hint}"
    line = extended_by.lines.get((EXTENDS,), 1)
    known = f"neither the TOML file {path} nor a preset ({', '.join(presets())})"
    return f"{extended_by.name}, line {line}: {EXTENDS}: no study {named!r}: {known}{hint}"


def _classes(layer: Layer) -> Mapping[str, Any]:
    found = layer.values.get("classes")
    return found if isinstance(found, dict) else {}


def _depth(values: Any, key: Sequence[str | int]) -> int:  # noqa: ANN401 - parsed TOML
    """How many parts of a key are there."""
    for depth, part in enumerate(key):
        if not (isinstance(values, Mapping) and part in values):
            return depth
        values = values[part]
    return len(key)
