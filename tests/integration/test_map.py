"""From a run folder and a raster to a map on the disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rio_cogeo import cog_validate

from cropcam.model.inference.wall_to_wall import Outputs, map_raster
from cropcam.model.runs.checkpoint import BEST
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.region import open_region
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import load_study
from support.map_runs import info_of, make_config, make_run, random_dn, random_network, sign_network, with_attrs
from support.memory_source import LEGEND, Memory
from support.runs import train
from support.shifted import CHANGES, changed
from support.stores import make_store


@pytest.fixture
def run_path(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", random_network(), make_config())


@pytest.fixture
def source() -> Memory:
    return Memory(random_dn(np.random.default_rng(0), 150, 130, 0.4), ("one.tif", "two.tif"))


def test_a_map_of_a_raster(tmp_path: Path, run_path: Path, source: Memory) -> None:
    out = tmp_path / "map.tif"
    summary = map_raster(run_path, source, out, device="cpu")
    assert cog_validate(out, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(out) as file:
        classes, tags = file.read(1), file.tags()
        assert tuple(file.transform)[:6] == source.grid.transform
        assert file.crs.to_string() == source.grid.crs
    np.testing.assert_array_equal(classes == 255, (source.values_CYX == 0).any(axis=0))
    assert summary.path == out
    assert summary.nodata_pixels == 60 * 52
    assert summary.class_pixels == {name: int((classes == index).sum()) for index, name in enumerate(LEGEND.names)}
    assert tags["checkpoint_digest"] == file_sha256(run_path / BEST)
    assert (tags["study"], tags["store_digest"], tags["seed"], tags["inputs"]) == ("made-up", "5" * 64, "0", "one.tif two.tif")
    assert tags["method"] == "cam-argmax"
    assert tags["TIFFTAG_SOFTWARE"].startswith("cropcam ")
    assert json.loads(tags["classes"])["1"] == "corn"


@pytest.mark.parametrize("block_px", [16, 48, 80])
def test_the_same_bytes_whatever_the_windows(tmp_path: Path, run_path: Path, source: Memory, block_px: int) -> None:
    one, other = tmp_path / "one" / "map.tif", tmp_path / "other" / "map.tif"  # a tag has the name of the item
    map_raster(run_path, source, one, device="cpu")
    map_raster(run_path, source, other, device="cpu", block_px=block_px)
    assert one.read_bytes() == other.read_bytes()


def test_fields_come_out_as_fields(tmp_path: Path) -> None:
    run_path = make_run(tmp_path / "run", sign_network(), make_config(50))
    truth = np.full((210, 190), 2)
    truth[:90, 70:] = 1
    dn = np.stack([np.where(truth == 1, 16_000, 8_000), *np.full((2, *truth.shape), 12_000)]).astype(np.uint16)
    dn[1, 100:120] = 0
    map_raster(run_path, Memory(dn), tmp_path / "map.tif", device="cpu")
    with rasterio.open(tmp_path / "map.tif") as file:
        classes = file.read(1)
    assert (classes[100:120] == 255).all()
    far = np.ones(truth.shape, bool)
    far[84:126], far[:96, 64:76] = False, False
    np.testing.assert_array_equal(classes[far], truth[far])


def test_smaller_than_a_patch_is_a_map_too(tmp_path: Path, run_path: Path) -> None:
    summary = map_raster(run_path, Memory(random_dn(np.random.default_rng(0), 3, 5)), tmp_path / "map.tif", device="cpu")
    assert sum(summary.class_pixels.values()) == 15


def test_progress_and_threads_are_given_back(tmp_path: Path, run_path: Path, source: Memory) -> None:
    calls: list[tuple[int, int]] = []
    before = torch.get_num_threads()
    map_raster(
        run_path, source, tmp_path / "map.tif", device="cpu", block_px=48, progress=lambda done, total, _: calls.append((done, total))
    )
    assert calls == [(done, 12) for done in range(13)]
    assert torch.get_num_threads() == before


def test_other_bands_are_named(tmp_path: Path, run_path: Path, source: Memory) -> None:
    with pytest.raises(
        DataError, match=r"one.tif and 1 more: 2 bands \(band 0, band 1\), the run .* was trained on 3 \(SR_B4, SR_B5, SR_B6\)"
    ):
        map_raster(run_path, Memory(source.values_CYX[:2], source.names), tmp_path / "map.tif")
    assert not (tmp_path / "map.tif").exists()


def test_nothing_but_nodata_is_no_map(tmp_path: Path, run_path: Path) -> None:
    with pytest.raises(DataError, match=r"memory.tif: every pixel is nodata in some band; there is nothing to map"):
        map_raster(run_path, Memory(np.zeros((3, 40, 40), np.uint16)), tmp_path / "new" / "map.tif")
    assert not (tmp_path / "new").exists()


def test_an_input_is_not_overwritten(tmp_path: Path, run_path: Path, source: Memory) -> None:
    (tmp_path / "one.tif").write_bytes(b"the input")
    with pytest.raises(DataError, match=r"one.tif: is there already and holds no map that cropcam wrote; choose another name"):
        map_raster(run_path, source, tmp_path / "one.tif")
    assert (tmp_path / "one.tif").read_bytes() == b"the input"


def test_a_missing_gpu_is_a_configuration_error(tmp_path: Path, run_path: Path, source: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="this machine has no usable GPU"):
        map_raster(run_path, source, tmp_path / "map.tif", device="cuda")


def test_a_run_without_checkpoint_is_named(tmp_path: Path, run_path: Path, source: Memory) -> None:
    (run_path / BEST).unlink()
    with pytest.raises(DataError, match=r"best.safetensors: no checkpoint; train the run first"):
        map_raster(run_path, source, tmp_path / "map.tif")


def test_a_map_of_another_season_has_one_note_and_no_failure(tmp_path: Path, source: Memory) -> None:
    run = make_run(tmp_path / "run", random_network(), with_attrs(make_config(), info_of(load_study("demo"), 16)))
    lines: list[str] = []
    map_raster(run, replace(source, names=("scene_20190131_B4.tif",)), tmp_path / "map.tif", device="cpu", log=lines.append)
    uncalibrated, line = lines
    assert uncalibrated.startswith("warning: probabilities are not calibrated, ")
    assert line.startswith("note: ")
    assert "image date 2019-01-31" in line
    assert (tmp_path / "map.tif").exists()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store and a run that has learned it."""
    folder = tmp_path_factory.mktemp("home")
    make_store(folder / "patches.zarr", count=80, size_px=16)
    train(folder / "patches.zarr", folder / "run", device="cpu", model="fcn", labels="pixels", epochs=4, batch_size=8, precision="fp32")
    return folder / "patches.zarr", folder / "run"


