"""The export manifest: one place per service and archive, held, refused when it is of another study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cropcam.pipeline.earthengine.destinations import Asset
from cropcam.pipeline.earthengine.manifest import Entry, load, manifest_path, open_manifest
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.earthengine.session import HIGH_VOLUME_URL, STANDARD_URL
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.study.study import parse_study
from support.engines import FakeService, run_export

pytestmark = pytest.mark.usefixtures("transport")


def test_an_export_of_a_changed_study_to_the_same_place_is_refused(made: Plan, file: Path) -> None:
    service = FakeService()
    run_export(made, service, file)
    values = made.study.to_dict()
    values["image"]["cloud_cover_max_pct"] = 40.0
    changed = plan(parse_study(values), made.destination, cell_px=1024)
    with pytest.raises(
        DataError,
        match=r"drive:folder already holds an export of a changed study or of other cells \(image.cloud_cover_max_pct: 100.0 against 40.0\)",
    ):
        run_export(changed, service, file)
    with pytest.raises(DataError, match="cell_px: 1024 against 512"):
        run_export(plan(made.study, made.destination, cell_px=512), service, file)
    values = made.study.to_dict()
    values["patches"]["size_px"] = 25
    run_export(plan(parse_study(values), made.destination, cell_px=1024), service, file)
    assert len(service.sent) == 8


def at(name: str, api_url: str = "http://127.0.0.1:1") -> FakeService:
    service = FakeService()
    service.__dict__.update(name=name, api_url=api_url)
    return service


def test_engines_over_two_archives_are_two_places_and_the_service_is_one(made: Plan, file: Path) -> None:
    values = made.study.to_dict()
    values["image"]["cloud_cover_max_pct"] = 40.0
    changed = plan(parse_study(values), made.destination, cell_px=1024)
    run_export(made, at("archive:/data/one"), file)
    run_export(made, at("archive:/data/one", "http://127.0.0.1:2"), file)  # another port, the same engine
    assert len(json.loads(file.read_text())["exports"]) == 1
    run_export(changed, at("archive:/data/two"), file)
    run_export(made, at("", STANDARD_URL), file)
    for elsewhere in (HIGH_VOLUME_URL, "http://127.0.0.1:3"):  # the service by another URL; perhaps an engine over one of those archives
        with pytest.raises(DataError, match="already holds an export of a changed study"):
            run_export(changed, at("", elsewhere), file)


def test_a_destination_of_another_project_is_refused_once_a_task_was_accepted(made: Plan, file: Path) -> None:
    run_export(made, FakeService(), file)
    other = FakeService()
    other.__dict__.update(project="other")
    with pytest.raises(ConfigError, match=r"the export to drive:folder is of project test, not other; give --project test, or choose"):
        load(file, made, other)
    content = json.loads(file.read_text())
    (entries,) = (one["tasks"] for one in content["exports"].values())
    for entry in entries.values():
        entry["state"] = "FAILED"
    file.write_text(json.dumps(content))
    load(file, made, other)  # such as after a quota that is used up
    values = plan(made.study, Asset("map"))
    run_export(values, FakeService(), file)
    load(file, values, other)  # an asset of the same name in another project is another asset


def test_manifests_of_another_study_damaged_or_held_are_refused(made: Plan, file: Path) -> None:
    service = FakeService()
    with (
        open_manifest(file, made, service),
        pytest.raises(DataError, match="another process is writing it"),
        open_manifest(file, made, service),
    ):
        pass
    file.write_text('{"schema_version": 1, "study": "else", "exports": {}}')
    with pytest.raises(DataError, match=r"the manifest of another study \(study.name: 'else' against 'demo'\)"):
        load(file, made, service)
    file.write_text('{"schema_version": 9, "study": "demo", "exports": {}}')
    with pytest.raises(DataError, match="manifest version 9"):
        load(file, made, service)
    file.write_text('{"schema_ver')
    with pytest.raises(DataError, match="a damaged export manifest"):
        load(file, made, service)


def test_manifests_lie_beside_the_study_file_and_presets_in_the_working_directory() -> None:
    assert manifest_path("demo") == Path("demo.exports.json")
    assert manifest_path("studies/mine.toml") == Path("studies/mine.exports.json")
    assert manifest_path("demo", "demo-2017") == Path("demo-2017.exports.json")
    assert manifest_path("studies/mine.toml", "other") == Path("studies/other.exports.json")


def test_a_new_attempt_keeps_the_cost_of_those_before() -> None:
    entry = Entry("k" * 32, eecu_s=3.0, progress=0.5, updated="2026-01-01T00:00:00Z")
    entry.renew()
    assert (entry.earlier_eecu_s, entry.eecu_s, entry.progress, entry.updated) == (3.0, None, None, "")
    entry.renew()
    entry.eecu_s = 2.0
    entry.renew()
    assert (entry.attempt, entry.earlier_eecu_s) == (3, 5.0)


def test_links_in_the_place_of_a_manifest_and_of_its_hidden_files(made: Plan, file: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name, message in (
        (file.name, r"is a link to .*victim; name that, or choose another name"),
        (f".{file.name}.lock", r"is a symbolic link in the place of a lock; remove it"),
    ):
        file.with_name(name).symlink_to(victim)
        with pytest.raises(DataError, match=message):
            run_export(made, FakeService(), file)
        file.with_name(name).unlink()
    file.with_name(f".{file.name}.partial").symlink_to(victim)
    run_export(made, FakeService(), file)
    assert victim.read_text() == "mine"
    assert not file.is_symlink()
    file.rename(tmp_path / "manifest")
    file.symlink_to(tmp_path / "absent")
    with pytest.raises(DataError, match=r"is a link to .*absent, which does not exist"):
        run_export(made, FakeService(), file)
    assert not (tmp_path / "absent").exists()


def spoilt(file: Path, *keys: str, to: object) -> None:
    """Change one field of the first export of a manifest file; "*" is the first key."""
    content = json.loads(file.read_text("utf-8"))
    inner = content
    for key in keys[:-1]:
        inner = inner[next(iter(inner)) if key == "*" else key]
    inner[next(iter(inner)) if keys[-1] == "*" else keys[-1]] = to
    file.write_text(json.dumps(content), "utf-8")


@pytest.mark.parametrize(
    ("keys", "to", "named"),
    [
        (("exports", "*", "tasks"), 1.5, r"tasks: Input should be (a valid dictionary|an object)"),
        (("exports", "*", "tasks", "*"), [], r"tasks\.\S+: Input should be"),
        (("exports", "*", "tasks", "*", "attempt"), "0", r"tasks\.\S+\.attempt: Input should be a valid integer"),
        (("exports", "*", "tasks", "*", "eecu_s"), float("inf"), r"tasks\.\S+\.eecu_s"),
        (("exports", "*", "tasks", "*", "uris"), {}, r"tasks\.\S+\.uris: Input should be a valid (list|array)"),
        (("exports", "*", "tasks", "*", "odd"), 1, r"tasks\.\S+\.odd: "),
        (("exports", "*", "endpoint"), None, r"endpoint: Input should be a valid string"),
        (("exports", "*", "study"), "x", r"study: Input should be"),
        (("exports", "*", "cell_px"), True, r"cell_px: Input should be a valid integer"),
        (("exports", "*"), [], r": Input should be"),
    ],
)
def test_a_field_of_a_wrong_type_is_named_with_the_next_step(made: Plan, file: Path, keys: tuple[str, ...], to: object, named: str) -> None:
    run_export(made, FakeService(), file)
    spoilt(file, *keys, to=to)
    with pytest.raises(
        DataError, match=rf"^{file}[:,] .*{named if keys[-1] != 'eecu_s' else ''}.*; a damaged export manifest; delete it: "
    ) as error:
        run_export(made, FakeService(), file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[" * 100_000, b"\xff\xff", b'{"schema_version": 1'])
def test_a_torn_or_deep_manifest_is_named_with_the_next_step(made: Plan, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{file}[:,] .*a damaged export manifest; delete it: "):
        run_export(made, FakeService(), file)


@pytest.mark.parametrize("exports", [1.5, [], None])
def test_exports_that_are_none_are_refused(made: Plan, file: Path, exports: object) -> None:
    run_export(made, FakeService(), file)
    spoilt(file, "exports", to=exports)
    with pytest.raises(DataError, match="exports: Input should be an object; a damaged export manifest; delete it: "):
        run_export(made, FakeService(), file)
