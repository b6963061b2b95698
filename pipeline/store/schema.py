"""The patch store's format: the contract between the data plane and the learning plane.

A zarr v3 group that opens in xarray, N patches in row-major order of the study's patch grid:

    image (patch, band, y, x)  uint16   Collection 2 DN; reflectance = DN x 0.0000275 - 0.2, 0 = nodata
    label (patch, y, x)        uint8    raw CDL codes, 0 = nodata
    row, col (patch)           int32    place on the patch grid
    share (patch, class)       float32  of labelled pixels; each row sums to 1
    valid (patch)              float32  share of pixels valid in every band and labelled
    split (patch)              uint8    0 train, 1 validation, 2 test

One patch is one zarr chunk; PATCHES_PER_SHARD of them are one zarr shard, and a shard has one writer at a time. A
store is written under a temporary name, gets its metadata last and is renamed: it is complete or absent.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from numcodecs import blosc
from zarr.codecs import BloscCodec

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid, PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.runtime.hashing import sha256

SCHEMA_VERSION = 1
PATCHES_PER_SHARD = 1024
_SMALL_CHUNK = 65_536  # patches per zarr chunk of the small arrays: few files, each far below a megabyte
SPLITS = ("train", "validation", "test")
# Landsat Collection 2 Level 2 surface reflectance (USGS LSDS-1619): reflectance = DN x SCALE + OFFSET, DN 0 is fill
SCALE, OFFSET, NODATA_DN = 0.0000275, -0.2, 0
_DIMENSIONS = {
    "image": ("patch", "band", "y", "x"),
    "label": ("patch", "y", "x"),
    "row": ("patch",),
    "col": ("patch",),
    "share": ("patch", "class"),
    "valid": ("patch",),
    "split": ("patch",),
}
# Chosen by measurement of speed and size (docs/decisions/0005): Blosc's name, level and shuffle, and the item size.
_CODECS = {"image": ("zstd", 1, "bitshuffle", 2), "label": ("zstd", 1, "noshuffle", 1)}
_SMALL_CODEC = ("zstd", 3, "shuffle", None)
_DTYPES = {"image": "uint16", "label": "uint8", "row": "int32", "col": "int32", "share": "float32", "valid": "float32", "split": "uint8"}


@dataclass(frozen=True)
class StoreInfo:
    """Metadata of a store: its group attributes, typed.

    `statistics` holds per band over the valid pixels of the training split, in reflectance: {"split": "train",
    "pixels": n, "mean": [...], "std": [...], "histogram": {...}}. `dropped` counts patches that were not kept, by
    reason. `checksums` holds the CRC-32C of each zarr shard, in order: {"algorithm", "image": [...], "label": [...]}.
    """

    study: dict[str, Any]
    bands: tuple[str, ...]
    classes: Legend
    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int
    patch_size_px: int
    split_seed: int
    dropped: dict[str, int]
    statistics: dict[str, Any]
    digests: dict[str, str]
    code_version: str
    checksums: dict[str, Any] = field(default_factory=dict)

    @property
    def patch_grid(self) -> PatchGrid:
        """The grid whose patches `row` and `col` count."""
        return PatchGrid(PixelGrid(self.crs, self.transform, self.width, self.height), self.patch_size_px)

    @property
    def block_patches(self) -> tuple[int, int]:
        """Columns and rows of patches per spatial block, as the study's `splits.block_patches` has them."""
        columns, rows = self.study["splits"]["block_patches"]
        return int(columns), int(rows)

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.study["study"]["name"])

    @property
    def digest(self) -> str:
        """sha256 (hex) over all fields except the code version."""
        attrs = {key: value for key, value in self.attrs().items() if key != "code_version"}
        return sha256(json.dumps(attrs, sort_keys=True).encode())

    def attrs(self) -> dict[str, Any]:
        """The group attributes as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "classes": self.classes.attrs(),
            "bands": list(self.bands),
            "transform": list(self.transform),
        }

    @classmethod
    def from_attrs(cls, attrs: Mapping[str, Any], where: str) -> StoreInfo:
        """The inverse of `attrs`.

        Raises:
            DataError: not a patch store, or of another schema version.
        """
        version = attrs.get("schema_version")
        if version is None:
            raise DataError(f"{where}: no patch store (no schema_version among its attributes); make one with 'cropcam patches'")
        if version != SCHEMA_VERSION:
            raise DataError(
                f"{where}: schema version {version}, this cropcam reads {SCHEMA_VERSION}; cut the store again with 'cropcam patches'"
            )
        try:
            values = {item.name: attrs[item.name] for item in fields(cls) if item.name in attrs or item.default_factory is MISSING}
            typed = {"classes": Legend.from_attrs(values["classes"]), **{key: tuple(values[key]) for key in ("bands", "transform")}}
            info = cls(**{**values, **typed})
            if not info.name:
                raise ValueError("study")
            return info
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: damaged patch store: attribute {error} is missing or wrong; cut it again with 'cropcam patches'"
            ) from None


def format_dropped(dropped: Mapping[str, int]) -> str:
    """Counts of dropped patches by reason, as text; "none" without any.

    >>> format_dropped({"image_nodata": 1234, "unlabelled": 5, "both_together": 0})
    '1,234 image nodata, 5 unlabelled'
    """
    return ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in dropped.items() if count) or "none"


def create(path: Path, count: int, bands: int, classes: int, size_px: int, *, overwrite: bool = True) -> zarr.Group:
    """A new, unfinished store at `path` with a capacity of `count` patches; `finish` completes it.

    Args:
        path: of the store.
        count: patches.
        bands: image layers.
        classes: classes of the legend, background among them.
        size_px: side of a patch.
        overwrite: False keeps zarr shards that lie there, written by `shard_path`.

    Raises:
        OSError: the disk refuses.
    """
    group = zarr.create_group(path, overwrite=overwrite, zarr_format=3)
    sizes = {"patch": count, "band": bands, "class": classes, "y": size_px, "x": size_px}
    for name, dimensions in _DIMENSIONS.items():
        shape = tuple(sizes[dimension] for dimension in dimensions)
        heavy = name in _CODECS
        inner = (1, *shape[1:]) if heavy else (_SMALL_CHUNK, *shape[1:])
        group.create_array(
            name,
            shape=shape,
            dtype=_DTYPES[name],
            chunks=inner,
            shards=(PATCHES_PER_SHARD, *shape[1:]) if heavy else None,
            compressors=_codec(name),
            dimension_names=dimensions,
            fill_value=0,
            attributes=_attributes(name),
        )
    return group


def _codec(name: str) -> BloscCodec:
    cname, level, shuffle, size = _CODECS.get(name, _SMALL_CODEC)
    return BloscCodec(cname=cname, clevel=level, shuffle=shuffle, typesize=size)  # type: ignore[arg-type]


def encoder(name: str) -> Callable[[npt.NDArray[Any]], bytes]:
    """A function from one patch of `image` or `label` to the bytes of its zarr chunk. Thread-safe outside the main thread."""
    cname, level, shuffle, size = blosc_codec(name)
    return lambda patch: bytes(blosc.compress(np.ascontiguousarray(patch), cname.encode(), level, shuffle, 0, size))


def blosc_codec(name: str) -> tuple[str, int, int, int]:
    """Blosc's compressor, level, shuffle (0 none, 1 bytes, 2 bits) and item size for `image` or `label`."""
    cname, level, shuffle, size = _CODECS[name]
    return cname, level, ("noshuffle", "shuffle", "bitshuffle").index(shuffle), size


