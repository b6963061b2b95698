"""Batches of a split: images and weak labels, augmented and standardised on the device.

Axis suffixes: N patch, B batch, C band, H/W rows and columns, K class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from cropcam.model.data.loading import PatchImages, ResidentImages, StreamedImages, encoded_image, fits_gpu, read_images
from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.data.sampler import Indices, Plan, plan_epoch, plan_in_order
from cropcam.model.labels.areas import area_labels
from cropcam.model.labels.points import point_labels
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels, validate_proportions, weak_labels
from cropcam.model.losses.objectives import Targets
from cropcam.model.runtime.distributed import SINGLE_PROCESS, Ranks
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.schema import NODATA_DN, StoreInfo, split_indices

_CHECK_BYTES = 1 << 26  # of images checked per step


@dataclass(frozen=True)
class Patches:
    """One split: images and weak labels.

    Attributes:
        images: in memory or streamed.
        labels: on the CPU.
        whole_N: patches known to have no nodata pixel; None = unknown.
    """

    images: PatchImages
    labels: WeakLabels
    whole_N: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def plan_epoch(self, seed: int, epoch: int, *, rot90: bool) -> Plan:
        """Order and flips of a training epoch."""
        block_N = self.images.block_N if isinstance(self.images, StreamedImages) else None
        return plan_epoch(len(self), seed, epoch, bag_N=self.labels.bag_N, block_N=block_N, rot90=rot90)

    def plan_in_order(self) -> Plan:
        """Every patch once, unflipped."""
        return plan_in_order(len(self), self.labels.bag_N)


def read_split(
    dataset: xr.Dataset, split: str, spec: LabelSpec, legend: Legend, loading: str = "memory", device: torch.device | None = None
) -> Patches:
    """One split in the store's order, with its weak labels. In memory: 2 bytes per band and pixel, 35 kB per patch of the poster.

    Args:
        dataset: the store.
        split: train, validation or test.
        spec: of the weak labels.
        legend: the store's classes.
        loading: memory or stream.
        device: a GPU on which images are stored, if they fit.

    Raises:
        DataError: the split is empty, or the store is damaged.
    """
    index_N = split_indices(dataset, split)
    try:
        labels = read_labels(dataset, index_N, spec, legend)
        whole_N = dataset["valid"][index_N].to_numpy() == 1
        if loading == "stream" and (encoded := encoded_image(dataset)) is not None:
            return Patches(StreamedImages(encoded, index_N), labels, whole_N)
        dn_NCHW = read_images(dataset, index_N)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"the {split} split cannot be read: {error}; cut the store again with 'cropcam patches'") from None
    empty_N = np.fromiter((not patch.any() for patch in dn_NCHW), np.bool_, len(dn_NCHW))
    if empty := int(empty_N.sum()):  # zarr reads a lost file as zeros
        raise DataError(f"{empty} patches of the {split} split are all nodata: a file of the store is lost; cut it again")
    resident = torch.from_numpy(dn_NCHW)
    if device is not None and fits_gpu(dataset, len(index_N), device):
        resident = resident.view(torch.int16).to(device).view(torch.uint16)
    return Patches(ResidentImages(resident), labels, whole_N)


def read_labels(dataset: xr.Dataset, index_N: Indices, spec: LabelSpec, legend: Legend) -> WeakLabels:
    """The weak labels of the patches `index_N`. Only truth that the kind of label allows is read, and none with a label file.

    Raises:
        DataError: the store's shares are not proportions, or the label file is not valid.
    """

    def place_N2() -> npt.NDArray[np.int32]:
        return np.stack([dataset["row"][index_N].to_numpy(), dataset["col"][index_N].to_numpy()], axis=1)

    if spec.points or spec.areas:
        grid = StoreInfo.from_attrs(dataset.attrs, "the store").patch_grid
        read, option = (point_labels, "points") if spec.points else (area_labels, "areas")
        return read(spec.points or spec.areas, spec.digests.get(option, ""), legend, grid, place_N2())
    return weak_labels(
        spec,
        len(legend),
        lambda: validate_proportions(dataset["share"][index_N].to_numpy(), index_N),
        lambda: legend.index(dataset["label"][index_N].to_numpy()),
        place_N2,
    )


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

    Every patch of the plan is in exactly one batch; the last batch may be smaller.

    Args:
        patches: the split.
        batch_size: patches per batch, of all ranks together.
        normalization: of the bands.
        plan: order and flips.
        ranks: this process among several: it gets its shard of each batch, which may be empty.
        start: batches to skip, for a resumed run.
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
    for place, index_B, bits_BCHW in zip(places, order, patches.images.batches(order, device), strict=True):
        dn_BCHW, pixel_BHW = augmented(to_device(bits_BCHW, device), place), gathered(labels.pixel_NHW, index_B)
        pixel_BHW = None if pixel_BHW is None else augmented(pixel_BHW, place)
        whole = patches.whole_N is not None and bool(patches.whole_N[index_B].all())
        targets = Targets(
            (dn_BCHW != NODATA_DN).all(dim=1), gathered(labels.image_NK, index_B), pixel_BHW, gathered(labels.bag_N, index_B), whole
        )
        yield standardise(dn_BCHW.view(torch.uint16), *normalization), targets


def labels_without_image(dataset: xr.Dataset, split: str, patches: Patches) -> int:
    """Number of labelled pixels of a split without image data in every band; `patches` has labels of pixels. No loss counts them."""
    assert patches.labels.pixel_NHW is not None
    whole_N = np.zeros(len(patches), np.bool_) if patches.whole_N is None else patches.whole_N
    checked_N, index_N, count = np.flatnonzero(patches.labels.labelled() & ~whole_N), split_indices(dataset, split), 0
    at_once = max(1, _CHECK_BYTES // (2 * math.prod(dataset["image"].shape[1:])))
    for first in range(0, len(checked_N), at_once):
        part_N = checked_N[first : first + at_once]
        blank_NHW = (read_images(dataset, index_N[part_N]) == NODATA_DN).any(axis=1)
        count += int((blank_NHW & (patches.labels.pixel_NHW[part_N] != UNLABELLED)).sum())
    return count


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """The values on `device`, copied through pinned memory without waiting."""
    if values.device == device:
        return values
    return (values if values.is_pinned() else values.pin_memory()).to(device, non_blocking=True)
