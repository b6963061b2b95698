"""The archive folder as Earth Engine assets: images, collections, folders, and their REST descriptions.

Ids that begin with "projects/" are first looked for among the user's own assets, below another folder; `folder.json` there
makes a folder or an image collection, which may be empty.

An image is a folder with `asset.json` and one GeoTIFF per band; its path below the archive is its id. A folder with
images directly below it is an image collection, any other folder is a folder. Headers are read at the first use of a band.
"""

from __future__ import annotations

import datetime
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from rasterio.enums import MaskFlags

from cropcam.pipeline.crs import crs_text
from cropcam.pipeline.emulator.archive_files import SEGMENT, band_names, damaged, is_within, open_band, read_about
from cropcam.pipeline.emulator.elements import Collection
from cropcam.pipeline.emulator.errors import EngineError, not_found
from cropcam.pipeline.emulator.geometry import LONLAT
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.listing import asset_name
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.pyramids import parse_policy, policy_of
from cropcam.pipeline.emulator.sources import Inside, Source
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.raster_errors import UNREADABLE

PREFIX = "projects/earthengine-public/assets/"
_ROOT = re.compile(r"projects/[^/]+/assets")  # of a project: there from the beginning
_REST_PRECISIONS = {"int": "INT", "float": "FLOAT", "double": "DOUBLE"}


class Archive:
    """Assets below a folder, and the user's own. Assets are cached until their `asset.json` changes."""

    def __init__(self, folder: Path, own: Path | None = None) -> None:
        self._folder, self._own = folder, own or folder
        self._images: dict[str, tuple[int, LazyImage]] = {}
        self._lock = threading.Lock()

    def state(self) -> dict[str, int]:
        """Modification time (ns) of each `asset.json`, by its path: the key of caches over the archive."""
        return {path: stamp for root in {self._folder, self._own} for path, stamp in _written(root)}

    def image(self, asset_id: str) -> LazyImage:
        """The image of that id.

        Raises:
            EngineError: NOT_FOUND, or the id is a collection's or a folder's, or the asset is damaged.
        """
        folder = self._path(asset_id, "Image")
        if not (folder / "asset.json").is_file():
            if folder.is_dir():
                raise EngineError(f"Image.load: Asset '{plain_id(asset_id)}' is not an Image.")
            raise not_found("Image", plain_id(asset_id))
        return self._image(plain_id(asset_id), folder)

    def collection(self, asset_id: str) -> Collection:
        """The image collection of that id, its images by id.

        Raises:
            EngineError: NOT_FOUND, or the id is an image's.
        """
        folder = self._path(asset_id, "ImageCollection")
        if (folder / "asset.json").is_file():
            raise EngineError(f"ImageCollection.load: Asset '{plain_id(asset_id)}' is not an ImageCollection.")
        images, about = self._images_below(folder), self._folder_about(folder)
        if not images and about.get("type") != "IMAGE_COLLECTION":
            raise not_found("ImageCollection", plain_id(asset_id))
        own_id = plain_id(asset_id)
        properties = {**about.get("properties", {}), "system:index": own_id}
        return Collection("ImageCollection", lambda: [self._image(f"{own_id}/{path.name}", path) for path in images], properties, own_id)

    def describe(self, asset_id: str) -> dict[str, Any]:
        """REST description of an asset.

        Raises:
            EngineError: NOT_FOUND, or the asset is damaged.

        Source: Earth Engine REST API, projects.assets, EarthEngineAsset.
        """
        own_id, folder = plain_id(asset_id), self._path(asset_id, "Asset")
        if not folder.is_dir():
            raise not_found("Asset", own_id)
        about = {"name": asset_name(own_id), "id": own_id}
        if (folder / "asset.json").is_file():
            size = sum(path.stat().st_size for path in folder.glob("*.tif"))
            return {"type": "IMAGE", **about, **_rest_image(self._image(own_id, folder)), "sizeBytes": str(size)}
        marked = self._folder_about(folder)
        return {"type": "IMAGE_COLLECTION" if self._images_below(folder) else "FOLDER", **about, **marked}

    def children(self, parent: str) -> list[dict[str, Any]]:
        """REST descriptions of the assets right below a folder or collection, by id.

        Raises:
            EngineError: NOT_FOUND.
        """
        folder = self._path(parent, "Asset") if plain_id(parent) else self._folder
        if not folder.is_dir():
            if _ROOT.fullmatch(plain_id(parent)):
                return []
            raise not_found("Asset", plain_id(parent))
        if (folder / "asset.json").is_file():
            return []
        names = sorted(path.name for path in folder.iterdir() if path.is_dir() and self._is_asset(path))
        return [self.describe(f"{plain_id(parent)}/{name}".lstrip("/")) for name in names]

    def _path(self, asset_id: str, kind: str) -> Path:
        segments = plain_id(asset_id).split("/")
        if not all(SEGMENT.fullmatch(segment) for segment in segments):
            raise not_found(kind, asset_id)
        own = self._own.joinpath(*segments)
        found = own if segments[0] == "projects" and own.is_dir() else self._folder.joinpath(*segments)
        if not self._is_asset(found):
            raise not_found(kind, asset_id)
        return found

    def _is_asset(self, path: Path) -> bool:
        """Whether a path may be an asset's: its name is one, and no link leads it out of the archive."""
        return SEGMENT.fullmatch(path.name) is not None and is_within(path, self._folder, self._own)

    def _folder_about(self, folder: Path) -> dict[str, Any]:
        """Type and properties of a folder or collection that has a file of its own."""
        path = folder / "folder.json"
        return read_about(path, folder.name, self._folder, self._own) if path.is_file() else {}

    def _images_below(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            return []
        folders = (path for path in folder.iterdir() if (path / "asset.json").is_file() and self._is_asset(path))
        return sorted(folders, key=lambda path: path.name)

    def _image(self, asset_id: str, folder: Path) -> LazyImage:
        stamp = (folder / "asset.json").stat().st_mtime_ns
        with self._lock:
            known = self._images.get(asset_id)
        if known is None or known[0] != stamp:
            known = stamp, _load(asset_id, folder, stamp, self._folder, self._own)
            with self._lock:
                self._images[asset_id] = known
        return known[1]


def _written(folder: str | Path) -> Iterator[tuple[str, int]]:
    """Path and modification time (ns) of each `asset.json` below a folder; bands and unfinished assets are skipped."""
    try:
        about = os.path.join(folder, "asset.json")  # noqa: PTH118 - at every request, for every asset
        yield about, os.stat(about).st_mtime_ns  # noqa: PTH116
    except OSError:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):  # a link within has its own path, a loop no end
                    yield from _written(entry.path)


