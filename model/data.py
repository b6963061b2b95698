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

from pipeline.errors import DataError
from pipeline.store import NODATA_DN, OFFSET, SCALE, split_indices

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
    """One split in memory: DN (N, C, H, W) uint16 and class shares (N, K) float32, both on the CPU."""

    dn_NCHW: Tensor
    share_NK: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.dn_NCHW)


def read_split(dataset: xr.Dataset, split: str) -> Patches:
    """All patches of one split, in the store's order: 2 bytes per band and pixel, 35 kB per patch of the poster.

    Raises:
        DataError: no patch lies in that split, or the store's data are damaged or missing.
    """
    index = split_indices(dataset, split)
    try:
        dn_NCHW, share_NK = (dataset[name][index].to_numpy() for name in ("image", "share"))
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"the {split} split cannot be read: {error}; cut the store again with 'cropcam patches'") from None
    if empty := int((~dn_NCHW.any(axis=(1, 2, 3))).sum()):  # zarr reads a lost file as zeros
        raise DataError(f"{empty} patches of the {split} split are all nodata: a file of the store is lost; cut it again")
    return Patches(torch.from_numpy(dn_NCHW), share_NK)


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


def plan_epoch(count: int, seed: int, epoch: int) -> Plan:
    """The order and the flips of one training epoch: a function of its arguments alone, on every machine.

    Flips are exact symmetries of a north-up grid, EPSG:4326 included, where a pixel is taller than wide and quarter turns
    are none. Both flips together are the half turn.
    """
    random = np.random.default_rng([seed, epoch])
    return Plan(random.permutation(count), random.random((count, 2)) < 0.5)


def flip(x_BCHW: Tensor, flip_B2: Tensor) -> Tensor:
    """Each patch of the batch flipped top-bottom where `flip_B2[:, 0]`, left-right where `flip_B2[:, 1]`."""
    down, across = (flip_B2[:, side].view(-1, 1, 1, 1) for side in (0, 1))
    x_BCHW = torch.where(down, x_BCHW.flip(2), x_BCHW)
    return torch.where(across, x_BCHW.flip(3), x_BCHW)


def batches(
    patches: Patches, label_NK: npt.NDArray[np.float32], batch_size: int, scaling: Scaling, plan: Plan | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Standardised patches (B, C, H, W) and their labels (B, K), float32, on the device of `scaling`.

    Every patch comes exactly once; the last batch may be smaller.

    Args:
        patches: the split.
        label_NK: its labels, in the same order.
        batch_size: patches per batch.
        scaling: mean and std per band.
        plan: order and flips; without one the store's order, unflipped.
    """
    device = scaling.mean_C.device
    order_N = torch.arange(len(patches)) if plan is None else torch.from_numpy(plan.index_N)
    bits_NCHW = patches.dn_NCHW.view(torch.int16)  # torch gathers int16 everywhere, uint16 only in places
    label = torch.from_numpy(label_NK)
    for first in range(0, len(order_N), batch_size):
        index = order_N[first : first + batch_size]
        dn_BCHW = _to(bits_NCHW[index], device).view(torch.uint16)
        x_BCHW = standardise(dn_BCHW, *scaling)
        if plan is not None:
            x_BCHW = flip(x_BCHW, _to(torch.from_numpy(plan.flip_N2[first : first + batch_size]), device))
        yield x_BCHW, _to(label[index], device)


def _to(values: Tensor, device: torch.device) -> Tensor:
    return values if device.type == "cpu" else values.pin_memory().to(device, non_blocking=True)
