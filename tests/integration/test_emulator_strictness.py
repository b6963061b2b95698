"""Operations, identity and quotas of the embedded engine, as the unmodified client meets them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ee
import ee.deprecation
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import InvalidOperation, RefreshError
from google.oauth2.credentials import Credentials

from cropcam.pipeline.emulator import Access, Account, Fault, Faults, Limits, Server, serve
from cropcam.pipeline.emulator.access import CLOUD, DRIVE, EARTH_ENGINE
from support import scenes

WAITING = Limits(batch_tasks=0)  # no task ever starts


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def engine(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Starts an engine and the client of this process with it."""
    monkeypatch.setattr(ee.deprecation, "_FetchDataCatalogStac", dict)

    @contextmanager
    def start(token: str = "", **options: Any) -> Iterator[Server]:
        with serve(archive, out=tmp_path / "engine", **options) as server:
            connect(server, token)
            yield server

    yield start
    ee.Reset()


def connect(server: Server, token: str = "") -> None:
    ee.Reset()
    ee.data.setMaxRetries(0)
    ee.Initialize(Credentials(token) if token else AnonymousCredentials(), url=server.url, project="my-project")  # type: ignore[no-untyped-call]


class Renewable(Credentials):
    """A login whose token ends and is followed by another."""

    def refresh(self, request: object) -> None:  # noqa: ARG002 - as the base class
        self.token = "new"  # noqa: S105 - made up


def request(prefix: str = "image", **more: Any) -> dict[str, Any]:
    place = {"driveDestination": {"folder": "crops", "filenamePrefix": prefix}}
    options = {"fileFormat": "GEO_TIFF", **place}
    return {"expression": ee.Image(1).toByte(), "description": prefix, "fileExportOptions": options, "grid": grid(), **more}


def grid(**changes: Any) -> dict[str, Any]:
    affine = {"scaleX": 30, "shearX": 0, "translateX": 500_000, "shearY": 0, "scaleY": -30, "translateY": 4_500_000}
    return {"dimensions": {"width": 8, "height": 6}, "affineTransform": affine, "crsCode": "EPSG:32616", **changes}


def start(request_id: str, **more: Any) -> str:
    return str(ee.data.exportImage(request_id, request(**more))["name"])


