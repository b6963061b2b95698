"""Requests and routes as values."""

from __future__ import annotations

import pytest

from cropcam.pipeline.emulator.access import ENGINE_SCOPES
from cropcam.pipeline.emulator.responses import as_json
from cropcam.pipeline.emulator.routing import Request, make_route


@pytest.mark.parametrize(
    ("path", "project"),
    [({"project": "p"}, "p"), ({"name": "projects/q/operations/X"}, "q"), ({"name": "projects/r/assets/A"}, "r"), ({}, "")],
)
def test_a_path_names_the_project_that_a_request_counts_for(path: dict[str, str], project: str) -> None:
    assert Request("", path, {}, {}).project == project
    assert Request("", path, {}, {}, headers={"x-goog-user-project": "billed"}).project == "billed"


def test_a_route_is_found_by_its_pattern() -> None:
    route = make_route("x", "GET", "PROJECT/things/(?P<name>.+)", lambda _, request: as_json(request.path["name"]))
    match = route.pattern.fullmatch("projects/p/things/a/b")
    assert match is not None
    assert match.groupdict() == {"project": "p", "name": "a/b"}
    assert route.call(None, Request("", match.groupdict(), {}, {})).parts == (b'"a/b"',)
    assert (route.computes, route.is_counted, route.scopes, route.is_of_files) == (False, True, ENGINE_SCOPES, False)


@pytest.mark.parametrize(
    ("name", "is_of_files"), [("drive:list", True), ("gs:media", True), ("operations", False), ("value:compute", False)]
)
def test_the_routes_of_files_go_by_their_names(name: str, is_of_files: bool) -> None:
    assert make_route(name, "GET", "x", lambda *_: as_json({})).is_of_files is is_of_files
