"""The service's limits and its messages. Pure functions of numbers, which raise or return.

Source: Earth Engine REST reference, projects.image/computePixels, projects.image/export and ImageFileExportOptions;
guides "Earth Engine quotas" and "Processing environments". The byte count of a request includes one mask byte per band
and pixel, as users measured it on the service (google/Xee issue 209).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.grid import Window, tiles

DEFAULT_TILE_PX = 256
DEFAULT_MAX_PIXELS = 100_000_000
DEFAULT_PRIORITY = 100
_FILE_TARGET_BYTES = 2**31


@dataclass(frozen=True)
class Limits:
    """Limits of one project; the defaults are the service's.

    How long operations are kept is not documented: `kept_operations` is on order only. `eecu_day_s` and `eecu_month_s` are
    those of one project's settings and tier.
    """

    request_bytes: int = 50_331_648  # of computePixels, uncompressed, with one mask byte per band
    output_bytes: int = 83_886_080  # of a computed image, 8 bytes a value; that computePixels has this limit is not confirmed
    tile_bytes: int = 8 * 2**30  # of one tile of an export in the model of `memory_model`; not the service's number
    body_bytes: int = 10_485_760  # of the body of any request
    side_px: int = 32_768
    bands: int = 1_024
    concurrent: int = 40
    requests_per_s: int = 100  # of a project
    interactive_s: float = 300.0
    batch_tasks: int = 2
    queue: int = 3_000
    page: int = 500  # operations in one page of their list
    kept_operations: int | None = None  # ended ones, the latest; None: all
    eecu_day_s: float | None = None  # EECU-seconds of a project's own quota of a day; None: unlimited, as by default
    eecu_month_s: float | None = None  # EECU-seconds of its tier's month; None: unlimited
    restricted_s: float = 1.0  # wait at each block of a task once the month is used up; how much it slows down is not documented
    file_side_px: int = 131_072
    file_bytes: int = 17_179_869_184
    make_buckets: bool = True  # an export makes a bucket that is not there; the service fails
    closed_buckets: frozenset[str] = frozenset()  # buckets that the user has no permission on


def invalid(message: str) -> EngineError:
    """The error of an invalid request: 400."""
    return EngineError(message)


def check_pixels(width: int, height: int, dtypes: Sequence[npt.DTypeLike], limits: Limits) -> None:
    """Refuse a pixel request that is too large.

    Raises:
        EngineError: a side, the bands or the bytes exceed the limits.
    """
    if width < 1 or height < 1:
        raise invalid(f"Pixel grid dimensions ({width}x{height}) must be positive.")
    if width > limits.side_px or height > limits.side_px:
        raise invalid(f"Pixel grid dimensions ({width}x{height}) must be less than or equal to {limits.side_px}.")
    if not dtypes:
        raise invalid("No bands were requested.")
    if len(dtypes) > limits.bands:
        raise invalid(f"Number of bands ({len(dtypes)}) must be less than or equal to {limits.bands}.")
    total = request_bytes(width, height, dtypes)
    if total > limits.request_bytes:
        raise invalid(f"Total request size ({total} bytes) must be less than or equal to {limits.request_bytes} bytes.")


def request_bytes(width: int, height: int, dtypes: Sequence[npt.DTypeLike]) -> int:
    """Bytes the service counts for a pixel request: each band's value and one mask byte."""
    return width * height * sum(np.dtype(dtype).itemsize + 1 for dtype in dtypes)


def check_output(width: int, height: int, bands: int, limits: Limits) -> None:
    """Refuse a computed image that is too large, counted at 8 bytes a value.

    Raises:
        EngineError: it is.

    Source: the message as users quote it ("20 bands for 851968 pixels = 126.8 MiB > 80.0 MiB"): close to 8 bytes a value.
    """
    total = width * height * bands * 8
    if total > limits.output_bytes:
        raise invalid(
            f"Output of image computation is too large ({bands} bands for {width * height} pixels = {total / 2**20:.1f} MiB > "
            f"{limits.output_bytes / 2**20:.1f} MiB).\nIf this is a reduction, try specifying a larger 'tileScale' parameter."
        )


def check_request_id(request_id: str) -> None:
    """Refuse a request id that is not at most 60 characters of a-z, A-Z, 0-9 and "-".

    Raises:
        EngineError: it is larger.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{0,60}", request_id):
        raise invalid("Invalid request ID: it must be at most 60 characters of a..z, A..Z, 0-9 or '-'.")


def check_description(description: str) -> None:
    """Refuse a task name that is empty, over 100 characters, or of more than letters, digits, - and _.

    Raises:
        EngineError: it is too large.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", description):
        raise invalid(f"Illegal task description {description[:120]!r}: it must be 1 to 100 letters, numbers, '-' or '_'.")


