"""The sections of a study file: one frozen, validated model each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from cropcam.pipeline.code_table import DEFAULT, CodeTable, to_rows
from cropcam.pipeline.crs import is_geographic
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend_sources import from_mapping, from_rows, packaged, packaged_names, resolution_m
from cropcam.pipeline.study.polygons import canonical_polygons
from cropcam.pipeline.study.section import Section, as_text, shown
from cropcam.pipeline.suggestions import nearest

_SCALES_M = 0.001, 1_000_000  # below, the number of pixels is beyond what arrays count
_CDL_YEAR, _CDL_FINE_YEAR, _CDL_FINE_M = r"NASS/CDL/(\d{4})", 2024, 10.0  # NASS makes it at 10 m from that year on


class About(Section):
    """`[study]`: the name that artefacts carry."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$")


class Area(Section):
    """`[area]`: bounds in degrees (west, south, east, north), export CRS and pixel size in metres.

    `region` is GeoJSON text; in a study file it may be the path of a GeoJSON file, relative to the study file.
    """

    bounds: tuple[float, float, float, float]
    region: str = ""
    crs: str = "EPSG:4326"
    scale_m: float = 30.0

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

    @field_validator("scale_m")
    @classmethod
    def _a_pixel(cls, scale_m: float) -> float:
        least, most = _SCALES_M
        if not least <= scale_m <= most:
            raise ValueError(f"{scale_m:g} is no pixel size in metres; it must lie between {least:g} and {most:,}")
        return scale_m

    @field_validator("region")
    @classmethod
    def _polygons(cls, text: str) -> str:
        return canonical_polygons(text) if text else text


class Labels(Section):
    """`[labels]`: the asset, its legend, and the share of a patch above which a class counts as present.

    `legend` is the name of a packaged legend or the rows of `code_table.to_rows`; in a study file it may also be a table, code to
    name or to [name, colour], or the path of a CSV file, relative to the study file.

    `filter`, `dates` or `mosaic` make the asset an image collection; `weight` is a band of per cents: how much each label counts.
    """

    asset: str = Field(min_length=1)
    confidence_min_pct: float = Field(0, ge=0, le=100)
    presence_min_share: float = Field(0.0, ge=0, lt=1)
    legend: str | tuple[tuple[int | str | bool, ...], ...] = DEFAULT
    band: int | str = ""
    nodata: tuple[int, ...] = ()
    filter: dict[str, str | int | float] = Field({})
    dates: tuple[Annotated[str, BeforeValidator(as_text)], ...] = ()
    mosaic: Literal["", "last", "first", "mode"] = ""
    scale_m: float = Field(0, ge=0)
    weight: int | str = ""

    @field_validator("legend", mode="before")
    @classmethod
    def _codes(cls, value: Any) -> Any:  # noqa: ANN401 - of a TOML file
        try:
            if isinstance(value, Mapping):
                return to_rows(from_mapping(value))
            if isinstance(value, list | tuple):
                return to_rows(from_rows(value))
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if value not in packaged_names():
            near = nearest(str(value), packaged_names())
            hint = f"; did you mean {near}?" if near else ""
            raise ValueError(f"no legend {shown(value)}: neither packaged ({', '.join(packaged_names())}) nor a CSV file{hint}")
        return value

    @field_validator("dates")
    @classmethod
    def _half_open(cls, dates: tuple[str, ...]) -> tuple[str, ...]:
        try:
            days = [date.fromisoformat(day) for day in dates]
        except ValueError:
            days = []
        if dates and not (len(days) == 2 and days[0] < days[1]):
            raise ValueError(f'{list(dates)}: write the first day and the day after the last, ["2021-01-01", "2022-01-01"]')
        return dates

    @field_validator("weight")
    @classmethod
    def _has_a_weight(cls, weight: int | str, info: ValidationInfo) -> int | str:
        if weight and info.data.get("mosaic") == "mode":
            raise ValueError(
                'the commonest of several labels has no weight of its own; take mosaic = "last" or "first", or leave weight out'
            )
        return weight

    @field_validator("band", "weight")
    @classmethod
    def _counted_from_one(cls, band: int | str) -> int | str:
        if isinstance(band, int) and band < 1:
            raise ValueError(f"{band}: bands are counted from 1")
        return band

    @field_validator("nodata", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:  # noqa: ANN401 - of a TOML file
        return (value,) if isinstance(value, int) else value

    @property
    def is_collection(self) -> bool:
        """Whether the asset is an image collection: a filter, dates or a mosaic rule say so."""
        return bool(self.filter or self.dates or self.mosaic)

    @property
    def resolution_m(self) -> float | None:
        """Pixel size of the asset: `scale_m`, else the legend's own; None where neither is known."""
        if self.scale_m or isinstance(self.legend, tuple):
            return self.scale_m or None
        year = re.search(_CDL_YEAR, self.asset) if self.legend == DEFAULT else None
        return _CDL_FINE_M if year and int(year[1]) >= _CDL_FINE_YEAR else resolution_m(self.legend)

    @cached_property
    def table(self) -> CodeTable:
        """The codes of the legend; those of `nodata` are no labels."""
        table = CodeTable("", from_rows(self.legend)) if isinstance(self.legend, tuple) else packaged(self.legend)
        return table.without(self.nodata) if self.nodata else table


class Patches(Section):
    """`[patches]`: side length in pixels and the smallest valid share a kept patch may have."""

    size_px: int = Field(50, ge=8, le=4096)
    valid_min_share: float = Field(1.0, gt=0, le=1)


class Splits(Section):
    """`[splits]`: spatial blocks of patches (columns, rows) assigned to train, validation and test.

    `holdout` is GeoJSON text; in a study file it may be the path of a GeoJSON file, relative to the study file.
    """

    block_patches: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (5, 5)
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    gap_patches: int = Field(0, ge=0)
    holdout: str = ""
    method: Literal["blocks", "folds", "random"] = Field("blocks", validate_default=True)
    folds: int = Field(5, ge=3)
    fold: int = Field(0, ge=0)

    @field_validator("holdout")
    @classmethod
    def _polygons(cls, text: str) -> str:
        return canonical_polygons(text) if text else text

    @field_validator("fold")
    @classmethod
    def _one_of_them(cls, fold: int, info: ValidationInfo) -> int:
        if fold >= info.data.get("folds", fold + 1):
            raise ValueError(f"fold {fold} of {info.data['folds']}; folds count from 0")
        return fold

    @field_validator("method")
    @classmethod
    def _sensible(cls, method: str, info: ValidationInfo) -> str:
        if method != "random" and info.data.get("block_patches") == (1, 1) and info.data.get("gap_patches") == 0:
            raise ValueError(
                "blocks of one patch are a random split over neighbours, whose figures flatter; "
                'take larger block_patches, a gap_patches, or ask for it by name: method = "random"'
            )
        return method

    @field_validator("fractions")
    @classmethod
    def _sum(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
            raise ValueError(f"{list(fractions)} must be three shares above 0 that add up to 1 (train, validation, test)")
        return fractions
