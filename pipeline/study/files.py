"""Files that a study names, relative to it: polygons, the table of a sensor, a legend. Their content becomes part of the study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cropcam.pipeline.code_table import to_rows
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend_sources import from_csv
from cropcam.pipeline.legend_sources import packaged_names as packaged_legends
from cropcam.pipeline.sensor import packaged_names as packaged_sensors
from cropcam.pipeline.sensor import parse as parse_sensor
from cropcam.pipeline.study.polygons import read_polygons
from cropcam.pipeline.study.problems import Problem
from cropcam.pipeline.text_files import read_text
from cropcam.pipeline.toml_files import read_toml


def put_in_files(values: dict[str, Any], folder_of: Callable[[tuple[str, str]], Path]) -> list[Problem]:
    """Replace the names of files in a study's parsed TOML by their content, so that the study's digest covers it.

    Args:
        values: changed in place.
        folder_of: the folder to which the name under a key is relative.

    Returns:
        A problem for each file that is not there, or not what the key takes; its name stays.
    """
    problems = []
    for place in (("area", "region"), ("splits", "holdout"), ("image", "sensor"), ("labels", "legend")):
        named, dotted = _text(values, *place), ".".join(place)
        if not named:
            continue
        try:
            if (content := _content(place, folder_of(place) / named, named)) is not None:
                values[place[0]][place[1]] = content
        except ConfigError as error:
            problems.append(Problem(place, str(error) if str(error).startswith(dotted) else f"{dotted}: {error}"))
    return problems


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


def _content(place: tuple[str, str], path: Path, named: str) -> Any:  # noqa: ANN401 - of any of the keys
    """What the file holds; None where the name is no file's."""
    key = ".".join(place)
    if place[0] in ("area", "splits"):
        return None if named.lstrip().startswith("{") else read_polygons(path, key)  # GeoJSON text
    read: Callable[[Path, str], Any]
    suffix, packaged, read = (
        (".toml", packaged_sensors(), read_sensor) if key == "image.sensor" else (".csv", packaged_legends(), read_legend)
    )
    is_file = named not in packaged and (path.suffix.lower() == suffix or path.is_file())
    return read(path, key) if is_file else None


def _text(values: dict[str, Any], section: str, key: str) -> str:
    """A text of a study not yet checked; empty for anything else."""
    keys = values.get(section)
    named = keys.get(key) if isinstance(keys, dict) else None
    return named if isinstance(named, str) else ""
