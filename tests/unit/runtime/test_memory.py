"""Memory: the thresholds that glibc gets."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from cropcam.pipeline.runtime.memory import keep_freed_memory


class Library:
    """A C library whose mallopt accepts buffer thresholds up to a limit."""

    def __init__(self, limit: int) -> None:
        self.limit, self.calls = limit, list[tuple[int, int]]()

    def mallopt(self, parameter: int, value: int) -> int:
        self.calls.append((parameter, value))
        return int(parameter == -1 or value <= self.limit)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (1 << 28, [(-3, 1 << 28), (-1, 1 << 30)]),
        (1 << 25, [(-3, 1 << 28), (-3, 1 << 25), (-1, 1 << 30)]),
        (1, [(-3, 1 << 28), (-3, 1 << 25)]),
    ],
)
def test_the_first_accepted_threshold_counts(monkeypatch: pytest.MonkeyPatch, limit: int, expected: list[tuple[int, int]]) -> None:
    library = Library(limit)
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    keep_freed_memory(1 << 28, 1 << 25, heap_bytes=1 << 30)
    assert library.calls == expected


@pytest.mark.parametrize("library", [object(), OSError("no such library")])
def test_another_c_library_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    def load(_name: str | None) -> object:
        if isinstance(library, OSError):
            raise library
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)
    keep_freed_memory(1 << 25, heap_bytes=1 << 26)


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted on Linux")
def test_a_freed_buffer_costs_no_page_faults_when_used_again() -> None:
    code = """
import ctypes, resource, sys
from cropcam.pipeline.runtime.memory import keep_freed_memory
try:
    ctypes.CDLL(None).gnu_get_libc_version
except AttributeError:
    sys.exit(77)
keep_freed_memory(1 << 25, heap_bytes=1 << 26)
bytearray(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8): bytearray(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if process.returncode == 77:
        pytest.skip("no glibc")
    assert int(process.stdout) < 4096  # a fresh mapping of 16 MiB costs 4096
