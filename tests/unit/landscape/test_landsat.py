"""Scenes of older Landsats: their bands, no cirrus, the land of Landsat 8."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rasterio

from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.landscape.landsat import bands_of
from support.sensor_archives import small

SEVEN, EIGHT = "LANDSAT/LE07/C02/T1_L2", "LANDSAT/LC08/C02/T1_L2"


def test_bands_by_wavelength() -> None:
    assert bands_of(SEVEN) == {"SR_B1": 1, "SR_B2": 2, "SR_B3": 3, "SR_B4": 4, "SR_B5": 5, "SR_B7": 6}
    assert bands_of(EIGHT)["SR_B5"] == 4


def test_landsat_7_beside_8(tmp_path: Path) -> None:
    simulate(small("landsat-4-9", collections=[SEVEN, EIGHT], seasons=[["2018-07-01", "2018-08-02"]]), tmp_path)
    sevens = sorted((tmp_path / SEVEN).iterdir())
    assert sevens
    for scene in sevens:
        about = json.loads((scene / "asset.json").read_text())
        assert set(about["bands"]) == {*bands_of(SEVEN), "QA_PIXEL", "QA_RADSAT"}
        assert about["properties"]["SPACECRAFT_ID"] == "LANDSAT_7"
        with rasterio.open(scene / "QA_PIXEL.tif") as file:
            qa = file.read(1)
        assert not (qa & (1 << 2 | 3 << 14)).any()
        with rasterio.open(scene / "SR_B4.tif") as file:
            nir = file.read(1)[qa & 0b11011 == 0]
        if nir.size > 100:
            assert 0.15 < np.median(nir) * 0.0000275 - 0.2 < 0.6
