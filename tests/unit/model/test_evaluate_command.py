"""The command evaluate: what goes with a run and what with a map."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.cli import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--out", "f.json"], "--out goes with MAP --points FILE; the figures of a run are in its folder"),
        (["run", "--label-column", "crop"], "--label-column goes with --points FILE, whose column of classes it names"),
        (["map.tif"], "map.tif: is a file, no run folder; score a map against points: cropcam evaluate map.tif --points FILE"),
        (["map.tif", "--points", "p.csv", "--split", "test", "--on", "s"], "--on and --split go with a run, not with MAP --points FILE"),
        (["map.tif", "--points", "p.csv", "--out", "f.csv"], "--out f.csv: does not fit the kind of the file (scores of a map); end the name in .json"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "map.tif").write_text("")
    (tmp_path / "p.csv").write_text("")
    assert main(["evaluate", *words]) == 2
    assert capsys.readouterr().err == f"cropcam: {message}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "map.tif", "p.csv"}
