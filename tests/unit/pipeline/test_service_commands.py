"""The commands that speak to Earth Engine: options that do not go together are refused before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline import service_commands
from cropcam.pipeline.errors import ConfigError, EarthEngineError
from cropcam.pipeline.fetch import places
from support.command_parsers import parsers


def call(*words: str) -> None:
    args = parsers(service_commands.add_commands)[words[0]].parse_args(words[1:])
    args.call(args)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tasks demo --to folder", "pixels to a folder make no tasks"),
        ("fetch demo --from folder --to home", r"--from folder: name the drive:FOLDER or gs://BUCKET/PREFIX"),
        ("fetch demo --from asset:map --to home", r"--from asset:map: name the drive:FOLDER or gs://BUCKET/PREFIX"),
        ("fetch demo --from drive:x --to home --archive a --api-url http://127.0.0.1:1", "--archive starts an endpoint of its own"),
    ],
)
def test_what_does_not_go_together_is_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(*words.split())


@pytest.mark.parametrize("url", ["high-volume", "standard", "https://earthengine-highvolume.googleapis.com/"])
def test_fetch_takes_the_endpoints_that_export_takes(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def opened(_source: object, **options: str | None) -> None:
        raise EarthEngineError(f"opened by {options['api_url']}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "open_remote", opened)
    with pytest.raises(EarthEngineError, match=r"opened by https://earthengine(-highvolume)?\.googleapis\.com$"):
        call("fetch", "demo", "--from", "drive:x", "--to", "home", "--api-url", url)