def test_a_changed_image_warns_once_and_the_layer_shows_where(tmp_path: Path, home: tuple[Path, Path]) -> None:
    store, run = home
    lines: list[str] = []
    map_raster(run, open_store(store), tmp_path / "home.tif", device="cpu", log=lines.append)
    assert lines == []
    hazy = open_store(changed(store, tmp_path / "hazy.zarr", CHANGES["hazier"]))
    map_raster(run, hazy, tmp_path / "plain.tif", device="cpu", log=lines.append)
    map_raster(run, hazy, tmp_path / "map.tif", outputs=Outputs(shift=tmp_path / "shift.tif"), device="cpu")
    (line,) = lines
    assert line.startswith("warning: ")
    with (
        rasterio.open(tmp_path / "map.tif") as one,
        rasterio.open(tmp_path / "plain.tif") as other,
    ):  # their tags name what lies beside them
        np.testing.assert_array_equal(one.read(1), other.read(1))
    assert cog_validate(tmp_path / "shift.tif", strict=True, quiet=True) == (True, [], [])
    with rasterio.open(tmp_path / "map.tif") as file, rasterio.open(tmp_path / "shift.tif") as layer:
        classes, distance = file.read(1), layer.read(1)
        assert layer.transform == file.transform
        assert layer.tags()["checkpoint_digest"] == file_sha256(run / BEST)
    np.testing.assert_array_equal(np.isnan(distance), classes == 255)
    assert (distance[classes != 255] > 1).mean() > 0.5
    map_raster(run, open_store(store), tmp_path / "home.tif", outputs=Outputs(shift=tmp_path / "usual.tif"), device="cpu")
    with rasterio.open(tmp_path / "usual.tif") as layer:
        assert (layer.read(1) > 1).mean() < 0.1


