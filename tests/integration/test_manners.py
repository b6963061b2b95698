"""The whole way by the next command that each command names: with objects on stdout, with a log, and as plain text."""

from __future__ import annotations

import io
import json
import shlex
import signal
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cropcam.cli import main
from cropcam.model import documents
from cropcam.model.documents import check
from support.small_scene import GRID, write_small_scene

MORE = {"train": ["--epochs", "1", "--device", "cpu"], "evaluate": ["--device", "cpu"], "map": ["--device", "cpu"]}
WAY = [
    ("patches", documents.Patches),
    ("train", documents.Train),
    ("evaluate", documents.Evaluate),
    ("report", documents.Report),
    ("map", documents.Map),
    ("area", documents.Area),
    ("sample", documents.Sample),
    ("area", documents.Area),
]


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A folder whose name needs quotes, in which the whole way was gone, and the objects that the commands printed."""
    folder = tmp_path_factory.mktemp("manners") / "a folder's"
    folder.mkdir()
    write_small_scene(folder)
    words, found = shlex.split("patches mine.toml --image img.tif --labels cdl.tif --store 'my store.zarr'"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, kind in WAY:
            assert words[0] == name
            code, out, err = _called([*words, *MORE.get(name, []), "--json", "-q", "--log-file", "log.jsonl"])
            assert code == 0, err
            assert all("warning: " in line for line in err.splitlines()), err
            found.append(check(kind, out))
            if name == "sample":
                table = pd.read_csv(found[-1]["csv"])
                table.assign(**{"class": table["stratum"]}).to_csv(found[-1]["csv"], index=False)
            words = shlex.split(_last("result", folder)["next"])[1:]
    return folder, found


def _called(words: list[str]) -> tuple[int, str, str]:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main(words)
    return code, out.getvalue(), err.getvalue()


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def _last(event: str, folder: Path) -> dict[str, Any]:
    return [line for line in _lines(folder) if line["event"] == event][-1]


def test_each_next_command_works_and_each_object_has_its_form(way: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, found = way
    patches, train, evaluate, report, mapped, area, sample, adjusted = found
    assert patches["patches"]["kept"] == sum(patches["patches"]["splits"].values()) == 36
    assert (train["epochs"], train["selected_epoch"], train["stores"]) == (1, 1, ["my store.zarr"])
    written = json.loads((folder / "runs" / "my store" / "metrics.json").read_text())
    assert {name: value for name, value in evaluate.items() if name != "warnings"} == written
    assert (folder / report["report"]).is_file()
    assert sum(mapped["class_pixels"].values()) + mapped["nodata_pixels"] == GRID.width * GRID.height
    assert sample["points"] == sum(sample["counts"].values())
    assert "reference" not in area
    assert adjusted["reference"]


def test_the_log_has_every_command_from_start_to_end(way: tuple[Path, list[dict[str, Any]]]) -> None:
    lines = _lines(way[0])
    starts, ends = ([line for line in lines if line["event"] == event] for event in ("start", "end"))
    assert [line["command"] for line in starts] == [line["command"] for line in ends] == [name for name, _ in WAY]
    assert [(line["exit_code"], line["message"]) for line in ends] == [(0, "done")] * len(WAY)
    assert starts[0]["arguments"][:2] == ["patches", "mine.toml"]
    assert {line["stage"] for line in lines if line["event"] == "stage"} >= {"patches", "train", "evaluate", "map", "report"}
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


def test_the_end_as_text_and_quiet(
    way: tuple[Path, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(way[0])
    assert main(["-q", "check", "my store.zarr"]) == 0
    assert capsys.readouterr() == ("my store-splits.png\n", "")
    assert main(["check", "my store.zarr", "--verbose"]) == 0
    found = capsys.readouterr()
    assert found.out.splitlines()[-2:] == ["results: my store-splits.png", "next: cropcam describe 'my store.zarr'"]
    assert "check: exit code 0 after " in found.err.splitlines()[-1]
    assert any(line.startswith("store my store.zarr: mine, 7 bands, ") for line in found.err.splitlines())
    assert main(["describe", "my store.zarr", "-q"]) == 0
    assert capsys.readouterr().out.startswith("study ")
    code, out, _ = _called(["check", "my store.zarr", "--json"])
    assert (code, check(documents.Check, out)["sound"]) == (0, True)
    code, out, _ = _called(["report", "no run", "--json"])
    assert (code, check(documents.Failure, out)["exit_code"]) == (3, 3)


@pytest.mark.parametrize("name", ["describe demo", "describe 'my store.zarr'", "presets"])
def test_what_is_described_has_its_form(name: str, way: tuple[Path, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(way[0])
    words = shlex.split(name)
    code, out, err = _called([*words, "--json"])
    assert (code, err) == (0, "")
    assert check(documents.DOCUMENTS[words[0]][0], out)


@pytest.mark.parametrize(
    ("words", "fitting"),
    [
        ("patches mine.toml --image img.tif --store my.tif", "leave the ending out"),
        ("train 'my store.zarr' --run my.zarr", "leave the ending out"),
        ("train 'my store.zarr' --run my.tif", "leave the ending out"),
        ("evaluate 'runs/my store' --save x.tif", "end the name in .zarr, or leave the ending out"),
        ("map 'runs/my store' --image img.tif --out map.png", "end the name in .tif or .tiff"),
        ("map 'runs/my store' --image img.tif --out m.tif --probabilities p.csv", "end the name in .tif or .tiff"),
        ("map 'runs/my store' --image img.tif --out m.tif --polygons o.tif", "end the name in .parquet, .geoparquet or .gpkg"),
        ("check 'my store.zarr' --out p.pdf", "end the name in .png or .svg"),
        ("compare 'runs/my store' none --out c.html", "leave the ending out"),
        ("simulate demo --archive a.zip", "leave the ending out"),
        ("preview demo --out p.png --api-url http://127.0.0.1:1", "end the name in .html"),
        ("export demo --to shards.tif --api-url http://127.0.0.1:1", "leave the ending out"),
        ("export-model 'runs/my store' --to m.bin", "end the name in .onnx or .pt2"),
        ("describe demo --log-file map.tif", "end the name in .log or .jsonl"),
    ],
)
def test_an_output_whose_kind_does_not_fit_its_name_is_refused(
    words: str, fitting: str, way: tuple[Path, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(way[0])
    before = sorted(path.name for path in way[0].iterdir())
    code, out, err = _called(shlex.split(words))
    assert (code, out) == (2, ""), err
    line = err.splitlines()[-1]
    assert "does not fit the kind of the f" in line
    assert line.endswith(fitting)
    assert sorted(path.name for path in way[0].iterdir()) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_the_last_line_of_the_log(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cropcam.pipeline import describe

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(describe, "of_study", lambda *_: signal.raise_signal(number))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        code, out, err = _called(["describe", "demo", "--log-file", "log.jsonl", "--json"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, check(documents.Failure, out)["exit_code"]) == (130, 130)
    assert err == "interrupted; nothing is half-written: run the same command again to go on\n"
    *_, error, detail, end = _lines(tmp_path)
    assert (error["event"], error["level"], detail["level"]) == ("error", "error", "debug")
    assert (end["event"], end["exit_code"], end["message"]) == ("end", 130, "interrupted")


def test_a_log_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    words = ["simulate", "demo", "--archive", str(tmp_path / "archive"), "--log-file", str(tmp_path / "none" / "l"), "--json"]
    code, out, err = _called(words)
    assert (code, check(documents.Failure, out)["exit_code"]) == (2, 2)
    assert "No such file or directory; name another file with --log-file, or make its folder" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["-q", "describe", "demo", "-v"], ["describe", "demo", "--quiet", "--verbose"]])
def test_quiet_and_verbose_do_not_go_together(words: list[str]) -> None:
    assert _called(words) == (2, "", "cropcam: -q and -v do not go together; leave one out\n")


def test_usage_errors_are_objects_too() -> None:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()), pytest.raises(SystemExit, match="2"):
        main(["describe", "--json"])
    assert "STUDY" in check(documents.Failure, out.getvalue())["error"]
