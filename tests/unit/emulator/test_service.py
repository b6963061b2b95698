"""Handlers of requests; most of them are met over HTTP in tests/integration/test_emulator_server.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.emulator.block_reader import Reader
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import Fault, Faults
from cropcam.pipeline.emulator.file_routes import Files
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.operations import Operations
from cropcam.pipeline.emulator.own_assets import OwnAssets
from cropcam.pipeline.emulator.responses import Response
from cropcam.pipeline.emulator.routing import Request
from cropcam.pipeline.emulator.service import Service

LIMITS = Limits(batch_tasks=0, page=2)  # no task ever starts


@pytest.fixture
def service(archive: Path, tmp_path: Path) -> Iterator[Service]:
    assets, reader = OwnAssets(tmp_path / "assets"), Reader(workers=1)
    operations = Operations(tmp_path / "operations", lambda *_: [], LIMITS, Faults())
    yield Service(Engine(archive, assets.folder), reader, operations, LIMITS, Files(tmp_path, LIMITS), assets)
    operations.close()
    reader.close()


def request(body: dict[str, Any] | None = None, fault: Fault | None = None, query: dict[str, str] | None = None, **path: str) -> Request:
    return Request("http://127.0.0.1/", {"project": "p", **path}, query or {}, body or {}, fault=fault)


def found(response: Response) -> Any:
    (part,) = response.parts
    assert isinstance(part, bytes)
    return json.loads(part)


def export(service: Service, name: str) -> str:
    options = {"driveDestination": {"filenamePrefix": name}}
    body = {"expression": {"result": "0", "values": {}}, "description": name, "fileExportOptions": options}
    return str(found(service.export(request(body)))["name"])


def test_a_projects_config_names_it_and_its_tasks_at_once(service: Service) -> None:
    assert found(service.config(request())) == {
        "name": "projects/p/config",
        "registrationState": "REGISTERED_NOT_COMMERCIALLY",
        "maxConcurrentExports": 0,
    }


def test_operations_come_in_pages_of_the_limit_at_most(service: Service) -> None:
    names = [export(service, f"n{number}") for number in range(3)]
    first = found(service.list_operations(request(query={"pageSize": "500"})))
    second = found(service.list_operations(request(query={"pageToken": first["nextPageToken"]})))
    assert [[entry["name"] for entry in page["operations"]] for page in (first, second)] == [names[:0:-1], names[:1]]


def test_a_fault_reaches_the_operations_that_carry_it_out(service: Service) -> None:
    name = export(service, "one")
    odd = Fault("operation", "state", state="QUEUED_FOR_REVIEW")
    assert found(service.operation(request(fault=odd, name=name)))["metadata"]["state"] == "QUEUED_FOR_REVIEW"
    assert found(service.list_operations(request(fault=Fault("operations", "late")))) == {"operations": []}
    assert found(service.cancel(request(name=name))) == {}
    with pytest.raises(EngineError, match="has ended and can not be cancelled"):
        service.cancel(request(name=name))


def test_a_value_counts_its_cost(service: Service) -> None:
    asked = request({"expression": {"result": "0", "values": {"0": {"constantValue": 7}}}})
    assert found(service.compute_value(asked)) == {"result": 7}
    assert sum(entry.eecu_s for entry in asked.profile.entries) > 0


def test_other_methods_are_refused_by_name(service: Service) -> None:
    with pytest.raises(EngineError, match="The method table:export is not implemented by the embedded engine"):
        service.unknown(request(verb="table:export"))
    with pytest.raises(EngineError, match="Invalid timeout: write seconds"):
        service.wait(request({"timeout": "soon"}, name="projects/p/operations/X"))
