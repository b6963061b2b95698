"""What every test shares. pyproject.toml puts this folder on pytest's path, so that tests can say `from support.stores import make_store`."""

from __future__ import annotations

import os

# One thread per process: tests run side by side, and small tensors lose more to waking threads than they win. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import socket
from typing import Any

import pytest
from hypothesis import settings

# Cores are shared: a slow example is no failure. Half of hypothesis's usual examples: laws are tried anew in every run, and the whole suite has ten minutes.
settings.register_profile("shared", deadline=None, max_examples=50)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Refuse every connection that leaves this machine, except in live tests."""
    if request.node.get_closest_marker("live"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if self.family in (socket.AF_INET, socket.AF_INET6) and not (host == "localhost" or host.startswith("127.") or host == "::1"):
            raise RuntimeError(f"a test tried to connect to {host}; tests open no connection but loopback")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
