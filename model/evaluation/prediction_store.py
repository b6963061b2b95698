"""Activation maps and segmentations per patch as a zarr store that opens in xarray.

    cam (patch, class, y, x)        float32  activation maps at full resolution; NaN where the image is nodata
    segmentation (patch, y, x)      uint8    class index by the default method; 255 where the image is nodata
    truth (patch, y, x)             uint8    class index; 255 without a label or without image data
    probability (patch, class)      float32  of presence
    patch, row, col (patch)                  index in the patch store, place on its patch grid
    xc (patch, x), yc (patch, y)    float64  pixel centres in the store's CRS

Written under a hidden name in the same folder and renamed when complete.
"""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec

from cropcam.model.segmentation.predictions import BATCH_PATCHES, PatchPredictions
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.runtime.atomic import atomic_path
from cropcam.pipeline.runtime.outputs import Output, check_outputs, json_object
from cropcam.pipeline.store.schema import StoreInfo

ARTEFACT = "cropcam segmentation"
# dimensions, dtype and meaning of each array
_ARRAYS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "patch": (("patch",), "int64", "index in the patch store"),
    "row": (("patch",), "int32", "patch row, from the north"),
    "col": (("patch",), "int32", "patch column, from the west"),
    "xc": (("patch", "x"), "float64", "x of pixel centres in the CRS of the store"),
    "yc": (("patch", "y"), "float64", "y of pixel centres in the CRS of the store"),
    "cam": (("patch", "class", "y", "x"), "float32", "class activation map, NaN = no image data"),
    "segmentation": (("patch", "y", "x"), "uint8", "class index by the method in the attributes, 255 = no image data"),
    "truth": (("patch", "y", "x"), "uint8", "class index, 255 = no label or no image data"),
    "probability": (("patch", "class"), "float32", "probability that the class is present"),
}
_COORDINATES = ("patch", "row", "col", "xc", "yc")
_SETTLED_S = 0.1  # a small file takes a thread far less


class PredictionWriter:
    """Writes predictions in order; every batch but the last has `BATCH_PATCHES` patches, one zarr chunk."""

    def __init__(self, group: zarr.Group, info: StoreInfo, place_PN: npt.NDArray[np.int32]) -> None:
        """Create the arrays of all patches; `place_PN` (2, N) holds their rows and columns on the patch grid."""
        self._done = 0
        sizes = {"patch": place_PN.shape[1], "class": len(info.classes), "y": info.patch_size_px, "x": info.patch_size_px}
        self._arrays = {name: _create(group, name, sizes, info.classes) for name in _ARRAYS}
        a, _, c, _, e, f = info.transform
        rows, cols = place_PN
        centre = np.arange(info.patch_size_px) + 0.5
        self._arrays["row"][:], self._arrays["col"][:] = rows, cols
        self._arrays["xc"][:] = c + a * (cols[:, None].astype(np.float64) * info.patch_size_px + centre)
        self._arrays["yc"][:] = f + e * (rows[:, None].astype(np.float64) * info.patch_size_px + centre)

    def write(self, batch: PatchPredictions) -> None:
        """Append one batch."""
        here = slice(self._done, self._done + len(batch.patches_B))
        values = {
            "patch": batch.patches_B,
            "cam": np.where(batch.nodata_BHW[:, None], np.float32(np.nan), batch.cams_BKHW),
            "segmentation": batch.segmented_BHW,
            "truth": batch.truth_BHW,
            "probability": probability(batch.logits_BK),
        }
        for name, array in values.items():
            self._arrays[name][here] = array
        self._done = here.stop


def check_place(path: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Refuse, before any work, what is no place for predictions; only an older store of them is replaced.

    Raises:
        ConfigError: a name that no folder should have.
        DataError: something else lies there, or in the way.
    """
    check_outputs([Output(path, "--save", "segmentation", _is_prediction_store, is_folder=True)], inputs)


@contextmanager
def prediction_writer(
    path: Path | None, info: StoreInfo, place_PN: npt.NDArray[np.int32], provenance: Mapping[str, Any]
) -> Iterator[PredictionWriter | None]:
    """A writer whose store is at `path` once the block ends without an error, and leaves nothing otherwise; None without a path.

    Raises:
        DataError: something else is at `path`; only an older store of this kind is replaced.
        OSError: the disk refused.
    """
    if path is None:
        yield None
        return
    check_place(path)
    path = path.resolve()  # of a link its target is replaced
    with atomic_path(path) as temp_path:
        try:
            group = zarr.create_group(temp_path, zarr_format=3)
            yield PredictionWriter(group, info, place_PN)
            attributes = {"artefact": ARTEFACT, "crs": info.crs, "classes": info.classes.attrs(), "method": provenance["method"]}
            group.attrs.put({**attributes, "provenance": dict(provenance)})
            with warnings.catch_warnings():  # consolidated metadata is no part of the v3 specification yet; xarray asks for it
                warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
                zarr.consolidate_metadata(group.store)
        except BaseException:
            _discard(temp_path)
            raise


def _discard(folder: Path) -> None:
    # where one of zarr's threads fails, another may be about to write the group's metadata, and create the folder anew
    for _ in range(5):
        if not folder.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_SETTLED_S)


def probability(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sigmoid of logits, same shape."""
    return (0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))).astype(np.float32)


def _create(group: zarr.Group, name: str, sizes: Mapping[str, int], legend: Legend) -> zarr.Array[Any]:
    dimensions, dtype, meaning = _ARRAYS[name]
    shape = tuple(sizes[dimension] for dimension in dimensions)
    attributes: dict[str, Any] = {"long_name": meaning}
    if dtype == "uint8":
        attributes |= {"flag_values": list(range(len(legend))), "flag_meanings": " ".join(legend.names)}
    if name == "probability":
        attributes["units"] = "1"
    if name not in _COORDINATES:
        attributes["coordinates"] = "row col xc yc" if "y" in dimensions else "row col"
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(min(BATCH_PATCHES, shape[0]), *shape[1:]),
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
        dimension_names=dimensions,
        fill_value=UNLABELLED if dtype == "uint8" else 0,
        attributes=attributes,
    )


def _is_prediction_store(path: Path) -> bool:
    return json_object(path / "zarr.json", "attributes").get("artefact") == ARTEFACT
