"""Bytes of a remote file: one range over google-auth's session, whatever the place answers.

Source: RFC 9110, "Range Requests": a server may ignore a range and send the whole content with status 200.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import urllib3
from requests import Response

from cropcam.pipeline.fetch.access import TIMEOUT_S
from cropcam.pipeline.fetch.remote import Remote, RemoteFile
from cropcam.pipeline.fetch.service_errors import http_error

READ_BYTES = 2**20  # at most of one read: what the connection holds by then
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class ChangedError(Exception):
    """The file is another one than the listed: it was replaced, or it has grown."""


def read_range(remote: Remote, file: RemoteFile, start: int, end: int, write: Callable[[bytes, int], object]) -> None:
    """Send bytes [start, end) of a file to `write(content, offset)`, in order, as they arrive.

    A range that is ignored costs the bytes before it; they are read and dropped.

    Raises:
        HttpError: an error status.
        ChangedError: the content has another size than the listed file.
        ConnectionError: the connection broke; what was written so far is right.
        TimeoutError: nothing arrived for too long.
    """
    headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}  # digests are of the stored bytes
    with remote.session.get(file.url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        try:
            if answer.status_code not in (200, 206):
                raise http_error(answer.status_code, answer.raw.read(2**16), file.url)
            at = _first_byte(answer, file, start)
            while at < end and (content := answer.raw.read1(READ_BYTES)):
                wanted = content[max(start - at, 0) : end - at]
                if wanted:
                    write(wanted, max(at, start))
                at += len(content)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise TimeoutError(f"nothing arrived for {TIMEOUT_S[1]:.0f} s") from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
    if at < end:
        raise ConnectionError(f"it ended after {at:,} of {end:,} bytes")


def _first_byte(answer: Response, file: RemoteFile, start: int) -> int:
    """Offset in the file of the answer's first byte.

    Raises:
        ChangedError: the answer is of a content of another size.
        ConnectionError: another range came than was asked for.
    """
    if answer.status_code == 200:
        size = answer.headers.get("Content-Length", "")
        if size.isdigit() and int(size) != file.size:
            raise ChangedError(f"{file.name}: {int(size):,} bytes, {file.size:,} were listed")
        return 0
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if not found or int(found.group(1)) != start:
        raise ConnectionError(f"another range came than was asked for ({answer.headers.get('Content-Range', 'none')})")
    if found.group(3).isdigit() and int(found.group(3)) != file.size:
        raise ChangedError(f"{file.name}: {int(found.group(3)):,} bytes, {file.size:,} were listed")
    return start
