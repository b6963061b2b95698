"""Pixel requests: windows planned within the service's limits, fetched in parts where they are too large, kept until a shard is complete.

Windows lie on a fixed lattice, so the result does not depend on scheduling. A finished window is a .npy file, written
atomically: the files present are the journal of a killed run.

Source: Earth Engine REST reference, "projects.image/computePixels"; guide "Earth Engine quotas". The 80 MiB are of an error that users
report: "Output of image computation is too large (20 bands for 851968 pixels = 126.8 MiB > 80.0 MiB)", about 8 bytes a value.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ee
import numpy as np
import numpy.typing as npt

from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.layers import Layer
from cropcam.pipeline.earthengine.plan import BANDS_LIMIT, TILE_PX
from cropcam.pipeline.earthengine.request_sizes import RequestSizes
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.study.study import differences
from cropcam.pipeline.text_files import parse_json, read_json

REQUEST_BYTES_LIMIT = 48_000_000  # "48 MB" of the reference, read as the smaller of its two meanings
COMPUTED_BYTES_LIMIT = 80 * 2**20
SIDE_LIMIT_PX = 32_768
LARGEST_PX = {"labels": 4096}  # one band of a byte, and no median
WINDOW_PX = 512  # of other layers: the memory and the time of a median grow with the window and with the scenes


def request_bytes(layer: Layer, height: int, width: int) -> int:
    """Uncompressed bytes that the service counts for a window: each band's value and one mask byte."""
    return height * width * len(layer.bands) * (np.dtype(layer.dtype).itemsize + 1)


def computed_bytes(layer: Layer, height: int, width: int) -> int:
    """Bytes that the service counts for the computation of a window: 8 for each value."""
    return height * width * len(layer.bands) * 8


def check_window_px(layer: Layer, window_px: int) -> None:
    """Refuse a window side that exceeds a limit.

    Raises:
        ConfigError: no multiple of 256, over 32,768 px, over 48 MB, over 80 MiB of computation, or too many bands.
    """
    if window_px < TILE_PX or window_px % TILE_PX:
        raise ConfigError(f"--window-px {window_px}: windows are multiples of {TILE_PX} px")
    if window_px > SIDE_LIMIT_PX:
        raise ConfigError(f"--window-px {window_px}: a request may be {SIDE_LIMIT_PX:,} px a side")
    if len(layer.bands) > BANDS_LIMIT:
        raise ConfigError(f"{layer.name}: {len(layer.bands)} bands; a request may hold {BANDS_LIMIT}: use fewer seasons or bands")
    size = request_bytes(layer, window_px, window_px)
    if size > REQUEST_BYTES_LIMIT:
        raise ConfigError(f"--window-px {window_px}: a request of {layer.name} would hold {size / 1e6:.1f} MB; the limit is 48 MB")
    computed = computed_bytes(layer, window_px, window_px)
    if computed > COMPUTED_BYTES_LIMIT and window_px > TILE_PX:  # of the smallest windows parts are asked for, if need be
        raise ConfigError(
            f"--window-px {window_px}: a request of {layer.name} is computed as {computed / 2**20:.1f} MiB of 8 bytes a value; the limit is 80 MiB"
        )


def window_px_for(layer: Layer, shard_px: int) -> int:
    """The side of a layer's windows: the largest multiple of 256 that keeps the limits and divides the side of a shard."""
    sides = range(TILE_PX, LARGEST_PX.get(layer.name, WINDOW_PX) + 1, TILE_PX)
    fitting = [
        side
        for side in sides
        if shard_px % side == 0
        and request_bytes(layer, side, side) <= REQUEST_BYTES_LIMIT
        and computed_bytes(layer, side, side) <= COMPUTED_BYTES_LIMIT
    ]
    return max(fitting, default=TILE_PX)


def fetch(
    session: Session, image_of: Callable[[PixelGrid], ee.Image], layer: Layer, grid: PixelGrid, window: Window, sizes: RequestSizes
) -> npt.NDArray[Any]:
    """Pixels of a window: a structured array (y, x) with one field per band.

    A window that exceeds the limits of computation is requested in parts; pixels are independent, so the result is the same.

    Args:
        session: an open session.
        image_of: the image that has the pixels of a grid.
        layer: the layer.
        grid: of the study.
        window: of the grid.
        sizes: of the requests of the run.

    Raises:
        EarthEngineError: the service refuses, or its responses stay invalid for too long.
    """
    pixels = np.zeros((window.height, window.width), _dtype(layer))
    waiting = [Window(0, 0, window.height, window.width)]
    while waiting:
        part = waiting.pop()
        place = Window(window.row + part.row, window.col + part.col, part.height, part.width)
        px = max(part.height, part.width)
        found = sizes.ask(layer.name, px, partial(_request_window, session, image_of, layer, grid, place))
        if found is None:
            side = sizes.part_px(layer.name, px)
            waiting += reversed(list(part.cut(side)))
        else:
            pixels[part.slices] = found
    return pixels


