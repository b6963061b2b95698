"""The arrays and the root of a new patch store, written by zarr-python; tensorstore fills them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from pyproj import CRS
from xarray.backends.zarr import FillValueCoder  # its own text for floats
from zarr.codecs import BloscCodec, Crc32cCodec

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.store.arrays import array_specs
from cropcam.pipeline.store.schema import REASONS, ROOT, SPLITS, StoreInfo

# Blosc's shuffle, by measurement of speed and size (docs/decisions/0005); labels are runs of equal bytes
_SHUFFLES = {"image": "bitshuffle", "label": "noshuffle", "weight": "noshuffle"}
_TABLE = ("patch_row", "patch_col")


def create_arrays(path: Path, info: StoreInfo) -> None:
    """The arrays of a new store, empty: image, label, weight and tables, and the coordinates; the root is still missing.

    Raises:
        OSError: the disk refuses.
    """
    place = {"coordinates": "x y band season spatial_ref", "grid_mapping": "spatial_ref"}
    of_pixels = {"coordinates": "x y spatial_ref", "grid_mapping": "spatial_ref"}
    about: dict[str, tuple[tuple[str, ...], float, dict[str, Any]]] = {
        "image": (("band", "y", "x"), info.encoding.fill, {"long_name": "image", **_cf_encoding(info.encoding), **place}),
        "label": (("y", "x"), 0, {"long_name": "label code", **of_pixels}),
        "weight": (("y", "x"), 0, {"long_name": "weight of the label", "units": "percent", **of_pixels}),
        "valid": (_TABLE, math.nan, {"long_name": "share of valid pixels", "units": "1"}),
        "share": (
            (*_TABLE, "class"),
            math.nan,
            {"long_name": "share of labelled pixels", "units": "1", "classes": list(info.classes.names)},
        ),
    }
    for name, meanings in (("split", (*SPLITS, "not_used")), ("reason", (*REASONS, "not_measured"))):
        about[name] = _TABLE, 255, {"flag_values": [*range(len(meanings) - 1), 255], "flag_meanings": " ".join(meanings)}
    for name, spec in array_specs(info).items():
        dimensions, fill, attributes = about[name]
        shards = spec.file if spec.file != spec.chunk or name in _SHUFFLES else None
        _create(path, name, spec.shape, spec.dtype, spec.chunk, dimensions, fill, attributes, shards=shards)
    _coordinates(path, info)


def create_sums(folder: Path, info: StoreInfo, bins: int, counted: npt.DTypeLike) -> None:
    """The arrays, chunked like the tables, that hold the figures behind the statistics until the store is finished: moments, histogram, counts."""
    layout, bands = info.layout, len(info.bands)
    shape, chunk = (info.patch_grid.rows, info.patch_grid.columns), (layout.block_patches, layout.block_patches)
    _create(folder, "moments", (*shape, 3, bands), "float64", (*chunk, 3, bands), (*_TABLE, "moment", "band"), 0.0, {})
    _create(folder, "histogram", (*shape, bands, bins), counted, (*chunk, bands, bins), (*_TABLE, "band", "bin"), 0, {})
    if info.has_labels:
        _create(folder, "counts", (*shape, len(info.classes)), "uint32", (*chunk, len(info.classes)), (*_TABLE, "class"), 0, {})


def root_json(path: Path, info: StoreInfo) -> str:
    """The content of the root's `zarr.json`: attributes and the metadata of every array, consolidated as zarr-python does it."""
    arrays = {file.parent.name: json.loads(file.read_bytes()) for file in sorted(path.glob(f"*/{ROOT}"))}
    consolidated = {"kind": "inline", "must_understand": False, "metadata": arrays}
    root = {"attributes": info.attrs(), "zarr_format": 3, "consolidated_metadata": consolidated, "node_type": "group"}
    return json.dumps(root, indent=2, allow_nan=False)


def _create(
    folder: Path,
    name: str,
    shape: tuple[int, ...],
    dtype: Any,  # noqa: ANN401 - of numpy
    chunks: tuple[int, ...],
    dimensions: tuple[str, ...],
    fill: float,
    attributes: dict[str, Any],
    shards: tuple[int, ...] | None = None,
) -> None:
    kind = np.dtype(dtype)
    shuffle: Any = _SHUFFLES.get(name, "shuffle")
    codec = BloscCodec(cname="zstd", clevel=1, shuffle=shuffle, typesize=kind.itemsize)
    zarr.create_array(
        folder / name, shape=shape, dtype=kind, chunks=chunks, shards=shards, compressors=[codec, Crc32cCodec()], fill_value=kind.type(fill),
        dimension_names=dimensions, attributes=attributes, overwrite=True,
    )  # fmt: skip


def _cf_encoding(encoding: BandEncoding) -> dict[str, Any]:
    """CF attributes of an image whose bands have one meaning; none otherwise: the coordinates along `band` have it."""
    found = encoding.cf_attrs()
    if "_FillValue" in found:
        found["_FillValue"] = FillValueCoder.encode(found["_FillValue"], np.dtype(encoding.dtype))
    return found


def _coordinates(path: Path, info: StoreInfo) -> None:
    x, y = info.pixel_grid.centres()
    a, b, c, d, e, f = info.transform
    crs = CRS.from_user_input(info.crs)
    mapping = {**crs.to_cf(), "spatial_ref": crs.to_wkt(), "GeoTransform": f"{c} {a} {b} {f} {d} {e}"}
    is_degrees = crs.is_geographic
    values: dict[str, tuple[npt.NDArray[Any], tuple[str, ...], dict[str, Any]]] = {
        "x": (x, ("x",), {"axis": "X", "standard_name": "longitude" if is_degrees else "projection_x_coordinate"}),
        "y": (y, ("y",), {"axis": "Y", "standard_name": "latitude" if is_degrees else "projection_y_coordinate"}),
        "spatial_ref": (np.array(0, np.int64), (), mapping),
    }
    values |= {name: (along, ("band",), {}) for name, along in info.encoding.coordinates().items()}
    for name, (array, dimensions, attributes) in values.items():
        whole: Any = array.shape or "auto"
        zarr.create_array(path / name, data=array, chunks=whole, dimension_names=dimensions, attributes=attributes, overwrite=True)
    for name, texts in (("band", info.bands), ("season", info.seasons)):
        zarr.create_array(path / name, data=np.array(texts, np.dtypes.StringDType()), dimension_names=("band",), overwrite=True)
