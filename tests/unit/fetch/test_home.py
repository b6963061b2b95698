from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from cropcam.pipeline.earthengine.destinations import Drive
from cropcam.pipeline.earthengine.export_run import Pace
from cropcam.pipeline.earthengine.plan import plan
from cropcam.pipeline.earthengine.task_status import Row
from cropcam.pipeline.emulator import Server
from cropcam.pipeline.errors import DataError, EarthEngineError
from cropcam.pipeline.fetch.exported import Exported
from cropcam.pipeline.fetch.home import IDLE_LOOKS, LATE_LOOKS, bring_home
from cropcam.pipeline.fetch.places import open_remote
from cropcam.pipeline.fetch.remote import Remote
from support import homecoming
from support.exports import IMAGE as IMAGE_DN
from support.exports import STUDY
from support.homecoming import NAMES, PATIENCE, contents, put, shards

PLAN = plan(STUDY, Drive("maps"))
IMAGE, LABELS = (task.name for task in PLAN.tasks)
NOW = Pace(0.0, 0.0, lambda _: None)


def exported(**states: str) -> Exported:
    return Exported("p", PLAN, {f"demo-{layer}": {"state": state, "uris": []} for layer, state in states.items()})


def row(task: str, state: str, message: str = "") -> Row:
    return Row(task, task.removeprefix("demo-"), state, None, None, message, ())


def remote(server: Server) -> Remote:
    return open_remote(Drive("maps"), api_url=server.url, backoff=PATIENCE)


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Path]:
    """One file per layer, named as two tasks write them."""
    made = {}
    for path in shards(tmp_path / "made", cut=1000):
        layer = path.name.split("-")[1]
        made[layer] = path.rename(path.with_name(f"demo-{layer}.tif"))
    return made


def test_files_come_as_their_tasks_end(server: Server, whole: dict[str, Path], tmp_path: Path) -> None:
    folder, home, lines, seen = server.out / "drive/maps", tmp_path / "home", list[str](), list[list[str]]()

    def look() -> Sequence[Row]:
        seen.append(sorted(path.name for path in home.glob("*.tif")))
        if len(seen) == 2:
            put([whole["image"]], folder)
        if len(seen) == 4:
            put([whole["labels"]], folder)
        return [row(IMAGE, "SUCCEEDED" if len(seen) > 1 else "RUNNING"), row(LABELS, "SUCCEEDED" if len(seen) > 3 else "A_NEW_STATE")]

    done = bring_home(STUDY, remote(server), home, exported=exported(), look=look, how=homecoming.how(lines), pace=NOW)
    assert seen == [[], [], ["demo-image.tif"], ["demo-image.tif"]]
    assert (done.files, done.fetched) == (2, 2)
    assert contents(home) == {path.name: path.read_bytes() for path in whole.values()}
    assert lines[0].startswith("2 tasks: ")
    assert len(lines) == 3


def test_a_failed_task_is_named_after_the_rest_is_home(server: Server, whole: dict[str, Path], tmp_path: Path) -> None:
    put([whole["labels"]], server.out / "drive/maps")
    rows = [row(IMAGE, "FAILED", "User memory limit exceeded"), row(LABELS, "SUCCEEDED")]
    with pytest.raises(
        EarthEngineError, match=r"1 files are there and stay; missing: demo-image failed: User memory limit exceeded\. Export again"
    ) as caught:
        bring_home(STUDY, remote(server), tmp_path / "home", exported=exported(), look=lambda: rows, how=homecoming.how(), pace=NOW)
    assert caught.value.exit_code == 4
    assert list(contents(tmp_path / "home")) == ["demo-labels.tif"]


def test_a_task_that_is_forgotten_though_its_files_are_there_is_no_failure(server: Server, whole: dict[str, Path], tmp_path: Path) -> None:
    put(list(whole.values()), server.out / "drive/maps")
    rows = [row(IMAGE, "FORGOTTEN"), row(LABELS, "SUCCEEDED")]
    done = bring_home(STUDY, remote(server), tmp_path / "home", exported=exported(), look=lambda: rows, how=homecoming.how(), pace=NOW)
    assert done.files == 2


def test_tasks_that_nobody_submits_are_not_waited_for(server: Server, tmp_path: Path) -> None:
    looks: list[int] = []

    def look() -> Sequence[Row]:
        looks.append(1)
        return [row(IMAGE, "UNSUBMITTED"), row(LABELS, "UNSUBMITTED")]

    with pytest.raises(EarthEngineError, match="missing: demo-image unsubmitted; demo-labels unsubmitted"):
        bring_home(STUDY, remote(server), tmp_path / "home", exported=exported(), look=look, how=homecoming.how(), pace=NOW)
    assert len(looks) == IDLE_LOOKS


