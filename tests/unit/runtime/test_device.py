"""The device of a command and its memory."""

from __future__ import annotations

import pytest
import torch

from cropcam.model.runtime import device
from cropcam.model.runtime.device import choose
from cropcam.pipeline.errors import ConfigError


def test_a_processor_keeps_freed_buffers_of_any_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(device, "keep_freed_memory", lambda *sizes, heap_bytes: calls.append((sizes, heap_bytes)))
    assert choose("cpu") == torch.device("cpu")
    assert calls == [((1 << 28, 1 << 25), 1 << 30)]


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"--device cuda: this machine has no usable GPU"):
        choose("cuda")
    assert choose("auto").type == "cpu"
