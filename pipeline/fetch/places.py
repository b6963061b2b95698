"""Places by the names that the command line gives them, opened with the user's credentials."""

from __future__ import annotations

from cropcam.pipeline.earthengine.destinations import CloudStorage, Drive
from cropcam.pipeline.earthengine.error_messages import Backoff
from cropcam.pipeline.earthengine.session import is_loopback
from cropcam.pipeline.fetch.access import DRIVE_SCOPES, STORAGE_SCOPES, credentials_for
from cropcam.pipeline.fetch.cloud_storage import CloudStorageRemote
from cropcam.pipeline.fetch.drive import DriveRemote
from cropcam.pipeline.fetch.remote import Remote
from cropcam.pipeline.fetch.service_errors import DRIVE, STORAGE


def open_remote(
    source: Drive | CloudStorage, *, project: str | None = None, api_url: str | None = None, backoff: Backoff | None = None
) -> Remote:
    """The place that an export went to, with the user's credentials; on loopback with none.

    Args:
        source: Drive folder or Cloud Storage prefix.
        project: whose quota the requests use; else the credentials' own.
        api_url: of Earth Engine. An engine on this machine serves the files too; else they are Google's.
        backoff: with a busy place.

    Raises:
        EarthEngineError: no credentials, or none with the scope.
    """
    is_local = api_url is not None and is_loopback(api_url)
    api_url = api_url.rstrip("/") if api_url is not None and is_local else None
    if isinstance(source, CloudStorage):
        found = credentials_for(STORAGE_SCOPES, STORAGE, project=project, is_loopback=is_local)
        return CloudStorageRemote(source.bucket, source.prefix, found, project, api_url, backoff)
    return DriveRemote(source.folder, credentials_for(DRIVE_SCOPES, DRIVE, project=project, is_loopback=is_local), api_url, backoff)
