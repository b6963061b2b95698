"""The endpoint of a command: its options, and the words that name it again."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from cropcam.pipeline.endpoints import check_feasible_at, endpoint_options, manifest_of, open_endpoint, same_endpoint
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.study import load_study
from support import scenes


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    endpoint_options(parser)
    return parser.parse_args(words)


def test_the_words_name_the_same_endpoint() -> None:
    words = ["--project", "p", "--api-url", "high-volume"]
    assert same_endpoint(parsed(*words)) == words
    assert same_endpoint(parsed("--archive", "a b")) == ["--archive", Path("a b")]
    assert same_endpoint(parsed()) == []


def test_an_archive_is_an_endpoint_of_its_own(tmp_path: Path) -> None:
    with open_endpoint(parsed("--api-url", "http://127.0.0.1:1")) as found:
        assert found == ("http://127.0.0.1:1", "")
    with (
        pytest.raises(ConfigError, match="--archive starts an endpoint of its own; leave out --api-url"),
        open_endpoint(parsed("--archive", "a", "--api-url", "http://127.0.0.1:1")),
    ):
        pass
    archive = scenes.write_archive(tmp_path / "archive")
    with open_endpoint(parsed("--archive", str(archive)), exports=False) as (url, name):
        assert str(url).startswith("http://127.0.0.1:")
        assert name == f"archive:{archive.resolve()}"
    assert not (tmp_path / "archive-exports").exists()


def test_what_the_service_can_never_deliver_is_refused_there_alone() -> None:
    study = load_study("demo", ["labels.asset=USDA/NASS/CDL/2116"])
    args = argparse.Namespace(api_url=None, archive=None, study="demo")
    with pytest.raises(ConfigError, match="demo"):
        check_feasible_at(args, study)
    for api_url, archive in (("http://127.0.0.1:1", None), (None, Path("archive"))):
        check_feasible_at(argparse.Namespace(api_url=api_url, archive=archive, study="demo"), study)


def test_the_manifest_lies_beside_the_study() -> None:
    assert manifest_of(argparse.Namespace(study="demo", changes=[])).name == "demo.exports.json"
    assert manifest_of(argparse.Namespace(study="demo", changes=["study.name=other"])).name == "other.exports.json"
