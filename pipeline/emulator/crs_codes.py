"""Texts that name a coordinate reference system, as strictly as the service reads them.

Codes are those of EPSG and the one other that the guides use, SR-ORG:6974 of MODIS. Any other system is named by its WKT,
of version 1, which the service's library (GeoTools) reads. "ESRI:54009" and "SR-ORG:7619" "cannot be parsed", while the
WKT of the first can (gis.stackexchange.com question 272818).

Source: Earth Engine REST reference, PixelGrid ("a standard coordinate reference system code", "non-standard: crsWkt"); guide
"Projections". That the service reads neither PROJ text, nor WKT 2, nor codes in capitals only, is not confirmed.
"""

from __future__ import annotations

import re

from pyproj import CRS
from pyproj.exceptions import CRSError

from cropcam.pipeline.emulator.errors import EngineError

_EPSG = re.compile(r"EPSG:\d{1,6}", re.IGNORECASE)
_WKT1 = re.compile(r"\s*(PROJCS|GEOGCS)\s*[\[(]")
_SINUSOIDAL = "SR-ORG:6974"
# On the sphere of MODIS, as its files have it. The registry's own text of 6974 differs (leftfield-geospatial/geedim, geedim/download.py)
_SINUSOIDAL_WKT = (
    'PROJCS["MODIS Sinusoidal",GEOGCS["MODIS sphere",DATUM["MODIS sphere",SPHEROID["MODIS sphere",6371007.181,0]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Sinusoidal"],PARAMETER["longitude_of_center",0],'
    'PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def of_code(code: str) -> str:
    """The system of a code: "EPSG:n", or the WKT of the other code that the service documents.

    Raises:
        EngineError: another authority, an unknown number, or no code at all.
    """
    if code.upper() == _SINUSOIDAL:
        return _SINUSOIDAL_WKT
    if not _EPSG.fullmatch(code) or not _is_known(code):
        raise _unparsed(code)
    return code.upper()


def of_wkt(wkt: str) -> str:
    """The system of a WKT of version 1: "EPSG:n" where it is one of EPSG, else the text itself.

    Raises:
        EngineError: WKT of version 2, or no WKT.
    """
    if not _WKT1.match(wkt) or not _is_known(wkt):
        raise _unparsed(wkt)
    number = CRS.from_user_input(wkt).to_epsg()
    return f"EPSG:{number}" if number else wkt


def of_text(text: str) -> str:
    """The system of a code or a WKT, as the `crs` argument of an algorithm takes either.

    Raises:
        EngineError: it is neither.
    """
    return of_wkt(text) if _WKT1.match(text) else of_code(text)


def field_of(crs: str) -> dict[str, str]:
    """A system under its JSON key: "crs" for a code, "wkt" for any other."""
    if crs == _SINUSOIDAL_WKT:
        return {"crs": _SINUSOIDAL}
    return {"crs": crs} if _EPSG.fullmatch(crs) else {"wkt": crs}


def _is_known(text: str) -> bool:
    try:
        CRS.from_user_input(text)
    except CRSError:
        return False
    return True


def _unparsed(text: str) -> EngineError:
    return EngineError(f"Projection: The CRS of a map projection could not be parsed: '{text}'.")
