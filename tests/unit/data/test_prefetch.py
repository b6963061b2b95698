"""Streamed feeding: every patch once, mixed, the same from any number of threads, and what is damaged is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.data.prefetch import batches_of, block_patches, stream, stream_order
from cropcam.pipeline.encoded import Encoded, open_encoded
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store import schema as stores
from cropcam.pipeline.store.schema import shard_path
from support.stores import make_store

COUNT = 50


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zarr shards of 8 patches, the last one not full."""
    path = tmp_path_factory.mktemp("stream") / "patches.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores, "PATCHES_PER_SHARD", 8)
        make_store(path, count=COUNT, size_px=8, nodata_share=0.5)
    return path


def opened(store: Path, name: str = "image") -> Encoded:
    encoded = open_encoded(store, name)
    assert encoded is not None
    return encoded


@given(
    chosen=st.sets(st.integers(0, 199), min_size=1),
    block=st.sampled_from([1, 3, 8, 64]),
    window=st.integers(1, 9),
    seed=st.none() | st.integers(0, 9),
)
def test_an_order_has_each_patch_once_and_windows_of_whole_blocks(chosen: set[int], block: int, window: int, seed: int | None) -> None:
    index_N = np.array(sorted(chosen))
    order = stream_order(index_N, block, seed, 4, window)
    assert sorted(order.position_N) == list(range(len(index_N)))
    assert order.ends[-1] == len(index_N)
    seen: set[int] = set()
    for part in np.split(order.position_N, order.ends[:-1]):
        blocks = set((index_N[part] // block).tolist())
        assert len(blocks) <= window
        assert not blocks & seen, "a block is read once"
        seen |= blocks
    if seed is None:
        assert (order.position_N == np.arange(len(index_N))).all()


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    index_N = np.arange(100)
    first = stream_order(index_N, 8, 3, 4, 2)
    assert (first.position_N == stream_order(index_N, 8, 3, 4, 2).position_N).all()
    for other in (stream_order(index_N, 8, 3, 5, 2), stream_order(index_N, 8, 4, 4, 2)):
        assert (first.position_N != other.position_N).any()


def test_blocks_divide_a_shard_and_fit_the_limit() -> None:
    poster = Encoded(Path(), "image", (9000, 7, 50, 50), np.dtype("<u2"), 1024)
    assert block_patches(poster) == 1024
    large = Encoded(Path(), "image", (9000, 21, 256, 256), np.dtype("<u2"), 1024)
    assert block_patches(large) == 8
    assert block_patches(Encoded(Path(), "image", (9, 64, 4096, 4096), np.dtype("<u2"), 1000)) == 1


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("batch", "window"), [(7, 1), (5, 2), (64, 3)])
def test_what_is_streamed_is_what_is_stored(store: Path, threads: int, batch: int, window: int) -> None:
    index_N = np.flatnonzero(np.arange(COUNT) % 3)
    order = stream_order(index_N, 4, 1, 0, window)
    groups = [index_N[part] for part in np.split(order.position_N, order.ends[:-1])]
    sizes = [min(batch, len(index_N) - first) for first in range(0, len(index_N), batch)]
    windows = stream([opened(store), opened(store, "label")], groups, 4, threads)
    got = [[array.copy() for array in arrays] for arrays in batches_of(windows, sizes)]
    for which, name in enumerate(("image", "label")):
        stored = zarr.open_array(store / name, mode="r")[:]
        np.testing.assert_array_equal(np.concatenate([arrays[which] for arrays in got]), stored[index_N][order.position_N])
    assert [len(arrays[0]) for arrays in got] == sizes


def test_empty_groups_are_passed_over(store: Path) -> None:
    """A rank of several may have nothing in a window."""
    none = np.empty(0, np.int64)
    groups = [none, np.array([9, 3]), none, np.array([1])]
    got = [arrays[0].copy() for arrays in batches_of(stream([opened(store)], groups, 4), [1, 2])]
    stored = zarr.open_array(store / "image", mode="r")[:]
    np.testing.assert_array_equal(got[0], stored[[9]])
    np.testing.assert_array_equal(got[1], stored[[3, 1]])


def test_leaving_early_leaves_no_thread(store: Path) -> None:
    windows = stream([opened(store)], [np.arange(8), np.arange(8, 16), np.arange(16, 24)], 8)
    next(windows)
    windows.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration, match=r"^$"):
        next(windows)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), r"0: missing; cut the store again"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), r"damaged zarr shard"),
        (lambda path: path.write_bytes(b""), r"damaged zarr shard"),
        (
            lambda path: path.write_bytes(b"\x02\x01\x05\x02" + b"\xff" * 60 + path.read_bytes()[64:]),
            r"patch 0 is damaged \(of another size\)",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:16] + b"\xff" * 60 + path.read_bytes()[76:]), r"patch 0 is damaged"),
    ],
)
def test_damage_is_named(store: Path, tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    broken = tmp_path / "broken.zarr"
    shutil.copytree(store, broken)
    damage(shard_path(broken, "image", 0))
    with pytest.raises(DataError, match=message):
        list(stream([opened(broken)], [np.arange(8)], 8))


def test_another_layout_is_not_streamed(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "s" / "image", shape=(8, 2, 4, 4), chunks=(4, 2, 4, 4), shards=(8, 2, 4, 4), dtype="uint16")
    zarr.create_array(tmp_path / "s" / "label", shape=(8, 4, 4), chunks=(1, 4, 4), dtype="uint8")
    assert open_encoded(tmp_path / "s", "image") is None
    assert open_encoded(tmp_path / "s", "label") is None
