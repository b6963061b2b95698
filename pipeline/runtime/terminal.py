"""What the command line prints, on any terminal: letters that its encoding lacks and control characters are escaped; a reader may go away."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
import unicodedata
from pathlib import Path

# C0 without tab and line feed, C1, separators of lines, marks that turn the direction of writing
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LAST_STANDARD_FD = 2


def one_line(text: str) -> str:
    r"""A message on one line, without characters that a terminal obeys.

    >>> print(one_line("a\nb\x1b[31m"))
    a\nb\x1b[31m
    """
    return without_controls(text).replace("\n", "\\n").replace("\t", "\\t")


def shortened(text: str, most: int = 1_500) -> str:
    """A text of at most about `most` characters: begin and end, where place and next step stand, of one that a value in a file made endless.

    >>> shortened("a" * 20 + "b" * 20, 20)
    'aaaaaaaaaa ... (20 characters) ... bbbbbbbbbb'
    """
    left = len(text) - most
    return text if left <= 0 else f"{text[: most // 2]} ... ({left:,} characters) ... {text[-(most // 2) :]}"


def without_controls(text: str) -> str:
    """Text whose control characters but for line ends and tabs are escaped."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def is_plain(text: str) -> bool:
    r"""Whether text can be printed; spaces of any width count as printable, such as those of names in Japanese or French.

    >>> is_plain("a\u3000b\u00a0c"), is_plain("a\nb"), is_plain("a\x1b")
    (True, False, False)
    """
    return all(letter.isprintable() or unicodedata.category(letter) == "Zs" for letter in text)


def quoted(path: object) -> str:
    """A path in a command line that can be copied to a shell."""
    return shlex.quote(str(path))


def _without_rasterio_log(found: sys.UnraisableHookArgs) -> None:
    if not (isinstance(found.exc_value, UnicodeDecodeError) and "rasterio" in str(found.object)):
        sys.__unraisablehook__(found)


def prepare_streams() -> None:
    """Let stdout and stderr of this process take any text. Streams that something else put in their place stay as they are.

    A closed stdin, stdout or stderr is opened to nothing: else the next file that is opened would receive what libraries print. What rasterio
    cannot log, since GDAL quotes bytes of a damaged file, is not printed: the command's own line names the file.
    """
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _without_rasterio_log
    while (fd := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD_FD:
        pass
    os.close(fd)
    for name, is_plain in (("stdout", True), ("stderr", False)):  # bars are drawn on stderr
        stream = getattr(sys, name)
        if stream is None:
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
            setattr(sys, name, stream)
        elif stream is getattr(sys, f"__{name}__") and type(stream) is io.TextIOWrapper:
            encoding, buffered = stream.encoding, stream.line_buffering
            stream = Stream(stream.detach(), encoding, "backslashreplace", line_buffering=buffered)
            stream.is_plain = is_plain
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


class Stream(io.TextIOWrapper):
    """A standard stream. Work goes on where its reader has gone: what follows is dropped."""

    is_plain = False

    def write(self, text: str, /) -> int:
        """Write text, of a plain stream without control characters."""
        try:
            super().write(without_controls(text) if self.is_plain else text)
        except BrokenPipeError:
            self._drop()
        return len(text)

    def flush(self) -> None:
        """Write what is waiting."""
        try:
            super().flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self.fileno())
        os.close(nothing)
