"""The study: area, period, sensor, labels, patches and splits in one frozen, validated configuration.

A study is a TOML file or the name of a preset. Unknown keys are refused with the nearest known key.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import types
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from typing import Any, get_args

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from cropcam.pipeline.code_table import DEFAULT, CodeTable
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PatchGrid, PixelGrid, study_grid
from cropcam.pipeline.legend import BACKGROUND, Legend, class_colors, parse_codes
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.runtime.hashing import json_sha256
from cropcam.pipeline.study.files import put_in_files
from cropcam.pipeline.study.image import Image
from cropcam.pipeline.study.section import Section
from cropcam.pipeline.study.sections import About, Area, Labels, Patches, Splits
from cropcam.pipeline.toml_files import parse_toml, read_toml

# left out at their defaults, so that studies from before them keep their digests
_LATER_KEYS = {
    "labels": ("legend", "band", "nodata", "filter", "dates", "mosaic", "scale_m", "weight"),
    "image": ("sensor", "score_min", "derived"),
}
_SHOWN = 160  # characters of a value in a message


class Study(Section):
    """A whole study file. Frozen; `digest` identifies it."""

    study: About
    area: Area
    image: Image
    labels: Labels | None = None
    classes: dict[str, tuple[int | str, ...]] = Field(
        {"corn": (1,), "soybean": (5,), "forest": (63, 141, 142, 143, 190), "grassland": (37, 176)},
        min_length=1,
    )
    colours: dict[str, str] = Field({})
    patches: Patches = Patches()
    splits: Splits = Splits()

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        for name, items in self.classes.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,40}", name):
                raise ValueError(f"classes.{name!r}: a class is named by letters, digits, - and _")
            if name.lower() == BACKGROUND:
                raise ValueError("classes.background is every labelled code that no other class names; leave it out")
            if not items:
                raise ValueError(f"classes.{name} has no label code")
        if self.table.name != DEFAULT and "classes" not in self.model_fields_set:
            raise ValueError(f"classes: are missing; without them a study has those of CDL, not of {self.table.title}")
        try:
            _ = self.legend
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.name

    @property
    def table(self) -> CodeTable:
        """The codes of its labels; of CDL, which the default classes are of, where the study has no labels."""
        return cdl() if self.labels is None else self.labels.table

    @cached_property
    def legend(self) -> Legend:
        """Classes in index order, background first."""
        codes = {}
        for name, items in self.classes.items():
            try:
                codes[name] = parse_codes(items, self.table)
            except ConfigError as error:
                raise ConfigError(f"classes.{name}: {error}") from None
        return Legend.from_codes(codes, self.table, class_colors(self.colours, (BACKGROUND, *codes)))

    def labels_for(self, what: str) -> Labels:
        """The section `[labels]`.

        Raises:
            ConfigError: the study has none, and `what` needs it.
        """
        if self.labels is None:
            raise ConfigError(f"{what} needs labels, and the study {self.name} has none; add [labels] with their asset and legend")
        return self.labels

    @cached_property
    def grid(self) -> PixelGrid:
        """The export grid."""
        return study_grid(self.area.bounds, self.area.crs, self.area.scale_m)

    @property
    def patch_grid(self) -> PatchGrid:
        """Patches on the export grid."""
        return PatchGrid(self.grid, self.patches.size_px)

    def to_dict(self) -> dict[str, Any]:
        """All keys as JSON values, with the defaults of all but a few later ones (`_LATER_KEYS`); no `labels` or `colours` without any."""
        values = self.model_dump(mode="json")
        if self.labels is None:
            del values["labels"]
        if not self.colours:
            del values["colours"]
        for name, keys in _LATER_KEYS.items():
            section = getattr(self, name)
            for key in keys if section else ():
                if getattr(section, key) == type(section).model_fields[key].default:
                    del values[name][key]
        return values

    @property
    def digest(self) -> str:
        """sha256 (hex) over all keys in canonical JSON; the order of classes and of derived bands counts."""
        order = [list(self.classes), *([list(self.image.derived)] if self.image.derived else [])]
        return json_sha256([self.to_dict(), *order])

    def to_toml(self) -> str:
        """The study as a TOML file that `load_study` reads back to an equal study."""
        lines: list[str] = []
        for section, keys in self.to_dict().items():
            lines += [f"[{section}]", *(f"{json.dumps(key)} = {_toml(value)}" for key, value in keys.items()), ""]
        return "\n".join(lines)


def _toml(value: Any) -> str:  # noqa: ANN401 - a JSON value
    """A value as TOML: as JSON, but for tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """One line per dotted key whose value differs between two `Study.to_dict()` results; class order counts."""
    lines = []
    for section in sorted({*first, *second}):
        old, new = first.get(section, {}), second.get(section, {})
        lines += [
            f"{section}.{key}: {_shown(old.get(key))} against {_shown(new.get(key))}"
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
        ]
        if section == "classes" and not lines and list(old) != list(new):
            lines.append(f"classes: order {list(old)} against {list(new)}")
    return lines


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def presets() -> tuple[str, ...]:
    """Names of the studies in the package."""
    folder = resources.files("cropcam.pipeline.presets")
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def load_study(name_or_path: str) -> Study:
    """The preset of that name, else the study in that TOML file.

    Raises:
        ConfigError: neither exists, the file is no TOML, or a key is unknown, missing or out of range.
    """
    if name_or_path in presets():
        text = resources.files("cropcam.pipeline.presets").joinpath(f"{name_or_path}.toml").read_text("utf-8")
        values = parse_toml(text, name_or_path, error=ConfigError)
    elif os.path.lexists(name_or_path):
        values = read_toml(name_or_path, "a TOML study file", error=ConfigError)
    else:
        near = difflib.get_close_matches(name_or_path, presets(), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"no study {name_or_path!r}: neither a TOML file nor a preset ({', '.join(presets())}){hint}")
    put_in_files(values, name_or_path)
    return parse_study(values, source=name_or_path)


def parse_study(values: Mapping[str, Any], source: str = "study") -> Study:
    """A study from parsed TOML or from `Study.to_dict()`.

    Raises:
        ConfigError: names the source, the first invalid key and the allowed values.
    """
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        details = error.errors()
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        raise ConfigError(f"{source}: {_explain(details[0])}{more}") from None


def _explain(detail: ErrorDetails) -> str:
    where = [str(part) for part in detail["loc"]]
    key = ".".join(where)
    if detail["type"] == "extra_forbidden":
        known = _known_keys(where[:-1])
        near = difflib.get_close_matches(where[-1], known, 1, cutoff=0.5)
        return f"unknown key {key}; " + (f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}")
    if detail["type"] == "missing":
        return f"{key} is missing"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


def _known_keys(where: list[str]) -> list[str]:
    section: Any = Study
    for part in where:
        section = section.model_fields[part].annotation
        if isinstance(section, types.UnionType):  # a section that may be absent
            section = get_args(section)[0]
    return list(section.model_fields)
