"""Routes of requests."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.pipeline.emulator.access import ENGINE_SCOPES
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.routes import check_fault_routes, find
from cropcam.pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("method", "target", "name", "path"),
    [
        ("GET", "/v1/projects/p/algorithms", "algorithms", {"project": "p"}),
        ("GET", "/v1beta/projects/p/config", "config", {"project": "p"}),
        ("POST", "/v1alpha/projects/p/value:compute", "value:compute", {"project": "p"}),
        ("POST", "/v1/projects/p/image:computePixels", "image:computePixels", {"project": "p"}),
        ("POST", "/v1/projects/p/assets/A/B:getPixels", "getPixels", {"name": "projects/p/assets/A/B"}),
        ("GET", "/v1/projects/p/assets/A%2FB", "asset", {"name": "projects/p/assets/A/B"}),
        ("GET", "/v1/projects/p/assets/A:listImages", "listAssets", {"name": "projects/p/assets/A", "verb": "listImages"}),
        ("GET", "/v1/projects/p:listAssets", "listAssets", {"name": "projects/p", "verb": "listAssets"}),
        ("POST", "/v1/projects/p/image:export", "image:export", {"project": "p"}),
        ("GET", "/v1/projects/p/operations", "operations", {"project": "p"}),
        ("GET", "/v1/projects/p/operations/ABC", "operation", {"name": "projects/p/operations/ABC"}),
        ("POST", "/v1/projects/p/operations/ABC:cancel", "cancel", {"name": "projects/p/operations/ABC"}),
        ("POST", "/v1/projects/p/operations/ABC:wait", "wait", {"name": "projects/p/operations/ABC"}),
        ("POST", "/v1/projects/p/thumbnails", "maps", {"project": "p", "kind": "thumbnails"}),
        ("GET", "/v1/projects/p/maps/M/tiles/3/1/2", "tiles", {"name": "projects/p/maps/M", "z": "3", "x": "1", "y": "2"}),
        ("GET", "/v1/projects/p/thumbnails/T:getPixels", "thumbnail", {"name": "projects/p/thumbnails/T"}),
        ("POST", "/v1/projects/p/table:export", "unknown", {"project": "p", "verb": "table:export"}),
        ("GET", "/%24discovery/rest", "discovery", {}),
    ],
)
def test_each_path_has_its_route(method: str, target: str, name: str, path: dict[str, Any]) -> None:
    route, found, query = find(method, target)
    assert (route.name, found, query) == (name, path, {})


def test_a_query_is_decoded_and_the_last_value_counts() -> None:
    assert find("GET", "/v1/projects/p/operations?pageSize=2&pageSize=3&filter=a%3D1")[2] == {"pageSize": "3", "filter": "a=1"}


def test_only_computations_count_as_concurrent_requests() -> None:
    paths = (("POST", "value:compute"), ("POST", "image:computePixels"), ("GET", "operations"), ("POST", "image:export"), ("GET", "config"))
    assert [find(method, f"/v1/projects/p/{path}")[0].computes for method, path in paths] == [True, True, False, False, False]


def test_maps_and_the_description_of_the_api_need_no_token() -> None:
    free = ["/v1/projects/p/maps/M/tiles/3/1/2", "/v1/projects/p/thumbnails/T:getPixels", "/$discovery/rest"]
    assert [find("GET", path)[0].scopes for path in free] == [()] * 3
    assert all(find("GET", f"/v1/projects/p/{path}")[0].scopes == ENGINE_SCOPES for path in ("config", "algorithms", "operations"))
    assert [find("GET", path)[0].is_counted for path in free] == [True, True, False]


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/v2/projects/p/config"), ("GET", "/projects/p/config"), ("PUT", "/v1/projects/p/config")]
)
def test_other_versions_and_methods_are_refused(method: str, target: str) -> None:
    with pytest.raises(EngineError, match=f"does not answer {method} {target}") as refused:
        find(method, target)
    assert refused.value.status == "NOT_FOUND"


def test_a_path_without_a_route_is_named() -> None:
    with pytest.raises(EngineError, match="does not answer GET /v1/nothing"):
        find("GET", "/v1/nothing")


def test_a_fault_of_a_route_that_is_none_is_refused() -> None:
    check_fault_routes(["*", "operations", "export:run", "request_id:same", "drive:list", "gs:media", "discovery"])
    with pytest.raises(ConfigError, match=r"a fault of route 'operations:list' never strikes; choose one of .*operations"):
        check_fault_routes(["operations", "operations:list"])