def shard_path(store: Path, name: str, number: int) -> Path:
    """The file of zarr shard `number` of `image` or `label`."""
    return store / name / "c" / "/".join([str(number), *"0" * (len(_DIMENSIONS[name]) - 1)])


def finish(group: zarr.Group, count: int, info: StoreInfo) -> None:
    """Shrink every array to the `count` patches written and write the attributes and consolidated metadata, last."""
    for name, dimensions in _DIMENSIONS.items():
        array = group[name]
        if not isinstance(array, zarr.Array):
            raise DataError(f"{name} in a new store is no array")
        if dimensions[0] == "patch" and array.shape[0] != count:
            array.resize((count, *array.shape[1:]))
    group.attrs.put(info.attrs())
    with warnings.catch_warnings():  # zarr warns that consolidated metadata is not in the v3 specification yet; xarray reads it
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(group.store)


def open_store(path: str | Path) -> tuple[xr.Dataset, StoreInfo]:
    """A finished store as a lazy dataset of raw values (DN and codes, not decoded), and its metadata.

    Raises:
        DataError: absent, unfinished, of another schema version, or arrays that differ from the schema.
    """
    where = Path(path)
    if not where.exists():
        raise DataError(f"{where}: no such store; make one with 'cropcam patches STUDY ... --store {where}'")
    if not (where / "zarr.json").is_file():
        kind = "a folder without zarr.json" if where.is_dir() else "a file"  # zarr's message is the same for both
        raise DataError(f"{where}: is {kind}, not a patch store; name one, or make one with 'cropcam patches STUDY ... --store STORE'")
    try:
        dataset = xr.open_zarr(where, mask_and_scale=False, chunks=None)
    except (FileNotFoundError, KeyError, ValueError, TypeError, AttributeError, OSError, zarr.errors.BaseZarrError) as error:
        raise DataError(f"{where}: cannot be opened as a patch store: {str(error).splitlines()[0]}") from None
    info = StoreInfo.from_attrs(dataset.attrs, str(where))
    _check_arrays(dataset, info, where)
    return dataset, info


