"""Batches of a split: images and weak labels, augmented and standardised on the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.model.data.loading import PatchImages, ResidentImages, StreamedImages, as_bits, fits_gpu, of_bits, patch_bytes, read_images
from cropcam.model.data.normalization import Normalization, complete_seasons, keep_some, standardise
from cropcam.model.data.sampler import Indices, Plan, joined_plans, plan_epoch, plan_in_order
from cropcam.model.labels.areas import area_labels
from cropcam.model.labels.fields import field_labels
from cropcam.model.labels.points import patches_with_points, point_labels
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels, joined_labels, validate_proportions, weak_labels
from cropcam.model.losses.objectives import Targets
from cropcam.model.runtime.distributed import SINGLE_PROCESS, Ranks
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.joined import JoinedStore
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import NOT_USED

_CHECK_BYTES = 1 << 26  # of images checked per step


@dataclass(frozen=True)
class Patches:
    """One split: images and weak labels."""

    images: PatchImages  # in memory or streamed
    labels: WeakLabels  # on the CPU
    whole_N: npt.NDArray[np.bool_] | None = None  # patches known to have no nodata pixel; None = unknown
    index_N: Indices | None = None  # of the patches in their store; None = unknown

    def __len__(self) -> int:
        return len(self.labels)

    def plan_epoch(self, seed: int, epoch: int, *, rot90: bool, passes: int = 1, **drawn: Any) -> Plan:  # noqa: ANN401 - typed by the callee
        """Order and flips of a training epoch of several passes, and what else is drawn (`sampler.plan_epoch`)."""
        block_N = self.images.block_N if isinstance(self.images, StreamedImages) else None
        more: dict[str, Any] = {"bag_N": self.labels.bag_N, "block_N": block_N, "rot90": rot90, **drawn}
        return joined_plans([plan_epoch(len(self), seed, number, **more) for number in range(epoch * passes, (epoch + 1) * passes)])

    def plan_in_order(self) -> Plan:
        """Every patch once, unflipped."""
        return plan_in_order(len(self), self.labels.bag_N)


def read_split(
    store: PatchStore,
    split: str | Indices,
    spec: LabelSpec,
    legend: Legend,
    loading: str = "memory",
    device: torch.device | None = None,
    *,
    labels: WeakLabels | None = None,
) -> Patches:
    """One split in the store's order, with its weak labels. In memory as stored: 35 kB per patch of the poster.

    `split` is its name, or the indices of some patches, ascending. `loading` is memory or stream. Images in memory are stored on `device`
    if it is a GPU and they fit. `labels` are those of the patches, where they are read already.

    Raises:
        DataError: the split is empty, or the store is damaged.
    """
    index_N = store.split_indices(split) if isinstance(split, str) else split
    labels = read_labels(store, index_N, spec, legend) if labels is None else labels
    whole_N = store.valid_N[index_N] == 1
    if loading == "stream":
        return Patches(StreamedImages(store, index_N), labels, whole_N, index_N)
    resident = as_bits(torch.from_numpy(read_images(store, index_N)))
    if device is not None and fits_gpu(store, len(index_N), device):
        resident = resident.to(device)
    return Patches(ResidentImages(of_bits(resident, store.encoding.dtype)), labels, whole_N, index_N)


def read_labels(store: PatchStore, index_N: Indices, spec: LabelSpec, legend: Legend) -> WeakLabels:
    """The weak labels of the patches `index_N`. Only truth that the kind of label allows is read, and none with a label file.

    Raises:
        DataError: the store has no labels and they are needed, its shares are not proportions, or the label file is not valid.
    """

    def place_N2() -> npt.NDArray[np.int32]:
        return np.stack([store.row_N[index_N], store.col_N[index_N]], axis=1).astype(np.int32)

    if spec.file:
        read = point_labels if spec.points else field_labels if spec.fields else area_labels
        if isinstance(store, JoinedStore):
            parts = [(part, index) for part, index in store.of_parts(index_N) if len(index)]
            return joined_labels([read_labels(part, index, spec, legend) for part, index in parts])
        return read(spec, legend, store.info.patch_grid, place_N2())
    labels = weak_labels(
        spec,
        len(legend),
        lambda: validate_proportions(store.share_NK[index_N], index_N),
        lambda: store.classes(index_N),
        place_N2,
    )
    if not store.info.has_weight:
        return labels
    if labels.bag_N is not None:
        raise DataError(
            f"{store.path}: its labels have weights, a bag of patches has none: leave out --bag-size, or build the store without [labels] weight"
        )
    if labels.pixel_NHW is not None:
        return replace(labels, pct_NHW=store.weights(index_N))
    return replace(labels, pct_N=mean_weights(store, index_N))


def labels_of_splits(store: PatchStore, splits: Sequence[str], spec: LabelSpec, legend: Legend) -> tuple[Indices, WeakLabels]:
    """The patches of some splits and their weak labels. A file of points with a column `split` has splits of its own: then the patches that hold its points.

    Raises:
        DataError: as `read_labels`.
    """
    if spec.points:
        own = replace(spec, splits=tuple(splits))
        if (index_N := _with_points(store, np.flatnonzero(store.split_N != NOT_USED), own, legend)) is not None:
            return index_N, read_labels(store, index_N, own, legend)
    index_N = np.sort(np.concatenate([store.split_indices(split) for split in splits]))
    return index_N, read_labels(store, index_N, spec, legend)


def _with_points(store: PatchStore, index_N: Indices, spec: LabelSpec, legend: Legend) -> Indices | None:
    """Which of the patches hold points of the splits of `spec`; None where the file has no column `split`."""
    if isinstance(store, JoinedStore):
        found, done = [], 0
        for part, index in store.of_parts(index_N):
            own = _with_points(part, index, spec, legend)
            if own is None:
                return None
            found.append(index_N[done + np.searchsorted(index, own)])
            done += len(index)
        return np.concatenate(found)
    place_N2 = np.stack([store.row_N[index_N], store.col_N[index_N]], axis=1).astype(np.int32)
    patches_N = patches_with_points(spec, legend, store.info.patch_grid, place_N2)
    return None if patches_N is None else index_N[patches_N]


def mean_weights(store: PatchStore, index_N: Indices) -> npt.NDArray[np.float32]:
    """Mean weight in per cent of the pixels of each patch that have one, 0 without any; no label is read for it."""
    found_N, at_once = np.zeros(len(index_N), np.float32), max(1, _CHECK_BYTES // store.info.patch_size_px**2)
    for first in range(0, len(index_N), at_once):
        part_N = index_N[first : first + at_once]
        pct_BHW = store.weights(part_N)
        total_B, count_B = pct_BHW.sum(axis=(1, 2), dtype=np.int64), (pct_BHW > 0).sum(axis=(1, 2))
        found_N[first : first + at_once] = total_B / np.maximum(count_B, 1)
    return found_N


def flip(values_BHW: Tensor, flip_B2: Tensor) -> Tensor:
    """Each patch of the batch (B, ..., H, W) flipped top-bottom where `flip_B2[:, 0]`, left-right where `flip_B2[:, 1]`."""
    for side in (0, 1):
        flipped = flip_B2[:, side].view(-1, *(1,) * (values_BHW.dim() - 1))
        values_BHW = torch.where(flipped, values_BHW.flip(side - 2), values_BHW)
    return values_BHW


def transpose(values_BHW: Tensor, transpose_B: Tensor) -> Tensor:
    """Rows and columns of each square patch of the batch (B, ..., H, W) swapped where `transpose_B`."""
    transposed = transpose_B.view(-1, *(1,) * (values_BHW.dim() - 1))
    return torch.where(transposed, values_BHW.transpose(-1, -2), values_BHW)


def batches(
    patches: Patches, batch_size: int, normalization: Normalization, plan: Plan, *, ranks: Ranks = SINGLE_PROCESS, start: int = 0
) -> Iterator[tuple[Tensor, Targets]]:
    """Standardised patches (B, C, H, W) float32 and their targets, on the device of `normalization`.

    Every patch of the plan is in exactly one batch; the last batch may be smaller. `batch_size` is that of all ranks; a rank has its shard
    of each batch, which may be empty. The first `start` batches are skipped, for a resumed run.
    """
    device, labels, count = normalization.mean_C.device, patches.labels, len(plan.index_N)
    flip_N2 = torch.from_numpy(plan.flip_N2) if plan.flip_N2.any() else None
    transpose_N = None if plan.transpose_N is None else torch.from_numpy(plan.transpose_N)
    places = []
    for first in range(start * batch_size, count, batch_size):
        shard = ranks.shard(min(batch_size, count - first))
        places.append(slice(first + shard.start, first + shard.stop))

    def gathered(values_N: npt.NDArray[Any] | None, index_B: Indices) -> Tensor | None:
        return None if values_N is None else to_device(torch.from_numpy(values_N[index_B]), device)

    def augmented(values: Tensor, place: slice) -> Tensor:
        if flip_N2 is not None:
            values = flip(values, to_device(flip_N2[place], device))
        return values if transpose_N is None else transpose(values, to_device(transpose_N[place], device))

    order = [plan.index_N[place] for place in places]
    for place, index_B, stored_BCHW in zip(places, order, patches.images.batches(order, device), strict=True):
        bits_BCHW, pixel_BHW = augmented(to_device(stored_BCHW, device), place), gathered(labels.pixel_NHW, index_B)
        pct_BHW = gathered(labels.pct_NHW, index_B)
        values_BCHW, seen_BSHW = of_bits(bits_BCHW, patches.images.dtype), None
        if plan.seen_NS is not None:
            seen_BS = to_device(torch.from_numpy(plan.seen_NS[place]), device)
            seen_BSHW = keep_some(complete_seasons(values_BCHW, normalization), seen_BS)
        x_BCHW, valid_BHW = standardise(values_BCHW, normalization, seen_BSHW)
        pixel_BHW = None if pixel_BHW is None else augmented(pixel_BHW, place)
        whole = patches.whole_N is not None and bool(patches.whole_N[index_B].all())
        targets = Targets(valid_BHW, gathered(labels.image_NK, index_B), pixel_BHW, gathered(labels.bag_N, index_B), whole)
        yield (
            x_BCHW,
            targets._replace(pct_BHW=None if pct_BHW is None else augmented(pct_BHW, place), pct_B=gathered(labels.pct_N, index_B)),
        )


def labels_without_image(store: PatchStore, patches: Patches, seasons: int = 1) -> int:
    """Number of labelled pixels of patches of a store without image data in every band of a season; they have labels of pixels. No loss counts them."""
    assert patches.labels.pixel_NHW is not None
    assert patches.index_N is not None
    whole_N = np.zeros(len(patches), np.bool_) if patches.whole_N is None else patches.whole_N
    checked_N, index_N, count = np.flatnonzero(patches.labels.labelled() & ~whole_N), patches.index_N, 0
    at_once = max(1, _CHECK_BYTES // patch_bytes(store))
    for first in range(0, len(checked_N), at_once):
        part_N = checked_N[first : first + at_once]
        is_value = store.encoding.valid(store.images(index_N[part_N]))
        complete_NSHW = is_value.reshape(len(part_N), seasons, -1, *is_value.shape[2:]).all(axis=2)
        blank_NHW = ~np.asarray(complete_NSHW).any(axis=1)
        count += int((blank_NHW & (patches.labels.pixel_NHW[part_N] != UNLABELLED)).sum())
    return count


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """The values on `device`, copied through pinned memory without waiting."""
    if values.device == device:
        return values
    return (values if values.is_pinned() else values.pin_memory()).to(device, non_blocking=True)