def check_prefix(prefix: str, is_path: bool) -> None:
    """Refuse a file name prefix with other characters than letters, digits, - and _ ("/" and "." too in a bucket).

    Raises:
        EngineError: it has such characters, or leaves its folder.
    """
    pattern = r"[A-Za-z0-9_./-]{1,900}" if is_path else r"[A-Za-z0-9_-]{1,200}"
    if not re.fullmatch(pattern, prefix) or any(part in {"", ".", ".."} for part in prefix.split("/")):
        raise invalid(f"Illegal file name prefix {prefix[:120]!r}: it may contain letters, numbers, '-' and '_'.")


def check_bucket(bucket: str) -> None:
    """Refuse an invalid bucket name.

    Raises:
        EngineError: it is invalid.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", bucket) or ".." in bucket:
        raise invalid(f"Invalid Cloud Storage bucket name: {bucket[:120]!r}.")


def check_priority(priority: int) -> None:
    """Refuse a priority outside 0 to 9999.

    Raises:
        EngineError: it is out of range.
    """
    if not 0 <= priority <= 9999:
        raise invalid(f"Invalid priority {priority}: it must be an integer between 0 and 9999.")


def check_export(width: int, height: int, types: Sequence[npt.DTypeLike], max_pixels: int) -> None:
    """What makes a running export fail before its first block.

    Raises:
        EngineError: too many pixels, no band, or bands of several types.
    """
    if width * height > max_pixels:
        raise invalid(
            f"Export too large: specified {width * height} pixels (max: {max_pixels}). Specify higher maxPixels value if you "
            "intend to export a large area."
        )
    if not types:
        raise invalid("Exported images must have at least one band.")
    names = list(dict.fromkeys(_type_name(dtype) for dtype in types))
    if len(names) > 1:
        raise invalid(f"Exported bands must have compatible data types; found inconsistent types: {' and '.join(names[:2])}.")


def check_no_data(value: float, dtype: npt.DTypeLike) -> None:
    """Refuse a nodata value that the exported type cannot hold.

    Raises:
        EngineError: it cannot.
    """
    kind = np.dtype(dtype)
    if kind.kind in "iu" and not (value == int(value) and np.iinfo(kind).min <= value <= np.iinfo(kind).max):
        raise invalid(f"The noData value {value:g} is out of range for the exported data type {_type_name(kind)}.")


def plan_files(width: int, height: int, pixel_bytes: int, file_size: tuple[int, int] | None, tile_px: int, limits: Limits) -> list[Window]:
    """The pixels of each file of an export, row by row; one window where all fits one file.

    Without explicit dimensions the side is the smallest multiple of the tile size whose square holds 2 GiB: undocumented,
    but consistent with the names of published exports (23296 at 4 bytes a pixel, 32768 at 2, 46592 at 1).

    Args:
        width: of the image in pixels.
        height: of the image in pixels.
        pixel_bytes: of all bands together, uncompressed.
        file_size: explicit (width, height) of a file.
        tile_px: the sides of a file are multiples of it.
        limits: of one file.

    Raises:
        EngineError: dimensions that are no multiple of the tile size, or too large.
    """
    if tile_px < 16 or tile_px % 16:
        raise invalid(f"Invalid tile size {tile_px}: it must be a positive multiple of 16.")
    if file_size is None:
        side = math.ceil(math.sqrt(_FILE_TARGET_BYTES / pixel_bytes) / tile_px) * tile_px
        file_size = (side, side)
    elif any(side < 1 or side % tile_px for side in file_size):
        raise invalid(f"File dimensions ({file_size[0]}x{file_size[1]}) must be positive multiples of the tile size ({tile_px}).")
    if max(file_size) > limits.file_side_px:
        raise invalid(f"File dimensions ({file_size[0]}x{file_size[1]}) must be less than or equal to {limits.file_side_px}.")
    total = min(file_size[0], width) * min(file_size[1], height) * pixel_bytes
    if total >= limits.file_bytes:
        raise invalid(
            "File dimensions are too large for the number of bands and data type: the total file size requested is "
            f"{total} bytes before compression ({pixel_bytes} bytes per pixel), but must be less than {limits.file_bytes} bytes."
        )
    return list(tiles((height, width), (file_size[1], file_size[0])))


def _type_name(dtype: npt.DTypeLike) -> str:
    kind = np.dtype(dtype)
    return "Byte" if kind == np.uint8 else kind.name.replace("uint", "UInt") if kind.kind == "u" else kind.name.capitalize()
