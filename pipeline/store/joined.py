"""Several stores read as one, and a store read with the classes of another legend: for training on several places and years, and for scoring elsewhere.

Axis suffixes: N kept patches, B some of them, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.store.compatible import check_fits, class_numbers
from cropcam.pipeline.store.patch_store import Indices, PatchStore, class_shares
from cropcam.pipeline.store.schema import MOST_PCT, NOT_USED, SPLITS

_AT_ONCE = 1024  # patches whose labels are counted together
TEST = SPLITS.index("test")


class JoinedStore(PatchStore):
    """The kept patches of several stores, one store behind the other. It has no grid: windows and tables are those of `parts`.

    Images are as stored where all stores have one encoding, else float32 in the physical unit with NaN = missing. Classes are those of
    `legend`: by label code where both legends group the codes of one table, else by name.
    """

    def __init__(
        self, parts: Sequence[PatchStore], legend: Legend | None = None, held_out: Collection[str] = (), names: Sequence[str] = ()
    ) -> None:
        """Join stores.

        Args:
            parts: stores of the same bands, patch size and classes.
            legend: whose classes are used; those of the first store by default.
            held_out: names of the stores whose patches are the test split; the test blocks of the others are then in no split.
            names: of the stores; `store_names` by default.

        Raises:
            DataError: bands, patch size or classes differ; names both and the way to make them fit.
        """
        first = parts[0]
        self._parts, self.held_out = tuple(parts), frozenset(held_out)
        self._names = tuple(names) or store_names([part.path for part in parts])
        legend = legend or first.info.classes
        self._numbers: list[npt.NDArray[np.uint8] | None] = []  # of each store its classes; None where label codes have to be looked up
        for part in parts:
            check_fits(part, first.info.bands, first.info.patch_size_px, f"{first.path}")
            self._numbers.append(class_numbers(part.info.classes, legend, str(part.path)) if part.info.has_labels else None)
            if part.info.has_weight != first.info.has_weight:
                with_, without = (str(p.path) for p in ((part, first) if part.info.has_weight else (first, part)))
                raise DataError(
                    f"{with_}: its labels have weights, those of {without} have none; build both with or without [labels] weight"
                )
        trained = [part.info for name, part in zip(self._names, parts, strict=True) if name not in self.held_out]
        encodings = {part.encoding for part in parts}
        encoding = first.encoding if len(encodings) == 1 else BandEncoding.uniform("float32", len(first.bands), 1.0, 0.0, math.nan)
        info = replace(
            first.info,
            encoding=encoding,
            classes=legend,
            has_labels=all(part.info.has_labels for part in parts),
            digests={f"store {name}": part.info.digest for name, part in zip(self._names, parts, strict=True)},
            tables={},
            dropped={key: sum(part.info.dropped.get(key, 0) for part in parts) for key in first.info.dropped},
            statistics=joined_statistics([part.statistics for part in trained]),
        )
        super().__init__(first.path, info)

    @property
    def parts(self) -> Mapping[str, PatchStore]:
        """The stores by name."""
        return dict(zip(self._names, self._parts, strict=True))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stores."""
        return self._names

    @cached_property
    def store_N(self) -> Indices:
        """The number of the store of each patch."""
        return np.repeat(np.arange(len(self._parts)), [len(part) for part in self._parts])

    @cached_property
    def _first_N(self) -> list[int]:
        """The first patch of each store."""
        return [0, *np.cumsum([len(part) for part in self._parts]).tolist()[:-1]]

    @cached_property
    def _place_2N(self) -> tuple[Indices, Indices]:
        return np.concatenate([part.row_N for part in self._parts]), np.concatenate([part.col_N for part in self._parts])

    @cached_property
    def split_N(self) -> npt.NDArray[np.uint8]:
        """Split of each patch. With a store held out, its patches are the test split, and the test blocks of the others are in none (255)."""
        splits = []
        for name, part in self.parts.items():
            split_N = np.full(len(part), TEST, np.uint8) if name in self.held_out else part.split_N
            splits.append(np.where(split_N == TEST, NOT_USED, split_N) if self.held_out and name not in self.held_out else split_N)
        return np.concatenate(splits).astype(np.uint8)

    @cached_property
    def valid_N(self) -> npt.NDArray[np.float32]:
        """Valid share of each patch."""
        return np.concatenate([part.valid_N for part in self._parts])

    @cached_property
    def share_NK(self) -> npt.NDArray[np.float32]:
        """Shares of the legend's classes in each patch; counted anew where the codes of a store's classes are others.

        Raises:
            DataError: a store has no labels.
        """
        return np.concatenate([self._shares(number, part) for number, part in enumerate(self._parts)])

    def of_parts(self, index_N: Indices) -> list[tuple[PatchStore, Indices]]:
        """Of each store: the store, and the indices in it of its patches among `index_N`, which is ascending."""
        edges = np.searchsorted(index_N, [*self._first_N, len(self)])
        return [
            (part, index_N[first:last] - start)
            for part, start, first, last in zip(self._parts, self._first_N, edges, edges[1:], strict=False)
        ]

    def blocks(self, columns: int, rows: int) -> Indices:
        """As of `PatchStore.blocks`; no block has patches of two stores."""
        found, first = [], 0
        for part in self._parts:
            found.append(first + part.blocks(columns, rows))
            first = int(found[-1].max(initial=first - 1)) + 1
        return np.concatenate(found)

    def classes(self, index_B: Indices) -> npt.NDArray[np.uint8]:
        """As of `PatchStore.classes`, in the legend of the join."""
        out = np.empty((len(index_B), *self.patch_shape[1:]), np.uint8)
        for number, part, place, index in self._by_store(index_B):
            numbers = self._numbers[number]
            out[place] = self.info.classes.index(part.labels(index)) if numbers is None else numbers[part.classes(index)]
        return out

    def weights(self, index_B: Indices) -> npt.NDArray[np.uint8]:
        """As of `PatchStore.weights`."""
        out = np.full((len(index_B), *self.patch_shape[1:]), MOST_PCT, np.uint8)
        for _, part, place, index in self._by_store(index_B):
            out[place] = part.weights(index)
        return out

    def request_images(self, index_B: Indices, out: npt.NDArray[Any] | None = None) -> Callable[[], npt.NDArray[Any]]:
        """As of `PatchStore.request_images`, in the encoding of the join."""
        values_B = np.empty((len(index_B), *self.patch_shape), self.encoding.dtype) if out is None else out
        waiting = []
        for _, part, place, index in self._by_store(index_B):
            as_stored = part.encoding == self.encoding
            direct = as_stored and isinstance(place, slice)
            waiting.append((part, place, as_stored, direct, part.request_images(index, values_B[place] if direct else None)))

        def wait() -> npt.NDArray[Any]:
            for part, place, as_stored, direct, ready in waiting:
                found = ready()
                if not direct:
                    values_B[place] = found if as_stored else part.encoding.physical(found)
            return values_B

        return wait

    def _by_store(self, index_B: Indices) -> Iterator[tuple[int, PatchStore, slice | Indices, Indices]]:
        """Of each store with patches of a batch: its number, the store, their places in the batch, their indices in the store."""
        store_B = self.store_N[index_B]
        for number in np.unique(store_B).tolist():
            place = np.flatnonzero(store_B == number)
            is_run = place[-1] - place[0] + 1 == len(place)
            yield number, self._parts[number], slice(place[0], place[-1] + 1) if is_run else place, index_B[place] - self._first_N[number]

    def _shares(self, number: int, part: PatchStore) -> npt.NDArray[np.float32]:
        numbers = self._numbers[number]
        if numbers is not None:
            share_NK = np.empty_like(part.share_NK)
            share_NK[:, numbers[: share_NK.shape[1]]] = part.share_NK
            return share_NK
        shares, classes = [], len(self.info.classes)
        for first in range(0, len(part), _AT_ONCE):
            index = self._first_N[number] + np.arange(first, min(first + _AT_ONCE, len(part)))
            shares.append(class_shares(self.classes(index), classes).astype(np.float32))
        return np.concatenate(shares)

    def _array(self, name: str) -> NoReturn:
        raise TypeError(f"{', '.join(self._names)}: several stores have no common {name}; read it from one of `parts`")


