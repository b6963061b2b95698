"""What product a file is of, by its name, its folder's and its tags: the level and collection that its values have. Pure functions of text.

Names: USGS LSDS-1414 and LSDS-1619 (Landsat), ESA S2-PDGS-TAS-DI-PSD (Sentinel-2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from cropcam.pipeline.errors import DataError

_SENTINEL_2 = re.compile(r"S2[A-D]_MSIL(1C|2A)_\d{8}T\d{6}_")
_LANDSAT = re.compile(r"L[COTEM]0\d_(L\d)[A-Z]{2}_\d{6}_\d{8}_\d{8}_(0\d)_(?:RT|T1|T2)")
_SURFACE_OF_1 = re.compile(r"_(?:sr_band\d+|bt_band\d+|sr_\w+)\.", re.IGNORECASE)  # of Collection 1: named after the level-1 scene
_TOA = re.compile(r"(?<![a-z])(?:toa|toar|top_of_atmosphere)(?![a-z])", re.IGNORECASE)
_LEVEL_TAGS = ("processing_level", "processing_level_id", "product_level", "processinglevel", "data_type")
_STEP = {
    "landsat": "take the scene's Level-2 files (LC08_L2SP_..._SR_B4.TIF)",
    "sentinel-2": "take the scene's Level-2A product (S2A_MSIL2A_...), or make it with sen2cor",
    "": "take the product of surface reflectance",
}


def level_1(path: Path, tags: Mapping[str, str], names: Iterable[str] = ()) -> tuple[str, str] | None:
    """What a file of a level-1 product, or of reflectance at the top of the atmosphere, is called, and the next step; None for others.

    Args: `path` of the file, of which the folder counts too; `tags` of the file; `names` of its bands.
    """
    text = str(path)
    if found := _SENTINEL_2.findall(text):
        return (_SENTINEL_2.search(text)[0].rstrip("_"), _STEP["sentinel-2"]) if found[-1] == "1C" else None  # type: ignore[index]
    if found_landsat := list(_LANDSAT.finditer(text)):
        match = found_landsat[-1]
        if match[1] == "L1" and not (match[2] == "01" and _SURFACE_OF_1.search(path.name)):
            return match[0], _STEP["landsat"]
        return None
    for key, value in tags.items():
        if key.lower() in _LEVEL_TAGS and re.match(r"(?:level[-_ ]?1|l1[a-z])", value.strip(), re.IGNORECASE):
            return f"{key} {value}", _STEP["sentinel-2" if "c" in value.lower()[-1:] else ""]
    for name in (path.stem, *names):
        if match_toa := _TOA.search(name):
            return f"{match_toa[0]} in {name!r}", _STEP[""]
    return None


def landsat_collection(path: Path) -> int | None:
    """The Landsat collection that a file's name has, 1 or 2; None without one.

    >>> landsat_collection(Path("LC08_L1TP_023032_20180831_20200831_01_T1_sr_band4.tif"))
    1
    """
    found = _LANDSAT.findall(path.name)
    return int(found[-1][1]) if found else None


def check_level(path: Path, tags: Mapping[str, str], names: Iterable[str], level: int | None, title: str) -> None:
    """Refuse a file of a level-1 product where the sensor's values are of level 2.

    Raises:
        DataError: names what the file is called and the product to take.
    """
    if level == 2 and (found := level_1(path, tags, names)):
        raise DataError(f"{path}: is of a Level-1 product ({found[0]}), the study's values are {title}: {found[1]}")


def check_collection(path: Path, dtype: str, scale: float, own_scale: float) -> None:
    """Refuse a Landsat Collection 1 file of integers whose values would be read as those of Collection 2.

    Raises:
        DataError: names the options that its values need.
    """
    if landsat_collection(path) == 1 and dtype in {"uint16", "int16"} and scale == own_scale == 0.0000275:
        raise DataError(
            f"{path}: is of Landsat Collection 1, whose reflectance is times 10,000; give --scale 0.0001 --offset 0, or the scene of Collection 2"
        )
