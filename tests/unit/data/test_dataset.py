"""From store to batches: nothing lost, nothing doubled, nothing shifted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.data.dataset import Patches, batches, flip, labels_without_image, read_split, transpose
from cropcam.model.data.loading import ResidentImages
from cropcam.model.data.normalization import Normalization
from cropcam.model.data.sampler import Plan, plan_epoch, plan_in_order
from cropcam.model.labels.weak_labels import OF_PIXELS, LabelSpec, WeakLabels
from cropcam.model.options import KINDS
from cropcam.model.runtime.distributed import Ranks
from cropcam.pipeline.encoding import OFFSET, SCALE, BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import SPLITS
from support.store_parts import all_images, damage, flipped, replace_values
from support.stores import make_store, make_study

RULE = LabelSpec(labels="shares")


def read(store: Path, split: str) -> Patches:
    opened = open_store(store)
    return read_split(opened, split, RULE, opened.info.classes)


def of_dn(bands: int) -> Normalization:
    """Leaves reflectance as it is."""
    scale, offset, nodata = (torch.full((bands,), value) for value in (SCALE, OFFSET, 0.0))
    return Normalization(torch.zeros(bands), torch.ones(bands), scale, offset, nodata.double())


def physical(dn_NCHW: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    return BandEncoding.uniform("uint16", dn_NCHW.shape[1], SCALE, OFFSET, 0.0).physical(dn_NCHW)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "patches.zarr"
    make_store(path, count=21, size_px=10, nodata_share=0.3)
    return path


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_read_as_stored(store: Path, split: str) -> None:
    opened = open_store(store)
    patches, index = read(store, split), opened.split_indices(split)
    assert len(patches) == len(index)
    assert isinstance(patches.images, ResidentImages)
    assert patches.images.values_NCHW.dtype == torch.uint16
    np.testing.assert_array_equal(patches.images.values_NCHW.numpy(), all_images(store)[index])
    np.testing.assert_array_equal(patches.labels.image_NK, opened.share_NK[index])


@pytest.mark.parametrize("array", ["image", "split", "share", "valid"])
def test_a_lost_file_is_no_nodata(store: Path, tmp_path: Path, array: str) -> None:
    broken = shutil.copytree(store, tmp_path / "broken.zarr")
    damage(broken, array, None)
    with pytest.raises(
        DataError, match=rf"^[^\n]*{array}/c/[0-9/]+: is missing [^\n]*; delete the store and build it again with 'cropcam patches'$"
    ):
        read(broken, "train")


@pytest.mark.parametrize("change", [lambda data: data[: len(data) // 2], flipped, lambda data: b"\xff" * 3000 + data[3000:], lambda _: b""])
@pytest.mark.parametrize("array", ["image", "share"])
def test_a_damaged_file_is_named(store: Path, tmp_path: Path, array: str, change: Callable[[bytes], bytes]) -> None:
    broken = shutil.copytree(store, tmp_path / "broken.zarr")
    damage(broken, array, change)
    with pytest.raises(DataError, match=rf"^[^\n]*{array}/c/[0-9/]+: is damaged [^\n]*build it again with 'cropcam patches'$"):
        read(broken, "train")


@pytest.mark.parametrize("kind", KINDS)
def test_shares_that_do_not_add_up_are_refused_by_the_kinds_that_read_them(store: Path, tmp_path: Path, kind: str) -> None:
    broken = shutil.copytree(store, tmp_path / "broken.zarr")
    opened = open_store(store)
    place, share = int(opened.split_indices("train")[2]), opened.share_NK.copy()
    share[place] /= 2
    replace_values(broken, share=share)
    opened, legend = open_store(broken), opened.info.classes
    if kind in OF_PIXELS:
        assert len(read_split(opened, "train", LabelSpec(labels=kind), legend)) > 0
        return
    with pytest.raises(DataError, match=rf"^1 of 13 patches .* patch {place} of the store \(sum 0\.5"):
        read_split(opened, "train", LabelSpec(labels=kind), legend)
    assert len(read_split(opened, "test", LabelSpec(labels=kind), legend)) > 0


@given(count=st.integers(1, 60), batch_size=st.integers(1, 70), seed=st.integers(0, 2**32), epoch=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_each_patch_comes_once_with_its_label_and_its_flip(count: int, batch_size: int, seed: int, epoch: int) -> None:
    rng = np.random.default_rng(0)
    dn = rng.integers(7000, 9000, (count, 2, 4, 5)).astype(np.uint16)
    label_NK = np.arange(count, dtype=np.float32)[:, None]
    normalization = of_dn(2)
    plan = plan_epoch(count, seed, epoch)
    pixel_NHW = rng.integers(0, 9, (count, 4, 5)).astype(np.uint8)
    patches = Patches(ResidentImages(torch.from_numpy(dn)), WeakLabels("shares", label_NK, pixel_NHW))
    got = list(batches(patches, batch_size, normalization, plan))
    assert all(len(x) == batch_size for x, _ in got[:-1])
    assert 1 <= len(got[-1][0]) <= batch_size
    x_NCHW, order = torch.cat([x for x, _ in got]).numpy(), torch.cat([y.image_BK for _, y in got])[:, 0].numpy().astype(int)
    truth_NHW = torch.cat([y.pixel_BHW for _, y in got]).numpy()
    assert sorted(order) == list(range(count))
    plain = physical(dn)
    for place, patch in enumerate(order):
        down, across = plan.flip_N2[place]
        expected = plain[patch][:, :: -1 if down else 1, :: -1 if across else 1]
        np.testing.assert_allclose(x_NCHW[place], expected, atol=1e-6)
        np.testing.assert_array_equal(truth_NHW[place], pixel_NHW[patch][:: -1 if down else 1, :: -1 if across else 1])


def test_in_order_is_the_stores_order() -> None:
    dn = np.arange(1, 6, dtype=np.uint16).reshape(5, 1, 1, 1) * 9000
    label_NK = np.arange(5, dtype=np.float32)[:, None]
    patches = Patches(ResidentImages(torch.from_numpy(dn)), WeakLabels("shares", label_NK))
    got = list(batches(patches, 2, of_dn(1), plan_in_order(5)))
    assert torch.cat([y.image_BK for _, y in got])[:, 0].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(torch.cat([x for x, _ in got]).numpy(), physical(dn), atol=1e-6)


def test_flips_are_a_group() -> None:
    x = torch.randn(4, 2, 5, 6)
    kinds = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    flipped = flip(x, kinds)
    torch.testing.assert_close(flip(flipped, kinds), x)
    torch.testing.assert_close(flipped[3], torch.rot90(x[3], 2, (1, 2)), msg="both flips are the half turn")


def moves() -> list[tuple[bool, bool, bool]]:
    return [(down, across, turned) for down in (False, True) for across in (False, True) for turned in (False, True)]


def moved(values: torch.Tensor, move: tuple[bool, bool, bool]) -> torch.Tensor:
    flips, turns = torch.tensor([move[:2]] * len(values)), torch.tensor([move[2]] * len(values))
    return transpose(flip(values, flips), turns)


def test_flips_and_turns_are_the_symmetries_of_the_square() -> None:
    """Eight different ones, closed under composition, the quarter turn among them: a group."""
    x = torch.arange(2 * 3 * 5 * 5.0).view(2, 3, 5, 5)
    images = [moved(x, move) for move in moves()]
    assert len({tuple(image.flatten().tolist()) for image in images}) == 8
    assert any(torch.equal(image, torch.rot90(x, 1, (2, 3))) for image in images)
    for image in images:
        for move in moves():
            assert sum(torch.equal(moved(image, move), other) for other in images) == 1


def test_augmentation_commutes_with_the_truth() -> None:
    """The label of a pixel goes where the pixel goes: image, validity and truth are moved as one."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, (40, 6, 6)).astype(np.uint8)
    dn = truth[:, None].astype(np.uint16) * 1000 + 8000
    dn[:, :, 0, 1] = 0
    patches = Patches(ResidentImages(torch.from_numpy(dn)), WeakLabels("pixels", pixel_NHW=truth))
    plan = plan_epoch(40, 1, 0, rot90=True)
    assert plan.transpose_N is not None
    assert plan.transpose_N.any()
    assert not plan.transpose_N.all()
    for x_BCHW, targets in batches(patches, 16, of_dn(1), plan):
        assert targets.pixel_BHW is not None
        expected = torch.from_numpy(physical(targets.pixel_BHW.numpy()[:, None].astype(np.uint16) * 1000 + 8000)[:, 0])
        torch.testing.assert_close(x_BCHW[:, 0], torch.where(targets.valid_BHW, expected, 0.0), rtol=1e-4, atol=1e-5)
        assert (~targets.valid_BHW).sum() == len(x_BCHW)


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_share_each_batch(count: int) -> None:
    dn = np.arange(1, 12, dtype=np.uint16).reshape(11, 1, 1, 1) * 5000
    labels = WeakLabels("shares", np.arange(11, dtype=np.float32)[:, None])
    patches, normalization, plan = (
        Patches(ResidentImages(torch.from_numpy(dn)), labels),
        of_dn(1),
        plan_epoch(11, 0, 0),
    )
    alone = [targets.image_BK for _, targets in batches(patches, 5, normalization, plan)]
    parts = [
        [targets.image_BK for _, targets in batches(patches, 5, normalization, plan, ranks=Ranks(rank, count))] for rank in range(count)
    ]
    for step, whole in enumerate(alone):
        torch.testing.assert_close(torch.cat([part[step] for part in parts]), whole)
    assert len(parts[-1][-1]) == 0, "of the last batch of one patch nothing is left for the last rank"


