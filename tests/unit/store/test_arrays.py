"""The arrays that attributes make a store: shapes, types, chunks; what is not so is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.store.arrays import ArraySpec, array_specs
from cropcam.pipeline.store.patch_store import open_store
from support.stores import make_store

SPEC = ArraySpec((100, 50), np.dtype(np.uint8), (32, 32), (32, 32))


def test_the_arrays_of_a_store(tmp_path: Path) -> None:
    make_store(tmp_path / "s.zarr", count=4, size_px=8)
    info = open_store(tmp_path / "s.zarr").info
    rows, columns = info.patch_grid.rows, info.patch_grid.columns
    specs = array_specs(info)
    assert specs["image"] == ArraySpec((7, info.height, info.width), np.dtype(np.uint16), (7, 8, 8), (7, 256, 256))
    assert specs["label"] == ArraySpec((info.height, info.width), np.dtype(np.uint8), (8, 8), (256, 256))
    assert specs["share"] == ArraySpec((rows, columns, 5), np.dtype(np.float32), (32, 32, 5), (32, 32, 5))
    assert {*specs} == {"image", "label", "valid", "split", "reason", "share"}
    assert {*array_specs(replace(info, has_labels=False))} == {"image", "valid", "split", "reason"}


def test_files_along_each_axis() -> None:
    assert SPEC.files() == (4, 2)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"chunk": (16, 16), "file": (16, 16)}, ""),
        ({"shape": (100, 51)}, "is of (100, 51), its attributes make it (100, 50)"),
        ({"dtype": np.dtype(np.int16)}, "is of int16, its attributes make it uint8"),
        ({"chunk": (33, 32)}, "has zarr chunks of (33, 32), at most (32, 32) are possible"),
        ({"file": (32, 64)}, "has files of (32, 64), at most (32, 32) are possible"),
    ],
)
def test_what_is_not_as_expected(changes: dict[str, object], problem: str) -> None:
    assert replace(SPEC, **changes).problem(SPEC) == problem  # type: ignore[arg-type]
