"""Image and labels as one lazy xarray dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.grid import Window
from cropcam.pipeline.rasters.export_shards import open_shards
from cropcam.pipeline.rasters.xarray_dataset import lazy_dataset
from support.exports import GRID, IMAGE, LABELS, STUDY, export
from support.memory_source import Memory, make_grid
from support.rasters import open_image, random_dn, write_raster


def test_shards_are_one_lazy_dataset(tmp_path: Path) -> None:
    export(tmp_path, IMAGE, LABELS, (70,))
    source, labels = open_shards(tmp_path, STUDY)
    dataset = lazy_dataset(source, labels, chunk_px=33)
    assert dataset["image"].chunks is not None, "lazy"
    np.testing.assert_array_equal(dataset["image"].to_numpy(), IMAGE)
    np.testing.assert_array_equal(dataset["label"].isel(y=slice(40, 90), x=slice(3, 50)).to_numpy(), LABELS[40:90, 3:50])
    assert dataset["image"].dtype == np.uint16
    assert dataset["image"].attrs == {"scale_factor": 0.0000275, "add_offset": -0.2, "_FillValue": 0}
    assert dataset["band"].to_numpy().tolist() == list(STUDY.image.layers)
    assert tuple(dataset.rio.transform())[:6] == pytest.approx(GRID.transform)
    assert dataset.rio.crs.to_string() == GRID.crs


def test_an_image_without_labels_reads_the_pixels_it_is_asked_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    dn = random_dn((3, 40, 50))
    windows: list[Window] = []
    plain = Memory.read

    def counting(source: Memory, window: Window) -> np.ndarray:
        windows.append(window)
        return plain(source, window)

    monkeypatch.setattr(Memory, "read", counting)
    dataset = lazy_dataset(Memory(dn), chunk_px=16)  # type: ignore[arg-type]
    assert windows == []
    assert "label" not in dataset
    np.testing.assert_array_equal(dataset["image"][:, 20:30, 3:10].to_numpy(), dn[:, 20:30, 3:10])
    assert windows == [Window(16, 0, 16, 16)]
    grid = make_grid(40, 50)
    for name, centres in zip("xy", grid.centres(), strict=True):
        np.testing.assert_array_equal(dataset[name], centres)
    assert dataset.rio.crs.to_string() == grid.crs


def test_bands_that_differ_say_so_along_the_band(tmp_path: Path) -> None:
    dn = random_dn((2, *GRID.shape_yx)).astype(np.int16)
    paths = [write_raster(tmp_path / f"{name}.tif", dn[i], GRID, nodata=nodata) for i, (name, nodata) in enumerate((("a", -1), ("b", -2)))]
    image = lazy_dataset(open_image(paths, ("a", "b")))["image"]
    assert not {"scale_factor", "add_offset", "_FillValue"} & set(image.attrs)
    assert [image[name].to_numpy().tolist() for name in ("scale", "offset", "nodata")] == [[0.0001] * 2, [0.0] * 2, [-1.0, -2.0]]