def _request_window(
    session: Session, image_of: Callable[[PixelGrid], ee.Image], layer: Layer, whole: PixelGrid, place: Window
) -> npt.NDArray[Any]:
    """One request; a response of another shape or format counts as a broken connection."""
    grid, request_name = whole.window(place), f"{layer.name} at row {place.row}, column {place.col}"
    image = image_of(grid)

    def ask() -> npt.NDArray[Any]:
        content = session.pixels(image, grid, request_name)
        try:
            array = np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError, MemoryError, OSError) as error:
            raise ConnectionError(f"an answer of {len(content):,} bytes that is no NPY file") from error
        if array.shape != grid.shape_yx:
            raise ConnectionError(f"{array.shape} pixels for a request of {grid.shape_yx}")
        return _checked(array, layer, request_name)

    return session.backoff.call(ask, request_name)


def _checked(array: npt.NDArray[Any], layer: Layer, request_name: str) -> npt.NDArray[Any]:
    names = array.dtype.names
    if names is None or set(names) != set(layer.bands) or any(array.dtype[name] != np.dtype(layer.dtype) for name in names):
        raise ServiceError(f"{request_name}: pixels of {array.dtype}, expected {layer.dtype} in bands {', '.join(layer.bands)}", "refused")
    return array[list(layer.bands)].astype(_dtype(layer), copy=False)


def empty_pixels(layer: Layer, window: Window) -> npt.NDArray[Any]:
    """A window without data: a structured array (y, x) as `fetch` returns it."""
    return np.full((window.height, window.width), np.array(layer.empty, _dtype(layer)))


def _dtype(layer: Layer) -> np.dtype[Any]:
    return np.dtype([(band, layer.dtype) for band in layer.bands])


@dataclass(frozen=True)
class Journal:
    """Finished windows of one delivery, as files in a hidden folder beside the shards."""

    folder: Path

    def open(self, about: dict[str, Any]) -> None:
        """Begin or resume the delivery that `about` describes.

        Raises:
            DataError: the folder holds windows of another study or lattice; the message names the field that differs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "journal.json"
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            atomic_write(path, json.dumps(about, indent=1), sync=False)
            return
        known = parse_json(text, str(path), step="the journal of an unfinished delivery is damaged: delete its folder")
        if known.get("graphs") != about["graphs"] or known.get("lattice") != about["lattice"]:
            fields = [line for line in differences(known["study"], about["study"]) if line.split(".")[0] in ("area", "image", "labels")]
            fields += [] if known["lattice"] == about["lattice"] else [f"windows: {known['lattice']} against {about['lattice']}"]
            raise DataError(
                f"{self.folder.parent}: an unfinished delivery of another study lies there ({'; '.join(fields) or 'other graph'}); finish that one, choose another folder, or delete {self.folder.name}"
            )

    def sides_px(self) -> dict[str, int]:
        """The sides of requests that earlier runs have learned, by layer name."""
        try:
            known = read_json(self.folder / "sides.json", "the sides of requests")
            return {str(name): int(side) for name, side in known.items()}
        except (DataError, ValueError, AttributeError, TypeError):  # without it they are learned anew
            return {}

    def keep_side(self, layer: str, side_px: int) -> None:
        """Record the side of a layer's requests for later runs."""
        atomic_write(self.folder / "sides.json", json.dumps({**self.sides_px(), layer: side_px}), sync=False)

    def path(self, layer: Layer, window: Window) -> Path:
        """Where a window's pixels lie."""
        return self.folder / f"{layer.name}-{window.row:010d}-{window.col:010d}.npy"

    def has(self, layer: Layer, window: Window) -> bool:
        """Whether a window is finished."""
        try:
            self.read(layer, window)
        except DataError:
            return False
        return True

    def read(self, layer: Layer, window: Window) -> npt.NDArray[Any]:
        """A finished window: a structured array (y, x) over the file.

        Raises:
            DataError: absent or incomplete.
        """
        path = self.path(layer, window)
        try:
            array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise DataError(f"{path}: missing or not whole; run the same command again") from None
        if array.shape != (window.height, window.width) or array.dtype != _dtype(layer):
            raise DataError(f"{path}: holds {array.shape} {array.dtype}; delete it and run the same command again")
        return array

    def keep(self, layer: Layer, window: Window, pixels: npt.NDArray[Any]) -> None:
        """Record a finished window."""
        content = io.BytesIO()
        np.save(content, pixels, allow_pickle=False)
        atomic_write(self.path(layer, window), content.getvalue(), sync=False)

    def drop(self, layer: Layer, window: Window) -> None:
        """Remove a window whose shard is complete."""
        self.path(layer, window).unlink(missing_ok=True)
