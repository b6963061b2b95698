"""The draw of labelled pixels: usable ones alone, evenly from the patches, never more than asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cropcam.model.data.dataset import Patches, read_split
from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.data.pixel_draw import draw_pixels
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels
from cropcam.model.networks.neighbourhood import Neighbourhood
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import open_store
from support.runs import make_config
from support.stores import make_store

Split = tuple[Patches, Normalization]


def identity(x_BCHW: torch.Tensor) -> torch.Tensor:
    return x_BCHW


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    path = tmp_path_factory.mktemp("draw") / "patches.zarr"
    info = make_store(path, count=40, size_px=12, nodata_share=0.3, seed=2)
    patches = read_split(open_store(path), "train", LabelSpec(labels="pixels"), info.classes)
    return patches, Normalization.of(make_config(path, info), "cpu")


def images(patches: Patches, normalization: Normalization) -> tuple[torch.Tensor, np.ndarray]:  # type: ignore[type-arg]
    """Standardised patches, and their usable pixels."""
    (stored,) = patches.images.batches([np.arange(len(patches))], torch.device("cpu"))
    x_NCHW, valid_NHW = standardise(stored.view(torch.uint16), normalization)
    assert patches.labels.pixel_NHW is not None
    return x_NCHW, valid_NHW.numpy() & (patches.labels.pixel_NHW != UNLABELLED)


def test_every_usable_pixel_where_there_are_fewer_than_asked(split: Split) -> None:
    patches, normalization = split
    x_NCHW, usable = images(patches, normalization)
    assert not usable.all()
    assert patches.labels.pixel_NHW is not None
    values, classes, _ = draw_pixels(patches, identity, normalization, 10**6, seed=0)
    expected = np.moveaxis(x_NCHW.numpy(), 1, -1)[usable]
    assert values.shape == expected.shape
    np.testing.assert_array_equal(np.sort(values, axis=0), np.sort(expected, axis=0))
    np.testing.assert_array_equal(np.bincount(classes), np.bincount(patches.labels.pixel_NHW[usable]))


def test_the_same_number_from_each_labelled_patch(split: Split) -> None:
    patches, normalization = split
    _, usable = images(patches, normalization)
    marked = np.where(usable, np.arange(len(patches))[:, None, None], UNLABELLED).astype(np.uint8)  # which patch a pixel is of
    marked[::4] = UNLABELLED
    some = Patches(patches.images, WeakLabels("pixels", pixel_NHW=marked))
    labelled = int(some.labels.labelled().sum())
    _, patch, _ = draw_pixels(some, identity, normalization, 5 * labelled, seed=0)
    np.testing.assert_array_equal(np.unique(patch, return_counts=True)[1], np.full(labelled, 5))
    assert len(draw_pixels(some, identity, normalization, 3, seed=0)[1]) == 3


def test_features_come_with_their_own_pixel_and_the_seed_decides(split: Split) -> None:
    patches, normalization = split
    values, classes, _ = draw_pixels(patches, Neighbourhood(3), normalization, 200, seed=1)
    middle, again, _ = draw_pixels(patches, identity, normalization, 200, seed=1)
    np.testing.assert_array_equal(values.reshape(200, 7, 9)[:, :, 4], middle)
    np.testing.assert_array_equal(classes, again)
    assert not np.array_equal(middle, draw_pixels(patches, identity, normalization, 200, seed=2)[0])


def test_weights_are_those_of_the_pixels(split: Split) -> None:
    patches, normalization = split
    assert draw_pixels(patches, identity, normalization, 100, seed=0)[2] is None
    assert patches.labels.pixel_NHW is not None
    pct = (patches.labels.pixel_NHW % 100).astype(np.uint8)  # a weight that says the class
    weighted = replace(patches, labels=replace(patches.labels, pct_NHW=pct))
    _, classes, weights = draw_pixels(weighted, identity, normalization, 100, seed=0)
    assert weights is not None
    np.testing.assert_array_equal(weights, classes.astype(np.float32) / 100)
