"""From the patch store to batches.

A split stays in memory as it was stored (uint16) or is streamed from the store; a batch is brought to the device and only
there flipped and standardised. Axis suffixes: N patch, B batch, C band, H/W rows and columns, K class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from cropcam.model.data.loading import Streamed, encoded_image, fits_gpu, read_images
from cropcam.model.data.normalization import Scaling, standardise
from cropcam.model.data.prefetch import Order
from cropcam.model.data.sampler import Plan
from cropcam.model.labels.areas import own_areas
from cropcam.model.labels.points import own_points
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels, validate_proportions, weak_labels
from cropcam.model.losses.objectives import Targets
from cropcam.model.runtime.distributed import SINGLE_PROCESS, Ranks
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.schema import NODATA_DN, StoreInfo, split_indices

_LOOK_BYTES = 1 << 26  # of images that are looked at at once


@dataclass(frozen=True)
class Patches:
    """One split and what its patches are labelled with.

    Attributes:
        dn_NCHW: resident: DN, uint16, on the CPU or, gathered there, on the GPU.
        labels: on the CPU.
        streamed: where the images come from when they are not resident.
        whole_N: patches known to have no nodata pixel; None = not known of any.
    """

    dn_NCHW: Tensor | None
    labels: WeakLabels
    streamed: Streamed | None = None
    whole_N: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.labels)


def read_split(
    dataset: xr.Dataset, split: str, rule: LabelSpec, legend: Legend, feed: str = "resident", device: torch.device | None = None
) -> Patches:
    """One split, in the store's order, with its weak labels; resident: 2 bytes per band and pixel, 35 kB per patch of the poster.

    Args:
        dataset: the store.
        split: train, validation or test.
        rule: of the weak labels.
        legend: the store's classes.
        feed: resident or streamed.
        device: resident images go there if it is a GPU with room for them.

    Raises:
        DataError: no patch lies in that split, the store's data are damaged or missing, or its shares do not add up.
    """
    index = split_indices(dataset, split)
    return read_patches(dataset, index, lambda: read_labels(dataset, index, rule, legend), f"{split} split", feed, device)


def read_patches(
    dataset: xr.Dataset,
    index: npt.NDArray[np.int64],
    labelled: Callable[[], WeakLabels],
    where: str,
    feed: str,
    device: torch.device | None,
) -> Patches:
    """Patches of the store, ascending, with the labels that `labelled` gives; `where` names them. The rest as of `read_split`."""
    try:
        labels = labelled()
        whole_N = dataset["valid"][index].to_numpy() == 1
        encoded = encoded_image(dataset) if feed == "streamed" else None
        if encoded is not None:
            return Patches(None, labels, Streamed(encoded, index), whole_N)
        dn_NCHW = read_images(dataset, index)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"the {where} cannot be read: {error}; cut the store again with 'cropcam patches'") from None
    empty_N = np.fromiter((not patch.any() for patch in dn_NCHW), np.bool_, len(dn_NCHW))
    if empty := int(empty_N.sum()):  # zarr reads a lost file as zeros
        raise DataError(f"{empty} patches of the {where} are all nodata: a file of the store is lost; cut it again")
    resident = torch.from_numpy(dn_NCHW)
    if device is not None and fits_gpu(dataset, len(index), device):
        resident = resident.view(torch.int16).to(device).view(torch.uint16)
    return Patches(resident, labels, None, whole_N)


def read_labels(dataset: xr.Dataset, index_N: npt.NDArray[np.int64], rule: LabelSpec, legend: Legend) -> WeakLabels:
    """The weak labels of some patches; of the store only what the kind of label allows is read, with the user's own points or areas no truth at all.

    Raises:
        DataError: the store's shares are none, or the user's own file is not usable.
    """

    def place_N2() -> npt.NDArray[np.int32]:
        return np.stack([dataset["row"][index_N].to_numpy(), dataset["col"][index_N].to_numpy()], axis=1)

    if rule.points or rule.areas:
        grid = StoreInfo.from_attrs(dataset.attrs, "the store").patch_grid
        if rule.points:
            return own_points(rule.points, rule.points_digest, legend, grid, place_N2())
        return own_areas(rule.areas, rule.areas_digest, legend, grid, place_N2())
    return weak_labels(
        rule,
        len(legend),
        lambda: validate_proportions(dataset["share"][index_N].to_numpy(), index_N),
        lambda: legend.index(dataset["label"][index_N].to_numpy()),
        place_N2,
    )


def flip(values_BHW: Tensor, flip_B2: Tensor) -> Tensor:
    """Each patch of the batch (B, ..., H, W) flipped top-bottom where `flip_B2[:, 0]`, left-right where `flip_B2[:, 1]`."""
    for side in (0, 1):
        wanted = flip_B2[:, side].view(-1, *(1,) * (values_BHW.dim() - 1))
        values_BHW = torch.where(wanted, values_BHW.flip(side - 2), values_BHW)
    return values_BHW


def turn(values_BHW: Tensor, turn_B: Tensor) -> Tensor:
    """Rows and columns of each square patch of the batch (B, ..., H, W) swapped where `turn_B`."""
    wanted = turn_B.view(-1, *(1,) * (values_BHW.dim() - 1))
    return torch.where(wanted, values_BHW.transpose(-1, -2), values_BHW)


def batches(
    patches: Patches, batch_size: int, scaling: Scaling, plan: Plan, *, ranks: Ranks = SINGLE_PROCESS, start: int = 0
) -> Iterator[tuple[Tensor, Targets]]:
    """Standardised patches (B, C, H, W) float32 and their targets, on the device of `scaling`.

    Every patch of the plan comes exactly once; the last batch may be smaller.

    Args:
        patches: the split.
        batch_size: patches per batch, of all ranks together.
        scaling: of the bands.
        plan: order and flips.
        ranks: this process among several: it gets its part of each batch, which may be empty.
        start: batches to pass over, for a run that goes on.
    """
    device, labels, count = scaling.mean_C.device, patches.labels, len(plan.index_N)
    flip_N2 = torch.from_numpy(plan.flip_N2) if plan.flip_N2.any() else None
    turn_N = None if plan.turn_N is None else torch.from_numpy(plan.turn_N)
    image_NK, pixel_NHW, bag_N = (
        None if one is None else torch.from_numpy(one) for one in (labels.image_NK, labels.pixel_NHW, labels.bag_N)
    )
    parts = []
    for first in range(start * batch_size, count, batch_size):
        part = ranks.shard(min(batch_size, count - first))
        parts.append(slice(first + part.start, first + part.stop))

    def gathered(values: Tensor | None, index_B: npt.NDArray[np.int64]) -> Tensor | None:
        return None if values is None else to_device(gather(values, index_B), device)

    def moved(values: Tensor, part: slice) -> Tensor:
        if flip_N2 is not None:
            values = flip(values, to_device(flip_N2[part], device))
        return values if turn_N is None else turn(values, to_device(turn_N[part], device))

    for part, bits_BCHW in zip(parts, _images(patches, plan, parts, device), strict=True):
        index = plan.index_N[part]
        dn_BCHW, pixel_BHW = moved(bits_BCHW, part), gathered(pixel_NHW, index)
        pixel_BHW = None if pixel_BHW is None else moved(pixel_BHW, part)
        whole = patches.whole_N is not None and bool(patches.whole_N[index].all())
        targets = Targets((dn_BCHW != NODATA_DN).all(dim=1), gathered(image_NK, index), pixel_BHW, gathered(bag_N, index), whole)
        yield standardise(dn_BCHW.view(torch.uint16), *scaling), targets


def _images(patches: Patches, plan: Plan, parts: list[slice], device: torch.device) -> Iterator[Tensor]:
    # int16: torch gathers and flips it everywhere, uint16 only in places
    if patches.streamed is not None:
        for dn_BCHW in patches.streamed.batches(Order(plan.index_N, plan.ends), parts):
            yield to_device(dn_BCHW.view(torch.int16), device)
        return
    assert patches.dn_NCHW is not None
    bits_NCHW = patches.dn_NCHW.view(torch.int16)
    for part in parts:
        yield to_device(gather(bits_NCHW, plan.index_N[part]), device)


def labels_without_image(dataset: xr.Dataset, split: str, patches: Patches) -> int:
    """How many labelled pixels of a split lack image data in some band: no loss counts them.

    Args:
        dataset: the store.
        split: its name.
        patches: its patches, with labels of pixels.
    """
    assert patches.labels.pixel_NHW is not None
    whole_N = np.zeros(len(patches), np.bool_) if patches.whole_N is None else patches.whole_N
    some_N, index_N, found = np.flatnonzero(patches.labels.labelled() & ~whole_N), split_indices(dataset, split), 0
    resident_NCHW = patches.dn_NCHW if patches.dn_NCHW is not None and patches.dn_NCHW.device.type == "cpu" else None
    at_once = max(1, _LOOK_BYTES // (2 * math.prod(dataset["image"].shape[1:])))
    for first in range(0, len(some_N), at_once):
        part_N = some_N[first : first + at_once]
        dn_NCHW = read_images(dataset, index_N[part_N]) if resident_NCHW is None else resident_NCHW.numpy()[part_N]
        blank_NHW = (dn_NCHW == NODATA_DN).any(axis=1)
        found += int((blank_NHW & (patches.labels.pixel_NHW[part_N] != UNLABELLED)).sum())
    return found


def gather(values_N: Tensor, index_B: npt.NDArray[np.int64]) -> Tensor:
    """Some entries along the first axis; on a CPU by numpy, which copies patches whole where torch copies their numbers."""
    if values_N.device.type == "cpu":
        return torch.from_numpy(values_N.numpy()[index_B])
    return values_N[torch.from_numpy(index_B).to(values_N.device)]


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """The same on `device`, through pinned memory, without waiting."""
    return values if values.device == device else values.pin_memory().to(device, non_blocking=True)
