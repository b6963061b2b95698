"""A finished patch store, opened for reading: kept patches in row-major order, windows of pixels, tables.

Arrays are read by tensorstore, which verifies the checksum of each chunk and is told that no chunk may be missing.
Axis suffixes: N kept patches, B some of them, C bands, H/W and Y/X rows and columns of pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorstore as ts

from cropcam.pipeline.code_table import Codes
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.runtime.console import detail
from cropcam.pipeline.runtime.terminal import quoted
from cropcam.pipeline.store.arrays import ArraySpec, array_specs
from cropcam.pipeline.store.schema import BUILD, NOT_USED, PENDING, ROOT, SPLITS, StoreInfo, opened, table_digest
from cropcam.pipeline.text_files import read_json_object

Indices = npt.NDArray[np.int64]
AGAIN = "delete the store and build it again with 'cropcam patches'"
_LOOK = "'cropcam check {}' lists all that is wrong"
_LARGE = 2**22  # patches, or pixels along a side: 4 million take 32 MB
_FILE = re.compile(r'(?: in| stored at)? local file "([^"]+)"')


class PatchStore:
    """A finished store. The index of a patch is its place among the kept patches, row by row. Thread-safe."""

    def __init__(self, path: Path, info: StoreInfo) -> None:
        self.path, self.info = path, info
        self._arrays: dict[str, Any] = {}

    @property
    def grid(self) -> PixelGrid:
        """The grid of the cube."""
        return self.info.pixel_grid

    @property
    def bands(self) -> tuple[str, ...]:
        """Band names in order."""
        return self.info.bands

    @property
    def encoding(self) -> BandEncoding:
        """What stored values mean."""
        return self.info.encoding

    @property
    def names(self) -> tuple[str, ...]:
        """The store's name, for messages and tags."""
        return (self.path.name,)

    @property
    def parts(self) -> Mapping[str, PatchStore]:
        """The stores that it is made of, by name: itself (`joined.JoinedStore` has several)."""
        return {self.path.stem: self}

    @property
    def patch_shape(self) -> tuple[int, int, int]:
        """Bands, rows and columns of a patch."""
        return (len(self.bands), self.info.patch_size_px, self.info.patch_size_px)

    def __len__(self) -> int:
        return len(self.split_N)

    @cached_property
    def _split_RQ(self) -> npt.NDArray[np.uint8]:
        return self.table("split")

    @cached_property
    def _place_2N(self) -> tuple[Indices, Indices]:
        row_N, col_N = np.nonzero(self._split_RQ != NOT_USED)
        return row_N.astype(np.int64), col_N.astype(np.int64)

    @property
    def row_N(self) -> Indices:
        """Patch row of each kept patch, from the north."""
        return self._place_2N[0]

    @property
    def col_N(self) -> Indices:
        """Patch column of each kept patch, from the west."""
        return self._place_2N[1]

    @cached_property
    def split_N(self) -> npt.NDArray[np.uint8]:
        """Split of each kept patch: 0 train, 1 validation, 2 test."""
        return np.asarray(self._split_RQ[self._place_2N])

    @cached_property
    def valid_N(self) -> npt.NDArray[np.float32]:
        """Valid share of each kept patch."""
        return np.asarray(self.table("valid")[self._place_2N])

    @cached_property
    def share_NK(self) -> npt.NDArray[np.float32]:
        """Class shares of each kept patch.

        Raises:
            DataError: the store has no labels.
        """
        self._need_labels()
        return np.asarray(self.table("share")[self._place_2N])

    def blocks(self, columns: int, rows: int) -> Indices:
        """The number of the block of `columns` x `rows` patches that holds each kept patch (N,)."""
        across = -(-self.info.patch_grid.columns // columns)
        return (self.row_N // rows) * across + self.col_N // columns

    def has_patches(self, split: str) -> bool:
        """Whether any patch lies in a split."""
        return bool((self.split_N == SPLITS.index(split)).any())

    def split_indices(self, split: str) -> Indices:
        """Patch indices of one split, ascending.

        Raises:
            DataError: no patch lies in that split.
        """
        indices = np.flatnonzero(self.split_N == SPLITS.index(split))
        if not indices.size:
            raise DataError(f"{self.path}: no patch lies in the {split} split")
        return indices

    def table(self, name: str) -> npt.NDArray[Any]:
        """A table (patch_row, patch_col, ..): valid, split, reason or share.

        Raises:
            DataError: damaged, missing, or not the one that the store was made with.
        """
        with readable(self.path, name):
            values = np.asarray(self._array(name).read().result())
        if self.info.tables.get(name, found := table_digest(values)) != found:
            raise DataError(f"{self.path / name}: was changed after the store was made; {_LOOK.format(quoted(self.path))}; {AGAIN}")
        return values

    def check_arrays(self) -> None:
        """Whether the arrays are those of the schema; and no size that takes much memory is believed of which there are no files.

        Raises:
            DataError: an array is damaged, missing, or not of the shape, type and chunks that the attributes make it.
        """
        grid = self.info.patch_grid
        is_large = max(grid.count, *grid.pixels.shape_yx) > _LARGE
        for name, expected in array_specs(self.info).items():
            with readable(self.path, name):
                array = self._array(name)
                chunk, file = (tuple(layout.shape) for layout in (array.chunk_layout.read_chunk, array.chunk_layout.write_chunk))
                found = ArraySpec(tuple(array.shape), np.dtype(array.dtype.numpy_dtype), chunk, file)
            if problem := found.problem(expected):
                raise DataError(f"{self.path}: {name} {problem}; {AGAIN}")
            folder = self.path / name / "c"
            for count in found.files() if is_large else ():  # along each axis, in the first folder of the axes before
                if (there := len(list(folder.iterdir())) if folder.is_dir() else 0) < count:
                    raise DataError(f"{folder}: holds {there:,} of {count:,} files that {name} of {expected.shape} needs; {AGAIN}")
                folder /= "0"

    def images(self, index_B: Indices) -> npt.NDArray[Any]:
        """Stored values (B, C, H, W) of patches in any order.

        Raises:
            DataError: a chunk is damaged or missing.
        """
        return self.request_images(index_B)()

    def request_images(self, index_B: Indices, out: npt.NDArray[Any] | None = None) -> Callable[[], npt.NDArray[Any]]:
        """Begin to read `images` in the background, to `out` where given; the function that is returned waits for them."""
        out = np.empty((len(index_B), *self.patch_shape), self.encoding.dtype) if out is None else out
        return self._request("image", index_B, out)

    def labels(self, index_B: Indices) -> Codes:
        """Label codes (B, H, W) of patches in any order.

        Raises:
            DataError: a chunk is damaged or missing, or the store has no labels.
        """
        self._need_labels()
        return self._request("label", index_B, np.empty((len(index_B), *self.patch_shape[1:]), self.info.classes.table.dtype))()

    def classes(self, index_B: Indices) -> npt.NDArray[np.uint8]:
        """Class index (B, H, W) of patches in any order, 255 = no label.

        Raises:
            DataError: as `labels`, or the labels are not those that the table of shares was counted from.
        """
        class_BYX = self.info.classes.index(self.labels(index_B))
        if "share" in self.info.tables and len(index_B):
            share_BK = class_shares(class_BYX, len(self.info.classes))
            if not np.allclose(share_BK, self.share_NK[index_B], rtol=0, atol=1e-6, equal_nan=True):
                raise DataError(f"{self.path / 'label'}: was changed after the store was made; {_LOOK.format(quoted(self.path))}; {AGAIN}")
        return class_BYX

    def weights(self, index_B: Indices) -> npt.NDArray[np.uint8]:
        """Weights of the labels (B, H, W) in per cent, 0 without a label; raises as `labels`."""
        self._need_labels()
        return self._request("weight", index_B, np.empty((len(index_B), *self.patch_shape[1:]), np.uint8))()

    def read(self, window: Window) -> npt.NDArray[Any]:
        """Stored values (C, Y, X) of a window inside the grid.

        Raises:
            DataError: a chunk is damaged or missing.
        """
        with readable(self.path, "image"):
            return np.asarray(self._array("image")[:, *window.slices].read().result())

    def read_labels(self, window: Window) -> Codes:
        """Label codes (Y, X) of a window inside the grid; raises as `labels`."""
        self._need_labels()
        with readable(self.path, "label"):
            return np.asarray(self._array("label")[window.slices].read().result())

    def read_weights(self, window: Window) -> npt.NDArray[np.uint8]:
        """Weights of the labels (Y, X) of a window inside the grid, in per cent; raises as `labels`."""
        self._need_labels()
        with readable(self.path, "weight"):
            return np.asarray(self._array("weight")[window.slices].read().result())

    def _request(self, name: str, index_B: Indices, out: npt.NDArray[Any]) -> Callable[[], npt.NDArray[Any]]:
        size = self.info.patch_size_px
        with readable(self.path, name):
            array, target = self._array(name), ts.array(out)
            with ts.Batch() as batch:  # chunks of one shard together
                copies = [
                    target[place].write(array[..., top : top + size, left : left + size], batch=batch)
                    for place, (top, left) in enumerate(
                        zip((self.row_N[index_B] * size).tolist(), (self.col_N[index_B] * size).tolist(), strict=True)
                    )
                ]

        def wait() -> npt.NDArray[Any]:
            with readable(self.path, name):
                for copy in copies:
                    copy.result()
            return out

        return wait

    def _array(self, name: str) -> Any:  # noqa: ANN401 - tensorstore.TensorStore
        if name not in self._arrays:
            self._arrays[name] = opened(self.path, name)
        return self._arrays[name]

    def _need_labels(self) -> None:
        if not self.info.has_labels:
            raise DataError(
                f"{self.path}: has no labels; build a store with them (patches --labels FILE), or take them from a file (train --labels points --points FILE, --labels shares --areas FILE, --labels pixels --fields FILE)"
            )


def open_store(path: str | PathLike[str]) -> PatchStore:
    """A finished store.

    Raises:
        DataError: absent, unfinished, of another schema version, or its arrays are not those of the schema.
    """
    where = Path(path)
    if not where.exists():
        raise DataError(f"{where}: no such store; make one with 'cropcam patches STUDY ... --store {quoted(where)}'")
    if not (where / ROOT).is_file():
        if any((where / name).exists() for name in (BUILD, PENDING)):
            raise DataError(f"{where}: unfinished; run the 'cropcam patches' command that began it again: it goes on where it stopped")
        kind = "a folder without zarr.json" if where.is_dir() else "a file"
        raise DataError(f"{where}: is {kind}, not a patch store; name one, or make one with 'cropcam patches STUDY ... --store STORE'")
    root = read_json_object(where / ROOT, "a patch store", step=AGAIN)
    if not isinstance(attributes := root.get("attributes"), dict):
        raise DataError(f"{where / ROOT}: lacks attributes; {AGAIN}")
    store = PatchStore(where, StoreInfo.from_attrs(attributes, str(where)))
    store.check_arrays()
    info = store.info
    detail(f"store {where}: {info.name}, {len(info.bands)} bands, {len(info.classes.names)} classes, digest {info.digest[:12]}")
    return store


@contextmanager
def readable(path: Path, name: str) -> Iterator[None]:
    """Turns errors of tensorstore and zarr into one line.

    Raises:
        DataError: names the file that is damaged or missing.
    """
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:  # tensorstore has no exceptions of its own, zarr's codecs raise the last
        text = _first_line(error)
        file = match[1] if (match := _FILE.search(text)) else str(path / name)
        problem = "is missing" if "NOT_FOUND" in text and not Path(file).exists() else "is damaged"
        detail = _FILE.sub("", text.partition(": ")[2] or text).partition(", stored digest")[0]  # the file is named before it
    else:
        return
    raise DataError(f"{file}: {problem} ({detail[:160]}); {_LOOK.format(quoted(path))}; {AGAIN}")


def class_shares(class_BYX: npt.NDArray[np.uint8], classes: int) -> npt.NDArray[np.float64]:
    """Shares (B, classes) of the labelled pixels of patches of class indices (B, Y, X), 255 = no label; NaN where there is none."""
    count_BK = np.stack([(class_BYX == number).sum(axis=(1, 2)) for number in range(classes)], axis=1).astype(np.float64)
    total_B1 = count_BK.sum(axis=1, keepdims=True)
    share_BK: npt.NDArray[np.float64] = np.divide(count_BK, total_B1, out=np.full_like(count_BK, np.nan), where=total_B1 > 0)
    return share_BK


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
