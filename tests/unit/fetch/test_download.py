from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.earthengine.error_messages import Backoff
from cropcam.pipeline.errors import DataError, EarthEngineError, WorkStoppedError
from cropcam.pipeline.fetch import download, partial
from cropcam.pipeline.fetch.download import How, fetch_files
from support.cutting_server import Place, served
from support.homecoming import how

CONTENT = bytes(range(251)) * 60


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> Iterator[None]:
    before = partial.Partial.__init__.__defaults__
    partial.Partial.__init__.__defaults__ = (4000,)  # type: ignore[misc]
    yield
    partial.Partial.__init__.__defaults__ = before  # type: ignore[misc]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=30), st.booleans(), st.integers(1, 4))
def test_random_cuts_give_the_same_bytes(cuts: list[int], ranges: bool, workers: int) -> None:
    patient = How(workers, Backoff(attempts=40, first_s=0.0, sleep=lambda _: None))
    with tempfile.TemporaryDirectory() as folder, served(Place(CONTENT, cuts, ranges=ranges)) as place:
        out = Path(folder)
        assert fetch_files(place, [place.file("a.tif"), place.file("b.tif")], out, patient) == 2
        assert (out / "a.tif").read_bytes() == (out / "b.tif").read_bytes() == CONTENT
        assert fetch_files(place, [place.file("a.tif")], out, patient) == 0


def test_progress_counts_what_an_earlier_run_brought(tmp_path: Path) -> None:
    with served(Place(CONTENT, [3000])) as place:
        place.status = 0
        with pytest.raises(
            EarthEngineError, match=r"a\.tif: no connection to A place: .*; tried 1 times; run the same command again later"
        ):
            fetch_files(_Broken(place), [place.file("a.tif")], tmp_path, How(1, Backoff(attempts=1)))
        asked = len(place.seen)
        fetch_files(place, [place.file("a.tif")], tmp_path, how(workers=1))
        assert (tmp_path / "a.tif").read_bytes() == CONTENT
        assert place.seen[asked] == "bytes=3000-3999"


class _Broken(SimpleNamespace):
    """The place; after one answer its session is broken."""

    def __init__(self, place: Place) -> None:
        super().__init__(service=place.service, session=self, again=place.again)
        self.place, self.count = place, 0

    def get(self, *args: object, **options: object) -> object:
        self.count += 1
        if self.count > 1:
            raise ConnectionResetError("reset by peer")
        return self.place.session.get(*args, **options)  # type: ignore[arg-type]


def test_a_file_that_grows_meanwhile_starts_anew(tmp_path: Path) -> None:
    lines: list[str] = []
    with served(Place(CONTENT)) as place:
        listed = place.file("a.tif")
        place.content = CONTENT + b"more"
        fetch_files(place, [listed], tmp_path, how(lines))
    assert (tmp_path / "a.tif").read_bytes() == CONTENT + b"more"
    assert lines == ["a.tif: was replaced while it was fetched; it starts anew"]


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with served(Place(CONTENT)) as place:
        listed = place.file("a.tif")
        place.content = b"x" * len(CONTENT)
        place.again = lambda _: None  # type: ignore[method-assign, assignment]
        with pytest.raises(DataError, match=r"a\.tif: is not in folder any more"):
            fetch_files(place, [listed], tmp_path, how())


def test_a_place_that_refuses_ends_it(tmp_path: Path) -> None:
    with served(Place(CONTENT)) as place:
        place.status = 403
        with pytest.raises(EarthEngineError, match="the credentials may not read it"):
            fetch_files(place, [place.file("a.tif")], tmp_path, how(workers=1))


def test_a_disk_without_room_is_refused_before_the_first_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 1))  # type: ignore[attr-defined]
    with served(Place(CONTENT)) as place:
        with pytest.raises(WorkStoppedError, match="15,060 bytes are to be fetched, 1 are free"):
            fetch_files(place, [place.file("a.tif")], tmp_path, how())
        assert place.seen == []


def test_another_file_of_the_name_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"mine")
    with served(Place(CONTENT)) as place, pytest.raises(DataError, match="is there already, with other bytes than the file in folder"):
        fetch_files(place, [place.file("a.tif"), dataclasses.replace(place.file("b.tif"))], tmp_path, how())
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
