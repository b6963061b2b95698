"""Evaluated runs read from their folders, and their names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from cropcam.model.report.runs import read_elsewhere, read_evaluation, read_history, read_run, short_names
from cropcam.model.runs.checkpoint import BEST
from cropcam.pipeline.errors import CropcamWarning, DataError
from support.evaluations import write_away


@pytest.fixture
def run(evaluated: Path, tmp_path: Path) -> Path:
    return shutil.copytree(evaluated, tmp_path / "run")


def test_a_run_has_its_config_metrics_patches_and_epochs(run: Path) -> None:
    (run / "history.csv").write_text("epoch,validation_loss,seconds\n1,0.5,2.5\n2,0.4,1.5\n")
    found = read_run(run, "name")
    written = json.loads((run / "metrics.json").read_text())
    written["provenance"].pop("content_digest")
    assert found.metrics == written
    pd.testing.assert_frame_equal(found.patches, pd.read_csv(run / "patches.csv"))
    assert (found.name, found.config.network.model, found.epochs, found.seconds) == ("name", "baseline", 2, 4.0)
    assert found.segmentation == found.metrics["segmentation"]["methods"]["cam-argmax"]


def test_without_a_history_the_epochs_are_those_of_the_config(run: Path) -> None:
    (run / "history.csv").unlink()
    found = read_run(run, "name")
    assert (found.epochs, found.seconds) == (found.config.optimizer.epochs, None)
    assert read_history(run).empty


def test_a_damaged_history_is_named(run: Path) -> None:
    (run / "history.csv").write_text("epoch,validation_loss\none,0.5\n")
    with pytest.raises(DataError, match=r"history.csv: cannot be read as a history"):
        read_history(run)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("metrics.json", None, r"no metrics.json; evaluate first: cropcam evaluate"),
        ("patches.csv", None, r"no patches.csv; evaluate first"),
        ("metrics.json", b"{", r"metrics\.json, line 1, column 2: not JSON: .*; evaluate again: cropcam evaluate"),
        ("metrics.json", b"[]", r"metrics\.json: holds no JSON object but a list; evaluate again: cropcam evaluate"),
        ("patches.csv", b"patch\n1\n", r"patches.csv is not the one that metrics.json was written with"),
        (BEST, b"other weights", r"is about another checkpoint"),
    ],
)
def test_files_that_are_absent_damaged_or_of_another_training_are_named(run: Path, name: str, content: bytes | None, match: str) -> None:
    (run / name).unlink()
    if content is not None:
        (run / name).write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_evaluation(run)


def test_metrics_that_were_changed_are_not_reported(run: Path) -> None:
    values = json.loads((run / "metrics.json").read_text())
    values["classification"]["accuracy"] = 1.0
    (run / "metrics.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"metrics\.json: was changed after it was written; evaluate again: cropcam evaluate"):
        read_evaluation(run)


def test_names_are_as_short_as_they_can_be() -> None:
    assert short_names([Path("/a/one"), Path("/b/two")]) == ["one", "two"]
    assert short_names([Path("/x/a/run"), Path("/y/a/run"), Path("/x/b/run")]) == ["x/a/run", "y/a/run", "x/b/run"]


def test_a_run_without_other_places_is_at_home(run: Path) -> None:
    home = read_run(run, "name")
    assert (home.is_home, home.digest, home.store_name, home.reference) == (True, home.config.store.digest, "patches", None)
    assert read_elsewhere(run, home) == []


def test_other_places_are_read_with_their_store_and_reference(run: Path) -> None:
    home = read_run(run, "name")
    values = {"pixel_accuracy": 0.9}
    write_away(run, "illinois", "b" * 64, -0.1, reference={"run": "there", "segmentation": values})
    write_away(run, "dakota", "a" * 64, -0.2, patches=False)
    (run / "on" / "unfinished").mkdir()
    dakota, illinois = read_elsewhere(run, home)
    assert [(each.name, each.is_home, each.store_name, each.digest[:2]) for each in (dakota, illinois)] == [
        ("name", False, "dakota", "aa"),
        ("name", False, "illinois", "bb"),
    ]
    assert illinois.reference == {"run": "there", **values}
    assert (dakota.patches.empty, len(illinois.patches)) == (True, 4)


def test_one_of_several_stores_that_a_run_was_trained_on_is_home(run: Path) -> None:
    write_away(run, "iowa", "a" * 64, 0.0, home=True)
    (iowa,) = read_elsewhere(run, read_run(run, "name"))
    assert (iowa.is_home, iowa.elsewhere) == (True, "iowa-aaaaaaaa")


def test_an_evaluation_from_before_the_training_went_on_is_left_out(run: Path) -> None:
    folder = write_away(run, "illinois", "b" * 64, -0.1)
    values = json.loads((folder / "metrics.json").read_text())
    values["provenance"]["checkpoint_digest"] = "0" * 64
    (folder / "metrics.json").write_text(json.dumps(values))
    write_away(run, "iowa", "a" * 64, 0.0)
    with pytest.warns(CropcamWarning, match=r"^left out: .*illinois-.* is about another checkpoint .*--on STORE, or remove .*illinois-"):
        (iowa,) = read_elsewhere(run, read_run(run, "name"))
    assert iowa.store_name == "iowa"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"provenance": {}}, r"illinois-bbbbbbbb: metrics.json or patches.csv is damaged"),
        ({"store": {"name": "illinois"}}, r"metrics.json: lacks 'digest'; evaluate again: cropcam evaluate .* --on STORE"),
        ({"reference": {"run": "there"}}, r"metrics.json: lacks 'segmentation'"),
        ({"store": {"name": "", "digest": "b"}}, r"does not say which other store it is of"),
        ({"classification": {"per_class": {"corn": {}}}}, r"its classes are corn, those of the run background, corn, "),
    ],
)
def test_an_evaluation_elsewhere_that_cannot_be_used_is_named(run: Path, change: dict[str, object], match: str) -> None:
    folder = write_away(run, "illinois", "b" * 64, -0.1)
    values = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**values, **change}))
    with pytest.raises(DataError, match=match) as caught:
        read_elsewhere(run, read_run(run, "name"))
    assert "\n" not in str(caught.value)