def test_a_resumed_run_skips_batches() -> None:
    dn = np.arange(1, 12, dtype=np.uint16).reshape(11, 1, 1, 1) * 5000
    patches = Patches(ResidentImages(torch.from_numpy(dn)), WeakLabels("shares", np.zeros((11, 1), np.float32)))
    normalization, plan = of_dn(1), plan_epoch(11, 0, 0)
    whole, rest = ([x for x, _ in batches(patches, 4, normalization, plan, start=start)] for start in (0, 2))
    assert len(rest) == 1
    torch.testing.assert_close(rest[0], whole[2])


def test_a_dropped_season_is_missing_and_a_patch_keeps_a_pixel() -> None:
    """Two seasons of one band. Patch 0 has both, patch 1 the second alone."""
    dn = np.full((2, 2, 3, 3), 20_000, np.uint16)
    dn[1, 0] = 0
    patches = Patches(ResidentImages(torch.from_numpy(dn)), WeakLabels("shares", np.zeros((2, 1), np.float32)))
    plan = Plan(np.arange(2), np.zeros((2, 2), np.bool_), seen_NS=np.array([[True, False], [True, False]]))
    ((x_BCHW, targets),) = batches(patches, 2, of_dn(2)._replace(seasons=2), plan)
    assert ((x_BCHW != 0).flatten(2).all(dim=2)).tolist() == [[True, False], [False, True]]
    assert targets.valid_BHW.all()


def test_labels_without_image_of_any_season(tmp_path: Path) -> None:
    info = make_store(tmp_path / "gaps.zarr", count=8, size_px=8, study=make_study(8, preset="demo-seasons"), season_gaps=True)
    opened = open_store(tmp_path / "gaps.zarr")
    patches = read_split(opened, "train", LabelSpec(labels="pixels"), info.classes)
    blank = (opened.images(opened.split_indices("train")) == 0).any(axis=1).sum()
    assert labels_without_image(opened, patches) == blank > 0
    assert labels_without_image(opened, patches, 3) == 0