def plain_id(asset_id: str) -> str:
    """An id without the prefix of public assets."""
    return asset_id.removeprefix(PREFIX).strip("/")


def timestamp(millis: float) -> str:
    """Milliseconds since 1970 as the REST API writes an instant.

    >>> timestamp(1462060800000)
    '2016-05-01T00:00:00Z'
    """
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=millis)
    return moment.isoformat(timespec="milliseconds" if millis % 1000 else "seconds").replace("+00:00", "Z")


def _load(asset_id: str, folder: Path, stamp: int, *roots: Path) -> LazyImage:
    about = read_about(folder / "asset.json", asset_id, *roots)
    names, properties = band_names(about, asset_id), about.get("properties")
    if not isinstance(properties, Mapping):
        raise damaged(asset_id, "asset.json: properties is no object")
    declared = {
        entry["id"]: str(entry["pyramidingPolicy"])
        for entry in about["bands"]
        if isinstance(entry, Mapping) and "pyramidingPolicy" in entry
    }
    for name in names:
        if not is_within(folder / f"{name}.tif", *roots):
            raise damaged(asset_id, f"band '{name}' leads out of the archive")
    found = {"system:index": folder.name, **properties}
    return LazyImage(partial(_bands, asset_id, folder, names, declared, found), found, asset_id=asset_id, version=stamp // 1000)


def _bands(asset_id: str, folder: Path, names: list[str], declared: Mapping[str, str], properties: Mapping[str, Any]) -> list[Band]:
    return [_band(asset_id, folder / f"{name}.tif", name, declared.get(name), properties) for name in names]


def _band(asset_id: str, path: Path, name: str, declared: str | None, properties: Mapping[str, Any]) -> Band:
    try:
        with open_band(path) as file:
            has_mask = MaskFlags.per_dataset in file.mask_flag_enums[0]
            crs, transform, width, height, dtype, nodata = (
                file.crs,
                tuple(file.transform)[:6],
                file.width,
                file.height,
                file.dtypes[0],
                file.nodata,
            )
    except UNREADABLE as error:
        raise damaged(asset_id, f"band '{name}': {error}") from None
    if crs is None:
        raise damaged(asset_id, f"band '{name}' has no CRS")
    grid = PixelGrid(crs_text(crs), transform, width, height)
    policy = policy_of(name, dtype, properties) if declared is None else parse_policy(declared)
    node = Source(path, grid, nodata, policy, has_mask=has_mask)
    return Band(name, BandType.of(dtype), node, Projection(grid.crs, transform), Window(0, 0, height, width), Inside(grid))


def _rest_image(image: LazyImage) -> dict[str, Any]:
    properties = dict(image.properties)
    asset: dict[str, Any] = {"bands": [_rest_band(band) for band in image.bands]}
    for key, name in (("system:time_start", "startTime"), ("system:time_end", "endTime")):
        if key in properties:
            asset[name] = timestamp(properties[key])
    if image.version is not None:
        asset["updateTime"] = timestamp(image.version // 1000)
    if image.footprint is not None:
        asset["geometry"] = image.footprint.transformed(LONLAT).describe()
    return asset | {"properties": properties}


def _rest_band(band: Band) -> dict[str, Any]:
    a, b, c, d, e, f = band.projection.transform
    affine = {"scaleX": a, "shearX": b, "translateX": c, "shearY": d, "scaleY": e, "translateY": f}
    grid: dict[str, Any] = {"crsCode": band.projection.crs, "affineTransform": affine}
    if band.window is not None:
        grid["dimensions"] = {"width": band.window.width, "height": band.window.height}
    low, high = band.type.bounds
    data_type: dict[str, Any] = {"precision": _REST_PRECISIONS[band.type.precision]}
    if band.type.is_int:
        data_type["range"] = {"min": low, "max": high}
    return {"id": band.name, "dataType": data_type, "grid": grid}
