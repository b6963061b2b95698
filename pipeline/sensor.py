"""Sensors as data: collections, bands, masks and compositing of a sensor, from a packaged TOML file or one of the user's own."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cropcam.pipeline.encoding import BandEncoding, held
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.table_problems import explain

_FOLDER = "cropcam.pipeline.study.sensors"  # data alone
DEFAULT = "landsat"
Dtype = Literal["uint8", "int8", "uint16", "int16", "float32"]
Day = Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]
_RECIPES = ("bit", "classes", "min", "saturation")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Range(NamedTuple):
    """What a band can hold in the physical unit, and where the middle of its values lies."""

    low: float
    high: float
    usual_low: float
    usual_high: float


class Band(_Part):
    """A band by its common name. What is missing is the sensor's."""

    scale: float | None = None  # physical value = value of the composite x scale + offset
    offset: float | None = None
    resolution_m: float | None = Field(None, gt=0)
    valid_range: tuple[float, float] | None = None
    usual_range: tuple[float, float] | None = None


class Flag(_Part):
    """One reason to mask a pixel: a bit of a band, classes of a band, a score below a threshold, or the saturation bits of the bands.

    `collection` is the collection of the band, linked by system:index; empty = of the scene itself.
    """

    band: str
    collection: str = ""
    bit: int | None = Field(None, ge=0, le=31)
    classes: tuple[int, ...] = ()
    min: float | None = None
    saturation: bool = False  # bit n-1 is that of the asset's band with the number n, as in QA_RADSAT

    @model_validator(mode="after")
    def _one_recipe(self) -> Flag:
        if sum((self.bit is not None, bool(self.classes), self.min is not None, self.saturation)) != 1:
            raise ValueError(f"exactly one of {', '.join(_RECIPES)} says which pixels are masked")
        return self


class SensorCollection(_Part):
    """An Earth Engine collection: its id, the asset's name of each band, and the years for which a study without `collections` takes it.

    `days` are the first and the last day with a scene anywhere; empty = not known, or scenes go on coming.
    """

    id: str
    bands: dict[str, str]
    default_years: tuple[int, int] | None = None  # the first and the last; None = only by name
    days: tuple[Day, Day] = ("", "")

    def may_have(self, start: str, end: str) -> bool:
        """Whether there can be a scene from the day `start` to before the day `end`."""
        first, last = self.days
        return end > first and (not last or start <= last)


