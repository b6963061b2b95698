"""Destinations as the user writes them, and the names a service takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline.earthengine.destinations import Asset, CloudStorage, Drive, check_name, parse_destination
from cropcam.pipeline.errors import ConfigError


def test_destinations_as_the_user_writes_them() -> None:
    assert parse_destination("drive:my maps") == Drive("my maps")
    assert parse_destination("gs://bucket-1/a/b/") == CloudStorage("bucket-1", "a/b")
    assert parse_destination("gs://bucket-1") == CloudStorage("bucket-1", "")
    assert parse_destination("some/folder") == Path("some/folder")
    assert [str(parse_destination(text)) for text in ("drive:f", "gs://bu-1/x", "gs://bu-1")] == ["drive:f", "gs://bu-1/x", "gs://bu-1"]
    assert CloudStorage("bu-1", "a/b").object_prefix("n") == "a/b/n"
    assert CloudStorage("bu-1", "").object_prefix("n") == "n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drive:", "the folder's name is missing"),
        ("drive:a/b", "takes 'a/b' as one name, not as a path"),
        ("drive:" + "x" * 300, "at most 255 printable"),
        ("gs://", "is no bucket name"),
        ("gs://Bucket/x", "'Bucket' is no bucket name"),
        ("gs://bucket/a b", "'a b' in the prefix"),
        ("gs://bucket/a//b", "between single slashes"),
        ("gs://bucket/" + "x" * 900, "800 are allowed"),
        ("s3://bucket/x", "write drive:FOLDER, gs://BUCKET/PREFIX, asset:PATH or a local folder"),
        ("", "write drive:FOLDER"),
        ("asset:", "write asset:NAME or asset:projects/PROJECT/assets/NAME"),
        ("asset:a b", "write asset:NAME"),
        ("asset:users/me/map", "write asset:NAME"),
        ("asset:projects/my-project/map", "write asset:NAME"),
    ],
)
def test_bad_destinations_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_destination(text)


def test_names_of_letters_digits_dashes_and_underscores_only() -> None:
    check_name("description", "corn-belt_2016")
    with pytest.raises(ConfigError, match=r"description 'a\.b': '\.' is not allowed; use letters"):
        check_name("description", "a.b")
    with pytest.raises(ConfigError, match="101 characters; 1 to 100 are allowed"):
        check_name("description", "x" * 101)


def test_an_asset_s_project_is_its_own_or_the_session_s() -> None:
    own, other = parse_destination("asset:maps/corn"), parse_destination("asset:projects/my-project/assets/maps/corn")
    assert isinstance(own, Asset)
    assert isinstance(other, Asset)
    assert (own.name("p"), other.name("p")) == ("projects/p/assets/maps/corn", "projects/my-project/assets/maps/corn")
    assert (str(own), str(other)) == ("asset:maps/corn", "asset:projects/my-project/assets/maps/corn")
