"""The map page over HTTP on loopback: token, Host, Origin, methods, paths that try to leave, ports, and the command from its start to Ctrl-C."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cropcam.cli import main
from cropcam.pipeline.maps.view.scenes import of_map, with_store
from cropcam.pipeline.maps.view.server import View
from support.views import Artefacts, make_artefacts

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    return make_artefacts(tmp_path_factory.mktemp("view"))


@pytest.fixture(scope="module")
def view(artefacts: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    with View(with_store(of_map(artefacts.map), artefacts.opened(), tmp_path_factory.mktemp("cache"))) as found:
        yield found


def ask(
    view: View, target: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", view.port, timeout=60)
    try:
        connection.putrequest(method, target, skip_host="Host" in headers)
        for name, value in {**headers, **({"Content-Length": str(len(body))} if body else {})}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders((body or "").encode())
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_with_the_token_the_page_and_its_parts_are_answered(view: View) -> None:
    for name, media_type in (
        ("", "text/html"),
        ("main.js", "text/javascript"),
        ("leaflet.css", "text/css"),
        ("scene.json", "application/json"),
    ):
        status, headers, content = ask(view, f"/{view.token}/{name}")
        assert (status, headers.get_content_type(), int(headers["Content-Length"])) == (200, media_type, len(content))
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert not [key for key in headers if key.lower().startswith("access-control")]
        status, headers, content = ask(view, f"/{view.token}/{name}", "HEAD")
        assert (status, content) == (200, b"")
        assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize("target", ["/", "/scene.json", "/wrong/scene.json", "/TOKEN", "/%54OKEN/scene.json", "/TOKENx/"])
def test_without_the_token_nothing_is_answered(view: View, target: str) -> None:
    changed = view.token if "%" not in target else view.token[1:]
    status, _, content = ask(view, target.replace("OKEN" if "%" in target else "TOKEN", changed))
    assert (status, content) == (403, b"this address has no valid token: use the one that cropcam view printed\n")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "169.254.169.254", "127.0.0.1:1"])
def test_another_host_is_refused(view: View, host: str) -> None:
    assert ask(view, f"/{view.token}/", Host=host)[0] == 403


@pytest.mark.parametrize("first", [True, False])
def test_two_hosts_are_none(view: View, first: bool) -> None:
    hosts = [f"127.0.0.1:{view.port}", "evil.example"][:: 1 if first else -1]
    with socket.create_connection(("127.0.0.1", view.port), timeout=60) as connection:
        connection.sendall(f"GET /{view.token}/ HTTP/1.1\r\nHost: {hosts[0]}\r\nHost: {hosts[1]}\r\nConnection: close\r\n\r\n".encode())
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 403 ")


def test_another_sites_page_is_refused(view: View) -> None:
    target = f"/{view.token}/scene.json"
    assert ask(view, target, Origin="https://evil.example")[0] == 403
    assert ask(view, target, Origin="null")[0] == 403
    assert ask(view, target, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert ask(view, target, Origin=f"http://127.0.0.1:{view.port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(view: View, method: str) -> None:
    status, headers, content = ask(view, f"/{view.token}/scene.json", method, "body")
    assert (status, headers["Allow"], headers["Connection"]) == (405, "GET, HEAD", "close")
    assert b"only GET and HEAD" in content
    assert "DENY" in headers["X-Frame-Options"]


@pytest.mark.parametrize(
    "rest",
    [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "....//etc/passwd",
        "//etc/passwd",
        "leaflet.js/../../x",
        "leaflet.js.map",
        "tiles/../../map/9/0/0.png",
        "tiles/%2e%2e/9/0/0.png",
        "tiles/classes/9/../0/0.png",
        "tiles/classes%00/9/0/0.png",
        "tiles/nothing/9/0/0.png",
        "areas/..%2fclasses.json",
        "map.tif",
        "server.py",
        "page.html",
    ],
)
def test_no_path_leaves_the_page(view: View, rest: str) -> None:
    assert ask(view, f"/{view.token}/{rest}")[::2] == (404, b"no such address\n")


def test_a_request_that_is_no_http_gets_one_line(view: View) -> None:
    with socket.create_connection(("127.0.0.1", view.port), timeout=60) as connection:
        connection.sendall(b"nonsense of four words\r\n\r\n")
        answer = connection.makefile("rb").read()
    head, _, line = answer.partition(b"\r\n\r\n")
    assert (head[:13], line) == (b"HTTP/1.1 400 ", b"Bad request version ('words')\n")


def test_many_tiles_at_once_are_whole(view: View) -> None:
    layers = [layer.id for layer in view.scene.layers]

    def tile(name: str) -> bytes:
        return ask(view, f"/{view.token}/tiles/{name}/{view.scene.min_zoom}/0/0.png")[2]

    with ThreadPoolExecutor(8) as pool:
        assert {content[:8] for content in pool.map(tile, layers * 4)} == {b"\x89PNG\r\n\x1a\n"}


def test_a_map_that_went_away_is_one_line(artefacts: Artefacts, tmp_path: Path) -> None:

    shutil.copy(artefacts.map, tmp_path / "gone.tif")
    with View(of_map(tmp_path / "gone.tif")) as view:
        (tmp_path / "gone.tif").unlink()
        status, _, content = ask(view, f"/{view.token}/tiles/classes/{view.scene.min_zoom}/0/0.png")
    assert (status, content.count(b"\n")) == (500, 1)
    assert content.startswith(b"gone.tif: is gone since the page was opened")
    assert str(tmp_path).encode() not in content


def test_a_port_in_use_is_one_line(artefacts: Artefacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["view", str(artefacts.store), "--port", str(port), "--cache", str(tmp_path)]) == 2
    assert not list(tmp_path.iterdir())  # refused before quick looks are made
    assert (
        capsys.readouterr().err == f"cropcam: port {port} on 127.0.0.1 is in use; choose another with --port, or 0 for any that is free\n"
    )


def test_the_command_prints_its_address_serves_and_ends_with_ctrl_c(artefacts: Artefacts, tmp_path: Path) -> None:
    # a shell that starts the tests in the background has them, and so this process, ignore SIGINT
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\nimport sys; from cropcam import cli; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "view", str(artefacts.store), "--cache", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        killer = threading.Timer(120, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(f"{url}scene.json", timeout=60) as answer:  # noqa: S310 - the address that was printed
                assert json.loads(answer.read())["kind"] == "store"
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            killer.cancel()
            process.kill()