def join(parts: Sequence[PatchStore], held_out: Sequence[str] = (), names: Sequence[str] = ()) -> PatchStore:
    """The store itself where there is one, else the join. Arguments as of `JoinedStore`.

    Raises:
        ConfigError: a store is named twice, or a held-out name is none of them, or all of them.
        DataError: as of `JoinedStore`.
    """
    if len(parts) == 1 and not held_out:
        return parts[0]
    seen: dict[str, Path] = {}
    for part in parts:
        if (before := seen.get(part.info.digest)) is not None:
            raise ConfigError(f"{part.path}: is the same store as {before} (digest {part.info.digest[:12]}); name each store once")
        seen[part.info.digest] = part.path
    names = tuple(names) or store_names([part.path for part in parts])
    if unknown := [name for name in held_out if name not in names]:
        raise ConfigError(f"--hold-out-store {unknown[0]}: is none of the stores {', '.join(names)}; name one of them")
    if len({*held_out}) == len(names):
        raise ConfigError(f"--hold-out-store {', '.join(held_out)}: no store is left to train on; hold out fewer")
    return JoinedStore(parts, held_out=held_out, names=names)


def store_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """A name for each store: that of its folder, without .zarr; with the folders above it where two are equal.

    >>> store_names([Path("a/iowa.zarr"), Path("b/ohio.zarr")]), store_names([Path("a/s.zarr"), Path("b/s.zarr")])
    (('iowa', 'ohio'), ('a/s', 'b/s'))
    """
    parts = [path.resolve().with_suffix("" if path.suffix == ".zarr" else path.suffix).parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = tuple("/".join(each[-count:]) for each in parts)
        if len({*names}) == len(names):
            break
    return names


def joined_statistics(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Pixels, mean and standard deviation per band over the training splits of several stores, from those of each."""
    pixels_S = np.array([part["pixels"] for part in parts], np.float64)
    mean_SC, std_SC = (np.array([part[key] for part in parts], np.float64) for key in ("mean", "std"))
    weight_S1 = (pixels_S / pixels_S.sum())[:, None]
    mean_C = (weight_S1 * mean_SC).sum(axis=0)
    variance_C = (weight_S1 * (std_SC**2 + (mean_SC - mean_C) ** 2)).sum(axis=0)
    return {"split": "train", "pixels": int(pixels_S.sum()), "mean": mean_C.tolist(), "std": np.sqrt(variance_C).tolist()}
