"""Parts of a finished store, read and replaced for tests: other truth, hidden truth, damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.store import schema
from cropcam.pipeline.store.patch_store import PatchStore, open_store


class Blind(PatchStore):
    """A store whose labels and shares are not to be read."""

    def labels(self, _: Any) -> Any:
        raise AssertionError("the labels were read")

    @property
    def share_NK(self) -> Any:  # type: ignore[override]
        raise AssertionError("the shares were read")


def blind(path: Path) -> Blind:
    """The store, without its truth: whatever reads it fails."""
    return Blind(path, open_store(path).info)


def all_images(path: Path) -> npt.NDArray[Any]:
    """Stored values (N, C, H, W) of every kept patch."""
    store = open_store(path)
    return store.images(np.arange(len(store)))


def all_labels(path: Path) -> npt.NDArray[np.uint8]:
    """Label codes (N, H, W) of every kept patch."""
    store = open_store(path)
    return store.labels(np.arange(len(store)))


def replace_values(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write image, label, share or split of every kept patch, first axis the patch. The attributes, digests among them, stay."""
    store = open_store(path)
    size = store.info.patch_size_px
    for name, values in arrays.items():
        array = schema.opened(path, name)
        whole = np.array(array.read().result())
        if name in ("image", "label"):
            for row, col, patch in zip(store.row_N * size, store.col_N * size, values, strict=True):
                whole[..., row : row + size, col : col + size] = patch
        else:
            whole[store.row_N, store.col_N] = values
        array.write(whole).result()


def damage(path: Path, array: str, change: Callable[[bytes], bytes] | None) -> None:
    """Change the bytes of every file of an array's chunks, or remove these files."""
    for file in sorted(found for found in (path / array / "c").rglob("*") if found.is_file()):
        if change is None:
            file.unlink()
        else:
            file.write_bytes(change(file.read_bytes()))


def flipped(data: bytes) -> bytes:
    """With one bit of every two hundredth byte turned, so that no chunk fits its checksum."""
    found = np.frombuffer(data, np.uint8).copy()
    found[40::200] ^= 1
    return found.tobytes()
