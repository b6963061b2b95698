"""Normalization of bands, against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from cropcam.model.data.normalization import CLIP, standardise
from cropcam.pipeline.store.schema import open_store, split_indices, to_reflectance
from support.stores import make_store


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
    values = standardise(torch.from_numpy(dn), torch.from_numpy(mean), torch.from_numpy(std)).numpy()
    np.testing.assert_allclose(values, in_numpy(dn, mean, std), rtol=1e-4, atol=1e-5)
    assert values[0, 0, 0, 0] == 0, "nodata is the mean"


def test_standardised_training_pixels_have_mean_0_and_deviation_1(store: Path) -> None:
    dataset, _ = open_store(store)
    dn = torch.from_numpy(dataset["image"].to_numpy()[split_indices(dataset, "train")])
    mean, std = (torch.tensor(values) for values in statistics(store))
    valid = standardise(dn, mean, std).movedim(1, -1)[(dn.to(torch.int32) > 0).all(dim=1)]
    torch.testing.assert_close(valid.mean(dim=0), torch.zeros(7), atol=0.01, rtol=0)
    torch.testing.assert_close(valid.std(dim=0), torch.ones(7), atol=0.02, rtol=0)
