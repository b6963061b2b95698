"""A place that holds the files of an export, as the rest of the package sees it: Google Drive or Cloud Storage."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from google.auth.transport.requests import AuthorizedSession


@dataclass(frozen=True)
class RemoteFile:
    """One file of a place.

    Attributes:
        name: the file's own name, without folders.
        key: the place's identifier of the file: a Drive id, or the name of an object.
        version: changes whenever the content does.
        size: bytes.
        digest: "md5:HEX", "sha256:HEX" or "crc32c:HEX" of the whole content, as the place gives it.
        modified: time of the last change by the place's clock; compared with no other clock.
        folder: the place's name of the folder, for messages.
        url: of the content.
    """

    name: str
    key: str
    version: str
    size: int
    digest: str
    modified: datetime.datetime
    folder: str
    url: str


class Remote(Protocol):
    """A place with files. Every method raises ServiceError where the place refuses, after retries."""

    @property
    def service(self) -> str:
        """Name of the service, for messages."""

    @property
    def session(self) -> AuthorizedSession:
        """Sends requests for content; may be used by many threads."""

    def files(self, folder_uris: Sequence[str] = ()) -> list[RemoteFile]:
        """All files of the place, those in the folders of the given destination URIs too; of deeper folders none."""

    def again(self, file: RemoteFile) -> RemoteFile | None:
        """The file as it is now; None where it is gone."""

    def nothing_found(self) -> str:
        """One line for the user whose place holds no file: a likely reason and the next step."""
