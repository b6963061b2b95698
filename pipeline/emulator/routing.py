"""A request as a handler receives it, and the route that leads to the handler."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from cropcam.pipeline.emulator.access import ANONYMOUS, ENGINE_SCOPES, PROJECT_HEADER, Account
from cropcam.pipeline.emulator.fault_injection import Fault
from cropcam.pipeline.emulator.profiling import Profile
from cropcam.pipeline.emulator.requests import Json
from cropcam.pipeline.emulator.responses import Response


@dataclass
class Request:
    """One request: groups of the path's pattern, the query, the body, resources held until the response is sent, its costs.

    `headers` have their names in lower case; `account` is that of the token, already checked against the route's scopes;
    `fault` is one that the handler carries out.
    """

    root_url: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Json
    held: ExitStack = field(default_factory=ExitStack)
    headers: Mapping[str, str] = field(default_factory=dict)
    account: Account = ANONYMOUS
    profile: Profile = field(default_factory=Profile)
    fault: Fault | None = None

    @property
    def project(self) -> str:
        """The project that the request counts for: that of the header, else that of the path; "" for none."""
        return self.headers.get(PROJECT_HEADER) or project_of(self.path)


@dataclass(frozen=True)
class Route:
    """One method of the API."""

    name: str
    method: str
    pattern: re.Pattern[str]
    call: Callable[[Any, Request], Response]
    computes: bool = False  # counts as one of the concurrent requests, and against the EECU of a day
    is_counted: bool = True  # against the requests of a second
    scopes: tuple[str, ...] = ENGINE_SCOPES  # one of which a token needs; empty: open to anyone

    @property
    def is_picture(self) -> bool:
        """Whether pages of other sites may show it: tiles and thumbnails, whose names are known to none but who made them."""
        return self.computes and not self.scopes

    @property
    def is_of_files(self) -> bool:
        """Whether it is one of Drive or Cloud Storage, whose errors are written otherwise."""
        return self.name.startswith(("drive:", "gs:"))


def make_route(
    name: str,
    method: str,
    pattern: str,
    call: Callable[[Any, Request], Response],
    *,
    computes: bool = False,
    is_counted: bool = True,
    scopes: tuple[str, ...] = ENGINE_SCOPES,
) -> Route:
    """A route whose pattern may hold the word PROJECT for "projects/ID"."""
    compiled = re.compile(pattern.replace("PROJECT", r"projects/(?P<project>[^/]+)"))
    return Route(name, method, compiled, call, computes, is_counted, scopes)


def project_of(path: Mapping[str, str]) -> str:
    """The project that a path names, by its groups; "" for none."""
    return path.get("project") or path.get("name", "").removeprefix("projects/").partition("/")[0]
