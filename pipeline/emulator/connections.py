"""Connections of the engine: HTTP/1.1, kept from request to request, errors as Google words them, faults where they were ordered."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import ExitStack
from typing import Any, NoReturn

from cropcam.pipeline import __version__
from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.access import Access
from cropcam.pipeline.emulator.byte_ranges import FileSlice
from cropcam.pipeline.emulator.errors import EngineError, unwritable
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
from cropcam.pipeline.runtime.loopback_requests import LoopbackHandler, Refused, check_sender

ENGINE_HEADER = "X-Cropcam-Engine"
_STATUSES = {403: "PERMISSION_DENIED"}  # of requests that are refused unread; any other is an invalid argument
# nothing that the engine sends is a page: a browser is to run none of it
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
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


class _Handler(LoopbackHandler):
    """One connection: request after request."""

    server_version = f"cropcam-embedded/{__version__}"
    server: HttpServer

    def refuse(self, status: int, reason: str) -> None:
        """A request that is no HTTP."""
        self._send(_refusal(status, reason))

    def serve(self) -> None:
        """One request."""
        with ExitStack() as held:
            fault, route, profile, is_read = None, None, Profile(), False
            try:
                headers, is_order = self.plain_headers(), self.path in {"/faults", "/access"}
                if not is_order:
                    route, values, query = find(self.command, self.path)
                check_sender(headers, self.server.server_port, stranger_ok=route is not None and route.is_picture)
                body, is_read = self.body(self.server.limits.body_bytes), True
                if route is None:
                    self._send(self._order(body))
                    return
                account = self.server.access.account(headers, route.scopes, values.get("project", ""))
                request = Request(f"{self.server.url}/", values, query, _as_object(body), held, headers, account, profile)
                if route.is_counted:
                    self.server.rate.admit(request.project)
                fault = request.fault = self.server.faults.take(route.name)
                response = self._injected(route, request) or self._answer(route, request)
            except Refused as refused:
                response = _refusal(refused.status, refused.reason)
            except EngineError as error:
                response = as_file_error(error) if route and route.is_of_files else as_error(error)
            except CropcamError as error:
                response = as_error(EngineError(str(error), "FAILED_PRECONDITION"))
            except (ConnectionError, TimeoutError):  # of the client
                self.close_connection = True
                return
            except OSError as error:
                response = as_error(unwritable(error, "its folder of exports"))
            except MemoryError:
                response = as_error(TEXTS["memory"].error())
            except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
                _LOG.warning("%s %s: perhaps a bug", self.command, self.path, exc_info=True)
                response = as_error(EngineError(f"The embedded engine cannot answer this request: {error!r:.300}"))
            except Exception as error:  # noqa: BLE001 - one bad request ends no server
                _LOG.exception("%s %s", self.command, self.path)
                response = as_error(EngineError(f"Internal error in the embedded engine: {error!r}", "INTERNAL"))
            if not is_read:
                self.close_connection = True  # else what is left of a body is the next request, with headers of a stranger's choice
            self._send(response, fault, profile)

    @staticmethod
    def _injected(route: Route, request: Request) -> Response | None:
        if route.is_of_files:
            return file_fault(request.fault)
        return inject(request.fault, project=request.project, name=request.path.get("name", ""))

    def _answer(self, route: Route, request: Request) -> Response:
        if not route.computes:
            return self._timed(route, request)
        self.server.usage.check(request.project)
        if not self.server.room.acquire(blocking=False):
            raise TEXTS["busy"].error()
        request.held.callback(self.server.room.release)
        try:
            return self._timed(route, request)
        finally:
            self.server.usage.add(request.project, sum(entry.eecu_s for entry in request.profile.entries))

    def _timed(self, route: Route, request: Request) -> Response:
        with budget.limited(self.server.limits.interactive_s):
            return route.call(self.server.service, request)

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
        for name, value in (_SECURITY_HEADERS | dict(response.headers)).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        if profile and profile.entries and self.headers.get(REQUEST_HEADER):
            self.send_header(RESPONSE_HEADER, self.server.service.engine.profiles.keep(profile))
        self.end_headers()
        if self.command == "HEAD":
            return
        left = size // 2 if kind == "truncate" else size
        for part in response.parts:
            if isinstance(part, FileSlice):
                part.send(self.connection, left)
            else:
                self.connection.sendall(part[: max(left, 0)])
            left -= len(part)
        self.close_connection = self.close_connection or kind == "truncate"


def _refusal(status: int, reason: str) -> Response:
    return as_error(EngineError(reason, _STATUSES.get(status, "INVALID_ARGUMENT")))


def _as_object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise EngineError("Invalid JSON payload received: it is nested too deeply.") from None
    except ValueError as error:
        raise EngineError(f"Invalid JSON payload received: {error}.") from None
    if not isinstance(value, dict):
        raise EngineError("Invalid JSON payload received: it must be an object.")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
