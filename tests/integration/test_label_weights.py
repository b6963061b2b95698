"""Weights of labels, the whole way: rasters and exports into a store, its check, and the loss of each kind of label."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cropcam.cli import main
from cropcam.model.data.dataset import read_labels
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.model.runs.checkpoint import BEST
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches.build import from_rasters
from cropcam.pipeline.store import schema
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.verify import check
from support import scenes
from support.builds import GRID, build_study, fingerprint, write_inputs
from support.rasters import write_raster
from support.runs import train

PCT = np.random.default_rng(4).integers(0, 101, GRID.shape_yx).astype(np.uint8)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stores of the same rasters: without weights, with weights of 100 %, and with weights of 0 to 100 %."""
    folder = tmp_path_factory.mktemp("weights")
    image, labels, _, codes = write_inputs(folder)
    from_rasters(build_study(), image, labels, folder / "none.zarr")
    for name, pct in (("full", np.full_like(PCT, 100)), ("some", PCT)):
        both = write_raster(folder / f"{name}.tif", np.stack([codes, pct]), GRID, names=("cropland", "confidence"))
        from_rasters(build_study(labels={"band": 1, "weight": "confidence"}), image, [both], folder / f"{name}.zarr")
    return folder


def test_a_store_has_weights_beside_its_labels(stores: Path) -> None:
    assert check(stores / "some.zarr").problems == ()
    store, window = open_store(stores / "some.zarr"), schema.Window(0, 0, *GRID.shape_yx)
    codes = store.read_labels(window)
    expected = np.where(store.info.classes.table.labels[codes], PCT, 0)
    assert (expected == 0).mean() > (PCT == 0).mean()
    np.testing.assert_array_equal(store.read_weights(window), expected)
    index_N, size = np.array([7, 2]), store.info.patch_size_px
    tops = [(row * size, col * size) for row, col in zip(store.row_N[index_N], store.col_N[index_N], strict=True)]
    np.testing.assert_array_equal(store.weights(index_N), np.stack([expected[top : top + size, left : left + size] for top, left in tops]))
    opened = xr.open_zarr(stores / "some.zarr")
    assert (opened.weight.dtype, opened.weight.attrs["units"]) == (np.uint8, "percent")
    without = {name: digest for name, digest in fingerprint(stores / "none.zarr").items() if name != "zarr.json"}
    with_weights = fingerprint(stores / "full.zarr")
    assert {name: with_weights[name] for name in without} == without
    assert {name.split("/")[0] for name in set(with_weights) - set(without)} == {"weight", "zarr.json"}


def test_damaged_weights_are_found(stores: Path, tmp_path: Path) -> None:
    for name, value, message in (
        ("high", 101, "a weight of 101; weights are per cents, 0 to 100"),
        ("stray", 100, "weights where there is no label"),
    ):
        copy = shutil.copytree(stores / "some.zarr", tmp_path / f"{name}.zarr")
        array = schema.opened(copy, "weight")
        array[45:46, 65:66].write(np.uint8(value)).result()  # a gap of the labels
        assert any(message in problem for problem in check(copy).problems)
    shutil.rmtree(copy / "weight" / "c")
    with pytest.raises(DataError, match="is missing"):
        open_store(copy).weights(np.arange(3))


@pytest.mark.parametrize("kind", ["pixels", "points", "presence", "shares"])
def test_weights_of_100_are_none_and_others_count(stores: Path, tmp_path: Path, kind: str) -> None:
    options = {"labels": kind, "model": "fcn", "epochs": 1, "batch_size": 32, "device": "cpu", "seed": 1}
    found = {}
    for name in ("none", "full", "some"):
        train(stores / f"{name}.zarr", tmp_path / name, **options)
        found[name] = (tmp_path / name / BEST).read_bytes()
    assert tensors(found["full"]) == tensors(found["none"])
    assert tensors(found["some"]) != tensors(found["none"])


def tensors(file: bytes) -> bytes:
    """The bytes of a safetensors file behind its header."""
    return file[8 + int.from_bytes(file[:8], "little") :]


def test_patches_weigh_the_mean_of_their_weights_and_bags_nothing(stores: Path) -> None:
    store = open_store(stores / "some.zarr")
    index_N = store.split_indices("train")
    labels = read_labels(store, index_N, LabelSpec(labels="presence"), store.info.classes)
    pct = store.weights(index_N).astype(float)
    expected = np.array([patch[patch > 0].mean() if patch.any() else 0 for patch in pct])
    assert labels.pct_N is not None
    np.testing.assert_allclose(labels.pct_N, expected, rtol=1e-6)
    with pytest.raises(DataError, match="its labels have weights, a bag of patches has none: leave out --bag-size"):
        read_labels(store, index_N, LabelSpec(labels="shares", bag_size=4), store.info.classes)


def test_weights_that_are_no_per_cents_or_no_band(tmp_path: Path) -> None:
    image, _, _, codes = write_inputs(tmp_path)
    study = build_study(labels={"band": 1, "weight": "confidence"})
    both = write_raster(tmp_path / "both.tif", np.stack([codes, np.full_like(codes, 101)]), GRID, names=("cropland", "confidence"))
    with pytest.raises(DataError, match=r"both\.tif: holds the weight 101; the band that \[labels\] weight names has per cents"):
        from_rasters(study, image, [both], tmp_path / "s.zarr")
    other = write_raster(tmp_path / "other.tif", np.stack([codes, codes]), GRID, names=("cropland", "sure"))
    with pytest.raises(DataError, match=r"has no band 'confidence', which \[labels\] weight names; its bands are 1 cropland, 2 sure"):
        from_rasters(study, image, [other], tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_an_export_brings_the_confidence_of_cdl(tmp_path: Path) -> None:
    study = scenes.study(labels={"weight": "confidence"})
    values = study.to_dict()
    values["patches"] |= {"size_px": 10, "valid_min_share": 0.1}
    values["splits"] = {"method": "random", "block_patches": [1, 1]}
    made = type(study).model_validate(values)
    (tmp_path / "study.toml").write_text(made.to_toml())
    archive = scenes.write_archive(tmp_path / "archive")
    run = lambda *words: main(list(map(str, words)))  # noqa: E731
    assert run("export", tmp_path / "study.toml", "--to", tmp_path / "shards", "--archive", archive) == 0
    assert run("patches", tmp_path / "study.toml", "--from", tmp_path / "shards", "--store", tmp_path / "s.zarr") == 0
    assert run("check", tmp_path / "s.zarr") == 0
    store = open_store(tmp_path / "s.zarr")
    window = schema.Window(0, 0, *store.grid.shape_yx)
    codes, _ = scenes.nearest(archive / scenes.LABELS / "cropland.tif", store.grid)
    weight, _ = scenes.nearest(archive / scenes.LABELS / "confidence.tif", store.grid)
    np.testing.assert_array_equal(store.read_labels(window), codes)
    np.testing.assert_array_equal(store.read_weights(window), np.where(codes > 0, weight, 0))
