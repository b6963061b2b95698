"""The command export: options that do not go together are refused before anything is sent; plans without a client."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline import service_commands
from cropcam.pipeline.errors import ConfigError, DataError
from support.command_parsers import parsers


def call(*words: str) -> None:
    args = parsers(service_commands.add_commands)[words[0]].parse_args(words[1:])
    args.call(args)


def test_no_watch_is_another_word_for_no_wait() -> None:
    parser = parsers(service_commands.add_commands)["export"]
    assert [parser.parse_args(["demo", "--to", "drive:x", *words]).wait for words in ([], ["--no-wait"], ["--no-watch"])] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("export demo --to drive:x --estimate", "--estimate goes with --dry-run"),
        ("export demo --to drive:x --no-wait --fetch home", "--fetch waits for the tasks"),
        ("export demo --to asset:map --fetch home", "--fetch goes with drive: and gs://"),
        ("export demo --to drive:x --no-wait --archive a", "--no-wait needs an endpoint that outlives the command"),
        ("export demo --to drive:x --overwrite", "--overwrite goes with --to asset:PATH"),
        ("export demo --to drive:x --shard-size 100", "--shard-size 100: choose one of 16, 32, 64, 128, 256 px"),
        ("export demo --to asset:map --cog", "--cog goes with drive: and gs://"),
        ("export demo --to folder --no-wait", r"--no-wait goes with drive:, gs:// and asset:"),
        ("export demo --to folder --fetch home", r"--fetch goes with drive:, gs:// and asset:"),
        ("export demo --to folder --overwrite", r"--overwrite goes with drive:, gs:// and asset:"),
        ("export demo --to folder --again", r"--again goes with drive:, gs:// and asset:"),
        ("export demo --to folder --cog", r"--cog goes with drive:, gs:// and asset:"),
        ("export demo --to folder --max-eecu-hours 3", r"--max-eecu-hours goes with drive:, gs:// and asset:"),
        ("export demo --to folder --priority 7", r"--priority goes with drive:, gs:// and asset:"),
        ("export demo --to folder --cell-px 512", r"--cell-px goes with drive:, gs:// and asset:"),
    ],
)
def test_what_does_not_go_together_is_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(*words.split())


@pytest.mark.parametrize("words", ["export demo --to FILE", "export demo --to drive:x --fetch FILE", "fetch demo --from drive:x --to FILE"])
def test_a_file_is_no_folder(words: str, tmp_path: Path) -> None:
    file = tmp_path / "file.tif"
    file.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"file\.tif: is a file; name a folder"):
        call(*words.replace("FILE", str(file)).split(), "--api-url", "http://127.0.0.1:1")
    assert file.read_bytes() == b"mine"


def test_a_plan_to_an_asset_is_one_task_of_the_image(capsys: pytest.CaptureFixture[str]) -> None:
    call(*["export", "demo", "--to", "asset:maps/demo", "--dry-run"])
    text = capsys.readouterr().out
    assert "demo-image" in text
    assert "demo-labels" not in text
    assert "1 task to asset:maps/demo" in text
    assert "file" not in text
