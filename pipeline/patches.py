"""From rasters to the patch store: cut on one grid, keep the complete, count the rest, split by blocks."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import zarr

from pipeline import __version__
from pipeline.aside import written_aside
from pipeline.errors import ConfigError, DataError
from pipeline.grid import PatchGrid, Window
from pipeline.legend import UNLABELLED
from pipeline.parallel import ordered
from pipeline.rasters import Conversion
from pipeline.shards import open_shards
from pipeline.sources import LabelSource, Source, open_image, open_labels
from pipeline.splits import deal
from pipeline.store import NODATA_DN, OFFSET, PATCHES_PER_SHARD, SCALE, SPLITS, StoreInfo, create, finish, open_store
from pipeline.study import Study, differences

Progress = Callable[[int, int, str], None]
_STRIP_BYTES = 48 * 2**20  # of image DN that one task holds; several patch rows, so that a GeoTIFF tile is decoded about once


@dataclass(frozen=True)
class Cut:
    """Patches cut from one strip and what became of the rest. N kept patches, C bands, K classes."""

    image: npt.NDArray[np.uint16]  # N, C, y, x
    label: npt.NDArray[np.uint8]  # N, y, x
    row: npt.NDArray[np.int32]  # N
    col: npt.NDArray[np.int32]  # N
    share: npt.NDArray[np.float32]  # N, K
    valid: npt.NDArray[np.float32]  # N
    dropped: Counter[str]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Summary:
    """What `patches` did: the store's description, patches kept, and whether the store was already there."""

    info: StoreInfo
    count: int
    split_counts: dict[str, int]
    existed: bool


