"""Activation maps and segmentations per patch as a zarr store that opens in xarray.

    cam (patch, class, y, x)        float32  activation maps at full resolution; NaN where the image is nodata
    segmentation (patch, y, x)      uint8    class index by the default method; 255 where the image is nodata
    truth (patch, y, x)             uint8    class index; 255 without a label or without image data
    probability (patch, class)      float32  of presence
    patch, row, col (patch)                  index in the patch store, place on its patch grid
    xc (patch, x), yc (patch, y)    float64  pixel centres in the store's CRS

Complete or absent.
"""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec

from cropcam.model.segmentation.predictions import BATCH_PATCHES, Scored
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.runtime.atomic import atomic_path
from cropcam.pipeline.store.schema import StoreInfo

ARTEFACT = "cropcam segmentation"
_ARRAYS: dict[str, tuple[tuple[str, ...], str]] = {
    "patch": (("patch",), "int64"),
    "row": (("patch",), "int32"),
    "col": (("patch",), "int32"),
    "xc": (("patch", "x"), "float64"),
    "yc": (("patch", "y"), "float64"),
    "cam": (("patch", "class", "y", "x"), "float32"),
    "segmentation": (("patch", "y", "x"), "uint8"),
    "truth": (("patch", "y", "x"), "uint8"),
    "probability": (("patch", "class"), "float32"),
}
_SETTLED_S = 0.1  # a small file takes a thread far less
_COORDINATES = ("patch", "row", "col", "xc", "yc")


class SegmentationWriter:
    """Takes scored batches in order; every batch but the last has `BATCH_PATCHES` patches, one zarr chunk."""

    def __init__(self, group: zarr.Group, info: StoreInfo, place_PN: npt.NDArray[np.int32]) -> None:
        """Lay out room for all patches; `place_PN` (2, N) holds their rows and columns on the patch grid."""
        self._info, self._place, self._done = info, place_PN, 0
        sizes = {"patch": place_PN.shape[1], "class": len(info.classes), "y": info.patch_size_px, "x": info.patch_size_px}
        self._arrays = {name: _create(group, name, sizes, info.classes) for name in _ARRAYS}

    def write(self, batch: Scored) -> None:
        """Append one batch."""
        here = slice(self._done, self._done + len(batch.patches_B))
        rows, cols = self._place[:, here]
        xc, yc = _centres(self._info, rows, cols)
        values = {
            "patch": batch.patches_B,
            "row": rows,
            "col": cols,
            "xc": xc,
            "yc": yc,
            "cam": np.where(batch.nodata_BHW[:, None], np.float32(np.nan), batch.cams_BKHW),
            "segmentation": batch.segmented_BHW,
            "truth": batch.truth_BHW,
            "probability": probability(batch.logits_BK),
        }
        for name, array in values.items():
            self._arrays[name][here] = array
        self._done = here.stop


@contextmanager
def saving(
    path: Path | None, info: StoreInfo, place_PN: npt.NDArray[np.int32], made_by: Mapping[str, Any]
) -> Iterator[SegmentationWriter | None]:
    """A writer whose store stands at `path` when the block ends well, and leaves nothing when it does not; None without a path.

    Raises:
        DataError: something else stands at `path`, where only an older store of this kind is replaced; or another process writes there.
        OSError: the disk says no.
    """
    if path is None:
        yield None
        return
    path = path.resolve()  # what is checked is what is replaced
    if path.exists() and not _is_ours(path):
        raise DataError(f"{path} exists and is no segmentation of cropcam's; give --save another name or remove it")
    with atomic_path(path) as temp_path:
        try:
            group = zarr.create_group(temp_path, zarr_format=3)
            yield SegmentationWriter(group, info, place_PN)
            _finish(group, info, made_by)
        except BaseException:
            _discard(temp_path)
            raise


def _discard(temp_path: Path) -> None:
    # where one of zarr's threads fails, another may be about to write the group's metadata, and make the folder anew
    for _ in range(5):
        if not temp_path.exists():
            return
        shutil.rmtree(temp_path, ignore_errors=True)
        time.sleep(_SETTLED_S)


def probability(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sigmoid of logits, same shape."""
    return (0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))).astype(np.float32)


def _create(group: zarr.Group, name: str, sizes: Mapping[str, int], legend: Legend) -> zarr.Array[Any]:
    dimensions, dtype = _ARRAYS[name]
    shape = tuple(sizes[dimension] for dimension in dimensions)
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(min(BATCH_PATCHES, shape[0]), *shape[1:]),
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
        dimension_names=dimensions,
        fill_value=UNLABELLED if dtype == "uint8" else 0,
        attributes=_attributes(name, legend),
    )


def _attributes(name: str, legend: Legend) -> dict[str, Any]:
    flags = {"flag_values": list(range(len(legend))), "flag_meanings": " ".join(legend.names)}
    described: dict[str, dict[str, Any]] = {
        "patch": {"long_name": "index in the patch store"},
        "row": {"long_name": "patch row, from the north"},
        "col": {"long_name": "patch column, from the west"},
        "xc": {"long_name": "x of pixel centres in the CRS of the store"},
        "yc": {"long_name": "y of pixel centres in the CRS of the store"},
        "cam": {"long_name": "class activation map, NaN = no image data"},
        "segmentation": {"long_name": "class index by the method the attributes name, 255 = no image data", **flags},
        "truth": {"long_name": "class index, 255 = no label or no image data", **flags},
        "probability": {"long_name": "probability that the class is present", "units": "1"},
    }
    places = {} if name in _COORDINATES else {"coordinates": "row col xc yc" if "y" in _ARRAYS[name][0] else "row col"}
    return {**described[name], **places}


def _centres(
    info: StoreInfo, rows: npt.NDArray[np.int32], cols: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    grid = info.patch_grid
    centres = [grid.pixels.window(grid.window(int(row), int(col))).centres() for row, col in zip(rows, cols, strict=True)]
    return np.stack([x for x, _ in centres]), np.stack([y for _, y in centres])


def _finish(group: zarr.Group, info: StoreInfo, made_by: Mapping[str, Any]) -> None:
    group.attrs.put(
        {"artefact": ARTEFACT, "crs": info.crs, "classes": info.classes.attrs(), "method": made_by["method"], "made_by": dict(made_by)}
    )
    with warnings.catch_warnings():  # zarr warns that consolidated metadata is no part of the v3 specification yet; xarray asks for it
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(group.store)


def _is_ours(path: Path) -> bool:
    try:
        values = json.loads((path / "zarr.json").read_text("utf-8"))
        return bool(values["attributes"]["artefact"] == ARTEFACT)
    except (OSError, ValueError, KeyError, TypeError):
        return False
