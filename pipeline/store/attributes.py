"""The types of a store's attributes, JSON that anyone may have written: strict, and with every number that an array's size follows from bounded."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from cropcam.pipeline.runtime.terminal import is_plain

MOST_PX, MOST_PATCH_PX = 2**31 - 1, 4096  # sides of a grid and, as in a study, of a patch
MOST_CRS = 100_000  # characters: WKT of a bound system has thousands
_DTYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
_SHOWN = 160


def _printable(text: str) -> str:
    if not is_plain(text):
        raise ValueError("holds characters that cannot be printed")
    return text


def _day(text: str) -> str:
    datetime.date.fromisoformat(text)
    return text


Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_printable)]
Channel = Annotated[int, Field(ge=0, le=255)]
Code = Annotated[int, Field(ge=0, le=65535)]
Season = tuple[Annotated[str, AfterValidator(_day)], Annotated[str, AfterValidator(_day)]]


class Typed(BaseModel):
    """Strict: no value is turned into another type, no number is NaN or infinite. Unknown keys are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class ClassAttrs(Typed):
    """A class of a legend."""

    name: Name
    codes: list[Code]
    color: tuple[Channel, Channel, Channel]


class LegendAttrs(Typed):
    """A table of label codes: rows of code, name, colour and, of a code that is no label, false."""

    name: str
    codes: Annotated[
        list[
            tuple[Code, str, Annotated[str, Field(pattern="^(#[0-9a-fA-F]{6})?$")]]
            | tuple[Code, str, Annotated[str, Field(pattern="^(#[0-9a-fA-F]{6})?$")], bool]
        ],
        Field(min_length=1),
    ]


class EncodingAttrs(Typed):
    """What stored values mean, a value for each band."""

    dtype: Literal[_DTYPES]  # type: ignore[valid-type]
    scale: list[float]
    offset: list[float]
    nodata: list[float | Literal["NaN"] | None]


class _About(Typed):
    name: Name


class _Image(Typed):
    seasons: Annotated[list[Season], Field(min_length=1)]


class _Labels(Typed):
    weight: int | str = ""
    presence_min_share: Annotated[float, Field(ge=0, lt=1)] = 0.0


class _Splits(Typed):
    block_patches: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class StudyAttrs(Typed):
    """What is read of a store's study."""

    study: _About
    image: _Image
    labels: _Labels | None = None
    splits: _Splits


class _Histogram(Typed):
    edges: Annotated[list[float], Field(min_length=2)]
    counts: list[list[Count]]

    @model_validator(mode="after")
    def _of_bins(self) -> Self:
        if any(len(counts) != len(self.edges) - 1 for counts in self.counts):
            raise ValueError("not one count for each bin")
        return self


class StatisticsAttrs(Typed):
    """Of the training split."""

    pixels: Count = 0
    mean: list[float] = []
    std: list[Annotated[float, Field(ge=0)]] = []
    histogram: _Histogram | None = None
    class_pixels: dict[str, dict[str, Count]] = {}
    valid_share: float = 0.0


class StoreAttrs(Typed):
    """The attributes of a store's root."""

    study: StudyAttrs
    bands: Annotated[list[Name], Field(min_length=1)]
    encoding: EncodingAttrs
    has_labels: bool
    classes: Annotated[list[ClassAttrs], Field(min_length=1, max_length=255)]
    legend: LegendAttrs | None = None
    crs: Annotated[str, Field(min_length=1, max_length=MOST_CRS), AfterValidator(_printable)]  # a code, or WKT
    transform: tuple[float, float, float, float, float, float]
    width: Annotated[int, Field(ge=1, le=MOST_PX)]
    height: Annotated[int, Field(ge=1, le=MOST_PX)]
    patch_size_px: Annotated[int, Field(ge=1, le=MOST_PATCH_PX)]
    split_seed: int
    code_version: str
    digests: dict[str, str] = {}
    tables: dict[str, str] = {}
    dropped: dict[str, Count] = {}
    statistics: StatisticsAttrs = StatisticsAttrs()

    @model_validator(mode="after")
    def _fit(self) -> Self:
        bands, statistics = len(self.bands), self.statistics
        if len(set(self.bands)) != bands or len({item.name for item in self.classes}) != len(self.classes):
            raise ValueError("two bands or two classes have one name")
        if not self.transform[0] or not self.transform[4]:
            raise ValueError("transform: pixels of no size")
        if min(self.width, self.height) < self.patch_size_px:
            raise ValueError("width, height: no patch fits")
        of_bands = {**{f"encoding.{key}": getattr(self.encoding, key) for key in ("scale", "offset", "nodata")}}
        of_bands |= {f"statistics.{key}": getattr(statistics, key) or self.bands for key in ("mean", "std")}
        of_bands |= {"statistics.histogram.counts": statistics.histogram.counts} if statistics.histogram else {}
        for name, values in of_bands.items():
            if len(values) != bands:
                raise ValueError(f"{name}: {len(values)} values, there are {bands} bands")
        return self


_STORE = TypeAdapter(StoreAttrs)


def check_attributes(attrs: Mapping[str, Any]) -> None:
    """Whether attributes have the types of the schema and fit each other; they are read after this.

    Raises:
        ValueError: names the first attribute that is not right, in one line.
    """
    check_typed(_STORE, attrs)


def check_typed(kind: TypeAdapter[Any], values: object) -> None:
    """Whether JSON values are of a type, strictly: a list for a tuple is right, a text for a number is not.

    Raises:
        ValueError: names the first value that is not right, in one line.
    """
    try:
        kind.validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None


def first_problem(error: ValidationError) -> str:
    """The place of the first problem and what it is, in one line."""
    found = error.errors(include_url=False, include_context=False)[0]
    place, problem = ".".join(map(str, found["loc"])), found["msg"].removeprefix("Value error, ")
    value = f", not {repr(found['input'])[:_SHOWN]}" if found["type"] not in ("value_error", "missing") else ""
    return f"{place}: {problem[:1].lower()}{problem[1:]}{value}" if place else problem
