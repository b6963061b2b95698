"""The commands of the data plane: every command has its options, and no heavy module is imported to parse them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline import commands
from cropcam.pipeline.errors import ConfigError, DataError
from support.builds import build_study, write_inputs
from support.command_parsers import parsers
from support.stores import make_store


def test_every_command_of_the_data_plane_is_declared() -> None:
    assert list(parsers(commands.add_commands)) == [
        "describe",
        "simulate",
        "emulate",
        "export",
        "tasks",
        "fetch",
        "preview",
        "patches",
        "check",
        "area",
        "sample",
    ]


@pytest.mark.parametrize(
    ("name", "words", "values"),
    [
        ("patches", ["demo", "--from", "shards", "--store", "s.zarr"], {"study": "demo", "folder": Path("shards"), "seed": 0}),
        ("export", ["demo", "--to", "gs://b/p"], {"to": "gs://b/p", "cell_px": 8192, "archive": None, "wait": True}),
        ("area", ["m.tif", "--regions", "r.gpkg"], {"map": Path("m.tif"), "regions": Path("r.gpkg"), "reference": None}),
        ("sample", ["m.tif", "--out", "p.csv", "--expected-accuracy", "a=b=0.9"], {"expected_accuracy": [("a=b", 0.9)], "seed": 0}),
        ("preview", ["demo", "--out", "p.html"], {"out": Path("p.html"), "archive": None}),
    ],
)
def test_words_become_arguments(name: str, words: list[str], values: dict[str, object]) -> None:
    args = vars(parsers(commands.add_commands)[name].parse_args(words))
    assert {key: args[key] for key in values} == values


def test_values_go_with_own_rasters_alone() -> None:
    args = parsers(commands.add_commands)["patches"].parse_args(["demo", "--from", "shards", "--store", "s.zarr", "--nodata", "7"])
    assert commands.has_value_options(args)
    with pytest.raises(ConfigError, match=r"--scale, --offset and --nodata go with --image"):
        commands.patches(args)


def test_an_image_without_labels_makes_a_store_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (image,), _, _, _ = write_inputs(tmp_path)
    (tmp_path / "study.toml").write_text(build_study().to_toml())
    words = [str(tmp_path / "study.toml"), "--image", str(image), "--store", str(tmp_path / "s.zarr")]
    for already in ("", "already there, "):
        commands.patches(parsers(commands.add_commands)["patches"].parse_args(words))
        assert f"s.zarr: {already}136 patches kept of 143 (" in capsys.readouterr().out
    commands.check(parsers(commands.add_commands)["check"].parse_args([str(tmp_path / "s.zarr")]))
    assert "sound: 136 patches in 1 zarr shard\n" in capsys.readouterr().out


def test_problems_of_a_store_are_printed_before_they_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path / "s.zarr", count=30, size_px=12)
    (tmp_path / "s.zarr" / "image" / "c" / "0" / "0" / "0").unlink()
    with pytest.raises(DataError, match=r"s\.zarr: 2 problems; delete it and build it again"):
        commands.check(parsers(commands.add_commands)["check"].parse_args([str(tmp_path / "s.zarr")]))
    assert "is missing" in capsys.readouterr().out
