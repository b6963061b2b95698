"""The commands area and sample: their words become arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.cli import main
from cropcam.pipeline import map_commands
from support.command_parsers import parsers


def test_words_become_arguments() -> None:
    declared = parsers(map_commands.add_commands)
    assert list(declared) == ["area", "sample"]
    args = declared["sample"].parse_args(["m.tif", "--out", "p.csv", "--expected-accuracy", "a=b=0.9", "c=1"])
    assert (args.map, args.out, args.expected_accuracy, args.seed) == (Path("m.tif"), Path("p.csv"), [("a=b", 0.9), ("c", 1.0)], 0)


def test_a_column_goes_with_points_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["area", "m.tif", "--label-column", "crop"]) == 2
    assert "--label-column names the column of classes in --reference POINTS" in capsys.readouterr().err


def test_an_expected_accuracy_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["sample", "m.tif", "--out", "p.csv", "--expected-accuracy", "corn"])
    assert "write CLASS=ACCURACY, for example corn=0.9" in capsys.readouterr().err
