"""What a user says every day, said once: in `cropcam.toml`, or in environment variables. An option comes before a variable, that before the file.

The file is that of `--config FILE` or `CROPCAM_CONFIG`, else the first `cropcam.toml` in the working folder or one above it, as far as the home
folder. Its keys are the names below; paths in it are relative to its folder. A command ignores the settings that it has no option for.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.suggestions import nearest

FILE = "cropcam.toml"
CONFIG_VARIABLE = "CROPCAM_CONFIG"
_ENDPOINTS = ("api_url", "archive")  # each names an endpoint: one of them holds


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give a text")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).strip().isdecimal() or int(value) < 1:
        raise ValueError("give a whole number above 0")
    return int(value)


def _device(value: object) -> str:
    if value not in DEVICES:
        raise ValueError(f"give one of {', '.join(DEVICES)}")
    return str(value)


def _path(value: object) -> Path:
    return Path(_text(value))


DEVICES = ("auto", "cpu", "cuda")
SETTINGS: Mapping[str, Callable[[object], Any]] = {
    "project": _text,
    "api_url": _text,
    "archive": _path,
    "device": _device,
    "workers": _whole,
    "log_file": _path,
}


def variable(name: str) -> str:
    """The environment variable of a setting.

    >>> variable("api_url")
    'CROPCAM_API_URL'
    """
    return f"CROPCAM_{name.upper()}"


@dataclass(frozen=True)
class Setting:
    """A value, and where it stands: in words, and whether that is a variable."""

    value: Any
    source: str
    is_variable: bool


@dataclass(frozen=True)
class _Unset:
    """Stands for an option that was not passed; `str` gives its default, for --help."""

    default: Any

    def __str__(self) -> str:
        return str(self.default)


def user_settings(
    environment: Mapping[str, str], folder: Path, config: str | None = None, *, home: Path | None = None
) -> dict[str, Setting]:
    """The settings of the environment and of the file, by name.

    Args:
        environment: variables; empty ones count as not set.
        folder: where the search for the file begins.
        config: the file, instead of a search.
        home: the last folder that is searched where `folder` lies in it; else all up to the root are.

    Raises:
        ConfigError: no such file, no TOML, an unknown key (the nearest known one is named), a value that cannot be, or a file of another user.
    """
    named = config or environment.get(CONFIG_VARIABLE) or None
    path = Path(named) if named else find_file(folder, home)
    found = _of_file(path) if path else {}
    for name, check in SETTINGS.items():
        if (text := environment.get(variable(name), "")).strip():
            try:
                found[name] = Setting(check(text), f"the variable {variable(name)}", is_variable=True)
            except ValueError as problem:
                raise ConfigError(f"{variable(name)}={text}: {problem}, or unset the variable") from None
    return found


def find_file(folder: Path, home: Path | None = None) -> Path | None:
    """The first `cropcam.toml` in a folder or one above it; None without one.

    Raises:
        ConfigError: it belongs to another user, who would choose the endpoint of this one's requests.
    """
    folder = folder.absolute()
    for each in (folder, *folder.parents):
        path = each / FILE
        if path.is_file():
            owner = path.stat().st_uid
            if hasattr(os, "getuid") and owner not in (os.getuid(), 0):
                raise ConfigError(f"{path}: belongs to another user; to use it all the same, give --config {path}, or move it away")
            return path
        if each == home:
            break
    return None


def _of_file(path: Path) -> dict[str, Setting]:
    from cropcam.pipeline.text_files import read_text  # noqa: PLC0415 - most calls have no file
    from cropcam.pipeline.toml_files import parse_toml  # noqa: PLC0415
    from cropcam.pipeline.toml_lines import key_lines  # noqa: PLC0415

    text = read_text(path, "a file of settings", error=ConfigError, step=f"name a {FILE} with --config, or leave the option out")
    values, lines = parse_toml(text, str(path), error=ConfigError), key_lines(text)
    found = {}
    for key, value in values.items():
        where = f"{path}, line {lines.get((key,), 1)}"
        if key not in SETTINGS:
            near = nearest(key, SETTINGS)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(SETTINGS)}"
            raise ConfigError(f"{where}: unknown key {key}; {hint}")
        try:
            checked = SETTINGS[key](value)
        except ValueError as problem:
            raise ConfigError(f"{where}: {key} = {value!r} is not possible; {problem}") from None
        if isinstance(checked, Path):
            checked = path.absolute().parent / checked.expanduser()
        found[key] = Setting(checked, where, is_variable=False)
    return found


def leave_open(parsers: Iterable[argparse.ArgumentParser], names: Iterable[str]) -> None:
    """Let parsers mark the options of settings that were not passed; those of `names`, which have a value, are required no longer."""
    settled = set(names)
    for parser in parsers:
        for action in parser._actions:
            if action.dest in SETTINGS and action.option_strings and action.default != argparse.SUPPRESS:
                action.default = _Unset(action.default)
                action.required = action.required and action.dest not in settled


def settle(args: argparse.Namespace, settings: Mapping[str, Setting]) -> list[str]:
    """Give the options that were not passed the values of settings, else their defaults; a line about each setting that was used.

    Raises:
        ConfigError: both an archive and an endpoint are set at one place.
    """
    values = vars(args)
    used = {name: settings[name] for name, value in values.items() if isinstance(value, _Unset) and name in settings}
    if "archive" in values and "api_url" in values:
        used = _one_endpoint(values, used)
    for name, value in values.items():
        if isinstance(value, _Unset):
            setattr(args, name, used[name].value if name in used else value.default)
    return [f"{name} = {each.value} ({each.source})" for name, each in used.items()]


def _one_endpoint(values: Mapping[str, Any], used: dict[str, Setting]) -> dict[str, Setting]:
    """The settings without an endpoint that another one, passed or nearer, replaces."""
    both = [name for name in _ENDPOINTS if name in used]
    if any(values[name] is not None and not isinstance(values[name], _Unset) for name in _ENDPOINTS):
        dropped: Sequence[str] = both
    elif len(both) == 2 and used["archive"].is_variable != used["api_url"].is_variable:
        dropped = [name for name in both if not used[name].is_variable]
    elif len(both) == 2:
        where = " and ".join(used[name].source for name in both)
        raise ConfigError(f"{where}: api_url and archive both name an endpoint; set one of them")
    else:
        dropped = []
    return {name: setting for name, setting in used.items() if name not in dropped}
