"""What the machine denies, in one line; signals as interrupts; streams that are closed or full."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cropcam.pipeline.runtime import machine
from cropcam.pipeline.runtime.machine import denial, is_memory, say, signals_as_interrupt

ROOT = Path(__file__).parents[3]
AGAIN = "then run the same command again"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory", "a.tif"),
        ValueError("RESOURCE_EXHAUSTED: Out of memory: failed to allocate 9 bytes"),
    ],
)
def test_lack_of_memory_in_every_library(error: Exception) -> None:
    assert is_memory(error)
    text = str(error).splitlines()[0] if str(error) else "MemoryError"
    assert denial(error) == f"out of memory ({text}); free memory, {AGAIN}"
    assert denial(error, batches=True) == f"out of memory ({text}); lower --batch-size, or free memory, {AGAIN}"


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("3"), ImportError("No module named x"), KeyError("memory")])
def test_bugs_are_no_denials(error: Exception) -> None:
    assert not is_memory(error)
    assert denial(error) is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.tif"), f"a.tif: No space left on device; free space or choose another place, {AGAIN}"),
        (OSError(errno.ENOSPC, "No space left on device"), f"No space left on device; free space or choose another place, {AGAIN}"),
        (OSError(errno.EMFILE, "Too many open files", "a"), f"a: Too many open files; raise the limit of open files (ulimit -n), {AGAIN}"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), f"a: Permission denied; check the place and its permissions, or choose another, {AGAIN}"),
        (OSError("odd\nand long"), f"odd; check the place and its permissions, or choose another, {AGAIN}"),
        (RecursionError("x"), f"an input is nested too deeply ({sys.getrecursionlimit():,} levels at most); simplify it, {AGAIN}"),
    ],
)  # fmt: skip
def test_what_is_denied_and_the_next_step(error: Exception, line: str) -> None:
    assert denial(error) == line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_interrupt_inside_alone(number: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # the tests themselves may run under nohup
    try:
        with pytest.raises(KeyboardInterrupt, match=r"^$"), signals_as_interrupt():
            signal.raise_signal(number)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_as_interrupt():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def shell(code: str, redirect: str) -> subprocess.CompletedProcess[str]:
    """Python in a shell that closes or redirects its streams."""
    words = ["bash", "-c", f'"{sys.executable}" -c "$0" {redirect}', code]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_stdout_is_an_error_that_names_it() -> None:
    code = """
from cropcam.pipeline.runtime.machine import flush_stdout
print("figures")
try:
    flush_stdout()
except OSError as error:
    raise SystemExit(f"{error.filename}: {error.strerror}")
"""
    done = shell(code, ">/dev/full")
    assert (done.returncode, done.stderr) == (1, "stdout: No space left on device\n")  # the interpreter's end is silent


def test_a_stderr_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    say("a note\n")
    assert capsys.readouterr().err == "a note\n"
    monkeypatch.setattr(machine.sys, "stderr", None)
    say("a note\n")
    with open("/dev/null") as unwritable:  # noqa: PTH123 - raises when it is written to
        monkeypatch.setattr(machine.sys, "stderr", unwritable)
        say("a note\n")
