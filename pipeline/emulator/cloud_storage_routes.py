"""Cloud Storage's JSON API over HTTP: buckets.get, objects.list, objects.get and its media.

Source: Cloud Storage JSON API reference; errors as in its "HTTP status and error codes".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cropcam.pipeline.emulator.catalogue import Catalogue, Entry
from cropcam.pipeline.emulator.cloud_storage import CloudStorage, etag, md5_base64
from cropcam.pipeline.emulator.drive import media_type
from cropcam.pipeline.emulator.field_masks import MaskError, check_mask, masked, parse_mask, resource_fields
from cropcam.pipeline.emulator.file_responses import FileError, invalid, media, page_of, page_size, page_token, seen_by
from cropcam.pipeline.emulator.responses import Response, as_json
from cropcam.pipeline.emulator.routing import Request

_MOST = 1000


class CloudStorageRoutes:
    """The handlers."""

    def __init__(self, storage: CloudStorage, catalogue: Catalogue) -> None:
        self.storage, self._catalogue = storage, catalogue

    def bucket(self, request: Request) -> Response:
        """`GET b/BUCKET`."""
        bucket = self._open_bucket(request, "storage.buckets.get", "bucket")
        return _answer(request, self.storage.bucket(bucket, request.root_url), "Bucket")

    def list_objects(self, request: Request) -> Response:
        """`GET b/BUCKET/o`: objects and, with a delimiter, the common beginnings of names, in one order."""
        bucket = self._open_bucket(request, "storage.objects.list", "bucket")
        query = request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        most = page_size(query.get("maxResults", ""), _MOST, _MOST, "maxResults")
        after = page_of(query["pageToken"]) if query.get("pageToken") else ""
        rows: dict[str, Entry | None] = {}
        for name, entry in self.storage.objects(bucket).items():
            if not name.startswith(prefix) or not _between(name, query.get("startOffset", ""), query.get("endOffset", "")):
                continue
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            rows[name if cut < 0 else name[: cut + len(delimiter)]] = entry if cut < 0 else None
        left = [(name, entry) for name, entry in rows.items() if not after or name.encode() > after.encode()]
        page = left[:most]
        items = [self._described(request, bucket, name, entry) for name, entry in page if entry is not None]
        answer: dict[str, Any] = {"kind": "storage#objects"}
        if items:
            answer["items"] = items
        if prefixes := [name for name, entry in page if entry is None]:
            answer["prefixes"] = prefixes
        if len(left) > most:
            answer["nextPageToken"] = page_token(page[-1][0])
        return _answer(request, answer, "Objects")

    def get(self, request: Request) -> Response:
        """`GET b/BUCKET/o/NAME`."""
        bucket, name = self._open_bucket(request, "storage.objects.get", "object"), request.path["name"]
        entry = self._found(request, bucket, name)
        return _answer(request, self.storage.describe(bucket, name, entry, request.root_url), "Object")

    def media(self, request: Request) -> Response:
        """`GET b/BUCKET/o/NAME?alt=media`, and the same below /download. Errors are plain text."""
        try:
            bucket, name = self._open_bucket(request, "storage.objects.get", "object"), request.path["name"]
            entry = self._found(request, bucket, name)
            opened = self._catalogue.open(entry)
            if opened is None:
                raise _no_object(bucket, name)
            file, current = opened
            request.held.enter_context(file)
            current = seen_by(request.fault, self._catalogue.with_checksums(current) or current)
            if current.generation != entry.generation:
                raise _no_object(bucket, name) if "generation" in request.query else _not_met()
        except FileError as error:
            return replace(error.response(), parts=(error.message.encode(),), media_type="text/html; charset=UTF-8")
        headers = {
            "ETag": etag(current),
            "X-Goog-Generation": str(current.generation),
            "X-Goog-Metageneration": "1",
            "X-Goog-Hash": f"crc32c={current.crc32c},md5={md5_base64(current)}",
            "X-Goog-Storage-Class": "STANDARD",
            "X-Goog-Stored-Content-Encoding": "identity",
            "X-Goog-Stored-Content-Length": str(current.size),
        }
        return media(request, file, current, media_type(name), headers)

    def _open_bucket(self, request: Request, permission: str, kind: str) -> str:
        bucket = request.path["bucket"]
        if self.storage.is_closed(bucket):
            raise FileError(
                403,
                "forbidden",
                f"{request.account.email} does not have {permission} access to the Google Cloud Storage {kind}. "
                f"Permission '{permission}' denied on resource (or it may not exist).",
            )
        if not self.storage.has(bucket):
            raise FileError(404, "notFound", "The specified bucket does not exist.")
        return bucket

    def _found(self, request: Request, bucket: str, name: str) -> Entry:
        """The object that a request names, with its checksums; its generation and preconditions hold."""
        entry = self.storage.object(bucket, name)
        entry = None if entry is None else self._catalogue.with_checksums(entry)
        if entry is None:
            raise _no_object(bucket, name)
        entry = seen_by(request.fault, entry)
        if _number(request, "generation") not in {None, entry.generation}:
            raise _no_object(bucket, name)
        wanted, unwanted = _number(request, "ifGenerationMatch"), _number(request, "ifGenerationNotMatch")
        if wanted not in {None, entry.generation} or _number(request, "ifMetagenerationMatch") not in {None, 1}:
            raise _not_met()
        if unwanted == entry.generation:
            raise FileError(304, "notModified", "Not Modified")
        return entry

    def _described(self, request: Request, bucket: str, name: str, entry: Entry) -> dict[str, Any]:
        entry = seen_by(request.fault, self._catalogue.with_checksums(entry) or entry)
        return self.storage.describe(bucket, name, entry, request.root_url)


def _answer(request: Request, value: dict[str, Any], schema: str) -> Response:
    fields = request.query.get("fields")
    if not fields:
        return as_json(value)
    try:
        mask = parse_mask(fields)
        check_mask(mask, resource_fields("storage.v1", schema))
        check_mask(mask.get("items", {}), resource_fields("storage.v1", "Object"))
    except MaskError as error:
        raise FileError(400, "invalidParameter", f"Invalid field selection {error}", "fields") from None
    return as_json(masked(value, mask))


def _between(name: str, start: str, end: str) -> bool:
    return (not start or name.encode() >= start.encode()) and (not end or name.encode() < end.encode())


def _number(request: Request, key: str) -> int | None:
    text = request.query.get(key, "")
    if not text:
        return None
    if not text.isdigit():
        raise invalid(key, f"Invalid value '{text}'. Values must be integers.")
    return int(text)


def _no_object(bucket: str, name: str) -> FileError:
    return FileError(404, "notFound", f"No such object: {bucket}/{name}")


def _not_met() -> FileError:
    return FileError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
