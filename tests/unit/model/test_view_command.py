"""The command view: what its argument is, and what it refuses."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from cropcam.cli import main
from cropcam.model import view_command
from cropcam.model.view_command import kind_of
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.view import server
from cropcam.pipeline.maps.view.layers import Scene
from support.views import Artefacts, make_artefacts


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    return make_artefacts(tmp_path_factory.mktemp("view-command"))


def test_a_run_a_map_and_a_store_are_told_apart(artefacts: Artefacts, tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    assert [kind_of(path) for path in (tmp_path, artefacts.map, artefacts.store)] == ["run", "map", "store"]


def test_anything_else_is_refused_with_the_way_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="is neither a run folder nor a patch store; name a folder that cropcam train"):
        kind_of(tmp_path)
    with pytest.raises(DataError, match="no such run, map or store; name a folder"):
        kind_of(tmp_path / "absent")
    assert main(["view", str(tmp_path / "absent")]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_store_beside_a_store_is_refused(artefacts: Artefacts, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(artefacts.store), "--store", str(artefacts.store)]) == 2
    assert "--store goes with a run or a map" in capsys.readouterr().err


@pytest.mark.parametrize("with_store", [False, True])
def test_the_address_alone_is_printed_on_stdout(
    artefacts: Artefacts, tmp_path: Path, with_store: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Scene] = []
    browser: list[str] = []

    def show(scene: Scene, port: int, *, opened) -> None:  # noqa: ANN001
        shown.append(scene)
        opened(f"http://127.0.0.1:{port}/TOKEN/")

    monkeypatch.setattr(server, "show", show)
    monkeypatch.setattr(view_command.webbrowser, "open", browser.append)
    beside = ["--store", str(artefacts.store), "--browser"] if with_store else []
    assert main(["view", str(artefacts.map), "--port", "8123", "--cache", str(tmp_path), *beside]) == 0
    assert capsys.readouterr().out == "http://127.0.0.1:8123/TOKEN/\n"
    assert (shown[0].layer("errors") is not None) is with_store
    assert browser == (["http://127.0.0.1:8123/TOKEN/"] if with_store else [])


def test_the_options_are_declared() -> None:
    parser = argparse.ArgumentParser()
    view_command.add_commands(lambda _name, _call: parser)
    found = parser.parse_args(["runs/my"])
    assert (found.what, found.port, found.store, found.browser, found.cache) == (Path("runs/my"), 0, None, False, None)
