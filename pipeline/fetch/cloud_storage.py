"""Cloud Storage as a place of exported files: the objects right below a prefix, listed with Google's client.

The client's own `Blob.download_to_file` reads 8 KiB at a time: a tenth of the throughput of a plain copy. So its media links are
read over google-auth's session instead.

Source: Cloud Storage JSON API, "Objects: list", "Objects: get", "Hashes and ETags".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage  # type: ignore[import-untyped]

from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError
from cropcam.pipeline.fetch.access import TIMEOUT_S, authorized_session
from cropcam.pipeline.fetch.remote import RemoteFile
from cropcam.pipeline.fetch.service_errors import STORAGE, explain, http_error

Result = TypeVar("Result")
_FIELDS = "nextPageToken,prefixes,items(name,generation,size,crc32c,md5Hash,updated,mediaLink,contentEncoding)"


class CloudStorageRemote:
    """The objects of one bucket right below a prefix.

    Args:
        bucket: its name.
        prefix: folder-like, without the slash at its end; "" for the bucket's root.
        credentials: with a scope that reads Cloud Storage.
        project: of the client; for messages of the service alone.
        api_url: root of another server; the service's own by default.
        backoff: with a busy service.
    """

    service = STORAGE

    def __init__(
        self, bucket: str, prefix: str, credentials: Any, project: str | None = None, api_url: str | None = None, backoff: Backoff | None = None  # noqa: ANN401
    ) -> None:  # fmt: skip
        self._name, self._backoff = bucket, backoff or Backoff()
        self._prefix = f"{prefix}/" if prefix else ""
        self._session = authorized_session(credentials)
        options = ClientOptions(api_endpoint=api_url) if api_url else None
        self._client = storage.Client(project or "none", credentials, client_options=options)
        self._bucket = self._client.bucket(bucket)

    @property
    def session(self) -> AuthorizedSession:
        """Sends requests for content."""
        return self._session

    def files(self, folder_uris: Sequence[str] = ()) -> list[RemoteFile]:  # noqa: ARG002 - the prefix is where every task writes
        """All objects right below the prefix."""

        def listed() -> list[RemoteFile]:
            blobs = self._client.list_blobs(
                self._bucket, prefix=self._prefix or None, delimiter="/", fields=_FIELDS, timeout=TIMEOUT_S, retry=None
            )
            return [self._file(blob) for blob in blobs if not blob.name.endswith("/")]

        return self._call(listed, f"listing gs://{self._name}/{self._prefix}")

    def again(self, file: RemoteFile) -> RemoteFile | None:
        """The object as it is now; None where it is gone."""
        try:
            blob = self._call(lambda: self._bucket.get_blob(file.key, timeout=TIMEOUT_S, retry=None), file.name)
        except ServiceError as error:
            if error.kind == "absent":
                return None
            raise
        return self._file(blob) if blob else None

    def nothing_found(self) -> str:
        """A likely reason and the next step."""
        return f"check bucket and prefix: gsutil ls gs://{self._name}/{self._prefix}, or the page of the bucket"

    def _call(self, request: Callable[[], Result], request_name: str) -> Result:
        def send() -> Result:
            try:
                return request()
            except GoogleAPICallError as error:  # the status and body, as the other client raises them
                answer = error.response
                content = answer.content if answer is not None else str(error).encode()
                raise http_error(int(error.code or 500), content, "") from error

        return self._backoff.call(send, request_name, lambda error: explain(error, STORAGE))

    def _file(self, blob: Any) -> RemoteFile:  # noqa: ANN401 - storage.Blob
        digest = f"crc32c:{base64.b64decode(blob.crc32c).hex()}"
        folder = f"gs://{self._name}/{self._prefix}".rstrip("/")
        name = str(blob.name).rpartition("/")[2]
        return RemoteFile(name, blob.name, str(blob.generation), int(blob.size), digest, blob.updated, folder, blob.media_link)
