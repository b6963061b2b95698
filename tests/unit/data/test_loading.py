"""Images of a split: in memory and streamed give the same batches, whatever the number of workers."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from cropcam.model.data import loading
from cropcam.model.data.loading import ResidentImages, StreamedImages, choose_loading, encoded_image, free_memory, read_images
from cropcam.pipeline.encoded import Encoded
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.schema import open_store
from support.stores import make_store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loading") / "patches.zarr"
    make_store(path, count=40, size_px=10, nodata_share=0.3)
    return path


def image_of(path: Path) -> Encoded:
    image = encoded_image(open_store(path)[0])
    assert image is not None
    return image


def shuffled(count: int, size: int, seed: int) -> list[np.ndarray]:
    order = np.random.default_rng(seed).permutation(count)
    return [order[first : first + size] for first in range(0, count, size)]


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_and_resident_give_the_same_batches(store: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamedImages, "workers", workers)
    monkeypatch.setattr(loading, "BATCHES_PER_WORKER", 1)
    dataset, _ = open_store(store)
    index_N = np.arange(3, 40, 2)
    resident, streamed = ResidentImages(torch.from_numpy(read_images(dataset, index_N))), StreamedImages(image_of(store), index_N)
    assert len(resident) == len(streamed) == len(index_N)
    for seed in (0, 1):  # a second pass has another order
        order = [*shuffled(len(index_N), 4, seed), np.zeros(0, np.int64)]
        pairs = zip(resident.batches(order, CPU), streamed.batches(order, CPU), strict=True)
        assert all(torch.equal(expected, images) for expected, images in pairs)


def test_patches_in_memory_are_those_of_the_store(store: Path) -> None:
    dataset, _ = open_store(store)
    index_N = np.array([0, 5, 6, 39])
    np.testing.assert_array_equal(read_images(dataset, index_N), dataset["image"].to_numpy()[index_N])


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"\xff" * 3000 + data[3000:], r"patch \d+ is damaged"),
        (lambda data: data[:10], r"damaged zarr shard"),
        (None, r"image/c/0/0/0/0: missing"),
    ],
)
def test_damage_is_one_line_also_from_a_worker(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes] | None, message: str, workers: int
) -> None:
    monkeypatch.setattr(StreamedImages, "workers", workers)
    monkeypatch.setattr(loading, "BATCHES_PER_WORKER", 1)
    broken = tmp_path / "broken.zarr"
    shutil.copytree(store, broken)
    images = StreamedImages(image_of(broken), np.arange(40))
    for file in [path for path in (broken / "image" / "c").rglob("*") if path.is_file()]:
        if damage is None:
            file.unlink()
        else:
            file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=rf"^[^\n]*{message}[^\n]*cut the store again[^\n]*$"):
        list(images.batches(shuffled(40, 8, 0), CPU))


def test_another_layout_is_not_streamed(tmp_path: Path) -> None:
    make_store(tmp_path / "plain.zarr", count=6, size_px=8)
    group = zarr.open_group(tmp_path / "plain.zarr", mode="r+")
    values = group["image"][:]  # type: ignore[index]
    del group["image"]
    group.create_array("image", data=values, chunks=(6, 7, 8, 8), dimension_names=("patch", "band", "y", "x"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(group.store)
    dataset, _ = open_store(tmp_path / "plain.zarr")
    assert encoded_image(dataset) is None
    assert choose_loading("auto", dataset, 10**9, bagged=False) == "memory"
    with pytest.raises(ConfigError, match=r"data_loading 'stream' is not possible: the store's layout is not that of 'cropcam patches'"):
        choose_loading("stream", dataset, 6, bagged=False)


def test_loading_follows_the_free_memory(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, _ = open_store(store)
    patch_bytes = 7 * 10 * 10 * 2
    monkeypatch.setattr(loading, "free_memory", lambda: 2 * 20 * patch_bytes)
    assert choose_loading("auto", dataset, 20, bagged=False) == "memory"
    assert choose_loading("auto", dataset, 21, bagged=False) == "stream"
    assert choose_loading("auto", dataset, 21, bagged=True) == "memory"
    assert choose_loading("memory", dataset, 10**9, bagged=False) == "memory"
    with pytest.raises(ConfigError, match=r"data_loading 'stream' is not possible: bags need patches in any order"):
        choose_loading("stream", dataset, 1, bagged=True)
    monkeypatch.undo()
    assert 2**20 < free_memory() < 2**50
