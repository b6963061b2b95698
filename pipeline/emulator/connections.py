"""Connections of the engine: HTTP/1.1, kept from request to request, errors as Google words them, faults where they were ordered."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from typing import Any

from cropcam.pipeline import __version__
from cropcam.pipeline.emulator.access import Access
from cropcam.pipeline.emulator.byte_ranges import FileSlice
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import Fault, Faults
from cropcam.pipeline.emulator.file_responses import as_file_error, file_fault
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.profiling import REQUEST_HEADER, RESPONSE_HEADER, Profile
from cropcam.pipeline.emulator.quotas import RequestRate, Usage
from cropcam.pipeline.emulator.responses import Response, as_error, as_json, inject
from cropcam.pipeline.emulator.routes import check_fault_routes, find
from cropcam.pipeline.emulator.routing import Request, Route
from cropcam.pipeline.emulator.service import Service
from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.errors import CropcamError, EarthEngineError
from cropcam.pipeline.runtime import loopback
from cropcam.pipeline.runtime.loopback import LoopbackServer

ENGINE_HEADER = "X-Cropcam-Engine"
_LOG = logging.getLogger(__name__)


def listen(port: int) -> HttpServer:
    """A server on a port of 127.0.0.1, 0 for any that is free; it answers once `open_for` was called.

    Raises:
        EarthEngineError: the port is taken, or none.
    """
    return loopback.listen(HttpServer, _Handler, port, EarthEngineError)


class HttpServer(LoopbackServer):
    """The engine's server."""

    def open_for(self, service: Service, faults: Faults, limits: Limits, access: Access, usage: Usage, rate: RequestRate) -> None:
        """Take what requests are answered with."""
        self.service, self.faults, self.limits, self.access = service, faults, limits, access
        self.usage, self.rate = usage, rate
        self.room = threading.Semaphore(limits.concurrent)


class _Handler(BaseHTTPRequestHandler):
    """One connection: request after request."""

    protocol_version = "HTTP/1.1"
    server_version = f"cropcam-embedded/{__version__}"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 600
    server: HttpServer

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
                response = as_error(TEXTS["memory"].error())
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
            described = json.loads(body)
            if orders is faults:
                check_fault_routes(str(entry.get("route", "*")) for entry in described)
            orders.order(described)
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
