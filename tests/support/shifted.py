"""Changed images of a store, for the tests of shift: darker, hazier, another month, corn turned to wheat."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.store.patch_store import open_store
from support.store_parts import all_images, all_labels, replace_values

Floats = npt.NDArray[np.float32]
Change = Callable[[Floats, npt.NDArray[Any]], Floats]  # reflectance (N, C, H, W) and label codes (N, H, W) -> reflectance
WHEAT = np.array([0.09, 0.11, 0.16, 0.22, 0.31, 0.40, 0.33], np.float32)  # SR_B1 .. SR_B7, of the order of stubble
CORN_CODE = 1


def darker(value_NCHW: Floats, _: Any) -> Floats:
    return value_NCHW * np.float32(0.6)


def hazier(value_NCHW: Floats, _: Any) -> Floats:
    found = value_NCHW.copy()
    found[:, :4] += 0.08
    return found


def another_month(value_NCHW: Floats, _: Any) -> Floats:
    found = value_NCHW.copy()
    found[:, 4] *= 0.7
    found[:, 5:] *= 1.3
    return found


def corn_to_wheat(value_NCHW: Floats, label_NHW: npt.NDArray[Any]) -> Floats:
    found, corn_NHW = value_NCHW.copy(), label_NHW == CORN_CODE
    noise_NHWC = np.random.default_rng(0).normal(0, 0.01, (*label_NHW.shape, len(WHEAT))).astype(np.float32)
    for band in range(len(WHEAT)):
        found[:, band][corn_NHW] = WHEAT[band] + noise_NHWC[..., band][corn_NHW]
    return found


CHANGES: dict[str, Change] = {"darker": darker, "hazier": hazier, "another month": another_month, "corn to wheat": corn_to_wheat}


def changed(store: Path, to: Path, change: Change) -> Path:
    """A copy of a store with other images of the same encoding."""
    encoding = open_store(store).encoding
    scale, offset = encoding.scale[0], encoding.offset[0]
    stored = all_images(store)
    value = change(encoding.physical(stored), all_labels(store))
    again = np.clip(np.rint((value - offset) / scale), 1, 65535).astype(stored.dtype)
    shutil.copytree(store, to)
    replace_values(to, image=np.where(stored == 0, stored, again))
    return to
