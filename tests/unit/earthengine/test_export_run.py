"""One run of an export: its limit of compute, tasks that hang, folders of assets; the rest is tested through exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.earthengine.access import Account
from cropcam.pipeline.earthengine.destinations import Asset, CloudStorage
from cropcam.pipeline.earthengine.export_run import Pace, pace_at
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.errors import ConfigError, EarthEngineError
from support.engines import FakeService, run_export

pytestmark = pytest.mark.usefixtures("transport")


def in_bucket(made: Plan) -> Plan:
    return plan(made.study, CloudStorage("bucket", "a"), cell_px=1024)


def test_an_engine_on_this_machine_is_looked_at_often() -> None:
    assert pace_at("http://127.0.0.1:8080").longest_s <= 2 < pace_at("https://earthengine.googleapis.com").poll_s


def test_no_task_is_submitted_that_would_pass_the_limit_and_a_higher_one_goes_on(made: Plan, file: Path) -> None:
    service = FakeService()
    with pytest.raises(
        EarthEngineError,
        match=r"8 tasks: . succeeded, . unsubmitted\. --max-eecu-hours 0\.0016: .* EECU-hours are spent and a further task would pass",
    ):
        run_export(in_bucket(made), service, file, max_eecu_hours=0.0016)
    assert 2 <= len(service.sent) <= 4  # of costs by pixel, as the first of each layer foresee them
    sent = len(service.sent)
    with pytest.raises(
        ConfigError, match=r"--max-eecu-hours 0\.0001: this export has used 0\.00\d+ EECU-hours already; give a higher limit"
    ):
        run_export(in_bucket(made), service, file, max_eecu_hours=0.0001)
    assert len(service.sent) == sent
    rows = run_export(in_bucket(made), service, file, max_eecu_hours=1.0)
    assert {row.state for row in rows} == {"SUCCEEDED"}
    assert len(service.sent) == 8
    run_export(in_bucket(made), service, file, max_eecu_hours=0.0001)  # nothing is left to be paid


def test_a_task_without_progress_for_an_hour_is_named_once(made: Plan, file: Path) -> None:
    service, lines, waits = FakeService(), [], []
    move = service._moved

    def hangs(operation: Any) -> Any:
        if "image-r00c00-" in operation["metadata"]["description"] and len(waits) < 150 and operation["metadata"]["state"] == "RUNNING":
            return dict(operation)
        return move(operation)

    service.__dict__["_moved"] = hangs
    run_export(in_bucket(made), service, file, log=lines.append, pace=Pace(60.0, 60.0, waits.append))
    slow = [line for line in lines if "without progress for an hour" in line]
    assert len(slow) == 1
    assert slow[0].startswith("demo-image-r00c00: running")


def test_a_service_account_is_refused_drive_before_the_first_request(made: Plan, file: Path) -> None:
    service = FakeService()
    service.__dict__["account"] = Account(is_service_account=True)
    with pytest.raises(EarthEngineError, match=r"drive:folder: a service account has no space on Drive, .*gs://BUCKET/PREFIX"):
        run_export(made, service, file)
    assert (service.looks, service.sent) == (0, [])
    run_export(in_bucket(made), service, file)
    assert len(service.sent) == 8


def test_the_folder_of_an_asset_has_to_exist(made: Plan, file: Path) -> None:
    service = FakeService()
    to = plan(made.study, Asset("maps/corn"))
    with pytest.raises(
        EarthEngineError,
        match=r"projects/test/assets/maps: no such folder; make it first: earthengine create folder projects/test/assets/maps",
    ):
        run_export(to, service, file)
    assert service.sent == []
    service.assets["projects/test/assets/maps"] = {}
    run_export(to, service, file)
    assert len(service.sent) == 1


@pytest.mark.parametrize(("foreign", "may_start"), [(2990, 8), (2995, 5), (2999, 1), (3000, 0)])
def test_the_tasks_of_others_fill_the_queue_too(made: Plan, file: Path, foreign: int, may_start: int) -> None:
    """A project may have 3,000 tasks waiting, whoever started them."""
    service, sent = FakeService(), []
    others = [
        {"name": f"projects/test/operations/other{number}", "metadata": {"state": "PENDING", "description": "of-a-colleague"}}
        for number in range(foreign)
    ]
    listed = service.operations
    service.__dict__["operations"] = lambda: [*listed(), *(others if len(sent) < 3 else ())]  # the others' tasks end
    rows = run_export(in_bucket(made), service, file, pace=Pace(0.0, 0.0, lambda _: sent.append(len(service.sent))))
    assert {row.state for row in rows} == {"SUCCEEDED"}
    assert sent[0] == may_start
