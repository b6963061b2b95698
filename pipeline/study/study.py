"""The study: area, period, sensor, labels, patches and splits in one frozen, validated configuration.

A study is a TOML file or the name of a preset. Unknown keys are refused with the nearest known key.
"""

from __future__ import annotations

import datetime
import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PatchGrid, PixelGrid, is_geographic, study_grid
from cropcam.pipeline.legend import BACKGROUND, Legend, parse_codes
from cropcam.pipeline.runtime.hashing import json_sha256
from cropcam.pipeline.study.polygons import canonical_polygons, read_polygons

LANDSAT_BANDS = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7")
MaskFlag = Literal["fill", "dilated_cloud", "cirrus", "cloud", "shadow", "snow", "saturated"]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class About(_Section):
    """`[study]`: the name that artefacts carry."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$")


class Area(_Section):
    """`[area]`: bounds in degrees (west, south, east, north), export CRS and pixel size in metres.

    `region` is GeoJSON text; in a study file it may be the path of a GeoJSON file, relative to the study file.
    """

    bounds: tuple[float, float, float, float]
    region: str = ""
    crs: str = "EPSG:4326"
    scale_m: float = Field(30.0, gt=0)

    @field_validator("bounds")
    @classmethod
    def _ordered(cls, bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        west, south, east, north = bounds
        if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= 90 and -90 <= north <= 90):
            raise ValueError(f"{list(bounds)} are not degrees; the order is west, south, east, north")
        if west >= east:
            raise ValueError(f"west {west} is not below east {east}; the order is west, south, east, north")
        if south >= north:
            raise ValueError(f"south {south} is not below north {north}; the order is west, south, east, north")
        return bounds

    @field_validator("crs")
    @classmethod
    def _known(cls, crs: str) -> str:
        try:
            is_geographic(crs)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return crs.upper() if crs.lower().startswith("epsg:") else crs

    @field_validator("region")
    @classmethod
    def _polygons(cls, text: str) -> str:
        return canonical_polygons(text) if text else text


class Image(_Section):
    """`[image]`: collections, bands, half-open seasons (one median composite each) and the QA flags to mask."""

    collections: tuple[str, ...] = Field(("LANDSAT/LC08/C02/T1_L2",), min_length=1)
    bands: tuple[str, ...] = Field(LANDSAT_BANDS, min_length=1)
    seasons: tuple[tuple[Day, Day], ...] = Field(min_length=1)
    mask: tuple[MaskFlag, ...] = ("fill", "dilated_cloud", "cirrus", "cloud", "shadow")
    cloud_cover_max_pct: float = Field(100.0, ge=0, le=100)
    count: bool = False

    @field_validator("bands", "collections", "mask")
    @classmethod
    def _unique(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)} names one twice")
        return values

    @field_validator("seasons")
    @classmethod
    def _dates(cls, seasons: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for start, end in seasons:
            try:
                first, last = datetime.date.fromisoformat(start), datetime.date.fromisoformat(end)
            except ValueError as error:
                raise ValueError(f"[{start}, {end}]: {error}") from None
            if first >= last:
                raise ValueError(f"season [{start}, {end}) is empty; the end is exclusive and later than the start")
        return seasons

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all image layers: the bands; with several seasons `SEASON_BAND` ("1_SR_B1"), season by season."""
        if len(self.seasons) == 1:
            return self.bands
        return tuple(f"{season}_{band}" for season in range(1, len(self.seasons) + 1) for band in self.bands)


class Labels(_Section):
    """`[labels]`: the CDL asset and the share of a patch above which a class counts as present."""

    asset: str = Field(min_length=1)
    confidence_min_pct: float = Field(0, ge=0, le=100)
    presence_min_share: float = Field(0.0, ge=0, lt=1)


class Patches(_Section):
    """`[patches]`: side length in pixels and the smallest valid share a kept patch may have."""

    size_px: int = Field(50, ge=8, le=4096)
    valid_min_share: float = Field(1.0, gt=0, le=1)


