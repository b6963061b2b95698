from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.earthengine.destinations import Drive
from cropcam.pipeline.earthengine.manifest import Manifest, load
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.earthengine.session import STANDARD_URL, Session
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.fetch.exported import find_export
from cropcam.pipeline.study.study import parse_study
from support.engines import offline
from support.exports import STUDY

HERE = Drive("maps")


def record(path: Path, made: Plan, project: str = "p", **changes: Any) -> Manifest:
    """A manifest as an export writes it; `changes` of the entry of the first task."""
    with offline():
        manifest = load(path, made, Session(project, STANDARD_URL, False))
    vars(manifest.entries[made.tasks[0].name]).update(changes)
    manifest.save()
    return manifest


def test_the_plan_is_that_of_the_export(tmp_path: Path) -> None:
    made = plan(STUDY, HERE, cell_px=512, file_px=256)
    record(tmp_path / "m.json", made, attempt=1, state="SUCCEEDED", uris=["https://drive.google.com/#folders/1"])
    found = find_export(STUDY, tmp_path / "m.json", HERE, STANDARD_URL)
    assert found is not None
    assert found.plan.geometry() == made.geometry()
    assert (found.project, found.uris, found.retried) == ("p", ["https://drive.google.com/#folders/1"], {made.tasks[0].name})
    assert found.unfinished == {made.tasks[1].name: "unsubmitted"}


def test_another_place_or_none_is_no_export(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    assert find_export(STUDY, path, HERE, STANDARD_URL) is None
    record(path, plan(STUDY, HERE))
    assert find_export(STUDY, path, Drive("other"), STANDARD_URL) is None
    assert find_export(STUDY, path, HERE, "http://127.0.0.1:8000") is None
    assert find_export(STUDY, path, HERE, "https://earthengine-highvolume.googleapis.com") is not None


def test_a_manifest_of_another_project_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "m.json", plan(STUDY, HERE), "theirs")
    with pytest.raises(ConfigError, match="the export to drive:maps is of project theirs, not mine; give --project theirs"):
        find_export(STUDY, tmp_path / "m.json", HERE, STANDARD_URL, "mine")


def test_a_changed_study_is_refused_with_the_field(tmp_path: Path) -> None:
    record(tmp_path / "m.json", plan(STUDY, HERE))
    values = STUDY.to_dict()
    values["image"] |= {"cloud_cover_max_pct": 7.0}
    with pytest.raises(DataError, match=r"drive:maps holds an export of a changed study \(image.cloud_cover_max_pct: .* against 7"):
        find_export(parse_study(values), tmp_path / "m.json", HERE, STANDARD_URL)
    values = STUDY.to_dict()
    values["patches"] |= {"size_px": 10}
    assert find_export(parse_study(values), tmp_path / "m.json", HERE, STANDARD_URL) is not None


def test_a_manifest_of_other_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    record(path, plan(STUDY, HERE))
    content = json.loads(path.read_text())
    next(iter(content["exports"].values()))["file_px"] = {"image": 100, "labels": 7}
    path.write_text(json.dumps(content))
    with pytest.raises((DataError, ConfigError), match="100"):
        find_export(STUDY, path, HERE, STANDARD_URL)
