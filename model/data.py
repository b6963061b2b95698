"""From the patch store to batches.

A split is read once and stays in memory as it was stored (uint16); a batch is gathered, brought to the device and only
there standardised and flipped. Axis suffixes: N patch, B batch, C band, H/W rows and columns, K class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from model.labels import Rule, WeakLabels, weak_labels
from model.losses import Targets
from pipeline.errors import DataError
from pipeline.legend import Legend
from pipeline.store import NODATA_DN, OFFSET, SCALE, split_indices

GROUP_RUN = 32  # patches of a group that meet in one batch; a smaller group is whole
CLIP = 6.0  # standard deviations: left-over cloud and glint must not drive the network


class Scaling(NamedTuple):
    """Mean and standard deviation per band, in reflectance, on the device where batches are wanted."""

    mean_C: Tensor
    std_C: Tensor


class Plan(NamedTuple):
    """One pass over a split: patch indices in order (N,) and, for each, whether it is flipped top-bottom and left-right (N, 2)."""

    index_N: npt.NDArray[np.int64]
    flip_N2: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Patches:
    """One split in memory: DN (N, C, H, W) uint16 on the CPU and what its patches are labelled with."""

    dn_NCHW: Tensor
    labels: WeakLabels

    def __len__(self) -> int:
        return len(self.dn_NCHW)


def read_split(dataset: xr.Dataset, split: str, rule: Rule, legend: Legend) -> Patches:
    """All patches of one split, in the store's order, with their weak labels: 2 bytes per band and pixel, 35 kB per patch of the poster.

    Raises:
        DataError: no patch lies in that split, or the store's data are damaged or missing.
    """
    index = split_indices(dataset, split)
    try:
        dn_NCHW = dataset["image"][index].to_numpy()
        labels = read_labels(dataset, index, rule, legend)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"the {split} split cannot be read: {error}; cut the store again with 'cropcam patches'") from None
    if empty := int((~dn_NCHW.any(axis=(1, 2, 3))).sum()):  # zarr reads a lost file as zeros
        raise DataError(f"{empty} patches of the {split} split are all nodata: a file of the store is lost; cut it again")
    return Patches(torch.from_numpy(dn_NCHW), labels)


def read_labels(dataset: xr.Dataset, index_N: npt.NDArray[np.int64], rule: Rule, legend: Legend) -> WeakLabels:
    """The weak labels of some patches; of the store only what the kind of label allows is read."""
    return weak_labels(
        rule,
        len(legend),
        dataset["share"][index_N].to_numpy,
        lambda: legend.index(dataset["label"][index_N].to_numpy()),
        lambda: np.stack([dataset["row"][index_N].to_numpy(), dataset["col"][index_N].to_numpy()], axis=1),
    )


def standardise(dn_BCHW: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    """Collection 2 DN (uint16) to standardised float32, clipped to +-6; nodata becomes 0, the training mean.

    Args:
        dn_BCHW: DN, 0 = nodata.
        mean_C: mean reflectance of the training split per band.
        std_C: standard deviation of the same.
    """
    dn = dn_BCHW.to(torch.float32)
    shape = (1, -1, 1, 1)
    standard = (dn * SCALE + (OFFSET - mean_C.view(shape))) / std_C.view(shape)
    return torch.where(dn == NODATA_DN, 0.0, standard.clamp_(-CLIP, CLIP))


def plan_epoch(count: int, seed: int, epoch: int, group_N: npt.NDArray[np.int64] | None = None) -> Plan:
    """The order and the flips of one training epoch: a function of its arguments alone, on every machine.

    Flips are exact symmetries of a north-up grid, EPSG:4326 included, where a pixel is taller than wide and quarter turns
    are none. Both flips together are the half turn. Groups stay together, in runs of at most `GROUP_RUN` patches.
    """
    random = np.random.default_rng([seed, epoch])
    order_N, flip_N2 = random.permutation(count), random.random((count, 2)) < 0.5
    if group_N is not None:
        order_N = order_N[np.argsort(group_N[order_N], kind="stable")]  # by group, at random within each
        place_N = np.arange(count) - np.searchsorted(group_N[order_N], group_N[order_N])
        run_N = np.unique(np.stack([group_N[order_N], place_N // GROUP_RUN]), axis=1, return_inverse=True)[1].ravel()
        order_N = order_N[np.argsort(random.permutation(run_N.max() + 1)[run_N], kind="stable")]
    return Plan(order_N, flip_N2)


def plan_in_order(count: int, group_N: npt.NDArray[np.int64] | None = None) -> Plan:
    """Every patch once, unflipped: in the store's order, groups together."""
    order_N = np.arange(count) if group_N is None else np.argsort(group_N, kind="stable")
    return Plan(order_N, np.zeros((count, 2), np.bool_))


def flip(values_BHW: Tensor, flip_B2: Tensor) -> Tensor:
    """Each patch of the batch (B, ..., H, W) flipped top-bottom where `flip_B2[:, 0]`, left-right where `flip_B2[:, 1]`."""
    for side in (0, 1):
        wanted = flip_B2[:, side].view(-1, *(1,) * (values_BHW.dim() - 1))
        values_BHW = torch.where(wanted, values_BHW.flip(side - 2), values_BHW)
    return values_BHW


def batches(patches: Patches, batch_size: int, scaling: Scaling, plan: Plan) -> Iterator[tuple[Tensor, Targets]]:
    """Standardised patches (B, C, H, W) float32 and their targets, on the device of `scaling`.

    Every patch of the plan comes exactly once; the last batch may be smaller.

    Args:
        patches: the split.
        batch_size: patches per batch.
        scaling: mean and std per band.
        plan: order and flips.
    """
    device, labels = scaling.mean_C.device, patches.labels
    order_N, flip_N2 = torch.from_numpy(plan.index_N), torch.from_numpy(plan.flip_N2)
    bits_NCHW = patches.dn_NCHW.view(torch.int16)  # torch gathers int16 everywhere, uint16 only in places
    image_NK, pixel_NHW, group_N = (
        None if one is None else torch.from_numpy(one) for one in (labels.image_NK, labels.pixel_NHW, labels.group_N)
    )
    flips = bool(plan.flip_N2.any())

    def gathered(values: Tensor | None, index: Tensor) -> Tensor | None:
        return None if values is None else _to(values[index], device)

    for first in range(0, len(order_N), batch_size):
        index = order_N[first : first + batch_size]
        dn_BCHW = _to(bits_NCHW[index], device).view(torch.uint16)
        pixel_BHW = gathered(pixel_NHW, index)
        if flips:
            flip_B2 = _to(flip_N2[first : first + batch_size], device)
            dn_BCHW = flip(dn_BCHW.view(torch.int16), flip_B2).view(torch.uint16)
            pixel_BHW = None if pixel_BHW is None else flip(pixel_BHW, flip_B2)
        valid_BHW = (dn_BCHW.view(torch.int16) != NODATA_DN).all(dim=1)
        targets = Targets(valid_BHW, gathered(image_NK, index), pixel_BHW, gathered(group_N, index))
        yield standardise(dn_BCHW, *scaling), targets


def _to(values: Tensor, device: torch.device) -> Tensor:
    return values if device.type == "cpu" else values.pin_memory().to(device, non_blocking=True)
