"""The content of the page, as values: layers of raster files, and the scene that they make up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cropcam.pipeline.code_table import hex_color
from cropcam.pipeline.crs import is_geographic, transform_bounds
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import METRES_PER_DEGREE, PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.class_map import FinishedMap
from cropcam.pipeline.maps.view import palettes
from cropcam.pipeline.maps.view.palettes import Palette
from cropcam.pipeline.store.patch_store import PatchStore

IMAGE, REFERENCE, MAP = "Image", "Reference", "Map"  # groups, in the page's order
TRUTH, CLASSES = "truth", "classes"  # ids of the layers whose hectares the legend has
MERCATOR_M = 156_543.033928  # a pixel of the web map of zoom 0, on the equator
MOST_ZOOM = 22
_CLOSER = 4  # zooms beyond the pixel's own size
_LEAST_PX = 64  # of the scene, zoomed out
_WORLD_LAT = 85.05  # of the web map


@dataclass(frozen=True)
class Layer:
    """One layer of the page.

    Attributes:
        id: names it in addresses: letters, digits and "-".
        group: IMAGE, REFERENCE or MAP.
        family: its name, for example "Probability".
        variant: which of its family: a class or a season; empty where there is one.
        raster: a file of uint8 with overviews.
        bands: from 1; one with a palette, three without: red, green, blue, 0 = nodata.
        palette: colours of the values of one band.
        minus: another file on any grid: the layer is then where the two differ (`palettes.EQUAL`, `palettes.DIFFERENT`).
        key: of the layer's legend, as JSON values: {"kind": "classes" | "swatches" | "ramp" | "bands", ...}.
        note: one line about it.
    """

    id: str
    group: str
    family: str
    variant: str
    raster: Path
    bands: tuple[int, ...]
    palette: Palette | None = None
    minus: Path | None = None
    key: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Scene:
    """All that the page shows.

    Attributes:
        title: of the page.
        kind: "map", "store" or "run".
        grid: where it lies.
        layers: in the page's order.
        facts: short lines about it, by name.
        classes: the finished class map, if there is one.
        truth: the truth as a class map with the same classes, if there is one.
        shares: files of one band a class by name ("probability", "activation"), or of one band ("uncertainty"), on the map's grid.
        store: whose band values a click reads, if there is one.
        opened_with: the id of the layer shown at first, and of the one beneath.
    """

    title: str
    kind: str
    grid: PixelGrid
    layers: tuple[Layer, ...]
    facts: Mapping[str, str]
    classes: FinishedMap | None = None
    truth: FinishedMap | None = None
    shares: Mapping[str, Path] = field(default_factory=dict)
    store: PatchStore | None = None
    opened_with: tuple[str, str] = ("", "")

    @property
    def legend(self) -> Legend | None:
        """The classes of map and truth."""
        known = self.classes or self.truth
        return known.legend if known else None

    def layer(self, layer_id: str) -> Layer | None:
        """A layer by its id."""
        return next((layer for layer in self.layers if layer.id == layer_id), None)

    def to_json(self) -> dict[str, Any]:
        """The scene as JSON values, from which the page is built. No path of the disk is among them."""
        south, west, north, east = self.bounds
        legend = self.legend
        keep = ("id", "group", "family", "variant", "key", "note")
        return {
            "title": self.title,
            "kind": self.kind,
            "facts": dict(self.facts),
            "bounds": [[south, west], [north, east]],
            "min_zoom": self.min_zoom,
            "native_zoom": self.native_zoom,
            "max_zoom": min(self.native_zoom + _CLOSER, MOST_ZOOM),
            "layers": [{name: getattr(layer, name) for name in keep} for layer in self.layers],
            "classes": [{"name": c.name, "color": c.color_hex} for c in legend.classes] if legend else [],
            "areas": [name for name, found in ((CLASSES, self.classes), (TRUTH, self.truth)) if found],
            "top": self.opened_with[0] or self.layers[0].id,
            "base": self.opened_with[1],
        }

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """South, west, north and east in degrees, within the web map's reach.

        Raises:
            DataError: the CRS does not reach the grid.
        """
        west, south, east, north = transform_bounds(self.grid.crs, "EPSG:4326", self.grid.bounds_xyxy)
        east += 360.0 if west > east else 0.0  # across 180 degrees
        south, north = max(south, -_WORLD_LAT), min(north, _WORLD_LAT)
        if not all(map(math.isfinite, (west, south, east, north))) or south >= north:
            raise DataError(f"{self.title}: its grid lies outside the reach of a web map; make it in another CRS")
        return south, west, north, east

    @property
    def native_zoom(self) -> int:
        """The zoom whose pixels are about as large as the grid's, at most `MOST_ZOOM`."""
        south, _, north, _ = self.bounds
        unit_m = METRES_PER_DEGREE if is_geographic(self.grid.crs) else 1.0
        pixel_m = abs(self.grid.transform[4]) * unit_m
        on_the_map = MERCATOR_M * math.cos(math.radians((south + north) / 2)) / pixel_m
        return max(0, min(round(math.log2(on_the_map)), MOST_ZOOM))

    @property
    def min_zoom(self) -> int:
        """The zoom at which the longer side of the grid is at least `_LEAST_PX` wide."""
        return max(0, self.native_zoom - max(0, math.floor(math.log2(max(self.grid.shape_yx) / _LEAST_PX))))


def classes_key(legend: Legend, areas: str) -> dict[str, Any]:
    """The legend of classes, with the hectares of the map or of the truth."""
    return {"kind": "classes", "areas": areas, "items": [{"name": c.name, "color": c.color_hex} for c in legend.classes]}


def swatches_key(names: Sequence[str], colors: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A legend of names and colours."""
    return {"kind": "swatches", "items": [{"name": n, "color": hex_color(c)} for n, c in zip(names, colors, strict=True)]}


def ramp_key(kind: str, low: str, high: str) -> dict[str, Any]:
    """The legend of a ramp from 0 to 1."""
    return {"kind": "ramp", "stops": palettes.ramp_stops(kind), "low": low, "high": high}