def ended(name: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while not (operation := ee.data.getOperation(name)).get("done"):
        assert time.monotonic() < until, operation
        time.sleep(0.02)
    return dict(operation)


def states() -> dict[str, str]:
    return {str(operation["name"]): str(operation["metadata"]["state"]) for operation in ee.data.listOperations()}


def test_a_request_id_is_the_same_operation_or_an_error(engine: Callable[..., Any]) -> None:
    with engine(
        limits=WAITING,
        faults=Faults.of(Fault("request_id:other", "other_request", after=1), Fault("request_id:same", "same_request", after=1)),
    ):
        name = start("id-1")
        assert start("id-1") == name
        with pytest.raises(ee.EEException, match="A different Operation was already started with the given request_id"):
            start("id-1", priority={"value": 7})
        with pytest.raises(ee.EEException, match="not byte for byte identical"):
            start("id-1", maxPixels={"value": "10000000000"})
        with pytest.raises(ee.EEException, match="already exists"):
            start("id-1")
        assert list(states()) == [name]


def test_a_request_whose_answer_was_lost_has_started_its_task(engine: Callable[..., Any]) -> None:
    with engine(limits=WAITING, faults=Faults.of(Fault("image:export", "disconnect"))):
        with pytest.raises((ee.EEException, OSError), match=r".+"):
            start("id-1")
        (name,) = states()
        assert start("id-1") == name


def test_the_list_is_paged_late_and_shows_other_users(engine: Callable[..., Any]) -> None:
    access = Access({"me": Account("me@p"), "you": Account("you@p")})
    late = Fault("operations", "late", after=2)  # of two pages
    with engine("me", limits=Limits(batch_tasks=0, page=2), access=access, faults=Faults.of(late)) as server:
        mine = [start(f"id-{number}") for number in range(3)]
        assert list(states()) == mine[::-1]
        new = start("id-3")
        assert list(states()) == mine[::-1]
        assert ee.data.getOperation(new)["metadata"]["state"] == "PENDING"
        connect(server, "you")
        theirs = start("id-3")
        assert theirs != new
        assert set(states()) == {*mine, new, theirs}


def test_an_active_operation_may_be_unknown_for_a_moment_or_in_an_unknown_state(engine: Callable[..., Any]) -> None:
    odd = Fault("operations", "state", state="QUEUED_FOR_REVIEW")
    with engine(limits=WAITING, faults=Faults.of(Fault("operation", "no_operation"), odd)):
        name = start("id-1")
        with pytest.raises(ee.EEException, match="not found"):
            ee.data.getOperation(name)
        assert ee.data.getOperation(name)["metadata"]["state"] == "PENDING"
        assert states() == {name: "QUEUED_FOR_REVIEW"}


def test_ended_operations_are_forgotten_on_order(engine: Callable[..., Any]) -> None:
    with engine(faults=Faults.of(Fault("operations", "forget", after=1))):
        name = start("id-1")
        assert ended(name)["metadata"]["state"] == "SUCCEEDED"
        assert states() == {name: "SUCCEEDED"}
        assert states() == {}
        with pytest.raises(ee.EEException, match="not found"):
            ee.data.getOperation(name)


def test_an_operation_that_has_ended_can_not_be_cancelled(engine: Callable[..., Any]) -> None:
    with engine(faults=Faults.of(Fault("export:run", "slow", seconds=0.2), Fault("cancel", "ends"))):
        name = start("id-1")
        for _ in range(2):
            with pytest.raises(ee.EEException, match="has ended and can not be cancelled"):
                ee.data.cancelOperation(name)
        assert states() == {name: "SUCCEEDED"}


def test_a_token_opens_the_service_and_a_wrong_one_does_not(engine: Callable[..., Any]) -> None:
    access = Access(
        {
            "good": Account("me@p", projects=("my-project",)),
            "narrow": Account("me@p", scopes=(EARTH_ENGINE, CLOUD)),
            "drive": Account("me@p", scopes=(DRIVE,)),
            "other": Account("me@p", projects=("theirs",)),
        }
    )
    with engine("good", access=access, limits=WAITING) as server:
        assert ee.Number(2).add(3).getInfo() == 5
        start("id-1")
        connect(server, "narrow")
        with pytest.raises(ee.EEException, match="Request had insufficient authentication scopes"):
            start("id-2")  # to Drive
        with pytest.raises(ee.EEException, match="Request had insufficient authentication scopes"):
            connect(server, "drive")
        with pytest.raises(
            ee.EEException, match=r"required permission to use project my-project\. Grant the caller the roles/serviceusage"
        ):
            connect(server, "other")


def test_an_expired_token_is_renewed_where_that_can_be(engine: Callable[..., Any]) -> None:
    access = Access({"old": Account("me@p"), "new": Account("me@p")})
    with engine("old", access=access, limits=WAITING) as server:
        renewable = Renewable("old")
        ee.Initialize(renewable, url=server.url, project="my-project")
        start("id-1")
        access.expire("old")
        assert start("id-1") == start("id-1")  # with the new token, of the same account
        assert renewable.token == "new"  # noqa: S105 - made up
        with pytest.raises(RefreshError, match="do not contain the necessary fields need to refresh"):
            connect(server, "old")
        with pytest.raises(InvalidOperation, match="Anonymous credentials cannot be refreshed"):
            connect(server)


def test_a_service_account_fails_on_drive_after_the_compute_and_not_in_a_bucket(engine: Callable[..., Any]) -> None:
    access = Access({"robot": Account("robot@p", "service_account")})
    with engine("robot", access=access) as server:
        failed = ended(start("id-1"))
        assert failed["error"]["message"].startswith("Service Accounts do not have storage quota")
        assert failed["metadata"]["batchEecuUsageSeconds"] >= 0
        assert not list((server.out / "drive").rglob("*.tif"))
        bucket = {"cloudStorageDestination": {"bucket": "crops", "filenamePrefix": "image"}}
        done = ended(start("id-2", fileExportOptions={"fileFormat": "GEO_TIFF", **bucket}))
        assert done["metadata"]["state"] == "SUCCEEDED"


def test_quotas_are_refused_in_the_services_words(engine: Callable[..., Any]) -> None:
    with engine(limits=Limits(eecu_day_s=0.0)):
        for ask in (ee.Number(1).getInfo, lambda: start("id-1")):
            with pytest.raises(ee.EEException, match=r"custom quota for 'earthengine\.googleapis\.com/daily_eecu_usage_time'"):
                ask()
        assert states() == {}


def test_a_fault_at_every_tenth_answer(engine: Callable[..., Any]) -> None:
    with engine(faults=Faults.of(Fault("value:compute", "unavailable", after=9, every=10, count=1000))):
        failed = []
        for number in range(1, 31):
            try:
                ee.Number(number).getInfo()
            except ee.EEException as error:
                assert "currently unavailable" in str(error)  # noqa: PT017 - which of them fail is the point
                failed.append(number)
        assert failed == [10, 20, 30]


@pytest.mark.parametrize("code", ["ESRI:102008", "+proj=utm +zone=16 +datum=WGS84", "SR-ORG:7619"])
def test_a_crs_is_a_code_that_the_service_documents_or_wkt(engine: Callable[..., Any], code: str) -> None:
    with engine():
        image = ee.Image(1).toByte()
        with pytest.raises(ee.EEException, match="CRS of a map projection could not be parsed"):
            ee.data.computePixels({"expression": image, "fileFormat": "NPY", "grid": grid(crsCode=code)})
        with pytest.raises(ee.EEException, match="CRS of a map projection could not be parsed"):
            image.reproject(code, None, 30).projection().getInfo()
        assert "could not be parsed" in ended(start("id-1", grid=grid(crsCode=code)))["error"]["message"]


def test_wkt_names_a_crs_without_a_code(engine: Callable[..., Any]) -> None:
    from pyproj import CRS

    wkt = CRS.from_user_input("ESRI:102008").to_wkt("WKT1_GDAL")
    described = {key: value for key, value in grid(crsWkt=wkt).items() if key != "crsCode"}
    with engine():
        image = ee.Image(1).toByte()
        assert ee.data.computePixels({"expression": image, "fileFormat": "NPY", "grid": described})[:6] == b"\x93NUMPY"
        assert ended(start("id-1", grid=described))["metadata"]["state"] == "SUCCEEDED"
        assert image.reproject(wkt, None, 30).projection().getInfo()["wkt"] == wkt
        assert ee.Projection("SR-ORG:6974").getInfo()["crs"] == "SR-ORG:6974"