def test_the_layer_has_the_same_pixels_whatever_the_windows(tmp_path: Path, home: tuple[Path, Path]) -> None:
    store, run = home
    for block_px in (32, 80):
        map_raster(
            run,
            open_store(store),
            tmp_path / f"{block_px}.tif",
            outputs=Outputs(shift=tmp_path / f"shift-{block_px}.tif"),
            device="cpu",
            block_px=block_px,
        )
    with rasterio.open(tmp_path / "shift-32.tif") as one, rasterio.open(tmp_path / "shift-80.tif") as other:
        np.testing.assert_array_equal(one.read(1), other.read(1))


def test_a_run_that_cannot_be_measured_says_so(tmp_path: Path, run_path: Path, source: Memory) -> None:
    lines: list[str] = []
    map_raster(run_path, source, tmp_path / "map.tif", device="cpu", log=lines.append)
    uncalibrated, line = lines
    assert uncalibrated.startswith("warning: probabilities are not calibrated, ")
    assert line.startswith("note: whether the image is like the training data is not measured: ")
    assert "made-up.zarr, which is missing" in line
    with pytest.raises(DataError, match=r"made-up\.zarr, which is missing"):
        map_raster(run_path, source, tmp_path / "map.tif", outputs=Outputs(shift=tmp_path / "shift.tif"), device="cpu")
    assert not (tmp_path / "shift.tif").exists()


def test_the_map_is_not_its_own_layer(tmp_path: Path, run_path: Path, source: Memory) -> None:
    with pytest.raises(ConfigError, match=r"map\.tif: is named for two outputs; give each its own file"):
        map_raster(run_path, source, tmp_path / "map.tif", outputs=Outputs(shift=tmp_path / "map.tif"), device="cpu")


def test_a_map_of_a_region_has_the_pixels_of_the_whole_map(tmp_path: Path, run_path: Path, source: Memory) -> None:
    west, south, east, north = source.grid.bounds_xyxy
    ring = [(west + (east - west) * x, south + (north - south) * y) for x, y in ((0.1, 0.1), (0.7, 0.2), (0.3, 0.8), (0.1, 0.1))]
    lon, lat = transform_points(source.grid.crs, "EPSG:4326", *zip(*ring, strict=True))
    region = tmp_path / "fields.geojson"
    region.write_text(json.dumps({"type": "Polygon", "coordinates": [list(map(list, zip(lon.tolist(), lat.tolist(), strict=True)))]}))
    map_raster(run_path, source, tmp_path / "whole.tif", device="cpu")
    summary = map_raster(run_path, source, tmp_path / "part.tif", region=region, device="cpu", block_px=50)
    with rasterio.open(tmp_path / "whole.tif") as whole, rasterio.open(tmp_path / "part.tif") as part:
        everywhere, found = whole.read(1), part.read(1)
        assert part.tags()["region"] == "fields.geojson"
    inside = open_region(region, source.grid).inside(Window(0, 0, *source.grid.shape_yx))
    assert np.array_equal(found, np.where(inside, everywhere, 255))
    assert summary.nodata_pixels == int((found == 255).sum())
    assert 0.1 < inside.mean() < 0.4
