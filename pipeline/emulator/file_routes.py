"""Drive and Cloud Storage over one folder of exports, and the paths at which they are served.

Source: Drive API v3 and Cloud Storage JSON API references.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cropcam.pipeline.emulator.access import DRIVE_READ_SCOPES, STORAGE_READ_SCOPES
from cropcam.pipeline.emulator.catalogue import Catalogue
from cropcam.pipeline.emulator.cloud_storage import CloudStorage
from cropcam.pipeline.emulator.cloud_storage_routes import CloudStorageRoutes
from cropcam.pipeline.emulator.drive import Drive
from cropcam.pipeline.emulator.drive_routes import DriveRoutes
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.responses import Response
from cropcam.pipeline.emulator.routing import Request, Route, make_route


class Files:
    """The file services of one engine."""

    def __init__(self, out: Path, limits: Limits) -> None:
        catalogue = Catalogue(out)
        self.drive, self.storage = Drive(catalogue), CloudStorage(catalogue, limits)
        self.drive_routes = DriveRoutes(self.drive)
        self.storage_routes = CloudStorageRoutes(self.storage, catalogue)


def _drive(name: str, pattern: str, call: Callable[[DriveRoutes, Request], Response]) -> Route:
    return make_route(
        name, "GET", pattern, lambda service, request: call(service.files.drive_routes, request), is_counted=False, scopes=DRIVE_READ_SCOPES
    )


def _storage(name: str, pattern: str, call: Callable[[CloudStorageRoutes, Request], Response]) -> Route:
    return make_route(
        name,
        "GET",
        pattern,
        lambda service, request: call(service.files.storage_routes, request),
        is_counted=False,
        scopes=STORAGE_READ_SCOPES,
    )


_FILE = "/drive/v3/files/(?P<id>[^/]+)"
_BUCKET = "/storage/v1/b/(?P<bucket>[^/]+)"
_OBJECT = f"{_BUCKET}/o/(?P<name>.+)"
FILE_ROUTES = (
    _drive("drive:list", "/drive/v3/files", DriveRoutes.list_files),
    _drive("drive:about", "/drive/v3/about", DriveRoutes.about),
    _drive("drive:get", _FILE, DriveRoutes.get),
    _storage("gs:bucket", _BUCKET, CloudStorageRoutes.bucket),
    _storage("gs:list", f"{_BUCKET}/o", CloudStorageRoutes.list_objects),
    _storage("gs:get", _OBJECT, CloudStorageRoutes.get),
)
MEDIA_ROUTES = (  # of the same paths with ?alt=media
    _drive("drive:media", f"(?:/download)?{_FILE}", DriveRoutes.media),
    _storage("gs:media", f"(?:/download)?{_OBJECT}", CloudStorageRoutes.media),
)
