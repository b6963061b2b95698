"""The store's format: what opens, and what is refused with which words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.schema import PATCHES_PER_SHARD, open_store, split_indices, to_reflectance
from support.stores import make_store


def edit_attribute(name: str, value: object) -> Callable[[Path], None]:
    """Change (or with None remove) one group attribute."""

    def edit(path: Path) -> None:
        meta = path / "zarr.json"
        values = json.loads(meta.read_text())
        if value is None:
            del values["attributes"][name]
        else:
            values["attributes"][name] = value
        meta.write_text(json.dumps(values))

    return edit


def replace_array(path: Path) -> None:
    """Labels of another type."""
    group = zarr.open_group(path)
    del group["label"]
    group.create_array("label", shape=(12, 16, 16), dtype="int16", dimension_names=("patch", "y", "x"))
    with pytest.warns(zarr.errors.ZarrUserWarning, match="not part in the Zarr format 3"):
        zarr.consolidate_metadata(group.store)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "good.zarr"
    make_store(path, count=12, size_px=16)
    return path


def test_one_patch_is_one_zarr_chunk_and_many_are_one_zarr_shard(good: Path) -> None:
    image = zarr.open_group(good)["image"]
    assert isinstance(image, zarr.Array)
    assert (image.chunks, image.shards) == ((1, 7, 16, 16), (PATCHES_PER_SHARD, 7, 16, 16))


def test_info_survives_the_disk(good: Path) -> None:
    _, info = open_store(good)
    assert type(info).from_attrs(info.attrs(), "x") == info
    assert len(info.digest) == 64


def test_splits_are_found_or_missed(good: Path) -> None:
    dataset, _ = open_store(good)
    parts = [split_indices(dataset, name) for name in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts).tolist()) == list(range(12))
    with pytest.raises(DataError, match="no patch lies in the test split"):
        split_indices(dataset.isel(patch=parts[0]), "test")


def test_reflectance_of_nodata_is_nan() -> None:
    np.testing.assert_allclose(to_reflectance(np.array([0, 1, 10_000], np.uint16)), [np.nan, -0.1999725, 0.075], rtol=1e-6)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (shutil.rmtree, r"no such store; make one with 'cropcam patches"),
        (lambda path: (path / "zarr.json").unlink(), "is a folder without zarr.json, not a patch store; name one, or make one"),
        *(
            (lambda path, text=text: (path / "zarr.json").write_text(text), "cannot be opened as a patch store")
            for text in ("{", "null", "[]")
        ),
        (edit_attribute("study", {}), "damaged patch store: attribute 'study'"),
        (edit_attribute("schema_version", None), r"no patch store \(no schema_version"),
        (edit_attribute("schema_version", 99), "schema version 99, this cropcam reads 1; cut the store again"),
        (edit_attribute("bands", None), "damaged patch store: attribute 'bands'"),
        (edit_attribute("bands", ["a"]), "7 along 'band', its attributes have 1"),
        (replace_array, "label is int16"),
    ],
)
def test_stores_that_are_not_sound(good: Path, tmp_path: Path, harm: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "harmed.zarr"
    shutil.copytree(good, path)
    harm(path)
    with pytest.raises(DataError, match=message) as caught:
        open_store(path)
    assert "\n" not in str(caught.value)
