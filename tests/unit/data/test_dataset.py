"""From store to batches: nothing lost, nothing doubled, nothing shifted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.data import loading as feed
from cropcam.model.data.dataset import Patches, batches, flip, read_split, turn
from cropcam.model.data.normalization import Scaling
from cropcam.model.data.sampler import plan_epoch, plan_in_order
from cropcam.model.labels.weak_labels import KINDS, OF_PIXELS, LabelSpec, WeakLabels
from cropcam.model.runtime.distributed import Ranks
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.schema import SPLITS, open_store, split_indices, to_reflectance
from support.stores import make_store

RULE = LabelSpec("shares")


def read(store: Path, split: str) -> Patches:
    dataset, info = open_store(store)
    return read_split(dataset, split, RULE, info.classes)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "patches.zarr"
    make_store(path, count=21, size_px=10, nodata_share=0.3)
    return path


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_read_as_stored(store: Path, split: str) -> None:
    dataset, info = open_store(store)
    patches, index = read_split(dataset, split, RULE, info.classes), split_indices(dataset, split)
    assert len(patches) == len(index)
    assert patches.dn_NCHW.dtype == torch.uint16
    np.testing.assert_array_equal(patches.dn_NCHW.numpy(), dataset["image"].to_numpy()[index])
    np.testing.assert_array_equal(patches.labels.image_NK, dataset["share"].to_numpy()[index])


def test_a_lost_file_is_no_nodata(store: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zarr"
    shutil.copytree(store, broken)
    shutil.rmtree(broken / "image" / "c")
    with pytest.raises(DataError, match=r"image/c/0/0/0/0: missing; cut the store again"):
        read(broken, "train")


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"\xff" * 3000 + data[3000:], lambda _: b""])
def test_a_damaged_file_is_named(store: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    broken = tmp_path / "broken.zarr"
    shutil.copytree(store, broken)
    for file in (broken / "image" / "c").rglob("*"):
        if file.is_file():
            file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r"(damaged zarr shard|is damaged).*cut the store again"):
        read(broken, "train")


@pytest.mark.parametrize("kind", KINDS)
def test_shares_that_do_not_add_up_are_refused_by_the_kinds_that_read_them(store: Path, tmp_path: Path, kind: str) -> None:
    broken = tmp_path / "broken.zarr"
    shutil.copytree(store, broken)
    dataset, info = open_store(broken)
    place = int(split_indices(dataset, "train")[2])
    share = zarr.open_group(broken)["share"]
    share[place] = share[place] / 2  # type: ignore[index, operator]
    dataset, _ = open_store(broken)
    if kind in OF_PIXELS:
        assert len(read_split(dataset, "train", LabelSpec(kind), info.classes)) > 0
        return
    with pytest.raises(DataError, match=rf"^1 of 13 patches .* patch {place} of the store \(sum 0\.5"):
        read_split(dataset, "train", LabelSpec(kind), info.classes)
    assert len(read_split(dataset, "test", LabelSpec(kind), info.classes)) > 0


@given(count=st.integers(1, 60), batch_size=st.integers(1, 70), seed=st.integers(0, 2**32), epoch=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_each_patch_comes_once_with_its_label_and_its_flip(count: int, batch_size: int, seed: int, epoch: int) -> None:
    rng = np.random.default_rng(0)
    dn = rng.integers(7000, 9000, (count, 2, 4, 5)).astype(np.uint16)
    label_NK = np.arange(count, dtype=np.float32)[:, None]
    scaling = Scaling(torch.zeros(2), torch.ones(2))
    plan = plan_epoch(count, seed, epoch)
    pixel_NHW = rng.integers(0, 9, (count, 4, 5)).astype(np.uint8)
    patches = Patches(torch.from_numpy(dn), WeakLabels("shares", label_NK, pixel_NHW))
    got = list(batches(patches, batch_size, scaling, plan))
    assert all(len(x) == batch_size for x, _ in got[:-1])
    assert 1 <= len(got[-1][0]) <= batch_size
    x_NCHW, order = torch.cat([x for x, _ in got]).numpy(), torch.cat([y.image_BK for _, y in got])[:, 0].numpy().astype(int)
    truth_NHW = torch.cat([y.pixel_BHW for _, y in got]).numpy()
    assert sorted(order) == list(range(count))
    plain = to_reflectance(dn)
    for place, patch in enumerate(order):
        down, across = plan.flip_N2[place]
        expected = plain[patch][:, :: -1 if down else 1, :: -1 if across else 1]
        np.testing.assert_allclose(x_NCHW[place], expected, atol=1e-6)
        np.testing.assert_array_equal(truth_NHW[place], pixel_NHW[patch][:: -1 if down else 1, :: -1 if across else 1])


@given(groups=st.integers(1, 30), rest=st.integers(0, 7), epoch=st.integers(0, 9))
def test_groups_that_divide_a_batch_are_never_parted(groups: int, rest: int, epoch: int) -> None:
    bag_N = np.random.default_rng(1).permutation(np.repeat(np.arange(groups + 1), [8] * groups + [rest]))
    order_N = plan_epoch(len(bag_N), 3, epoch, bag_N).index_N
    assert sorted(order_N) == list(range(len(bag_N)))
    for first in range(0, len(order_N), 16):
        members = np.unique(bag_N[order_N[first : first + 16]], return_counts=True)
        assert all(count == (8 if group < groups else rest) for group, count in zip(*members, strict=True))


def test_in_order_is_the_stores_order() -> None:
    dn = np.arange(1, 6, dtype=np.uint16).reshape(5, 1, 1, 1) * 9000
    label_NK = np.arange(5, dtype=np.float32)[:, None]
    patches = Patches(torch.from_numpy(dn), WeakLabels("shares", label_NK))
    got = list(batches(patches, 2, Scaling(torch.zeros(1), torch.ones(1)), plan_in_order(5)))
    assert torch.cat([y.image_BK for _, y in got])[:, 0].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(torch.cat([x for x, _ in got]).numpy(), to_reflectance(dn), atol=1e-6)


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    first, again = plan_epoch(100, 3, 4), plan_epoch(100, 3, 4)
    assert (first.index_N == again.index_N).all()
    assert (first.flip_N2 == again.flip_N2).all()
    for other in (plan_epoch(100, 3, 5), plan_epoch(100, 4, 4)):
        assert (first.index_N != other.index_N).any()
        assert (first.flip_N2 != other.flip_N2).any()
    mixed = np.concatenate([plan_epoch(500, 0, epoch).flip_N2 for epoch in range(8)])
    kinds = np.unique(mixed, axis=0, return_counts=True)[1] / len(mixed)
    np.testing.assert_allclose(kinds, 0.25, atol=0.03, err_msg="all four symmetries equally often")


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
    return turn(flip(values, flips), turns)


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
    patches = Patches(torch.from_numpy(dn), WeakLabels("pixels", pixel_NHW=truth))
    plan = plan_epoch(40, 1, 0, quarter_turns=True)
    assert plan.turn_N is not None
    assert plan.turn_N.any()
    assert not plan.turn_N.all()
    for x_BCHW, targets in batches(patches, 16, Scaling(torch.zeros(1), torch.ones(1)), plan):
        assert targets.pixel_BHW is not None
        expected = torch.from_numpy(to_reflectance(targets.pixel_BHW.numpy().astype(np.uint16) * 1000 + 8000))
        torch.testing.assert_close(x_BCHW[:, 0], torch.where(targets.valid_BHW, expected, 0.0), rtol=1e-4, atol=1e-5)
        assert (~targets.valid_BHW).sum() == len(x_BCHW)


def test_quarter_turns_leave_the_order_and_the_flips() -> None:
    plain, turned = plan_epoch(50, 2, 3), plan_epoch(50, 2, 3, quarter_turns=True)
    assert (plain.index_N == turned.index_N).all()
    assert (plain.flip_N2 == turned.flip_N2).all()
    assert plain.turn_N is None


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_share_each_batch(count: int) -> None:
    dn = np.arange(1, 12, dtype=np.uint16).reshape(11, 1, 1, 1) * 5000
    labels = WeakLabels("shares", np.arange(11, dtype=np.float32)[:, None])
    patches, scaling, plan = Patches(torch.from_numpy(dn), labels), Scaling(torch.zeros(1), torch.ones(1)), plan_epoch(11, 0, 0)
    alone = [targets.image_BK for _, targets in batches(patches, 5, scaling, plan)]
    parts = [[targets.image_BK for _, targets in batches(patches, 5, scaling, plan, ranks=Ranks(rank, count))] for rank in range(count)]
    for step, whole in enumerate(alone):
        torch.testing.assert_close(torch.cat([part[step] for part in parts]), whole)
    assert len(parts[-1][-1]) == 0, "of the last batch of one patch nothing is left for the last rank"


def test_a_run_that_goes_on_passes_batches_over() -> None:
    dn = np.arange(1, 12, dtype=np.uint16).reshape(11, 1, 1, 1) * 5000
    patches = Patches(torch.from_numpy(dn), WeakLabels("shares", np.zeros((11, 1), np.float32)))
    scaling, plan = Scaling(torch.zeros(1), torch.ones(1)), plan_epoch(11, 0, 0)
    whole, rest = ([x for x, _ in batches(patches, 4, scaling, plan, start=start)] for start in (0, 2))
    assert len(rest) == 1
    torch.testing.assert_close(rest[0], whole[2])


def test_streamed_and_resident_give_the_same_batches(store: Path) -> None:
    dataset, info = open_store(store)
    resident, streamed = (read_split(dataset, "train", RULE, info.classes, how) for how in ("resident", "streamed"))
    assert streamed.streamed is not None
    order = streamed.streamed.order(3, 1)
    plan = plan_epoch(len(resident), 3, 1, order=order)
    scaling = Scaling(torch.full((7,), 0.1), torch.full((7,), 0.05))
    for start in (0, 2):
        ours = [(x.clone(), targets.image_BK) for x, targets in batches(streamed, 4, scaling, plan, start=start)]
        theirs = list(batches(resident, 4, scaling, plan, start=start))
        assert len(ours) == len(theirs)
        for (x, label), (expected, targets) in zip(ours, theirs, strict=True):
            torch.testing.assert_close(x, expected)
            torch.testing.assert_close(label, targets.image_BK)


def test_streamed_batches_leave_some_processes_nothing(store: Path) -> None:
    """Of a last batch of fewer patches than processes, and of batches of one patch each."""
    dataset, info = open_store(store)
    resident, streamed = (read_split(dataset, "train", RULE, info.classes, how) for how in ("resident", "streamed"))
    assert streamed.streamed is not None
    plan = plan_epoch(len(resident), 0, 0, order=streamed.streamed.order(0))
    for size in (1, len(resident) - 1):
        for rank in (Ranks(0, 2), Ranks(1, 2)):
            ours, theirs = (
                [x.clone() for x, _ in batches(one, size, Scaling(torch.zeros(7), torch.ones(7)), plan, ranks=rank)]
                for one in (streamed, resident)
            )
            assert (len(ours[-1]) == 0) == (rank.rank == 1)
            for x, expected in zip(ours, theirs, strict=True):
                torch.testing.assert_close(x, expected)


def test_a_streamed_split_whose_windows_differ(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # splits lie scattered, so blocks hold more or fewer of their patches, and a later epoch's window may be the largest
    monkeypatch.setattr(feed, "block_patches", lambda _image: 2)
    dataset, info = open_store(store)
    resident, streamed = (read_split(dataset, "train", RULE, info.classes, how) for how in ("resident", "streamed"))
    assert streamed.streamed is not None
    scaling, largest = Scaling(torch.full((7,), 0.1), torch.full((7,), 0.05)), []
    for epoch in (1, 0):
        order = streamed.streamed.order(0, epoch)
        largest.append(int(np.diff([0, *order.ends]).max()))
        plan = plan_epoch(len(resident), 0, epoch, order=order)
        for (x, _), (expected, _) in zip(batches(streamed, 5, scaling, plan), batches(resident, 5, scaling, plan), strict=True):
            torch.testing.assert_close(x, expected)
    assert largest[1] > largest[0], "else this shows nothing"


def test_the_feed_follows_the_size_unless_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, _ = open_store(store)
    patch_bytes = 7 * 10 * 10 * 2
    monkeypatch.setattr(feed, "free_memory", lambda: 2 * 20 * patch_bytes)
    assert feed.choose_feed("auto", dataset, 20, bagged=False) == "resident"
    assert feed.choose_feed("auto", dataset, 21, bagged=False) == "streamed"
    assert feed.choose_feed("auto", dataset, 21, bagged=True) == "resident"
    assert feed.choose_feed("resident", dataset, 10**9, bagged=False) == "resident"
    with pytest.raises(ConfigError, match=r"--feed streamed is not possible: labels of groups need patches in any order"):
        feed.choose_feed("streamed", dataset, 1, bagged=True)
    monkeypatch.undo()
    assert 2**20 < feed.free_memory() < 2**50
