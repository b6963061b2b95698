"""Which layer of the user's files is which band of the study: by names, numbers, common names and wavelengths, by place only where files declare nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.rasters.layer_names import COMMON, by_wavelength, common_names, is_generic, is_index, number_of, wavelength_um
from cropcam.pipeline.rasters.raster import Raster
from cropcam.pipeline.sensor import DEFAULT, packaged, packaged_names
from cropcam.pipeline.study.image import Image

_SATELLITE = re.compile(r"(L[COTEM]0\d)_")  # of a USGS product's name


@dataclass(frozen=True)
class Known:
    """What is known of a study's layers: their names, and the bands of one season by number (one that all collections agree on) and by common name."""

    layers: tuple[str, ...]
    seasons: int = 1
    numbers: dict[str, str] = field(default_factory=dict)
    common: dict[str, str] = field(default_factory=dict)
    of_collections: dict[str, dict[str, str]] = field(default_factory=dict)  # bands by number, as each collection numbers them

    @property
    def bands(self) -> tuple[str, ...]:
        """The layers of one season, without its number."""
        count = len(self.layers) // self.seasons
        return self.layers if self.seasons == 1 else tuple(name.split("_", 1)[1] for name in self.layers[:count])


def known_by_name(layers: tuple[str, ...]) -> Known:
    """Layers of which the names alone are known."""
    common = {found[0]: name for name in layers if len(found := common_names(name)) == 1}
    return Known(layers, 1, _single((number_of(name), name) for name in layers), common)


def known_layers(image: Image, layers: tuple[str, ...]) -> Known:
    """Layers of a study: what the sensor's collections call its bands counts beside their names."""
    numbers, common = [], []
    of_collections: dict[str, dict[str, str]] = {}
    for band in image.bands:
        numbers.append((number_of(band), band))
        if image.sensor != DEFAULT and band in COMMON:
            common.append((band, band))
        for asset_id in image.collections:
            asset = image.table.collection(asset_id).bands.get(band)
            numbers += [] if asset is None else [(number_of(asset), band)]
            common += [(name, band) for name in _common_of(asset_id, asset)]
        if image.sensor == DEFAULT and not number_of(band):  # a study's own names
            common += [(name, band) for name in common_names(band)[:1]]
    for asset_id in image.collections:
        assets = image.table.collection(asset_id).bands
        of_collections[asset_id] = _single((number_of(assets.get(band) or band), band) for band in image.bands)
    return Known(layers, len(image.seasons), _single(numbers), _single(common), of_collections)


def _common_of(asset_id: str, asset: str | None) -> list[str]:
    """Common names of a collection's band, by any packaged sensor."""
    collections = [item for name in packaged_names() for item in packaged(name).collections if item.id == asset_id]
    return [name for item in collections for name, of in item.bands.items() if of == asset and name in COMMON]


def _single(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names that mean one band alone."""
    found: dict[str, set[str]] = {}
    for name, band in pairs:
        found.setdefault(name, set()).add(band)
    return {name: next(iter(bands)) for name, bands in found.items() if name and len(bands) == 1}


def in_order(rasters: Sequence[Raster], known: Known) -> list[Raster]:
    """The files' layers in the study's order, each file whole where its layers follow each other.

    Raises:
        DataError: the files declare other layers than the study's, or one twice; names both.
    """
    layers = [(raster, place) for raster in rasters for place in range(len(raster.band_names))]
    tried: list[list[str | None]] = [
        [_named(raster, place, known.layers) for raster, place in layers],
        *([_declared(*layer, numbered) for layer in layers] for numbered in _numbered(rasters, known)),
    ]
    for names in tried:
        if not any(names):
            continue
        if (order := _order(names, known)) is not None:
            return _joined([layers[number] for number in order])
    declared = [_declared(raster, place, known) for raster, place in layers]
    if not any(declared) or (not any(name in known.bands for name in declared) and not all(declared)):
        return list(rasters)
    there = [
        text if (text := raster.band_names[place]) != raster.path.stem else name or "?"
        for (raster, place), name in zip(layers, declared, strict=True)
    ]
    raise DataError(
        f"{rasters[0].path if len(rasters) == 1 else rasters[0].path.parent}: the layers are named {', '.join(there)}, the study has "
        f"{', '.join(known.layers)}; give each of these once (gdal_translate -b takes bands out of a file)"
    )


def _numbered(rasters: Sequence[Raster], known: Known) -> list[Known]:
    """The same with the numbers of each collection that the files may be of: Landsat 8 numbers its bands otherwise than Landsat 5."""
    satellites = {found[1] for raster in rasters if (found := _SATELLITE.match(raster.path.name))}
    ways = [numbers for asset_id, numbers in known.of_collections.items() if not satellites or satellites & set(asset_id.split("/"))]
    distinct = [numbers for place, numbers in enumerate(ways) if numbers not in ways[:place]]
    if not distinct or (len(distinct) > 1 and len(known.layers) == 1):  # one number alone fits anything
        return [known]
    return [replace(known, numbers=numbers) for numbers in distinct]


def _order(names: Sequence[str | None], known: Known) -> list[int] | None:
    """The places of the layers in the study's order; None where the names are not those of its layers, each once."""
    if sorted(map(str, names)) == sorted(known.layers):
        return [names.index(name) for name in known.layers]
    count = len(known.bands)
    order = []
    for start in range(0, len(names), count):  # names without seasons: one season behind the other
        season = list(names[start : start + count])
        if sorted(map(str, season)) != sorted(known.bands):
            return None
        order += [start + season.index(name) for name in known.bands]
    return order


def _joined(layers: Sequence[tuple[Raster, int]]) -> list[Raster]:
    """One raster for each run of layers of one file."""
    runs: list[tuple[Raster, list[int]]] = []
    for raster, place in layers:
        if runs and runs[-1][0] is raster:
            runs[-1][1].append(place)
        else:
            runs.append((raster, [place]))
    return [raster if places == list(range(len(raster.band_names))) else raster.of_layers(places) for raster, places in runs]


def _texts(raster: Raster, place: int) -> list[str]:
    """The texts that name a layer: its description, and of a single band also the file's name."""
    name = raster.band_names[place]
    own = [name] if name != raster.path.stem else []
    return [*own, raster.path.stem] if len(raster.band_names) == 1 and raster.numbers is None else own


def _named(raster: Raster, place: int, bands: Sequence[str]) -> str | None:
    """The band whose name ends the layer's or the single-band file's name; None without one."""
    longest_first = sorted(bands, key=len, reverse=True)  # "infra_red" ends in "red"
    return next((band for text in _texts(raster, place) for band in longest_first if _ends_with(text, band)), None)


def _ends_with(name: str, band: str) -> bool:
    return re.search(rf"(^|[^A-Za-z0-9]){re.escape(band)}$", name, re.IGNORECASE) is not None


def _declared(raster: Raster, place: int, known: Known) -> str | None:
    """The band that a file declares a layer to be, or, where it is none of the study's, its own name; None where nothing is declared."""
    if (band := _named(raster, place, known.bands)) is not None:
        return band
    for text in _texts(raster, place):
        if is_generic(text):
            continue
        if number := number_of(text) if known.numbers else "":
            return known.numbers.get(number, text)
        if (names := common_names(text)) and known.common:
            return next((known.common[name] for name in reversed(names) if name in known.common), text)  # nir08 is the narrow one of two
        if is_index(text):
            return text
    value_um = wavelength_um(raster.band_tags[place]) if raster.band_tags else None
    if value_um is None or not known.common:
        return None
    return by_wavelength(value_um, known.common) or f"{value_um:g} um"
