"""The section `[image]` of a study file: sensor, collections, bands, seasons, mask, derived bands."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from cropcam.pipeline import band_expressions
from cropcam.pipeline.encoding import BandEncoding, physical_layers
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.sensor import DEFAULT, Sensor, packaged, packaged_names, parse
from cropcam.pipeline.study.section import ProblemsError, Section, as_text, shown
from cropcam.pipeline.suggestions import nearest

Day = Annotated[str, BeforeValidator(as_text), Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
_ALL_PCT = 100.0


class Image(Section):
    """`[image]`: sensor, collections, bands, half-open seasons (one composite each), derived bands and the flags that mask a pixel.

    `sensor` is the name of a packaged sensor or the values of a sensor's table; in a study file it may also be the path of a TOML file,
    relative to the study file. Collections, bands and mask are the sensor's where they are not given.
    """

    sensor: str | dict[str, Any] = DEFAULT
    collections: tuple[str, ...] = Field(min_length=1)
    bands: tuple[str, ...] = Field(min_length=1)
    seasons: tuple[tuple[Day, Day], ...] = Field(min_length=1)
    mask: tuple[str, ...] = ()
    score_min: float | None = None
    derived: dict[str, str] = Field({})
    cloud_cover_max_pct: float = Field(_ALL_PCT, ge=0, le=100)
    count: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_the_sensor(cls, values: Any) -> Any:  # noqa: ANN401 - of a TOML file
        """Give what is missing the sensor's values."""
        if not isinstance(values, Mapping):
            return values
        try:
            sensor = _sensor(values.get("sensor", DEFAULT))
        except ConfigError:  # the sensor's own validator tells it; bands and collections have nothing to be compared with
            return {"collections": ("",), "bands": ("",), **values}
        found = {
            "bands": sensor.default_bands,
            "mask": sensor.mask,
            "collections": sensor.default_collections(_years(values.get("seasons"))),
        }
        return {**found, **values}

    @field_validator("sensor")
    @classmethod
    def _known(cls, value: str | dict[str, Any]) -> str | dict[str, Any]:
        try:
            _sensor(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("bands", "collections", "mask")
    @classmethod
    def _unique(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for name, count in Counter(values).items() if count > 1]:
            raise ValueError(f"{', '.join(map(repr, twice[:3]))} is named twice; name each once")
        return values

    @field_validator("seasons")
    @classmethod
    def _dates(cls, seasons: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        texts = []
        for start, end in seasons:
            try:
                first, last = datetime.date.fromisoformat(start), datetime.date.fromisoformat(end)
            except ValueError as error:
                texts.append(f"[{start}, {end}]: {error}; write days as 2016-05-01")
                continue
            if first >= last:
                texts.append(f"season [{start}, {end}) is empty; the end is exclusive and later than the start")
        _refuse(texts)
        return seasons

    @field_validator("collections")
    @classmethod
    def _of_the_table(cls, values: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        texts, table = [], _table(info)
        if table is None:
            return values
        for asset_id in values:
            try:
                table.collection(asset_id)
            except ConfigError as error:
                texts.append(str(error))
        _refuse(texts)
        return values

    @field_validator("bands")
    @classmethod
    def _in_every_collection(cls, values: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        table = _table(info)
        if (
            table is None or info.data["sensor"] == DEFAULT
        ):  # own rasters have had bands of any name from the beginning; an export refuses them
            return values
        texts = _unknown(values, table.bands)
        for asset_id in info.data.get("collections", ()):
            there = table.collection(asset_id).bands
            lacking = [name for name in values if name in table.bands and name not in there]
            texts += [f"{asset_id} has no band {name}; it has {', '.join(there)}" for name in lacking]
        _refuse(texts)
        return values

    @field_validator("mask")
    @classmethod
    def _flags(cls, values: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if table := _table(info):
            _refuse(_unknown(values, table.flags))
        return values

    @field_validator("score_min")
    @classmethod
    def _with_a_score(cls, value: float | None, info: ValidationInfo) -> float | None:
        table = _table(info)
        if table and "mask" in info.data and value is not None and all(table.flags[name].min is None for name in info.data["mask"]):
            raise ValueError("no flag of the mask is a score; leave it out")
        return value

    @field_validator("derived")
    @classmethod
    def _arithmetic(cls, values: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        bands, texts = info.data.get("bands"), []
        for name, text in values.items():
            if not name.isidentifier() or name in (bands or ()):
                texts.append((name, "a derived band has a name of its own, of letters, digits and _"))
                continue
            try:
                band_expressions.parse(text, bands or ())
            except ConfigError as error:
                texts += [(name, str(error))] if bands else []  # else the bands are what is wrong
        if texts:
            raise ProblemsError(texts)
        return values

    @field_validator("cloud_cover_max_pct")
    @classmethod
    def _with_a_property(cls, value: float, info: ValidationInfo) -> float:
        table = _table(info)
        if table and value < _ALL_PCT and not table.cloud_cover:
            raise ValueError(f"the scenes of {table.title} carry no cloud cover; leave it out")
        return value

    @cached_property
    def table(self) -> Sensor:
        """The sensor."""
        return _sensor(self.sensor)

    @cached_property
    def terms(self) -> dict[str, band_expressions.Term]:
        """The expressions of the derived bands."""
        return {name: band_expressions.parse(text, self.bands) for name, text in self.derived.items()}

    @property
    def period(self) -> tuple[datetime.date, datetime.date]:
        """The first day of all seasons, and the day after the last."""
        starts, ends = zip(*(map(datetime.date.fromisoformat, season) for season in self.seasons), strict=True)
        return min(starts), max(ends)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all image layers: bands and derived bands; with several seasons `SEASON_BAND` ("1_SR_B1"), season by season."""
        return self._by_season((*self.bands, *self.derived))

    @property
    def source_layers(self) -> tuple[str, ...]:
        """The layers without derived bands."""
        return self._by_season(self.bands)

    @property
    def source_encoding(self) -> BandEncoding:
        """What the values of `source_layers` mean, as a composite without derived bands stores them."""
        return BandEncoding.joined([self.table.encoding(self.bands)] * len(self.seasons))

    @property
    def encoding(self) -> BandEncoding:
        """What the values of `layers` mean in an export; with derived bands all are float32 in the physical unit."""
        return physical_layers(len(self.layers)) if self.derived else self.source_encoding

    def _by_season(self, bands: tuple[str, ...]) -> tuple[str, ...]:
        if len(self.seasons) == 1:
            return bands
        return tuple(f"{season}_{band}" for season in range(1, len(self.seasons) + 1) for band in bands)


def _sensor(value: Any) -> Sensor:  # noqa: ANN401 - of a TOML file
    if isinstance(value, Mapping):
        return parse(value, "the table")
    if value not in packaged_names():
        near = nearest(str(value), packaged_names())
        hint = f"; did you mean {near}?" if near else ""
        raise ConfigError(f"no sensor {shown(value)}: neither packaged ({', '.join(packaged_names())}) nor a TOML file{hint}")
    return packaged(value)


def _table(info: ValidationInfo) -> Sensor | None:
    """The sensor of the section that is validated; None where it is not known."""
    return _sensor(info.data["sensor"]) if "sensor" in info.data else None


def _years(seasons: Any) -> range:  # noqa: ANN401 - not yet checked
    """From the first to the last year of the seasons."""
    days = [day for season in seasons if isinstance(season, list | tuple) for day in season] if isinstance(seasons, list | tuple) else []
    found = [int(text[:4]) for day in days if (text := as_text(day)) and isinstance(text, str) and text[:4].isdecimal()]
    return range(min(found), max(found) + 1) if found else range(0)


def _unknown(names: Iterable[str], known: Collection[str]) -> list[str]:
    """A line for each name that is like a known one, and a line about those that are like none."""
    near = {name: nearest(name, known, 0.65) for name in names if name not in known}
    texts = [f"{name!r} is not of the sensor; did you mean {like}?" for name, like in near.items() if like]
    if far := [repr(name) for name, like in near.items() if not like]:
        texts.append(f"{', '.join(far)} {'are' if len(far) > 1 else 'is'} not of the sensor; it has {', '.join(known) or 'none'}")
    return texts


def _refuse(texts: list[str]) -> None:
    if texts:
        raise ProblemsError([("", text) for text in texts])