def from_rasters(
    study: Study,
    image: list[Path],
    labels: list[Path],
    store: Path,
    *,
    conversion: Conversion | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Summary:
    """Cut the user's own rasters into a patch store, on the image's own grid.

    Args:
        study: gives legend, band names, patch size and splits; its area is not used.
        image: several single-band files or one multi-band file.
        labels: CDL rasters of any grid.
        store: where to write; an equal store there is left as it is.
        conversion: what the image's values mean, if not what its tags and type say.
        seed: of the split.
        progress: told (strips done, strips in all, note).

    Raises:
        ConfigError: the study drops labels by confidence, which own labels do not carry.
        DataError: anything wrong with the rasters, or another store stands at `store`.
    """
    if study.labels.confidence_min_pct:
        raise ConfigError(
            "labels.confidence_min_pct needs CDL's confidence, which an export applies; own label rasters carry none: set it to 0"
        )
    conversion = conversion or Conversion()
    source = open_image(image, study.image.layers, conversion)
    asked = {"options": json.dumps(asdict(conversion), sort_keys=True)}
    return _cut_store(study, source, open_labels(labels, source.grid), store, seed, asked, progress)


def from_shards(study: Study, folder: Path, store: Path, *, seed: int = 0, progress: Progress | None = None) -> Summary:
    """Cut the shards of an export into a patch store, on the study's grid; otherwise as `from_rasters`."""
    source, labels = open_shards(folder, study)
    return _cut_store(study, source, labels, store, seed, {}, progress)


def cut(
    dn_byx: npt.NDArray[np.uint16],
    codes_yx: npt.NDArray[np.uint8],
    size_px: int,
    lookup: npt.NDArray[np.uint8],
    classes: int,
    valid_min_share: float,
) -> Cut:
    """Cut one strip into patches; keep those whose valid share reaches the minimum.

    A pixel is valid where every band has a value and the label is one; rows and columns count from the strip's upper
    left. Rows and columns beyond the last whole patch are left out.
    """
    bands, height, width = dn_byx.shape
    rows, cols = height // size_px, width // size_px
    inside = (slice(0, rows * size_px), slice(0, cols * size_px))
    image = dn_byx[:, *inside].reshape(bands, rows, size_px, cols, size_px).transpose(1, 3, 0, 2, 4).reshape(-1, bands, size_px, size_px)
    label = codes_yx[inside].reshape(rows, size_px, cols, size_px).transpose(0, 2, 1, 3).reshape(-1, size_px, size_px)
    class_index = lookup[label]
    seen, labelled = (image != NODATA_DN).all(axis=1), class_index != UNLABELLED
    valid = (seen & labelled).mean(axis=(1, 2))
    keep = valid >= valid_min_share - 1e-9
    dropped = _reasons(seen[~keep].mean(axis=(1, 2)), labelled[~keep].mean(axis=(1, 2)), valid_min_share)
    counts = np.stack([(class_index[keep] == index).sum(axis=(1, 2)) for index in range(classes)], axis=1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    row, col = np.divmod(np.flatnonzero(keep), max(cols, 1))
    return Cut(
        image[keep],
        label[keep],
        row.astype(np.int32),
        col.astype(np.int32),
        share.astype(np.float32),
        valid[keep].astype(np.float32),
        dropped,
    )


def _reasons(seen: npt.NDArray[np.float64], labelled: npt.NDArray[np.float64], minimum: float) -> Counter[str]:
    enough = minimum - 1e-9
    found = Counter({"image_nodata": int((seen < enough).sum()), "unlabelled": int(((seen >= enough) & (labelled < enough)).sum())})
    found["both_together"] = len(seen) - found.total()
    return found


def _cut_store(
    study: Study, source: Source, labels: LabelSource, store: Path, seed: int, asked: dict[str, str], progress: Progress | None
) -> Summary:
    grid = PatchGrid(source.grid, study.patches.size_px)
    if not grid.count:
        size = grid.size_px
        raise DataError(
            f"{source.names[0]}: {source.grid.width} x {source.grid.height} px hold no patch of {size} x {size} px; lower patches.size_px or give a larger raster"
        )
    digests = {"study": study.digest, **asked, **_file_digests("image", source.paths), **_file_digests("labels", labels.paths)}
    if store.is_dir() and not any(store.iterdir()):
        store.rmdir()  # an empty folder made beforehand
    if store.exists():
        return _existing(store, study, digests, seed)
    with written_aside(store) as aside:
        group = create(aside, grid.count, len(source.bands), len(study.legend), grid.size_px)
        strips = list(_strips(grid, len(source.bands)))
        task = partial(_cut_strip, source=source, labels=labels, study=study)
        written = _Writer(group)
        for done, (strip, found) in enumerate(zip(strips, ordered(task, strips), strict=True), 1):
            written.add(found, strip.row // grid.size_px)
            if progress:
                progress(done, len(strips), f"{written.count:,} patches kept")
        if not written.count:
            raise DataError(_nothing_left(grid, written.dropped, study))
        split = written.finish_splits(study, seed)
        info = StoreInfo(
            study=study.to_dict(),
            bands=source.bands,
            classes=study.legend,
            crs=source.grid.crs,
            transform=source.grid.transform,
            width=source.grid.width,
            height=source.grid.height,
            patch_size_px=grid.size_px,
            split_seed=seed,
            dropped=dict(written.dropped),
            statistics=written.statistics(split == SPLITS.index("train")),
            digests=digests,
            code_version=__version__,
        )
        finish(group, written.count, info)
    return _summary(info, split, existed=False)


def _strips(grid: PatchGrid, bands: int) -> Iterator[Window]:
    per_row = 2 * bands * grid.size_px * grid.pixels.width
    step = grid.size_px * max(1, min(10, _STRIP_BYTES // per_row))
    bottom = grid.rows * grid.size_px
    for row in range(0, bottom, step):
        yield Window(row, 0, min(step, bottom - row), grid.pixels.width)


def _cut_strip(strip: Window, *, source: Source, labels: LabelSource, study: Study) -> Cut:
    legend = study.legend
    return cut(source.read(strip), labels.read(strip), study.patches.size_px, legend.lookup(), len(legend), study.patches.valid_min_share)


class _Writer:
    """Collects cut patches and writes them zarr shard by zarr shard, so that a shard is written once and whole."""

    def __init__(self, group: zarr.Group) -> None:
        self._group = group
        self._waiting: list[tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]] = []
        self._small: dict[str, list[npt.NDArray[np.generic]]] = {name: [] for name in ("row", "col", "share", "valid")}
        self._moments: list[npt.NDArray[np.uint64]] = []
        self._written = 0
        self.count = 0
        self.dropped: Counter[str] = Counter()

    def add(self, found: Cut, first_row: int) -> None:
        """Take a strip's patches; `first_row` is the strip's first patch row."""
        self.dropped.update(found.dropped)
        if not len(found):
            return
        for name, values in (("row", found.row + np.int32(first_row)), ("col", found.col), ("share", found.share), ("valid", found.valid)):
            self._small[name].append(values)
        self._moments.append(_moments(found.image))
        self._waiting.append((found.image, found.label))
        self.count += len(found)
        if self.count - self._written >= PATCHES_PER_SHARD:
            self._flush((self.count - self._written) // PATCHES_PER_SHARD * PATCHES_PER_SHARD)

    def finish_splits(self, study: Study, seed: int) -> npt.NDArray[np.uint8]:
        """Write what still waits and every small array; return the split of each patch."""
        self._flush(self.count - self._written)
        small = {name: np.concatenate(parts) for name, parts in self._small.items()}
        split = deal(small["row"], small["col"], study.splits.block_patches, study.splits.fractions, seed)
        for name, values in {**small, "split": split}.items():
            _array(self._group, name)[: self.count] = values
        return split

    def statistics(self, chosen: npt.NDArray[np.bool_]) -> dict[str, object]:
        """Mean and standard deviation of reflectance per band over the valid pixels of the chosen patches."""
        pixels, total, squares = np.concatenate(self._moments)[chosen].sum(axis=0).astype(np.float64)
        mean = total / np.maximum(pixels, 1)
        std = np.sqrt(np.maximum(squares / np.maximum(pixels, 1) - mean**2, 0))
        return {"split": "train", "pixels": int(pixels.max()), "mean": (mean * SCALE + OFFSET).tolist(), "std": (std * SCALE).tolist()}

    def _flush(self, count: int) -> None:
        if not count:
            return
        image = np.concatenate([image for image, _ in self._waiting])
        label = np.concatenate([label for _, label in self._waiting])
        place = slice(self._written, self._written + count)
        _array(self._group, "image")[place] = image[:count]
        _array(self._group, "label")[place] = label[:count]
        self._waiting = [(image[count:], label[count:])]
        self._written += count


def _moments(image: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint64]:
    """Valid pixels, sum and sum of squares of DN, (N, 3, band); nodata is 0 and adds nothing. Exact integers."""
    wide = image.astype(np.uint64)
    return np.stack([(image != NODATA_DN).sum(axis=(2, 3), dtype=np.uint64), wide.sum(axis=(2, 3)), (wide * wide).sum(axis=(2, 3))], axis=1)


def _array(group: zarr.Group, name: str) -> zarr.Array:  # type: ignore[type-arg]
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise TypeError(f"{name} is no array")
    return array


def _file_digests(kind: str, paths: tuple[Path, ...]) -> dict[str, str]:
    digests = {}
    for path in dict.fromkeys(paths):
        with path.open("rb") as file:
            digests[f"{kind}:{path.name}"] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _existing(store: Path, study: Study, digests: dict[str, str], seed: int) -> Summary:
    """An equal store is done; another one is never overwritten."""
    dataset, info = open_store(store)
    changed = differences(info.study, study.to_dict())
    changed += [f"split seed: {info.split_seed} against {seed}"] if info.split_seed != seed else []
    changed += [
        f"input {key} differs" for key in sorted({*info.digests, *digests}) if info.digests.get(key) != digests.get(key) and key != "study"
    ]
    if changed:
        raise DataError(f"{store}: made otherwise ({'; '.join(changed[:3])}); choose another --store, or delete this one")
    return _summary(info, dataset["split"].to_numpy(), existed=True)


def _summary(info: StoreInfo, split: npt.NDArray[np.uint8], existed: bool) -> Summary:
    return Summary(info, len(split), {name: int((split == index).sum()) for index, name in enumerate(SPLITS)}, existed)


def _nothing_left(grid: PatchGrid, dropped: Counter[str], study: Study) -> str:
    reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in dropped.items() if count)
    return f"none of {grid.count} patches is complete ({reasons}); lower patches.valid_min_share ({study.patches.valid_min_share}), or check that image and labels have data in the same place"
