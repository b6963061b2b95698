"""The loopback server: HTTP/1.1 with connections kept, errors as Google words them, faults where they were ordered."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import rasterio

from cropcam.pipeline import __version__
from cropcam.pipeline.emulator.access import Access
from cropcam.pipeline.emulator.block_reader import Reader
from cropcam.pipeline.emulator.byte_ranges import FileSlice
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.exports import PARTIAL, Exporter
from cropcam.pipeline.emulator.fault_injection import Fault, Faults
from cropcam.pipeline.emulator.file_responses import as_file_error, file_fault
from cropcam.pipeline.emulator.file_routes import Files
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.operations import Operations
from cropcam.pipeline.emulator.own_assets import OwnAssets
from cropcam.pipeline.emulator.profiling import REQUEST_HEADER, RESPONSE_HEADER, Profile
from cropcam.pipeline.emulator.quotas import RequestRate, Usage
from cropcam.pipeline.emulator.responses import Response, as_error, as_json, inject
from cropcam.pipeline.emulator.routes import Service, find
from cropcam.pipeline.emulator.routing import Request, Route
from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.errors import CropcamError, EarthEngineError
from cropcam.pipeline.runtime.atomic import exclusive_lock, remove

ENGINE_HEADER = "X-Cropcam-Engine"
_CACHE_BYTES = 256 * 2**20  # of GDAL, in all threads; its default is 5 % of the memory
_LOG = logging.getLogger(__name__)


class Server:
    """The embedded Earth Engine, serving from its creation to `stop`; a context manager."""

    def __init__(
        self,
        archive: Path,
        port: int,
        out: Path | None,
        faults: Faults,
        limits: Limits,
        access: Access | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        with ExitStack() as opening:
            self._http = opening.enter_context(_listen(port))
            self._out = out or Path(tempfile.mkdtemp(prefix="cropcam-earth-engine-"))
            if out is None:
                opening.callback(shutil.rmtree, self._out, ignore_errors=True)
            self._out.mkdir(parents=True, exist_ok=True)
            opening.enter_context(exclusive_lock(self._out / "operations"))
            remove(self._out / PARTIAL)
            assets = OwnAssets(self._out / "assets")
            engine, reader = Engine(archive, assets.folder), Reader()
            opening.callback(reader.close)
            files = Files(self._out, limits)
            exporter = Exporter(engine.image, reader, limits, self._out, files.drive, files.storage, faults, assets)
            usage = Usage(limits.eecu_day_s, limits.eecu_month_s)
            operations = Operations(self._out / "operations", exporter.run, limits, faults, usage)
            opening.callback(operations.close)
            service = Service(engine, reader, operations, limits, files, assets)
            self._http.open_for(service, faults, limits, access or Access(), usage, RequestRate(limits.requests_per_s, clock))
            self._open = opening.pop_all()
        self._thread = threading.Thread(target=self._serve, name="emulator", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens: "http://127.0.0.1:PORT"."""
        return self._http.url

    @property
    def out(self) -> Path:
        """Where exports land: drive/FOLDER, gs/BUCKET and assets/projects/P/assets."""
        return self._out

    def stop(self) -> None:
        """End every connection and task; a temporary folder of exports goes too."""
        self._http.shutdown()
        self._thread.join()
        self._http.hang_up()
        self._open.close()

    def wait(self) -> None:
        """Serve until interrupted."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def _serve(self) -> None:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
            self._http.serve_forever(poll_interval=0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _listen(port: int) -> _Http:
    try:
        return _Http(("127.0.0.1", port), _Handler)
    except OverflowError:
        raise EarthEngineError(f"port {port} is none; choose one between 1 and 65535, or 0 for any that is free") from None
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
        raise EarthEngineError(f"port {port} on 127.0.0.1 {reason}; choose another with --port, or 0 for any that is free") from None


class _Http(ThreadingHTTPServer):
    """A thread per connection; keeps its open sockets, to close them."""

    daemon_threads = True
    request_queue_size = 256

    def open_for(self, service: Service, faults: Faults, limits: Limits, access: Access, usage: Usage, rate: RequestRate) -> None:
        self.service, self.faults, self.limits, self.access = service, faults, limits, access
        self.usage, self.rate = usage, rate
        self.room = threading.Semaphore(limits.concurrent)
        self._sockets: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class
        self._sockets.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._sockets.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - as the base class
        _LOG.debug("connection ended", exc_info=True)

    def hang_up(self) -> None:
        for connection in self._sockets.copy():
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                _LOG.debug("connection was closed already")


class _Handler(BaseHTTPRequestHandler):
    """One connection: request after request."""

    protocol_version = "HTTP/1.1"
    server_version = f"cropcam-embedded/{__version__}"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 600
    server: _Http

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as the base class
        _LOG.debug(format, *args)

    def _serve(self) -> None:
        with ExitStack() as held:
            fault, route, profile = None, None, Profile()
            try:
                body = self._body()
                if self.path in {"/faults", "/access"}:
                    self._send(self._order(body))
                    return
                route, values, query = find(self.command, self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                account = self.server.access.account(headers, route.scopes, values.get("project", ""))
                request = Request(f"{self.server.url}/", values, query, _as_object(body), held, headers, account, profile)
                if route.is_counted:
                    self.server.rate.admit(request.project)
                fault = request.fault = self.server.faults.take(route.name)
                response = self._injected(route, request) or self._answer(route, request)
            except EngineError as error:
                response = as_file_error(error) if route and route.is_of_files else as_error(error)
            except CropcamError as error:
                response = as_error(EngineError(str(error), "FAILED_PRECONDITION"))
            except MemoryError:
                response = as_error(EngineError("User memory limit exceeded."))
            except Exception as error:  # noqa: BLE001 - one bad request ends no server
                _LOG.exception("%s %s", self.command, self.path)
                response = as_error(EngineError(f"Internal error in the embedded engine: {error!r}", "INTERNAL"))
            self._send(response, fault, profile)

    @staticmethod
    def _injected(route: Route, request: Request) -> Response | None:
        if route.is_of_files:
            return file_fault(request.fault)
        return inject(request.fault, project=request.project, name=request.path.get("name", ""))

    def _answer(self, route: Route, request: Request) -> Response:
        if not route.computes:
            return route.call(self.server.service, request)
        self.server.usage.check(request.project)
        if not self.server.room.acquire(blocking=False):
            raise TEXTS["busy"].error()
        request.held.callback(self.server.room.release)
        try:
            return route.call(self.server.service, request)
        finally:
            self.server.usage.add(request.project, sum(entry.eecu_s for entry in request.profile.entries))

    def _body(self) -> bytes:
        size = int(self.headers.get("Content-Length") or 0)
        most = self.server.limits.body_bytes
        if size > most:
            self.close_connection = True
            raise EngineError(f"Request payload size exceeds the limit: {most} bytes.")
        return self.rfile.read(size)

    def _order(self, body: bytes) -> Response:
        """Orders for faults and for the tokens that are let in."""
        faults, access = self.server.faults, self.server.access
        if not faults.is_open:
            raise EngineError("The embedded engine takes no orders for faults here.", "NOT_FOUND")
        orders: Faults | Access = faults if self.path == "/faults" else access
        if self.command == "POST":
            orders.order(json.loads(body))
        elif self.command == "DELETE":
            orders.clear()
        return as_json(faults.left() if orders is faults else access.granted())

    def _send(self, response: Response, fault: Fault | None = None, profile: Profile | None = None) -> None:
        kind = fault.kind if fault else ""
        if kind == "disconnect":
            self.close_connection = True
            return
        size = sum(len(part) for part in response.parts)
        self.send_response(response.code)
        self.send_header("Content-Type", response.media_type)
        self.send_header("Content-Length", str(size))
        self.send_header(ENGINE_HEADER, "embedded")
        for name, value in response.headers.items():
            self.send_header(name, value)
        if profile and profile.entries and self.headers.get(REQUEST_HEADER):
            self.send_header(RESPONSE_HEADER, self.server.service.engine.profiles.keep(profile))
        self.end_headers()
        left = size // 2 if kind == "truncate" else size
        for part in response.parts:
            if isinstance(part, FileSlice):
                part.send(self.connection, left)
            else:
                self.connection.sendall(part[: max(left, 0)])
            left -= len(part)
        self.close_connection = self.close_connection or kind == "truncate"


def _as_object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = json.loads(body)
    except ValueError as error:
        raise EngineError(f"Invalid JSON payload received: {error}.") from None
    if not isinstance(value, dict):
        raise EngineError("Invalid JSON payload received: it must be an object.")
    return value
