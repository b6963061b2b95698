"""The study: area, period, sensor, labels, patches and splits in one frozen, validated configuration.

A study is a TOML file or the name of a preset. Unknown keys are refused with the nearest known key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from cropcam.pipeline.code_table import DEFAULT, CodeTable
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PatchGrid, PixelGrid, study_grid
from cropcam.pipeline.legend import BACKGROUND, Legend, class_colors, parse_codes
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.presets import names as presets
from cropcam.pipeline.runtime.console import detail
from cropcam.pipeline.runtime.hashing import json_sha256
from cropcam.pipeline.study.changes import as_changes
from cropcam.pipeline.study.classes import class_problems, colour_problems
from cropcam.pipeline.study.files import put_in_files
from cropcam.pipeline.study.forms import FORMS
from cropcam.pipeline.study.image import Image
from cropcam.pipeline.study.problems import Place, Problem, find_problems, refusal
from cropcam.pipeline.study.section import ProblemsError, Section
from cropcam.pipeline.study.sections import About, Area, Labels, Patches, Splits
from cropcam.pipeline.study.source import read_source

__all__ = ["Study", "differences", "load_study", "parse_study", "presets"]

# left out at their defaults, so that studies from before them keep their digests
_LATER_KEYS = {
    "labels": ("legend", "band", "nodata", "filter", "dates", "mosaic", "scale_m", "weight"),
    "image": ("sensor", "score_min", "derived"),
}
_SHOWN = 160  # characters of a value in a message
_MISSING: dict[str, Any] = {}  # classes


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

    @model_validator(mode="before")
    @classmethod
    def _with_classes(cls, values: Any) -> Any:  # noqa: ANN401 - of a TOML file
        """Without classes a study has those of CDL: where its legend is another one, they are missing."""
        labels = values.get("labels") if isinstance(values, Mapping) else None
        has_other = isinstance(labels, Mapping) and labels.get("legend", DEFAULT) != DEFAULT
        return {**values, "classes": _MISSING} if has_other and "classes" not in values else values

    @field_validator("classes", mode="before")
    @classmethod
    def _are_there(cls, classes: Any) -> Any:  # noqa: ANN401 - of a TOML file
        if classes is _MISSING:
            raise ValueError(f"are missing; without them a study has those of CDL, not of its own legend; write {FORMS['classes']}")
        return classes

    @field_validator("classes")
    @classmethod
    def _are_groups_of_codes(cls, classes: dict[str, tuple[int | str, ...]], info: ValidationInfo) -> dict[str, tuple[int | str, ...]]:
        labels = info.data.get("labels")
        table = None if "labels" not in info.data else cdl() if labels is None else labels.table
        if problems := class_problems(classes, table):
            raise ProblemsError(problems)
        return classes

    @field_validator("colours")
    @classmethod
    def _of_classes(cls, colours: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if (classes := info.data.get("classes")) is not None and (problems := colour_problems(colours, (BACKGROUND, *classes))):
            raise ProblemsError(problems)
        return colours

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        try:
            _ = self.legend  # of the default classes
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


def load_study(name_or_path: str, changes: Iterable[str] | Mapping[str, Any] = ()) -> Study:
    """The preset of that name, else the study in that TOML file, with what it extends and with changes.

    Args:
        name_or_path: of the study.
        changes: KEY=VALUE as on a command line, or values by their dotted key.

    Raises:
        ConfigError: no such study, a file that is no TOML, a circle of studies, or keys that are unknown, missing or not valid: all of them.
    """
    source = read_source(name_or_path, as_changes(changes))
    values = source.merged()
    unread = put_in_files(values, lambda key: source.layer_of(key).folder)
    study = _validated(values, name_or_path, source.place, unread)
    detail(f"study {study.name}: {name_or_path}, digest {study.digest[:12]}")
    return study


def parse_study(values: Mapping[str, Any], source: str = "study") -> Study:
    """A study from parsed TOML or from `Study.to_dict()`.

    Raises:
        ConfigError: names the source, every invalid key and what it takes.
    """
    return _validated(values, source)


def _validated(values: Mapping[str, Any], source: str, place: Place | None = None, unread: Sequence[Problem] = ()) -> Study:
    """`unread` are problems with files, which count in place of what their names give rise to."""
    problems: list[Problem] = []
    study = None
    try:
        study = Study.model_validate(values)
    except ValidationError as error:
        problems = find_problems(Study, error.errors())
    if study is None or unread:
        keys = [problem.key for problem in unread]
        raise refusal([*unread, *(problem for problem in problems if problem.key not in keys)], source, place)
    return study
