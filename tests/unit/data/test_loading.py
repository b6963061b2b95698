"""Images of a split: in memory and streamed give the same batches."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cropcam.model.data import loading
from cropcam.model.data.loading import ResidentImages, StreamedImages, choose_loading, free_memory, read_images
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store import schema
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.store_parts import all_images, damage, flipped
from support.stores import make_store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loading") / "patches.zarr"
    make_store(path, count=40, size_px=10, nodata_share=0.3)
    return path


def shuffled(count: int, size: int, seed: int) -> list[np.ndarray]:
    order = np.random.default_rng(seed).permutation(count)
    return [order[first : first + size] for first in range(0, count, size)]


def test_streamed_and_resident_give_the_same_batches(store: Path) -> None:
    opened = open_store(store)
    index_N = np.arange(3, 40, 2)
    resident, streamed = ResidentImages(torch.from_numpy(read_images(opened, index_N))), StreamedImages(opened, index_N)
    assert len(resident) == len(streamed) == len(index_N)
    assert resident.dtype == streamed.dtype == "uint16"
    for seed in (0, 1):  # a second pass has another order
        order = [*shuffled(len(index_N), 4, seed), np.zeros(0, np.int64)]
        pairs = zip(resident.batches(order, CPU), streamed.batches(order, CPU), strict=True)
        assert all(torch.equal(expected, images) for expected, images in pairs)


def test_a_few_batches_are_requested_ahead_and_no_more(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, requested, request = open_store(store), [], PatchStore.request_images

    def counted(self: PatchStore, index_B: np.ndarray) -> Callable[[], np.ndarray]:
        requested.append(index_B)
        return request(self, index_B)

    monkeypatch.setattr(PatchStore, "request_images", counted)
    batches = StreamedImages(opened, np.arange(40)).batches(shuffled(40, 2, 0), CPU)
    for taken in range(1, 21):
        next(batches)
        assert len(requested) == min(taken + loading._PREFETCH_BATCHES, 20)


def test_patches_in_memory_are_those_of_the_store(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_AT_ONCE", 3)
    index_N = np.array([0, 5, 39, 6])
    np.testing.assert_array_equal(read_images(open_store(store), index_N), all_images(store)[index_N])


def test_blocks_of_a_split_are_squares_of_neighbours_inside_a_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BLOCK_PATCHES", 8)
    make_store(tmp_path / "s.zarr", count=600, size_px=8)
    opened = open_store(tmp_path / "s.zarr")
    index_N = opened.split_indices("train")
    images = StreamedImages(opened, index_N)
    row_N, col_N, side = opened.row_N[index_N], opened.col_N[index_N], opened.info.layout.block_patches
    assert (side, row_N.max() > 0) == (8, True)

    def places(side: int) -> list[tuple[int, int]]:
        return list(zip((row_N // side).tolist(), (col_N // side).tolist(), strict=True))

    assert len(set(images.block_N.tolist())) == len(set(places(side)))
    assert len(set(zip(images.block_N.tolist(), places(side), strict=True))) == len(set(places(side)))
    assert (np.diff(images.block_N) < 0).any(), "patches in row-major order jump from block to block"
    monkeypatch.setattr(loading, "BLOCK_BYTES", 5 * loading.patch_bytes(opened))
    assert len(set(zip(images.block_N.tolist(), places(2), strict=True))) == len(set(places(2))) == len(set(images.block_N.tolist()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flipped, r"is damaged"),
        (lambda data: data[:10], r"is damaged"),
        (lambda _: b"", r"is damaged"),
        (None, r"image/c/0/0/0: is missing"),
    ],
)
def test_damage_is_one_line_that_names_the_file(store: Path, tmp_path: Path, change: Callable[[bytes], bytes] | None, message: str) -> None:
    broken = shutil.copytree(store, tmp_path / "broken.zarr")
    images = StreamedImages(open_store(broken), np.arange(40))
    damage(broken, "image", change)
    line = rf"^[^\n]*image/c/0/0/0: [^\n]*{message.rpartition(': ')[2]}[^\n]*build it again with 'cropcam patches'$"
    with pytest.raises(DataError, match=line):
        list(images.batches(shuffled(40, 8, 0), CPU))
    with pytest.raises(DataError, match=line):
        read_images(open_store(broken), np.arange(40))


def test_loading_follows_the_free_memory(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_store(store)
    patch_bytes = 7 * 10 * 10 * 2
    monkeypatch.setattr(loading, "free_memory", lambda: 2 * 20 * patch_bytes)
    assert choose_loading("auto", opened, 20, bagged=False) == "memory"
    assert choose_loading("auto", opened, 21, bagged=False) == "stream"
    assert choose_loading("auto", opened, 21, bagged=True) == "memory"
    assert choose_loading("memory", opened, 10**9, bagged=False) == "memory"
    with pytest.raises(ConfigError, match=r"data_loading 'stream' is not possible: bags need patches in any order"):
        choose_loading("stream", opened, 1, bagged=True)
    monkeypatch.undo()
    assert 2**20 < free_memory() < 2**50
