"""What a network sees of an image: standardised, and mixed into directions that vary alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import make_store
from model.scaling import CLIP, SAMPLE_PATCHES, standardise, whitening
from pipeline.errors import DataError
from pipeline.store import SPLITS, open_store, split_indices, to_reflectance


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "patches.zarr"
    make_store(path, count=21, size_px=10, nodata_share=0.3)
    return path


def statistics(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    known = open_store(path)[1].statistics
    return tuple(known["mean"]), tuple(known["std"])


def in_numpy(dn_NCHW: npt.NDArray[np.uint16], mean: npt.ArrayLike, std: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Standardised in numpy alone."""
    mean_C11, std_C11 = (np.asarray(values, np.float64)[:, None, None] for values in (mean, std))
    standard = (to_reflectance(dn_NCHW).astype(np.float64) - mean_C11) / std_C11
    return np.nan_to_num(standard.clip(-CLIP, CLIP), nan=0.0)


def test_standardise_is_reflectance_less_the_mean() -> None:
    dn = np.array([[[[0, 1, 7273]], [[20000, 43636, 65535]]]], np.uint16)
    mean, std = np.array([0.1, 0.5], np.float32), np.array([0.02, 0.9], np.float32)
    ours = standardise(torch.from_numpy(dn), torch.from_numpy(mean), torch.from_numpy(std)).numpy()
    np.testing.assert_allclose(ours, in_numpy(dn, mean, std), rtol=1e-4, atol=1e-5)
    assert ours[0, 0, 0, 0] == 0, "nodata is the mean"


def test_standardised_training_pixels_have_mean_0_and_deviation_1(store: Path) -> None:
    dataset, _ = open_store(store)
    dn = torch.from_numpy(dataset["image"].to_numpy()[split_indices(dataset, "train")])
    mean, std = (torch.tensor(values) for values in statistics(store))
    valid = standardise(dn, mean, std).movedim(1, -1)[(dn.to(torch.int32) > 0).all(dim=1)]
    torch.testing.assert_close(valid.mean(dim=0), torch.zeros(7), atol=0.01, rtol=0)
    torch.testing.assert_close(valid.std(dim=0), torch.ones(7), atol=0.02, rtol=0)


@given(bands=st.integers(1, 9), height=st.integers(1, 4), width=st.integers(1, 4), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_each_pixel_is_mixed_by_the_matrix_and_clipped_again(bands: int, height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dn = rng.integers(0, 65536, (3, bands, height, width)).astype(np.uint16)
    mean, std, mix_CC = rng.random(bands), rng.random(bands) + 0.1, rng.normal(0, 3, (bands, bands))
    ours = standardise(torch.from_numpy(dn), *(torch.tensor(values, dtype=torch.float32) for values in (mean, std, mix_CC)))
    plain = in_numpy(dn, mean, std)
    expected = np.empty_like(plain)
    for place in np.ndindex(3, height, width):
        pixel = (place[0], slice(None), *place[1:])
        expected[pixel] = (mix_CC @ plain[pixel]).clip(-CLIP, CLIP)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-3, atol=1e-3)


def test_whitened_training_pixels_vary_alike_in_every_direction(store: Path) -> None:
    mean, std = statistics(store)
    mix_CC = np.array(whitening(open_store(store)[0], mean, std))
    np.testing.assert_allclose(mix_CC, mix_CC.T, atol=1e-9, err_msg="the symmetric one of all whitening matrices")
    dataset, _ = open_store(store)
    dn = dataset["image"].to_numpy()[split_indices(dataset, "train")]
    bands_PC = np.moveaxis(in_numpy(dn, mean, std), 1, -1)[(dn > 0).all(axis=1)]
    product_CC = bands_PC.T @ bands_PC / len(bands_PC)
    np.testing.assert_allclose(mix_CC @ (product_CC + 0.01 * np.eye(7)) @ mix_CC, np.eye(7), atol=1e-4)


def test_a_band_that_repeats_another_is_no_division_by_zero(tmp_path: Path) -> None:
    path = tmp_path / "patches.zarr"
    make_store(path, count=12, size_px=8)
    image = zarr.open_group(path, mode="r+")["image"]
    values = image[:]
    values[:, 1], values[:, 2] = values[:, 0], 9000  # a second time the same, and a band that is constant
    image[:] = values
    mean, std = statistics(path)
    mix_CC = np.array(
        whitening(open_store(path)[0], (mean[0], mean[0], 9000 * 0.0000275 - 0.2, *mean[3:]), (std[0], std[0], 1.0, *std[3:]))
    )
    assert np.isfinite(mix_CC).all()
    assert np.abs(mix_CC).max() <= 10.01, "no direction grows by more than the root of a hundred"


def test_without_a_valid_pixel_bands_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "patches.zarr"
    make_store(path, count=12, size_px=8)
    image = zarr.open_group(path, mode="r+")["image"]
    values = image[:]
    values[:, 3] = 0
    image[:] = values
    assert whitening(open_store(path)[0], *statistics(path)) == ()


def test_it_is_found_on_the_training_split_alone(store: Path) -> None:
    dataset, _ = open_store(store)
    changed = dataset.load().copy(deep=True)
    other_N = changed["split"].to_numpy() != SPLITS.index("train")
    changed["image"][other_N] = 12345
    assert whitening(changed, *statistics(store)) == whitening(dataset, *statistics(store))
    changed["split"][:] = SPLITS.index("test")
    with pytest.raises(DataError, match=r"train"):
        whitening(changed, *statistics(store))


def test_a_large_split_is_sampled_evenly(store: Path) -> None:
    dataset, _ = open_store(store)
    train_N = split_indices(dataset, "train")
    many = dataset.isel(patch=np.repeat(train_N, 2 * SAMPLE_PATCHES // len(train_N) + 1)).load()
    np.testing.assert_allclose(whitening(many, *statistics(store)), whitening(dataset, *statistics(store)), atol=0.02)
