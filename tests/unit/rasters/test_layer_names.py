"""Names of spectral bands as files have them."""

from __future__ import annotations

import pytest

from cropcam.pipeline.rasters.layer_names import by_wavelength, common_names, is_generic, is_index, number_of, plain, wavelength_um


@pytest.mark.parametrize(
    ("text", "number", "common"),
    [
        ("SR_B4", "4", ()),
        ("b08", "8", ()),
        ("B8A", "8a", ()),
        ("B4 - Red", "4", ("red",)),
        ("Red Edge 2", "", ("red_edge2",)),
        ("rededge071", "", ("red_edge1",)),
        ("median_swir16", "", ("swir1",)),
        ("nir08", "", ("nir", "nir_narrow")),
        ("near-infrared", "", ("nir",)),
        ("scattered", "", ()),
        ("QA_PIXEL", "", ()),
        ("Band 3", "", ()),
    ],
)
def test_numbers_and_common_names(text: str, number: str, common: tuple[str, ...]) -> None:
    assert (number_of(text), common_names(text)) == (number, common)


def test_words_that_tell_nothing_and_indices() -> None:
    assert [is_generic(text) for text in ("Band 1", "layer_3", "Gray", "7", "B1", "red")] == [True, True, True, True, False, False]
    assert [is_index(text) for text in ("NDVI", "evi_max", "review", "red")] == [True, True, False, False]
    assert plain("  Red (B4)! ") == "red_b4"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"wavelength": "0.4822", "wavelength_units": "Micrometers"}, 0.4822),
        ({"wavelength": "865"}, 0.865),
        ({"wavelength": "560.0 nm"}, 0.56),
        ({"CENTRAL_WAVELENGTH_UM": "2.2"}, 2.2),
        ({"wavelength": "unknown"}, None),
        ({"wavelength": "0"}, None),
        ({"wavelength": "1.2.3"}, None),
        ({}, None),
    ],
)
def test_wavelengths(tags: dict[str, str], expected: float | None) -> None:
    assert wavelength_um(tags) == expected


def test_bands_by_their_wavelength() -> None:
    landsat = {"blue": "SR_B2", "red": "SR_B4", "nir": "SR_B5"}
    assert [by_wavelength(value, landsat) for value in (0.482, 0.655, 0.865, 0.7, 1.6)] == ["SR_B2", "SR_B4", "SR_B5", None, None]
    sentinel = {"nir": "nir", "nir_narrow": "nir_narrow"}
    assert [by_wavelength(value, sentinel) for value in (0.833, 0.865)] == ["nir", "nir_narrow"]
