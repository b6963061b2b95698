"""An HTTP server with one content, whose connections end wherever a test wants; and a remote place over it."""

from __future__ import annotations

import datetime
import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession

from cropcam.pipeline.fetch.access import authorized_session
from cropcam.pipeline.fetch.remote import RemoteFile


class Place:
    """A remote of one file. `cuts` are bytes after which the next answers end; `ranges` turns Range off; `seen` are the requests."""

    service = "A place"

    def __init__(self, content: bytes, cuts: Sequence[int] = (), *, ranges: bool = True) -> None:
        self.content, self.cuts, self.ranges = content, list(cuts), ranges
        self.seen: list[str] = []
        self.lock = threading.Lock()
        self.session: AuthorizedSession = authorized_session(AnonymousCredentials())
        self.url = ""
        self.status = 0

    def file(self, name: str = "f.tif") -> RemoteFile:
        digest = f"md5:{hashlib.md5(self.content).hexdigest()}"  # noqa: S324
        return RemoteFile(name, "key", digest, len(self.content), digest, datetime.datetime.now(datetime.UTC), "folder", self.url)

    def files(self, folder_uris: Sequence[str] = ()) -> list[RemoteFile]:  # noqa: ARG002
        return [self.file()]

    def again(self, file: RemoteFile) -> RemoteFile | None:
        return self.file(file.name)

    def nothing_found(self) -> str:
        return "look elsewhere"


@contextmanager
def served(place: Place) -> Iterator[Place]:
    """The place while it answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            with place.lock:
                place.seen.append(asked)
                cut = place.cuts.pop(0) if place.cuts else None
                status, place.status = place.status, 0
            content = place.content
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked) if place.ranges else None
            start, end = (int(found.group(1)), min(int(found.group(2)) + 1, len(content))) if found else (0, len(content))
            self.send_response(status or (206 if found else 200))
            if found:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            self.send_header("Content-Length", str(end - start))
            self.end_headers()
            self.wfile.write(content[start:end][:cut])
            self.close_connection = cut is not None

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that left is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    place.url = f"http://127.0.0.1:{server.server_address[1]}/f"
    try:
        yield place
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        place.session.close()
