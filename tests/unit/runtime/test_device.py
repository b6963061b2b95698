"""The device of a command and its memory."""

from __future__ import annotations

import pytest
import torch

from cropcam.model.runtime import device
from cropcam.model.runtime.device import choose, deterministic, environment, resolve_precision
from cropcam.pipeline.errors import ConfigError


def test_a_cpu_keeps_freed_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(device, "keep_freed_memory", lambda *sizes, heap_bytes: calls.append((sizes, heap_bytes)))
    assert choose("cpu") == torch.device("cpu")
    assert calls == [((1 << 28, 1 << 25), 1 << 30)]


def test_a_missing_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"--device cuda: this machine has no usable GPU"):
        choose("cuda")
    assert choose("auto").type == "cpu"


def test_the_precision_follows_the_setting_or_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    cpu = torch.device("cpu")
    assert [resolve_precision(setting, cpu) for setting in ("fp32", "bf16", "auto")] == ["fp32", "bf16", "fp32"]
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert resolve_precision("auto", cpu) == "bf16"


def test_deterministic_algorithms_end_with_the_block() -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with deterministic(torch.device("cpu"), True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    after = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    assert after == before


def test_the_environment_names_versions_and_device() -> None:
    values = environment(torch.device("cpu"))
    assert (values["torch"], values["device"], values["threads"]) == (torch.__version__, "cpu", torch.get_num_threads())
    assert "hostname" not in values
