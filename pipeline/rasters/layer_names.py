"""Names of spectral bands as files have them: common names, numbers, wavelengths, indices. Pure functions of text.

Source: STAC Electro-Optical extension 1.1, common band names; centre wavelengths of Landsat 4 to 9 (USGS) and Sentinel-2 (ESA).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Spectral(NamedTuple):
    """A common band: its names, and the wavelengths in micrometres between which the centre of such a band lies, nearest to `centre`."""

    names: tuple[str, ...]
    low: float
    high: float
    centre: float


COMMON = {
    "coastal": Spectral(("coastal", "coastal_aerosol", "aerosol", "ultra_blue", "ultrablue", "violet"), 0.42, 0.455, 0.443),
    "blue": Spectral(("blue",), 0.455, 0.515, 0.485),
    "green": Spectral(("green",), 0.53, 0.59, 0.56),
    "red": Spectral(("red",), 0.63, 0.69, 0.66),
    "red_edge1": Spectral(("red_edge1", "red_edge_1", "rededge1", "rededge_1", "rededge071", "vre1"), 0.69, 0.722, 0.705),
    "red_edge2": Spectral(("red_edge2", "red_edge_2", "rededge2", "rededge_2", "rededge075", "vre2"), 0.722, 0.761, 0.74),
    "red_edge3": Spectral(("red_edge3", "red_edge_3", "rededge3", "rededge_3", "rededge078", "vre3"), 0.761, 0.8, 0.783),
    "nir": Spectral(("nir", "nir08", "near_infrared", "nearinfrared", "near_infra_red", "infrared"), 0.8, 0.9, 0.84),
    "nir_narrow": Spectral(("nir_narrow", "narrow_nir", "nir_n", "nir08", "nira", "nir2"), 0.85, 0.88, 0.865),
    "water_vapour": Spectral(("water_vapour", "water_vapor", "nir09"), 0.93, 0.96, 0.945),
    "cirrus": Spectral(("cirrus",), 1.35, 1.4, 1.373),
    "swir1": Spectral(("swir1", "swir_1", "swir16", "swir_16", "short_wave_infrared_1", "shortwave_infrared_1"), 1.54, 1.76, 1.61),
    "swir2": Spectral(("swir2", "swir_2", "swir22", "swir_22", "short_wave_infrared_2", "shortwave_infrared_2"), 2.05, 2.36, 2.2),
    "thermal": Spectral(("thermal", "lwir", "lwir11", "lwir12", "tir", "tirs1", "tirs"), 10.0, 12.6, 10.9),
    "pan": Spectral(("pan", "panchromatic"), 0.0, 0.0, 0.0),
}
_INDICES = [
    "ndvi",
    "evi",
    "evi2",
    "savi",
    "msavi",
    "ndwi",
    "mndwi",
    "nbr",
    "nbr2",
    "ndmi",
    "ndbi",
    "ndsi",
    "gndvi",
    "lswi",
    "gcvi",
    "ndre",
    "ndti",
    "brightness",
    "greenness",
    "wetness",
]
_NUMBER = re.compile(r"(?:^|_)(?:sr_|st_)?b_?0*(\d+a?)(?=_|$)")
_GENERIC = re.compile(r"(?:band|layer|b|gray|grey|undefined|palette)?_?\d*")
_OF_UNIT = {
    "um": 1.0,
    "μm": 1.0,
    "µm": 1.0,
    "micrometers": 1.0,
    "micrometer": 1.0,
    "micrometres": 1.0,
    "microns": 1.0,
    "nm": 1e-3,
    "nanometers": 1e-3,
}
_OF_UNIT |= {"nanometer": 1e-3, "nanometres": 1e-3, "m": 1e6, "meters": 1e6}
_WAVELENGTH_TAGS = ("central_wavelength_um", "wavelength", "center_wavelength", "centre_wavelength", "central_wavelength")


def plain(text: str) -> str:
    """Letters and digits in lower case, all else as one underscore.

    >>> plain("Red (B4)"), plain("1_SR_B1")
    ('red_b4', '1_sr_b1')
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def number_of(text: str) -> str:
    """The number of a band in its name, empty without one.

    >>> number_of("SR_B4"), number_of("b08"), number_of("B8A"), number_of("Band 4"), number_of("B4 - Red"), number_of("ST_B10")
    ('4', '8', '8a', '', '4', '10')
    """
    match = _NUMBER.search(plain(text))
    return match[1] if match else ""


def common_names(text: str) -> tuple[str, ...]:
    """The common bands that a name may mean: of the longest alias in it.

    >>> common_names("Red Edge 1"), common_names("scene_red"), common_names("nir08"), common_names("infrared"), common_names("hatred")
    (('red_edge1',), ('red',), ('nir', 'nir_narrow'), ('nir',), ())
    """
    words, found = f"_{plain(text)}_", {}
    for name, about in COMMON.items():
        lengths = [len(alias) for alias in about.names if f"_{alias}_" in words]
        if lengths:
            found[name] = max(lengths)
    return tuple(name for name, length in found.items() if length == max(found.values()))


def is_index(text: str) -> bool:
    """Whether a name is that of a spectral index, as ndvi."""
    return any(word in _INDICES for word in plain(text).split("_"))


def is_generic(text: str) -> bool:
    """Whether a name means no band: a number, or a word that any layer may have.

    >>> is_generic("Band 1"), is_generic("Layer_1"), is_generic("B1"), is_generic("red")
    (True, True, False, False)
    """
    return bool(_GENERIC.fullmatch(plain(text))) and not number_of(text)


def wavelength_um(tags: Mapping[str, str]) -> float | None:
    """The centre wavelength of a band by its tags, in micrometres; None without one.

    >>> wavelength_um({"wavelength": "865", "wavelength_units": "Nanometers"}), wavelength_um({"CENTRAL_WAVELENGTH_UM": "0.56"})
    (0.865, 0.56)
    """
    lower = {key.lower(): text for key, text in tags.items()}
    for key in _WAVELENGTH_TAGS:
        match = re.match(r"\s*([\d.]+(?:e[+-]?\d+)?)\s*(\S*)", lower.get(key, ""), re.IGNORECASE)
        try:
            value = float(match[1]) if match else 0.0
        except ValueError:
            continue
        if match and value > 0:
            unit = (match[2] or lower.get("wavelength_units", "") or lower.get("wavelength_unit", "")).lower()
            factor = 1.0 if key.endswith("_um") else _OF_UNIT.get(unit, 1.0 if value < 100 else 1e-3)
            return round(value * factor, 6)
    return None


def by_wavelength(value_um: float, wanted: Mapping[str, str]) -> str | None:
    """The band of a centre wavelength among `wanted`, bands by common name; None where none of them lies there."""
    near = [
        (abs(value_um - COMMON[name].centre), band) for name, band in wanted.items() if COMMON[name].low <= value_um <= COMMON[name].high
    ]
    return min(near)[1] if near else None
