"""Drive v3 over HTTP: files.list, files.get with its media, about.get.

Source: Drive API v3 reference; its discovery document, as google-api-python-client ships it.
"""

from __future__ import annotations

from typing import Any

from cropcam.pipeline.emulator.catalogue import Entry
from cropcam.pipeline.emulator.drive import ROOT_ID, Drive, media_type
from cropcam.pipeline.emulator.drive_query import QueryError, Test, parse_query
from cropcam.pipeline.emulator.field_masks import Mask, MaskError, check_mask, masked, parse_mask, resource_fields
from cropcam.pipeline.emulator.file_responses import FileError, invalid, media, page_of, page_size, page_token, seen_by
from cropcam.pipeline.emulator.responses import Response, as_json
from cropcam.pipeline.emulator.routing import Request

_DEFAULT = "kind,id,name,mimeType"
_ORDERS = {"createdTime", "modifiedTime", "name", "folder", "quotaBytesUsed"}
_QUOTA_BYTES = 15 * 2**30
_MOST = 1000


class DriveRoutes:
    """The handlers. All users of the engine have one Drive; a service account has an empty one of its own."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive

    def list_files(self, request: Request) -> Response:
        """`GET files`."""
        query = request.query
        mask = _mask(query.get("fields", f"kind,incompleteSearch,nextPageToken,files({_DEFAULT})"), "FileList")
        inner = mask.get("files", {}) if "*" not in mask else {}
        _check(inner, "File")
        test = _test(query.get("q", ""))
        size = page_size(query.get("pageSize", ""), 100, _MOST, "pageSize")
        found = [entry for entry in self._files(request) if test(self.drive.describe(entry, checksums=False))]
        found = _ordered(found, query.get("orderBy", ""))
        start = _offset(query.get("pageToken", ""))
        checksums = not inner or "*" in inner or bool({"md5Checksum", "sha256Checksum"} & set(inner))
        page = [self._described(request, entry, checksums=checksums) for entry in found[start : start + size]]
        answer: dict[str, Any] = {"kind": "drive#fileList", "incompleteSearch": False, "files": page}
        if start + size < len(found):
            answer["nextPageToken"] = page_token(str(start + size))
        return as_json(masked(answer, mask))

    def get(self, request: Request) -> Response:
        """`GET files/ID`."""
        mask = _mask(request.query.get("fields", _DEFAULT), "File")
        if request.path["id"] in {"root", ROOT_ID}:
            return as_json(masked(_root(), mask))
        return as_json(masked(self._described(request, self._item(request), checksums=True), mask))

    def media(self, request: Request) -> Response:
        """`GET files/ID?alt=media`."""
        item = self._item(request)
        if item.is_folder:
            raise FileError(
                403, "fileNotDownloadable", "Only files with binary content can be downloaded. Use Export with Docs Editors files.", "alt"
            )
        opened = self.drive.open(item)
        if opened is None:
            raise self._missing(request)
        file, entry = opened
        request.held.enter_context(file)
        return media(request, file, seen_by(request.fault, entry), media_type(entry.name), {})

    def about(self, request: Request) -> Response:
        """`GET about`."""
        if "fields" not in request.query:
            raise FileError(400, "required", "The 'fields' parameter is required for this method.", "fields")
        mask = _mask(request.query["fields"], "About")
        used = str(sum(max(entry.size, 0) for entry in self._files(request)))
        answer = {
            "kind": "drive#about",
            "user": {
                "kind": "drive#user",
                "displayName": request.account.email,
                "me": True,
                "permissionId": "00000000000000000000",
                "emailAddress": request.account.email,
            },
            "storageQuota": {
                "limit": str(_QUOTA_BYTES if _has_space(request) else 0),
                "usage": used,
                "usageInDrive": used,
                "usageInDriveTrash": "0",
            },
        }
        return as_json(masked(answer, mask))

    def _files(self, request: Request) -> list[Entry]:
        return self.drive.files() if _has_space(request) else []

    def _described(self, request: Request, entry: Entry, *, checksums: bool) -> dict[str, Any]:
        if request.fault and request.fault.kind in {"grow", "replace"}:
            entry = seen_by(request.fault, self.drive.with_checksums(entry))
        return self.drive.describe(entry, checksums=checksums)

    def _item(self, request: Request) -> Entry:
        entry = self.drive.item(request.path["id"])
        if entry is None or not _has_space(request):
            raise self._missing(request)
        return entry

    @staticmethod
    def _missing(request: Request) -> FileError:
        return FileError(404, "notFound", f"File not found: {request.path['id']}.", "fileId")


def _has_space(request: Request) -> bool:
    return request.account.kind != "service_account"


def _root() -> dict[str, Any]:
    return {
        "kind": "drive#file",
        "id": ROOT_ID,
        "name": "My Drive",
        "mimeType": "application/vnd.google-apps.folder",
        "trashed": False,
        "ownedByMe": True,
    }


def _mask(text: str, schema: str) -> Mask:
    try:
        mask = parse_mask(text)
    except MaskError as error:
        raise _no_such_field(error) from None
    _check(mask, schema)
    return mask


def _check(mask: Mask, schema: str) -> None:
    try:
        check_mask(mask, resource_fields("drive.v3", schema))
    except MaskError as error:
        raise _no_such_field(error) from None


def _no_such_field(error: MaskError) -> FileError:
    return FileError(400, "invalidParameter", f"Invalid field selection {error}", "fields")


def _test(text: str) -> Test:
    if not text.strip():
        return lambda _: True
    try:
        return parse_query(text, {"root": ROOT_ID})
    except QueryError:
        raise invalid("q") from None


def _offset(token: str) -> int:
    text = page_of(token) if token else "0"
    if not text.isdigit():
        raise invalid("pageToken")
    return int(text)


def _ordered(found: list[Entry], text: str) -> list[Entry]:
    """The entries by the keys of `orderBy`; a stable sort by each, the last key first."""
    for part in reversed([part.strip() for part in text.split(",") if part.strip()]):
        key, _, direction = part.partition(" ")
        if key not in _ORDERS or direction not in {"", "desc"}:
            raise invalid("orderBy")
        found = sorted(found, key=lambda entry: _sort_key(entry, key), reverse=direction == "desc")
    return found


def _sort_key(entry: Entry, key: str) -> Any:  # noqa: ANN401 - a number or a text, of one kind for one key
    values: dict[str, Any] = {
        "createdTime": entry.created_ns,
        "modifiedTime": entry.modified_ns,
        "name": entry.name,
        "folder": not entry.is_folder,
        "quotaBytesUsed": entry.size,
    }
    return values[key]