def split_indices(dataset: xr.Dataset, split: Literal["train", "validation", "test"] | str) -> npt.NDArray[np.int64]:
    """Patch indices of one split, ascending.

    Raises:
        DataError: no patch lies in that split.
    """
    indices = np.flatnonzero(dataset["split"].to_numpy() == SPLITS.index(split))
    if not indices.size:
        raise DataError(f"no patch lies in the {split} split")
    return indices


def evenly(length: int, count: int) -> npt.NDArray[np.int64]:
    """At most `count` of `length` indices, evenly spaced from the first to the last.

    >>> evenly(10, 4).tolist(), evenly(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.unique(np.linspace(0, length - 1, min(count, length)).astype(np.int64))


def to_reflectance(dn: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Reflectance (unitless, about 0 to 1, float32) from Collection 2 DN; NaN where DN is 0 (nodata)."""
    return np.where(dn == NODATA_DN, np.float32(np.nan), dn.astype(np.float32) * np.float32(SCALE) + np.float32(OFFSET))


def _attributes(name: str) -> dict[str, Any]:
    if name == "image":
        return {"scale_factor": SCALE, "add_offset": OFFSET, "_FillValue": NODATA_DN, "long_name": "surface reflectance", "units": "1"}
    if name == "split":
        return {"flag_values": list(range(len(SPLITS))), "flag_meanings": " ".join(SPLITS)}
    return {
        "label": {"long_name": "CDL code, 0 = nodata"},
        "share": {"long_name": "share of labelled pixels", "units": "1"},
        "valid": {"long_name": "share of pixels valid in every band and labelled", "units": "1"},
        "row": {"long_name": "patch row, from the north"},
        "col": {"long_name": "patch column, from the west"},
    }[name]


def _check_arrays(dataset: xr.Dataset, info: StoreInfo, where: Path) -> None:
    for name, dimensions in _DIMENSIONS.items():
        if name not in dataset.variables:
            raise DataError(f"{where}: array {name!r} is missing; cut the store again with 'cropcam patches'")
        array = dataset[name]
        if array.dims != dimensions or str(array.dtype) != _DTYPES[name]:
            raise DataError(f"{where}: {name} is {array.dtype} {array.dims}, expected {_DTYPES[name]} {dimensions}")
    expected = {"band": len(info.bands), "class": len(info.classes), "y": info.patch_size_px, "x": info.patch_size_px}
    for dimension, size in expected.items():
        if dataset.sizes[dimension] != size:
            raise DataError(f"{where}: {dataset.sizes[dimension]} along {dimension!r}, its attributes have {size}")