class Splits(_Section):
    """`[splits]`: spatial blocks of patches (columns, rows) assigned to train, validation and test.

    `holdout` is GeoJSON text; in a study file it may be the path of a GeoJSON file, relative to the study file.
    """

    block_patches: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (5, 5)
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    gap_patches: int = Field(0, ge=0)
    holdout: str = ""
    method: Literal["blocks", "folds", "random"] = "blocks"
    folds: int = Field(5, ge=3)
    fold: int = Field(0, ge=0)

    @field_validator("holdout")
    @classmethod
    def _polygons(cls, text: str) -> str:
        return canonical_polygons(text) if text else text

    @model_validator(mode="after")
    def _sensible(self) -> Splits:
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}; folds count from 0")
        if self.method != "random" and self.block_patches == (1, 1) and not self.gap_patches:
            raise ValueError(
                "blocks of one patch are a random split over neighbours, whose figures flatter; "
                'take larger block_patches, a gap_patches, or ask for it by name: method = "random"'
            )
        return self

    @field_validator("fractions")
    @classmethod
    def _sum(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
            raise ValueError(f"{list(fractions)} must be three shares above 0 that add up to 1 (train, validation, test)")
        return fractions


class Study(_Section):
    """A whole study file. Frozen; `digest` identifies it."""

    study: About
    area: Area
    image: Image
    labels: Labels
    classes: dict[str, tuple[int | str, ...]] = Field(
        {"corn": (1,), "soybean": (5,), "forest": (63, 141, 142, 143, 190), "grassland": (37, 176)},
        min_length=1,
    )
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
                raise ValueError(f"classes.{name} has no CDL code")
        try:
            _ = self.legend
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.name

    @cached_property
    def legend(self) -> Legend:
        """Classes in index order, background first."""
        return Legend.from_codes({name: parse_codes(items) for name, items in self.classes.items()})

    @cached_property
    def grid(self) -> PixelGrid:
        """The export grid."""
        return study_grid(self.area.bounds, self.area.crs, self.area.scale_m)

    @property
    def patch_grid(self) -> PatchGrid:
        """Patches on the export grid."""
        return PatchGrid(self.grid, self.patches.size_px)

    def to_dict(self) -> dict[str, Any]:
        """All keys, defaults included, as JSON values."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """sha256 (hex) over all keys in canonical JSON; class order counts."""
        return json_sha256([self.to_dict(), list(self.classes)])

    def to_toml(self) -> str:
        """The study as a TOML file that `load_study` reads back to an equal study."""
        lines: list[str] = []
        for section, keys in self.to_dict().items():
            lines += [f"[{section}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in keys.items()), ""]
        return "\n".join(lines)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """One line per dotted key whose value differs between two `Study.to_dict()` results; class order counts."""
    lines = []
    for section in sorted({*first, *second}):
        old, new = first.get(section, {}), second.get(section, {})
        lines += [
            f"{section}.{key}: {old.get(key)!r} against {new.get(key)!r}" for key in sorted({*old, *new}) if old.get(key) != new.get(key)
        ]
        if section == "classes" and not lines and list(old) != list(new):
            lines.append(f"classes: order {list(old)} against {list(new)}")
    return lines


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
    else:
        path = Path(name_or_path)
        if not path.is_file():
            near = difflib.get_close_matches(name_or_path, presets(), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"no study {name_or_path!r}: neither a TOML file nor a preset ({', '.join(presets())}){hint}")
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as a study file: {error}") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name_or_path}: not TOML: {error}") from None
    for section, key in (("area", "region"), ("splits", "holdout")):
        keys = values.get(section)
        named = keys.get(key) if isinstance(keys, dict) else None
        if isinstance(named, str) and named and not named.lstrip().startswith("{"):  # a file: the digest then covers its content
            values[section][key] = read_polygons(Path(name_or_path).parent / named, f"{name_or_path}: {section}.{key}")
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
    return list(section.model_fields)
