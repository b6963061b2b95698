"""Files that a study names, relative to it: polygons, the table of a sensor, a legend. Their content becomes part of the study."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from cropcam.pipeline.code_table import to_rows
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend_sources import from_csv
from cropcam.pipeline.legend_sources import packaged_names as packaged_legends
from cropcam.pipeline.sensor import packaged_names as packaged_sensors
from cropcam.pipeline.sensor import parse as parse_sensor
from cropcam.pipeline.study.polygons import read_polygons
from cropcam.pipeline.text_files import read_text
from cropcam.pipeline.toml_files import read_toml


def put_in_files(values: dict[str, Any], study: str) -> None:
    """Replace the names of files in a study's parsed TOML by their content, so that the study's digest covers it.

    Args:
        values: changed in place.
        study: path of the study file, for relative paths and messages.

    Raises:
        ConfigError: no such file, or not what the key takes.
    """
    for section, key in (("area", "region"), ("splits", "holdout")):
        named = _text(values, section, key)
        if named and not named.lstrip().startswith("{"):  # GeoJSON text otherwise
            values[section][key] = read_polygons(Path(study).parent / named, f"{study}: {section}.{key}")
    _put_in(values, study, ("image", "sensor"), (".toml", packaged_sensors()), read_sensor)
    _put_in(values, study, ("labels", "legend"), (".csv", packaged_legends()), read_legend)


def read_legend(path: Path, key: str) -> list[list[Any]]:
    """The rows of a CSV file that a study names under `key`.

    Raises:
        ConfigError: no such file, or no legend; names the line.
    """
    step = f"give a CSV of code, name and color in UTF-8, or one of {', '.join(packaged_legends())}"
    try:
        text = read_text(path, "a legend", error=ConfigError, step=step)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    return to_rows(from_csv(text, f"{key}: {path}"))


def read_sensor(path: Path, key: str) -> dict[str, Any]:
    """The table of a sensor's TOML file that a study names under `key`.

    Raises:
        ConfigError: no such file, or no sensor; names the first wrong key.
    """
    step = f"give the table of a sensor (TOML, UTF-8), or one of {', '.join(packaged_sensors())}"
    try:
        values = read_toml(path, "a sensor", error=ConfigError, step=step)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    parse_sensor(values, f"{key}: {path}")
    return values


def _put_in(
    values: dict[str, Any], study: str, place: tuple[str, str], names: tuple[str, Collection[str]], read: Callable[[Path, str], Any]
) -> None:
    """The content of a file in place of its name, unless the name is a packaged one."""
    (section, key), (suffix, packaged) = place, names
    named = _text(values, section, key)
    path = Path(study).parent / named
    if named and named not in packaged and (path.suffix.lower() == suffix or path.is_file()):
        values[section][key] = read(path, f"{study}: {section}.{key}")


def _text(values: dict[str, Any], section: str, key: str) -> str:
    """A text of a study not yet checked; empty for anything else."""
    keys = values.get(section)
    named = keys.get(key) if isinstance(keys, dict) else None
    return named if isinstance(named, str) else ""
