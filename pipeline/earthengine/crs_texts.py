"""The text that names a CRS to the service: a code of EPSG, or WKT of version 1 for any other.

pyproj knows more authorities and PROJ text; the service is documented for "a standard coordinate reference system code" and WKT.

Source: Earth Engine REST reference, PixelGrid (crsCode, crsWkt); guide "Projections".
"""

from __future__ import annotations

import re
from functools import lru_cache

from pyproj import CRS
from pyproj.enums import WktVersion
from pyproj.exceptions import CRSError

from cropcam.pipeline.errors import ConfigError

_CODE = re.compile(r"EPSG:\d+")


@lru_cache(maxsize=64)
def service_crs(crs: str) -> str:
    """The CRS of a study as a code of EPSG or as WKT 1, for arguments that take either.

    Raises:
        ConfigError: WKT 1 cannot express it.
    """
    if _CODE.fullmatch(crs):
        return crs
    system = CRS.from_user_input(crs)
    if number := system.to_epsg(min_confidence=100):
        return f"EPSG:{number}"
    try:
        return str(system.to_wkt(WktVersion.WKT1_GDAL))
    except CRSError:
        raise ConfigError(f"area.crs {crs}: WKT 1, which Earth Engine reads, cannot express it; write an EPSG code") from None


def grid_crs(crs: str) -> dict[str, str]:
    """The CRS as a field of a PixelGrid: crsCode or crsWkt; raises as `service_crs`."""
    text = service_crs(crs)
    return {"crsCode" if _CODE.fullmatch(text) else "crsWkt": text}