def test_a_late_list_is_waited_for_and_not_for_ever(server: Server, whole: dict[str, Path], tmp_path: Path) -> None:
    put([whole["image"]], server.out / "drive/maps")
    done, waits = exported(image="SUCCEEDED", labels="SUCCEEDED"), list[float]()

    def late(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            put([whole["labels"]], server.out / "drive/maps")

    bring_home(STUDY, remote(server), tmp_path / "home", exported=done, how=homecoming.how(), pace=Pace(3.0, 9.0, late))
    assert waits == [3.0, 3.0]
    (server.out / "drive/maps/demo-labels.tif").unlink()
    waits.clear()
    with pytest.raises(
        DataError,
        match=r"not whole: labels: .*; 1 files are fetched and stay; run the same command again in some minutes; files that were deleted come back by an export to another place",
    ):
        bring_home(STUDY, remote(server), tmp_path / "other", exported=done, how=homecoming.how(), pace=Pace(3.0, 9.0, waits.append))
    assert len(waits) == LATE_LOOKS


def test_a_late_file_of_a_newer_export_is_waited_for(server: Server, whole: dict[str, Path], tmp_path: Path) -> None:
    put(list(whole.values()), server.out / "drive/maps", age_s=1000)
    newer, place = shards(tmp_path / "newer", image=IMAGE_DN[:, ::-1].copy()), server.out / "drive/maps"
    put([path for path in newer if "image-r00" in path.name], place)

    def late(_: float) -> None:
        put([path for path in newer if "image" in path.name], place)

    done = exported(image="SUCCEEDED", labels="SUCCEEDED")
    bring_home(STUDY, remote(server), tmp_path / "home", exported=done, how=homecoming.how(), pace=Pace(3.0, 9.0, late))
    assert sorted(contents(tmp_path / "home")) == [name for name in NAMES if "image" in name] + ["demo-labels.tif"]


@pytest.mark.parametrize(
    ("state", "remedy"),
    [("RUNNING", "--watch waits for them"), ("FAILED", "run the export again first"), ("UNSUBMITTED", "run the export again first")],
)
def test_half_an_export_names_the_tasks_and_the_next_step(
    server: Server, whole: dict[str, Path], tmp_path: Path, state: str, remedy: str
) -> None:
    put([whole["image"]], server.out / "drive/maps")
    with pytest.raises(DataError, match=f"tasks as last seen: demo-labels {state.lower()}; {remedy}"):
        bring_home(
            STUDY, remote(server), tmp_path / "home", exported=exported(image="SUCCEEDED", labels=state), how=homecoming.how(), pace=NOW
        )


def test_leftovers_of_a_task_that_was_retried_while_watched_are_no_other_export(server: Server, tmp_path: Path) -> None:
    old, new = shards(tmp_path / "old", cut=100), shards(tmp_path / "new")
    left = [path.rename(path.with_name("demo-image.tif")) for path in old if path.name == "demo-image-r00c00.tif"]
    put(left, server.out / "drive/maps", age_s=500)
    put([path for path in new if "-image-r00c00" not in path.name], server.out / "drive/maps", age_s=1000)
    put([path for path in new if "-image-r00c00" in path.name], server.out / "drive/maps")
    rows = [row(IMAGE, "SUCCEEDED"), row(LABELS, "SUCCEEDED")]
    with pytest.raises(DataError, match="exports lie over each other"):
        bring_home(STUDY, remote(server), tmp_path / "a", exported=exported(), look=lambda: rows, how=homecoming.how(), pace=NOW)
    again = [dataclasses.replace(rows[0], attempt=1), rows[1]]
    done = bring_home(STUDY, remote(server), tmp_path / "b", exported=exported(), look=lambda: again, how=homecoming.how(), pace=NOW)
    assert done.files == 18


def test_two_exports_in_one_folder_are_refused_when_none_is_whole(server: Server, tmp_path: Path) -> None:
    first = shards(tmp_path / "first")
    second = shards(tmp_path / "second", cut=100)
    put([path for path in first if "r00" in path.name], server.out / "drive/maps", age_s=1000)
    (server.out / "drive/maps (1)").mkdir()
    put([path for path in second if "r00c01" not in path.name], server.out / "drive/maps")
    with pytest.raises(
        DataError, match=r"files of 2 exports lie over each other, and none of these is complete: .*Delete the files of one"
    ):
        bring_home(STUDY, remote(server), tmp_path / "home", how=homecoming.how(), pace=NOW)
    assert contents(tmp_path / "home") == {}