class Sensor(_Part):
    """A sensor.

    Attributes:
        composite: "median" of the valid observations of a season, or "mosaic": the last image on top.
        unit_length: pixels are vectors of length 1; a mean of pixels is scaled to length 1 again.
        dtype, scale, offset, nodata: of the composite as it is exported and stored.
        missing: a value of the asset that means "no data", where the asset does not mask it itself.
        resolution_m: of the bands; None = scenes are always resampled by the nearest pixel.
        cloud_cover: the scenes' property of cloud cover in per cent; empty = none.
        valid_range: lowest and highest physical value of a band; own rasters and shards with other values are refused. None = no check.
        usual_range: where the median of a band lies; `valid_range` without it.
        level: of the products whose values the sensor has, 2 for surface reflectance; own files that are named as of level 1 are refused.
        baseline_offset: own files from processing baseline 04.00 on have this further offset, in the physical unit.
        default_bands, mask: of a study that names none.
    """

    title: str
    source: str = ""
    composite: Literal["median", "mosaic"] = "median"
    unit_length: bool = False
    dtype: Dtype
    scale: float = 1.0
    offset: float = 0.0
    nodata: float
    missing: float | None = None
    resolution_m: float | None = Field(None, gt=0)
    cloud_cover: str = ""
    valid_range: tuple[float, float] | None = None
    usual_range: tuple[float, float] | None = None
    level: Literal[1, 2] | None = None
    baseline_offset: float = 0.0
    bands: dict[str, Band] = Field(min_length=1)
    default_bands: tuple[str, ...] = ()
    flags: dict[str, Flag] = {}
    mask: tuple[str, ...] = ()
    collections: tuple[SensorCollection, ...] = Field(min_length=1)

    @field_validator("bands")
    @classmethod
    def _names(cls, bands: dict[str, Band]) -> dict[str, Band]:
        if wrong := [name for name in bands if not name.isidentifier()]:
            raise ValueError(f"{wrong[0]!r} is no name of a band; letters, digits and _ are allowed")
        return bands

    @model_validator(mode="after")
    def _consistent(self) -> Sensor:
        checked: list[tuple[str, Iterable[str], Collection[str]]] = [
            ("default_bands", self.default_bands, self.bands),
            ("mask", self.mask, self.flags),
            *((f"collections.{item.id}.bands", item.bands, self.bands) for item in self.collections),
        ]
        for what, names, known in checked:
            if unknown := [name for name in names if name not in known]:
                raise ValueError(f"{what}: {unknown[0]!r} is not among {', '.join(known)}")
        if not held(self.nodata, np.dtype(self.dtype)):
            raise ValueError(f"nodata {self.nodata:g} is no value of {self.dtype}")
        if 0 in (self.scale, *(band.scale for band in self.bands.values())):
            raise ValueError("scale is 0; physical value = value x scale + offset needs another")
        for part in (self, *self.bands.values()):
            for name in ("valid_range", "usual_range"):
                if (ends := getattr(part, name)) is not None and ends[0] >= ends[1]:
                    raise ValueError(f"{name} {list(ends)}: the first number is the lower one")
        assets = [asset for item in self.collections for asset in item.bands.values()]
        if any(flag.saturation for flag in self.flags.values()) and not any(map(band_number, assets)):
            raise ValueError("flags: saturation needs bands of the asset with a number, such as SR_B4 or B4")
        return self

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of its collections."""
        return tuple(item.id for item in self.collections)

    def default_collections(self, years: Iterable[int]) -> tuple[str, ...]:
        """Ids of the collections that a study of these years takes where it names none; without a year, of any year."""
        asked = list(years)
        usual = [(item.id, item.default_years) for item in self.collections if item.default_years]
        return tuple(name for name, (first, last) in usual if not asked or any(first <= year <= last for year in asked))

    def collection(self, asset_id: str) -> SensorCollection:
        """A collection by its id.

        Raises:
            ConfigError: the sensor has no such collection; names the nearest.
        """
        for item in self.collections:
            if item.id == asset_id:
                return item
        near = difflib.get_close_matches(asset_id, self.ids, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.ids)}; other sensors: {', '.join(packaged_names())}"
        raise ConfigError(f"{asset_id!r} is no collection of the sensor ({self.title}); {hint}")

    def resolution(self, band: str) -> float | None:
        """Side of a band's pixel in metres; None = not known."""
        return self.bands[band].resolution_m or self.resolution_m if band in self.bands else self.resolution_m

    def ranges(self, bands: Sequence[str]) -> tuple[Range | None, ...]:
        """What these bands can hold; None for a band without a range, and for one that the table lacks."""
        found = []
        for name in bands:
            band = self.bands.get(name)
            valid = None if band is None else band.valid_range or self.valid_range
            usual = None if band is None else band.usual_range or (None if band.valid_range else self.usual_range)
            found.append(None if valid is None else Range(*valid, *(usual or valid)))
        return tuple(found)

    def encoding(self, bands: Sequence[str]) -> BandEncoding:
        """What values of these bands mean; a band that the table lacks has the sensor's own scale and offset."""
        of = [self.bands.get(band, Band()) for band in bands]
        scale = tuple(self.scale if band.scale is None else band.scale for band in of)
        offset = tuple(self.offset if band.offset is None else band.offset for band in of)
        return BandEncoding(self.dtype, scale, offset, (self.nodata,) * len(of))


def band_number(asset: str) -> int:
    """The number of a reflective band by the asset's name, 0 for other bands.

    >>> band_number("SR_B4"), band_number("B11"), band_number("ST_B10"), band_number("B8A")
    (4, 11, 0, 0)
    """
    match = re.search(r"(?:^|_)B(\d+)$", asset)
    return int(match[1]) if match and not asset.startswith("ST_") else 0


@cache
def packaged_names() -> tuple[str, ...]:
    """Names of the sensors in the package."""
    return tuple(sorted(item.name.removesuffix(".toml") for item in resources.files(_FOLDER).iterdir() if item.name.endswith(".toml")))


@cache
def packaged(name: str) -> Sensor:
    """A sensor of the package."""
    return parse(tomllib.loads(resources.files(_FOLDER).joinpath(f"{name}.toml").read_text("utf-8")), f"{name}.toml")


def parse(values: Mapping[str, Any], where: str) -> Sensor:
    """A sensor from parsed TOML.

    Raises:
        ConfigError: names `where`, every wrong key and what is allowed.
    """
    try:
        return Sensor.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error.errors(), _known_keys)}") from None


def _known_keys(above: Sequence[str]) -> list[str]:
    """The keys of a table of a sensor; `above` is its own key."""
    parts: dict[str, type[_Part]] = {"bands": Band, "flags": Flag, "collections": SensorCollection}
    model = parts[above[0]] if above and above[0] in parts else Sensor
    return list(model.model_fields)
