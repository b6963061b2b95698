"""What is decided of the machine before anything runs there."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
import torch

from cropcam.model.runtime.device import choose
from cropcam.pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("newest", "asked"), [(True, [(-3, 1 << 28), (-1, 1 << 30)]), (False, [(-3, 1 << 28), (-3, 1 << 25), (-1, 1 << 30)])]
)
def test_freed_buffers_stay_with_the_process(monkeypatch: pytest.MonkeyPatch, newest: bool, asked: list[tuple[int, int]]) -> None:
    """An older glibc takes no more than 32 MiB for the first, and the second alone would do harm."""
    told: list[tuple[int, int]] = []

    class Library:
        @staticmethod
        def mallopt(what: int, value: int) -> int:
            told.append((what, value))
            return int(newest or (value <= 1 << 30 and (what == -1 or value <= 1 << 25)))

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Library)
    assert choose("cpu") == torch.device("cpu")
    assert told == asked


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in (object(), OSError("no such library")):

        def load(_name: Any, found: object = library) -> object:
            if isinstance(found, OSError):
                raise found
            return found

        monkeypatch.setattr(ctypes, "CDLL", load)
        assert choose("cpu") == torch.device("cpu")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"--device cuda: this machine has no usable GPU"):
        choose("cuda")
    assert choose("auto").type == "cpu"
