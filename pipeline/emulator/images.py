"""Images as values: typed bands of pixel nodes, properties, and the default grid of an export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.pixels import Mask, Node, Reading
from cropcam.pipeline.emulator.projections import DEGREES, Projection, crs_field
from cropcam.pipeline.grid import PixelGrid, Window

_INTEGERS = tuple(np.dtype(name) for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64"))
Number = int | float
BANDS = 5_000  # of one image; not the service's number


def check_bands(count: int) -> None:
    """Refuse an image of so many bands.

    Raises:
        EngineError: they are too many.
    """
    if count > BANDS:
        raise EngineError(f"The image has {count} bands; the embedded engine allows {BANDS}.")


@dataclass(frozen=True)
class BandType:
    """A pixel type: precision, and for "int" the range of its values.

    Source: Earth Engine API, ee.PixelType.
    """

    precision: Literal["int", "float", "double"]
    min: Number | None = None
    max: Number | None = None

    @classmethod
    def of(cls, dtype: npt.DTypeLike) -> BandType:
        """The full range of a numpy type."""
        dtype = np.dtype(dtype)
        if dtype.kind == "f":
            return cls("float" if dtype.itemsize <= 4 else "double")
        about = np.iinfo(np.uint8 if dtype.kind == "b" else dtype)
        return cls("int", int(about.min), int(about.max))

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The smallest numpy type that holds every value."""
        if self.precision != "int":
            return np.dtype(np.float32 if self.precision == "float" else np.float64)
        low, high = self.bounds
        return next((d for d in _INTEGERS if np.iinfo(d).min <= low and high <= np.iinfo(d).max), _INTEGERS[-1])

    @property
    def is_int(self) -> bool:
        """Whether values are whole."""
        return self.precision == "int"

    @property
    def bounds(self) -> tuple[Number, Number]:
        """(least, greatest) value."""
        unbounded = (-(2**63), 2**63 - 1) if self.is_int else (-float("inf"), float("inf"))
        return unbounded[0] if self.min is None else self.min, unbounded[1] if self.max is None else self.max

    def describe(self) -> dict[str, Any]:
        """The type as `getInfo` returns it."""
        description: dict[str, Any] = {"type": "PixelType", "precision": self.precision}
        return description | {key: value for key, value in (("min", self.min), ("max", self.max)) if value is not None}


@dataclass(frozen=True)
class Band:
    """One band: its name, type and node, its lattice, the window of it that holds data, and its footprint as a mask.

    `window` None is unbounded; `footprint` None is everywhere. `region` is the window of the last clip, which may
    reach beyond the data.
    """

    name: str
    type: BandType
    node: Node
    projection: Projection = DEGREES
    window: Window | None = None
    footprint: Node | None = None
    region: Window | None = None

    @property
    def grid(self) -> PixelGrid | None:
        """The native grid, None for a band without bounds."""
        return None if self.window is None else self.projection.grid(self.window)

    def named(self, name: str) -> Band:
        """The same band under another name."""
        return replace(self, name=name)

    def computed(self, node: Node, band_type: BandType | None = None) -> Band:
        """Other pixels in the same place under the same name."""
        return replace(self, node=node, type=band_type or self.type)

    def describe(self) -> dict[str, Any]:
        """The band as `getInfo` returns it."""
        description: dict[str, Any] = {"id": self.name, "data_type": self.type.describe()}
        if self.window is not None:
            description["dimensions"] = [self.window.width, self.window.height]
            if self.window.row or self.window.col:
                description["origin"] = [self.window.col, self.window.row]
        return description | {**crs_field(self.projection.crs), "crs_transform": list(self.projection.transform)}


class LazyImage:
    """A lazy image. Immutable; `read` may be called from any thread."""

    def __init__(
        self,
        bands: Sequence[Band] | Callable[[], Sequence[Band]],
        properties: Mapping[str, Any] | None = None,
        *,
        asset_id: str | None = None,
        version: int | None = None,
    ) -> None:
        self._bands = bands
        self.properties: dict[str, Any] = dict(properties or {})
        self.asset_id, self.version = asset_id, version

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The bands in order; an asset's headers are read at the first use."""
        bands = tuple(self._bands() if callable(self._bands) else self._bands)
        check_bands(len(bands))
        return bands

    @property
    def names(self) -> tuple[str, ...]:
        """Band names in order."""
        return tuple(band.name for band in self.bands)

    @property
    def grid(self) -> PixelGrid | None:
        """The default grid of an export: the window of the last clip, else the first band's grid.

        None if unbounded.
        """
        if not self.bands or self.bands[0].region is None:
            return self.bands[0].grid if self.bands else None
        return self.projection.grid(self.bands[0].region)

    @property
    def projection(self) -> Projection:
        """The first band's lattice."""
        return self.bands[0].projection if self.bands else Projection()

    @property
    def footprint(self) -> Geometry | None:
        """The outline of the data: its "system:footprint", else the rectangle of its first band; None if unbounded."""
        outline = self.properties.get("system:footprint")
        if isinstance(outline, Geometry):
            return outline
        grid = self.bands[0].grid if self.bands else None
        return None if grid is None else Geometry.rectangle(grid.bounds_xyxy, grid.crs)

    def band(self, name: str) -> Band:
        """The band of that name.

        Raises:
            EngineError: there is none.
        """
        for band in self.bands:
            if band.name == name:
                return band
        raise EngineError(f"Image.select: Band pattern '{name}' did not match any bands. Available bands: [{', '.join(self.names)}]")

    def with_bands(self, bands: Sequence[Band] | Callable[[], Sequence[Band]]) -> LazyImage:
        """Other bands with the same properties and id."""
        return LazyImage(bands, self.properties, asset_id=self.asset_id, version=self.version)

    def with_properties(self, properties: Mapping[str, Any]) -> LazyImage:
        """The same bands with other properties."""
        return LazyImage(lambda: self.bands, properties, asset_id=self.asset_id, version=self.version)

    def read(self, grid: PixelGrid, bands: Sequence[str] | None = None) -> tuple[npt.NDArray[Any], Mask]:
        """Pixels on a grid: a pure function of it, window by window the same.

        Args:
            grid: any north-up grid; its size is the caller's matter, memory grows with it.
            bands: names in the order of the result; all by default.

        Returns:
            Values (band, y, x) in the smallest type that holds every band, 0 where masked, and the mask (band, y, x),
            True = valid.

        Raises:
            EngineError: a band that is not there, or a raster of the archive that cannot be read.
        """
        chosen = self.bands if bands is None else tuple(self.band(name) for name in bands)
        if not chosen:
            raise EngineError("Image has no bands.")
        reading = Reading([(band.node, grid) for band in chosen])
        values = np.zeros((len(chosen), *grid.shape_yx), np.result_type(*(band.type.dtype for band in chosen)))
        mask = np.ones(values.shape, np.bool_)
        for number, band in enumerate(chosen):
            pixels = reading.pull(band.node, grid)
            if pixels.mask is not None:
                mask[number] = pixels.mask
            if not pixels.is_empty:
                np.copyto(values[number], pixels.values, where=mask[number], casting="unsafe")
        return values, mask

    def describe(self) -> dict[str, Any]:
        """The image as `getInfo` returns it, properties still as values."""
        description: dict[str, Any] = {"type": "Image", "bands": [band.describe() for band in self.bands]}
        if self.asset_id is not None:
            description["id"] = self.asset_id
        if self.version is not None:
            description["version"] = self.version
        return description | ({"properties": self.properties} if self.properties else {})
