"""Several stores read as one, against the stores read one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.code_table import Code, CodeTable
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.joined import JoinedStore, join, joined_statistics, store_names
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.stores import make_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joined")
    for seed, name in enumerate(("iowa", "ohio", "utah")):
        make_store(folder / f"{name}.zarr", count=12 + seed, size_px=8, seed=seed, nodata_share=0.2)
    return folder


@pytest.fixture
def stores(folder: Path) -> list[PatchStore]:
    return [open_store(folder / f"{name}.zarr") for name in ("iowa", "ohio")]


def scaled(store: PatchStore) -> PatchStore:
    """The same store as if its values meant half as much."""
    encoding = replace(store.encoding, scale=tuple(value / 2 for value in store.encoding.scale))
    return PatchStore(store.path, replace(store.info, encoding=encoding))


def test_patches_are_those_of_the_stores_one_behind_the_other(stores: list[PatchStore]) -> None:
    joined, order = join(stores), np.array([20, 0, 13, 5, 12, 11])
    assert (len(joined), joined.names) == (25, ("iowa", "ohio"))
    for read in ("images", "labels_of_classes"):
        parts = [store.images(np.arange(len(store))) if read == "images" else store.classes(np.arange(len(store))) for store in stores]
        found = joined.images(order) if read == "images" else joined.classes(order)
        np.testing.assert_array_equal(found, np.concatenate(parts)[order])
    np.testing.assert_array_equal(joined.share_NK, np.concatenate([store.share_NK for store in stores]))
    np.testing.assert_array_equal(joined.split_N, np.concatenate([store.split_N for store in stores]))
    assert joined.encoding == stores[0].encoding
    with pytest.raises(TypeError, match="iowa, ohio: several stores have no common image"):
        joined.table("image")


def test_other_encodings_become_physical_values(stores: list[PatchStore]) -> None:
    first, second = stores[0], scaled(stores[1])
    joined, order = join([first, second]), np.array([14, 3, 15, 4])
    expected = np.stack(
        [second.images(np.array([2])), first.images(np.array([3])), second.images(np.array([3])), first.images(np.array([4]))]
    )[:, 0]
    physical = [store.encoding.physical(values) for store, values in zip((second, first, second, first), expected, strict=True)]
    found = joined.images(order)
    assert (found.dtype, joined.encoding.dtype) == (np.float32, "float32")
    np.testing.assert_array_equal(found, np.stack(physical))
    assert np.isnan(found).any()


def test_statistics_are_those_of_all_training_pixels() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal(shift, 1 + shift, (size, 3)) for shift, size in ((0, 500), (2, 70), (5, 11))]
    given = [{"pixels": len(part), "mean": part.mean(axis=0).tolist(), "std": part.std(axis=0).tolist()} for part in parts]
    found, pooled = joined_statistics(given), np.concatenate(parts)
    assert found["pixels"] == 581
    np.testing.assert_allclose(found["mean"], pooled.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["std"], pooled.std(axis=0), rtol=1e-12)


def test_a_held_out_store_is_the_test_split_and_counts_in_no_statistic(stores: list[PatchStore]) -> None:
    joined = join(stores, ["ohio"])
    assert joined.info.statistics["mean"] == pytest.approx(stores[0].info.statistics["mean"])
    np.testing.assert_array_equal(joined.split_indices("test"), 12 + np.arange(13))
    np.testing.assert_array_equal(joined.split_indices("train"), stores[0].split_indices("train"))
    assert joined.info.digest != join(stores).info.digest


def test_blocks_of_two_stores_are_never_one(stores: list[PatchStore]) -> None:
    joined = join(stores)
    assert isinstance(joined, JoinedStore)
    for columns, rows in ((1, 1), (3, 2), (50, 50)):
        block_N = joined.blocks(columns, rows)
        assert not set(block_N[:12]) & set(block_N[12:])
        for store, part in zip(stores, (block_N[:12], block_N[12:]), strict=True):
            np.testing.assert_array_equal(part - part[0], store.blocks(columns, rows) - store.blocks(columns, rows)[0])
    first, second = joined.of_parts(np.array([1, 5, 12, 20]))
    assert (first[1].tolist(), second[1].tolist()) == ([1, 5], [0, 8])


def test_classes_are_mapped_by_code_where_one_table_has_them(stores: list[PatchStore]) -> None:
    """The run groups codes otherwise than the store: label codes decide, and shares are counted anew."""
    legend = Legend.from_codes({"soybean": (5,), "trees": (141, 142, 143)})
    view, index = JoinedStore([stores[0]], legend), np.arange(len(stores[0]))
    expected = legend.index(stores[0].labels(index))
    np.testing.assert_array_equal(view.classes(index), expected)
    counts = np.stack([(expected == k).sum(axis=(1, 2)) for k in range(3)], axis=1)
    np.testing.assert_allclose(view.share_NK, counts / counts.sum(axis=1, keepdims=True), rtol=1e-6)


def test_classes_of_another_table_are_mapped_by_name(stores: list[PatchStore]) -> None:
    own = stores[0].info.classes
    table = CodeTable("mine", tuple(Code(10 * k, name) for k, name in enumerate(reversed(own.names), 1)))
    legend = Legend.from_codes({name: (10 * k,) for k, name in enumerate(reversed(own.names), 1) if name != "background"}, table)
    assert legend.names != own.names
    view, index = JoinedStore([stores[0]], legend), np.arange(len(stores[0]))
    truth = own.index(stores[0].labels(index))
    expected = np.array([*(legend.names.index(name) for name in own.names), *[UNLABELLED] * (256 - len(own))], np.uint8)[truth]
    np.testing.assert_array_equal(view.classes(index), expected)
    np.testing.assert_array_equal(view.share_NK[:, [legend.names.index(name) for name in own.names]], stores[0].share_NK)


def test_weights_of_one_store_alone_are_refused(stores: list[PatchStore]) -> None:
    study = {**stores[1].info.study, "labels": {**stores[1].info.study["labels"], "weight": "confidence"}}
    weighted = PatchStore(stores[1].path, replace(stores[1].info, study=study))
    with pytest.raises(DataError, match=r"ohio\.zarr: its labels have weights, those of .*iowa\.zarr have none"):
        join([stores[0], weighted])


def test_names_that_make_no_sense_are_refused(stores: list[PatchStore]) -> None:
    assert join(stores[:1]) is stores[0]
    with pytest.raises(ConfigError, match=r"iowa\.zarr: is the same store as .*iowa\.zarr \(digest .*\); name each store once"):
        join([stores[0], stores[0]])
    with pytest.raises(ConfigError, match="--hold-out-store peru: is none of the stores iowa, ohio; name one of them"):
        join(stores, ["peru"])
    with pytest.raises(ConfigError, match="--hold-out-store iowa, ohio: no store is left to train on"):
        join(stores, ["iowa", "ohio"])
    assert store_names([Path("x/2016/s.zarr"), Path("x/2017/s.zarr")]) == ("2016/s", "2017/s")
