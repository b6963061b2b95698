"""A task that the service forgot: its files, or the asset, are looked for at the destination."""

from __future__ import annotations

from collections.abc import Iterator

import ee
import pytest

from cropcam.pipeline.earthengine.destinations import Asset, CloudStorage, Drive
from cropcam.pipeline.earthengine.error_messages import Backoff
from cropcam.pipeline.earthengine.manifest import Entry
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.earthengine.session import Session, open_session
from cropcam.pipeline.emulator import Fault, Faults, Server
from cropcam.pipeline.fetch.arrived import arrived_at
from support.exports import STUDY

DESTINATIONS = pytest.mark.parametrize(
    ("destination", "folder"), [(Drive("maps"), "drive/maps"), (CloudStorage("bucket-1", "a"), "gs/bucket-1/a")]
)


@pytest.fixture
def session(server: Server) -> Iterator[Session]:
    yield open_session("my-project", server.url, backoff=Backoff(attempts=2, sleep=lambda _: None), client_retries=0)
    ee.Reset()


def made(destination: Drive | CloudStorage | Asset) -> Plan:
    return plan(STUDY, destination, cell_px=256)


@DESTINATIONS
def test_files_are_found_by_name_and_all_of_a_task_have_to_be_there(
    destination: Drive | CloudStorage, folder: str, server: Server, session: Session
) -> None:
    task, entry = made(destination).tasks[0], Entry("key")
    look = arrived_at(destination, session)
    place = server.out / folder
    place.mkdir(parents=True)
    (place / f"{task.name}x.tif").write_bytes(b"another")
    assert look(task, entry) is False
    (place / f"{task.name}.tif").write_bytes(b"it")
    assert look(task, entry) is True


def test_a_place_that_cannot_be_looked_into_is_no_answer(server: Server, session: Session, faults: Faults) -> None:  # noqa: ARG001
    faults.order([vars(Fault("drive:list", "status", status=403, reason="insufficientPermissions", count=20))])
    assert arrived_at(Drive("maps"), session)(made(Drive("maps")).tasks[0], Entry("key")) is None


def test_an_asset_is_asked_for(server: Server, session: Session) -> None:  # noqa: ARG001
    destination = Asset("map")
    look = arrived_at(destination, session)
    assert look(made(destination).tasks[0], Entry("key")) is False
    ee.data.createAsset({"type": "FOLDER"}, "projects/my-project/assets/map")
    assert look(made(destination).tasks[0], Entry("key")) is True
