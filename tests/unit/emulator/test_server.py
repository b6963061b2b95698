"""The engine as a server: its parts, its folder, its end."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cropcam.pipeline.emulator.fault_injection import Faults
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.server import Server
from cropcam.pipeline.errors import DataError


def test_a_temporary_export_folder_ends_with_the_server(archive: Path, tmp_path: Path) -> None:
    with Server(archive, 0, None, Faults(), Limits()) as server:
        assert server.out.is_dir()
    assert not server.out.exists()
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial/left.tif").touch()
    with Server(archive, 0, tmp_path, Faults(), Limits()) as server:
        assert server.out == tmp_path
        assert not (tmp_path / ".partial").exists()
    assert tmp_path.is_dir()


def test_a_server_ends_its_connections_and_frees_its_port_and_folder(archive: Path, tmp_path: Path) -> None:
    server = Server(archive, 0, tmp_path, Faults(), Limits())
    with pytest.raises(DataError, match="another process is writing it"):
        Server(archive, 0, tmp_path, Faults(), Limits())
    host, _, port = urlsplit(server.url).netloc.partition(":")
    with socket.create_connection((host, int(port)), 20) as kept:
        kept.sendall(f"GET /v1/projects/p/config HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n\r\n".encode())
        assert kept.recv(12) == b"HTTP/1.1 200"
        server.stop()
        while kept.recv(4096):
            pass
    Server(archive, int(port), tmp_path, Faults(), Limits()).stop()
