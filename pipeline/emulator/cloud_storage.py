"""Cloud Storage over the folder of exports: each folder of OUT/gs is a bucket, each file below it an object.

Source: Cloud Storage JSON API reference, buckets and objects.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cropcam.pipeline.emulator.catalogue import Catalogue, Entry
from cropcam.pipeline.emulator.drive import media_type, rfc3339
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.service_texts import TEXTS

_TOP = "gs"


class CloudStorage:
    """The buckets that the user of the engine can reach."""

    def __init__(self, catalogue: Catalogue, limits: Limits) -> None:
        self._catalogue, self._limits = catalogue, limits

    def check_writable(self, bucket: str) -> None:
        """Refuse an export to a bucket that is not there or closed. Where `Limits.make_buckets`, an absent one is made.

        Raises:
            EngineError: the failure of the task.
        """
        if bucket in self._limits.closed_buckets:
            raise TEXTS["bucket_denied"].failure()
        if not self._limits.make_buckets and not self.has(bucket):
            raise TEXTS["no_bucket"].failure()

    def add(self, bucket: str, name: str, temp_path: Path) -> Entry:
        """Put a complete file into a bucket; an object of its name is replaced."""
        path = f"{_TOP}/{bucket}/{name}"
        entry = self._catalogue.find(path) or self._catalogue.reserve(path, name.rpartition("/")[2])
        return self._catalogue.publish(entry, temp_path)

    @staticmethod
    def uri(bucket: str, name: str) -> str:
        """The destination URI of a task: the console's page of the folder that holds its files.

        The form is not confirmed: whether the service names the folder or the whole prefix is unknown.
        """
        return f"https://console.developers.google.com/storage/browser/{bucket}/{name.rpartition('/')[0]}"

    def has(self, bucket: str) -> bool:
        """Whether a bucket exists."""
        entry = None if "/" in bucket else self._catalogue.find(f"{_TOP}/{bucket}")
        return entry is not None and entry.is_folder

    def is_closed(self, bucket: str) -> bool:
        """Whether the user has no permission on a bucket."""
        return bucket in self._limits.closed_buckets

    def bucket(self, bucket: str, root_url: str) -> dict[str, Any]:
        """The Bucket resource."""
        entry = self._catalogue.find(f"{_TOP}/{bucket}")
        made = rfc3339(entry.created_ns if entry else 0)
        return {
            "kind": "storage#bucket",
            "id": bucket,
            "name": bucket,
            "selfLink": f"{root_url}storage/v1/b/{bucket}",
            "projectNumber": "0",
            "metageneration": "1",
            "location": "US",
            "locationType": "multi-region",
            "storageClass": "STANDARD",
            "etag": "CAE=",
            "timeCreated": made,
            "updated": made,
        }

    def objects(self, bucket: str) -> dict[str, Entry]:
        """Every object of a bucket by its name, in the order of names as UTF-8."""
        top = f"{_TOP}/{bucket}"
        names = {entry.path[len(top) + 1 :]: entry for entry in self._catalogue.under(top) if not entry.is_folder}
        return dict(sorted(names.items(), key=lambda item: item[0].encode()))

    def object(self, bucket: str, name: str) -> Entry | None:
        """One object."""
        entry = self._catalogue.find(f"{_TOP}/{bucket}/{name}")
        return None if entry is None or entry.is_folder else entry

    def describe(self, bucket: str, name: str, entry: Entry, root_url: str) -> dict[str, Any]:
        """The Object resource of an entry with its checksums."""
        where, generation = f"storage/v1/b/{bucket}/o/{quote(name, safe='')}", str(entry.generation)
        made = rfc3339(entry.modified_ns)
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/{generation}",
            "selfLink": f"{root_url}{where}",
            "mediaLink": f"{root_url}download/{where}?generation={generation}&alt=media",
            "name": name,
            "bucket": bucket,
            "generation": generation,
            "metageneration": "1",
            "contentType": media_type(name),
            "storageClass": "STANDARD",
            "size": str(entry.size),
            "md5Hash": md5_base64(entry),
            "crc32c": entry.crc32c,
            "etag": etag(entry),
            "timeCreated": made,
            "updated": made,
            "timeStorageClassUpdated": made,
            "timeFinalized": made,
        }


def md5_base64(entry: Entry) -> str:
    """The md5 of an entry as Cloud Storage writes it."""
    return base64.b64encode(bytes.fromhex(entry.md5)).decode()


def etag(entry: Entry) -> str:
    """The entity tag of an object's content."""
    return base64.b64encode(f"{entry.generation}/1".encode()).decode()
