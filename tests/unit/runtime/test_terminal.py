"""Standard streams of any encoding, whose reader may go away."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.runtime.terminal import one_line, prepare_streams, without_controls

START = "import sys; from cropcam.pipeline.runtime.terminal import prepare_streams; prepare_streams(); "


def python(code: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", START + code], check=False, **{"capture_output": True, **more})  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(("encoding", "umlaut"), [("ascii", rb"N\xf6rd"), ("cp1252", b"N\xf6rd"), ("utf-8", "Nörd".encode())])
def test_letters_that_the_encoding_lacks_are_escaped(encoding: str, umlaut: bytes) -> None:
    done = python(
        r"print('N\xf6rd \u7530 \udcfc \x1b[31m \u202e'); print('N\xf6rd \udcfc', file=sys.stderr)",
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    field = "田".encode() if encoding == "utf-8" else rb"\u7530"
    assert (done.returncode, done.stdout) == (0, umlaut + b" " + field + rb" \udcfc \x1b[31m \u202e" + b"\n")
    assert done.stderr == umlaut + rb" \udcfc" + b"\n"


def test_work_goes_on_where_the_reader_has_gone() -> None:
    read, write = os.pipe()
    os.close(read)
    code = "print('x' * 100_000); print('y', flush=True); print('z'); print('error', file=sys.stderr); sys.exit(3)"
    assert python(code, capture_output=False, stdout=write, stderr=subprocess.PIPE).stderr == b"error\n"
    done = python(code, capture_output=False, stdout=subprocess.PIPE, stderr=write)
    os.close(write)
    assert (done.returncode, len(done.stdout)) == (3, 100_005)


def test_no_file_takes_the_place_of_a_closed_stream() -> None:
    code = "print('a'); print('b', file=sys.stderr); file = open('/dev/null'); sys.exit(file.fileno())"
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, START + code], check=False, capture_output=True
    )
    assert (done.returncode > 2, done.stdout, done.stderr) == (True, b"", b"")


def test_streams_of_others_stay(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    prepare_streams()
    assert (sys.stdout, sys.stderr) == before
    print("田")
    assert capsys.readouterr().out == "田\n"


@given(st.text())
def test_a_message_is_one_line_of_the_same_letters(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(letter < " " or "\x7f" <= letter <= "\x9f" for letter in line)
    if text.isprintable():
        assert line == text
    assert without_controls("a\n\tb") == "a\n\tb"


def test_what_rasterio_cannot_log_is_not_printed_and_all_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []
    monkeypatch.setattr(sys, "__unraisablehook__", lambda found: printed.append(found.object))
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    prepare_streams()
    no_text = UnicodeDecodeError("utf-8", b"\xfc", 0, 1, "invalid start byte")
    for error, name in ((no_text, "rasterio._env.log_error"), (no_text, "other"), (ValueError(), "rasterio._env.log_error")):
        sys.unraisablehook(SimpleNamespace(exc_value=error, object=name))  # type: ignore[arg-type]
    assert printed == ["other", "rasterio._env.log_error"]
