"""The finished windows of a map that is being made: files in a hidden folder beside it, kept when the command is stopped.

spec.json       everything the map's bytes depend on; another specification starts over
ROW_COL.tif     the layers of bytes of a window; there = done
ROW_COL.numbers.tif     its layer of numbers, written before
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import rasterio
from rasterio.crs import CRS
from rasterio.errors import RasterioError

from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.maps.window_job import Packed
from cropcam.pipeline.runtime.atomic import atomic_write, clear_partial_files, remove

SPEC = "spec.json"
Color = tuple[int, int, int, int]


@dataclass(frozen=True)
class Layer:
    """A layer of a map as a file of its own.

    Attributes:
        bands: of the windows' files, from 1.
        descriptions: of each band.
        is_numbers: float32 with NaN = nodata, from the windows' layer of numbers; else uint8 with 255 = nodata.
        colors: of a single band's values.
        scale: physical value = stored value x scale.
        tags: of the file.
    """

    bands: tuple[int, ...]
    descriptions: tuple[str, ...]
    tags: Mapping[str, str]
    is_numbers: bool = False
    colors: Mapping[int, Color] | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class WindowFiles:
    """Windows of `grid` in `folder`."""

    folder: Path
    grid: PixelGrid
    windows: Sequence[Window]

    def begin(self, spec: Mapping[str, Any], log: Callable[[str], object]) -> None:
        """Make the folder; windows found there are kept where their specification is the same, else thrown away with a line to `log`.

        Raises:
            OSError: the disk refuses.
        """
        text = json.dumps(spec, indent=1, sort_keys=True)
        if self.folder.is_symlink() or not self.folder.is_dir():
            remove(self.folder)  # a planted link: nothing is written through it
        try:
            before = json.loads((self.folder / SPEC).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            before = None
        if before != json.loads(text):
            if isinstance(before, dict):
                changed = [name.replace("_", " ") for name in sorted({*before, *spec}) if before.get(name) != spec.get(name)]
                log(f"starting over: the unfinished map found here was begun with another {', another '.join(changed[:3])}")
            remove(self.folder)
            self.folder.mkdir(parents=True)
            atomic_write(self.folder / SPEC, text)
        clear_partial_files(self.folder)

    @contextmanager
    def kept(self, log: Callable[[str], object]) -> Iterator[None]:
        """When the block is stopped, a line to `log` where finished windows are kept; without one the folder is removed."""
        try:
            yield
        except BaseException:
            if done := sum(self.path(window).exists() for window in self.windows):
                log(f"{done} of {len(self.windows)} windows are done and kept in {self.folder}; the same command goes on from there")
            else:
                with suppress(OSError):  # the disk that stopped the work
                    self.discard()
            raise

    def discard(self) -> None:
        """Remove the folder.

        Raises:
            OSError: the disk refuses.
        """
        remove(self.folder)

    def missing(self, *, numbers: bool) -> list[Window]:
        """The windows that are not done; with `numbers` they have a layer of numbers."""
        kinds = (False, True) if numbers else (False,)
        return [window for window in self.windows if not all(_is_whole(self.path(window, numbers=kind)) for kind in kinds)]

    def write(self, window: Window, packed: Packed) -> None:
        """Keep a finished window.

        Raises:
            OSError: the disk refuses.
        """
        if packed.numbers:  # windows lost in a power cut are made again
            atomic_write(self.folder / _name(window, numbers=True), packed.numbers, sync=False)
        atomic_write(self.folder / _name(window), packed.layers, sync=False)

    def path(self, window: Window, *, numbers: bool = False) -> Path:
        """The file of a finished window."""
        return self.folder / _name(window, numbers=numbers)

    def mosaic(self, name: str, layer: Layer, source: str = "") -> Path:
        """Write all windows of a layer as one virtual raster, which GDAL reads; returns its path.

        Args:
            name: of the file, without its ending.
            layer: the layer.
            source: a raster in the folder that stands for all windows.

        Raises:
            OSError: the disk refuses.
        """
        places = [(Window(0, 0, *self.grid.shape_yx), source)] if source else [
            (window, _name(window, numbers=layer.is_numbers)) for window in self.windows
        ]  # fmt: skip
        bands = "".join(_band(layer, number, places) for number in range(1, len(layer.bands) + 1))
        tags = "".join(f"<MDI key={quoteattr(key)}>{escape(value)}</MDI>" for key, value in sorted(layer.tags.items()))
        a, b, c, d, e, f = self.grid.transform
        path = self.folder / f"{name}.vrt"
        atomic_write(
            path,
            f'<VRTDataset rasterXSize="{self.grid.width}" rasterYSize="{self.grid.height}">'
            f"<SRS>{escape(CRS.from_user_input(self.grid.crs).to_wkt())}</SRS>"
            f"<GeoTransform>{', '.join(repr(float(value)) for value in (c, a, b, f, d, e))}</GeoTransform>"
            f'<Metadata>{tags}</Metadata><Metadata domain="IMAGE_STRUCTURE"><MDI key="INTERLEAVE">BAND</MDI></Metadata>{bands}</VRTDataset>',
        )
        return path


def _is_whole(path: Path) -> bool:
    """Whether a file is there and every pixel can be read: after a power cut it may be cut short."""
    if not path.exists():
        return False
    try:
        with rasterio.open(path) as dataset:
            dataset.read()
    except RasterioError:
        return False
    return True


def _name(window: Window, *, numbers: bool = False) -> str:
    return f"{window.row}_{window.col}{'.numbers' if numbers else ''}.tif"


def _band(layer: Layer, number: int, places: Sequence[tuple[Window, str]]) -> str:
    """One band of a virtual raster."""
    dtype, nodata = ("Float32", "nan") if layer.is_numbers else ("Byte", "255")
    colors = "".join(f'<Entry c1="{r}" c2="{g}" c3="{b}" c4="{a}"/>' for r, g, b, a in _table(layer.colors))
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{escape(name)}</SourceFilename><SourceBand>{layer.bands[number - 1]}</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{window.width}" ySize="{window.height}"/>'
        f'<DstRect xOff="{window.col}" yOff="{window.row}" xSize="{window.width}" ySize="{window.height}"/></SimpleSource>'
        for window, name in places
    )
    return (
        f'<VRTRasterBand dataType="{dtype}" band="{number}"><Description>{escape(layer.descriptions[number - 1])}</Description>'
        f"<NoDataValue>{nodata}</NoDataValue>"
        + (f"<ColorInterp>Palette</ColorInterp><ColorTable>{colors}</ColorTable>" if colors else "<ColorInterp>Gray</ColorInterp>")
        + (f"<Scale>{layer.scale!r}</Scale>" if layer.scale != 1 else "")
        + f"{sources}</VRTRasterBand>"
    )


def _table(colors: Mapping[int, Color] | None) -> list[Color]:
    """A colour for each value from 0; black where none is given, as GDAL fills a table."""
    return [colors.get(value, (0, 0, 0, 255)) for value in range(max(colors) + 1)] if colors else []
