"""Algorithms on an image's bands: selection, order, names.

Source: Earth Engine API, ee.Image.select, rename, addBands, bandNames, bandTypes, slice, cat.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from cropcam.pipeline.emulator import patterns
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage, check_bands
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.emulator.values import Value


@algorithm("Image.select")
def select(input: LazyImage, bandSelectors: list[Any], newNames: list[str] | None = None) -> LazyImage:  # noqa: A002
    """The bands that names, indices or patterns select, in the selectors' order, renamed where names are given."""
    chosen: list[Band] = []
    for selector in bandSelectors:
        chosen += _matching(input.bands, selector)
        check_bands(len(chosen))
    if newNames is not None:
        chosen = _renamed(chosen, newNames, "Image.select")
    return input.with_bands(_unique(chosen))


@algorithm("Image.rename")
def rename(input: LazyImage, names: list[str]) -> LazyImage:  # noqa: A002
    """The bands under other names."""
    return input.with_bands(_renamed(input.bands, names, "Image.rename"))


@algorithm("Image.regexpRename")
def regexp_rename(input: LazyImage, regex: str, replacement: str, all: bool = True) -> LazyImage:  # noqa: A002
    """The bands under names changed by a regular expression."""
    return input.with_bands([band.named(patterns.replaced(regex, replacement, band.name, every=all)) for band in input.bands])


@algorithm("Image.addBands")
def add_bands(dstImg: LazyImage, srcImg: LazyImage, names: list[str] | None = None, overwrite: bool = False) -> LazyImage:
    """The first image with the second's bands (or those named) behind its own.

    A band whose name is taken replaces the other with `overwrite`, else gets "_1" (or the next free number) behind it.
    """
    added = srcImg.bands if names is None else [srcImg.band(name) for name in names]
    check_bands(len(dstImg.bands) + len(added))
    bands = {band.name: band for band in dstImg.bands}
    for band in added:
        name = band.name if overwrite else _free_name(band.name, bands)
        bands[name] = band.named(name)
    return dstImg.with_bands(list(bands.values()))


@algorithm("Image.cat")
def cat(images: list[Any]) -> LazyImage:
    """The bands of several images."""
    if not all(isinstance(image, LazyImage) for image in images):
        raise EngineError("Image.cat, argument 'images': Invalid type.\nExpected type: List<Image<unknown bands>>.")
    return LazyImage(_unique(band for image in images for band in image.bands))


@algorithm("Image.slice")
def slice_(image: LazyImage, start: int, end: int | None = None) -> LazyImage:
    """The bands [start, end); negative numbers count from the end."""
    return image.with_bands(image.bands[start:end])


@algorithm("Image.bandNames")
def band_names(image: LazyImage) -> list[str]:
    """Band names in order."""
    return list(image.names)


@algorithm("Image.bandTypes")
def band_types(image: LazyImage) -> dict[str, BandType]:
    """Pixel types by band name."""
    return {band.name: band.type for band in image.bands}


def _matching(bands: Sequence[Band], selector: Value) -> list[Band]:
    if isinstance(selector, int | float):
        index = int(selector)
        if not -len(bands) <= index < len(bands):
            raise EngineError(f"Image.select: Band index {index} out of bounds; the image has {len(bands)} bands.")
        return [bands[index]]
    matches = [band for band in bands if band.name == selector] or _by_pattern(bands, str(selector))
    if not matches:
        names = ", ".join(band.name for band in bands)
        raise EngineError(f"Image.select: Band pattern '{selector}' did not match any bands. Available bands: [{names}]")
    return matches


def _by_pattern(bands: Sequence[Band], pattern: str) -> list[Band]:
    try:
        return [band for band in bands if patterns.matches(pattern, band.name)]
    except EngineError as error:
        if error.message == TEXTS["timeout"].message:
            raise
        return []


def _renamed(bands: Sequence[Band], names: Sequence[str], where: str) -> list[Band]:
    if len(names) != len(bands):
        raise EngineError(f"{where}: The number of names ({len(names)}) must match the number of bands ({len(bands)}).")
    if len(set(names)) < len(names):
        raise EngineError(f"{where}: Duplicate band names in [{', '.join(names)}].")
    return [band.named(name) for band, name in zip(bands, names, strict=True)]


def _unique(bands: Iterable[Band]) -> list[Band]:
    kept: dict[str, Band] = {}
    for band in bands:
        name = _free_name(band.name, kept)
        kept[name] = band.named(name)
        check_bands(len(kept))
    return list(kept.values())


def _free_name(name: str, taken: Container[str]) -> str:
    number, free = 0, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
