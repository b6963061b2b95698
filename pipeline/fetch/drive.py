"""Google Drive as a place of exported files: every folder of a name, listed page by page with Google's client.

Source: Drive API v3, "files.list", "Search for files and folders", "files.get" with alt=media.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any

from google.auth.transport.requests import AuthorizedSession
from googleapiclient.discovery import build  # type: ignore[import-untyped]

from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError
from cropcam.pipeline.earthengine.transport import Transport
from cropcam.pipeline.fetch.access import TIMEOUT_S, authorized_session
from cropcam.pipeline.fetch.remote import RemoteFile
from cropcam.pipeline.fetch.service_errors import DRIVE, explain

_FOLDER_TYPE = "application/vnd.google-apps.folder"
_FIELDS = "id,name,size,md5Checksum,sha256Checksum,modifiedTime,mimeType,trashed"
_FOLDER_URI = re.compile(r"[#/]folders/([\w-]+)")
_PAGE = 1000


class DriveRemote:
    """The files of all Drive folders of one name that the credentials may see.

    Args:
        folder: the name.
        credentials: with a scope that reads Drive.
        api_url: root of another server; the service's own by default.
        backoff: with a busy service.
    """

    service = DRIVE

    def __init__(self, folder: str, credentials: Any, api_url: str | None = None, backoff: Backoff | None = None) -> None:  # noqa: ANN401
        self._folder, self._backoff = folder, backoff or Backoff()
        self._is_service_account = hasattr(credentials, "service_account_email")
        self._session = authorized_session(credentials)
        options = {"api_endpoint": f"{api_url}/drive/v3/"} if api_url else None
        self._drive = build("drive", "v3", http=Transport(*TIMEOUT_S, self._session), static_discovery=True, client_options=options)

    @property
    def session(self) -> AuthorizedSession:
        """Sends requests for content."""
        return self._session

    def files(self, folder_uris: Sequence[str] = ()) -> list[RemoteFile]:
        """All files with content in the folders of the name, and in those that destination URIs name."""
        quoted = self._folder.replace("\\", "\\\\").replace("'", "\\'")
        named = self._list(f"name = '{quoted}' and mimeType = '{_FOLDER_TYPE}' and trashed = false")
        keys = {str(one["id"]): True for one in named}
        for uri in folder_uris:
            if found := _FOLDER_URI.search(uri):
                keys.setdefault(found.group(1), False)
        listed: dict[str, RemoteFile] = {}
        for key, is_named in keys.items():
            try:
                entries = self._list(f"'{key}' in parents and trashed = false")
            except ServiceError as error:
                if is_named or error.kind != "absent":
                    raise
                continue  # a folder of a task that was deleted since
            for entry in entries:
                if file := self._file(entry, f"{self._folder} ({key})"):
                    listed[file.key] = file
        return list(listed.values())

    def again(self, file: RemoteFile) -> RemoteFile | None:
        """The file as it is now; None where it is gone."""
        try:
            entry = self._call(lambda: self._drive.files().get(fileId=file.key, fields=_FIELDS).execute(), file.name)
        except ServiceError as error:
            if error.kind == "absent":
                return None
            raise
        return None if entry.get("trashed") else self._file(entry, file.folder)

    def nothing_found(self) -> str:
        """A likely reason and the next step."""
        if self._is_service_account:
            return f"the credentials are a service account's, which sees its own Drive alone: share drive:{self._folder} with it, or export to gs://BUCKET/PREFIX"
        return f"check the name of drive:{self._folder} and the account of the login (earthengine authenticate)"

    def _list(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = None
        while True:
            request = self._drive.files().list(
                q=query, spaces="drive", pageSize=_PAGE, fields=f"nextPageToken,files({_FIELDS})", pageToken=page
            )
            answer = self._call(request.execute, f"listing drive:{self._folder}")
            found += answer.get("files", [])
            page = answer.get("nextPageToken")
            if not page:
                return found

    def _call(self, request: Callable[[], dict[str, Any]], request_name: str) -> dict[str, Any]:
        return self._backoff.call(request, request_name, lambda error: explain(error, DRIVE))

    def _file(self, entry: dict[str, Any], folder: str) -> RemoteFile | None:
        """A file with content; None for folders, shortcuts and documents of Google's editors."""
        if "md5Checksum" not in entry or "size" not in entry:
            return None
        url = self._drive.files().get_media(fileId=entry["id"]).uri
        # sha256 is the faster of both on processors that compute it themselves; older files may have none
        sha256 = entry.get("sha256Checksum")
        digest = (f"sha256:{sha256}" if sha256 else f"md5:{entry['md5Checksum']}").lower()
        modified = datetime.datetime.fromisoformat(entry["modifiedTime"])
        version = f"{digest} {entry['modifiedTime']}"
        return RemoteFile(entry["name"], entry["id"], version, int(entry["size"]), digest, modified, folder, url)
