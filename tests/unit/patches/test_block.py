"""One block: what it writes and in which order, when it counts as done, and what stops it."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches import block, build
from cropcam.pipeline.patches.block import Job, build_block, is_done
from cropcam.pipeline.rasters.mosaic import RasterMosaic
from cropcam.pipeline.store.schema import NOT_MEASURED, opened
from support.builds import build_study, fingerprint, small_blocks, write_inputs


class StoppedError(Exception):
    """Here building would begin."""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A store of blocks of 4 x 4 patches of which none is built."""
    small_blocks(monkeypatch, 4)
    image, labels, _, _ = write_inputs(tmp_path)
    found: list[Job] = []

    def stop(job: Job, *_rest: Any) -> None:
        found.append(job)
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_run", stop)
        with pytest.raises(StoppedError, match=r"^$"):
            build.from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    return found[0]


def reasons(job: Job) -> np.ndarray:
    return np.asarray(opened(job.store, "reason", strict=False).read().result())


def done(job: Job) -> list[tuple[int, int]]:
    layout = job.info.layout
    return [place for place in layout.blocks() if is_done(job.store, layout, place, reasons(job), has_labels=True)]


def test_a_block_is_its_own_and_done_when_it_is_built(job: Job) -> None:
    assert done(job) == []
    kept = [build_block(job, place) for place in ((2, 3), (0, 0))]
    assert kept == [3, 10]  # of 3 and 16; seven by image, and the corner's
    assert sorted(done(job)) == [(0, 0), (2, 3)]
    assert (reasons(job) != NOT_MEASURED).sum() == 16 + 3
    np.testing.assert_array_equal(
        opened(job.store, "image", strict=False)[:, :40, :40].read().result(), job.source.read(job.info.layout.window((0, 0)))
    )


def test_a_block_built_twice_or_in_another_process_has_the_same_bytes(job: Job) -> None:
    build_block(job, (1, 1))
    before = fingerprint(job.store)
    build_block(pickle.loads(pickle.dumps(job)), (1, 1))  # noqa: S301 - our own
    assert fingerprint(job.store) == before


def test_reason_is_written_last(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    plain = block._array
    monkeypatch.setattr(block, "_array", lambda job, name: asked.append(name) or plain(job, name))
    build_block(job, (0, 0))
    assert asked[:2] == ["image", "label"]
    assert sorted(asked[2:-1]) == ["counts", "histogram", "moments", "share", "valid"]
    assert asked[-1] == "reason"


@pytest.mark.parametrize("array", ["moments", "reason"])
def test_a_block_without_its_last_row_is_not_done(job: Job, array: str) -> None:
    plain = block._array

    def stopping(job: Job, name: str) -> Any:
        if name == array:
            raise StoppedError
        return plain(job, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "_array", stopping)
        with pytest.raises(StoppedError, match=r"^$"):
            build_block(job, (0, 0))
    assert (job.store / "image" / "c" / "0" / "0" / "0").is_file()
    assert done(job) == []
    build_block(job, (0, 0))
    assert done(job) == [(0, 0)]


def test_a_block_without_a_whole_patch_is_done_when_its_shards_are_there(tmp_path: Path, job: Job) -> None:
    layout = replace(job.info, width=161).layout  # one pixel more than four blocks
    assert layout.shape == (3, 5)
    for name, place in (("image", "0/1/4"), ("label", "1/4")):
        assert not is_done(tmp_path, layout, (1, 4), reasons(job), has_labels=True)
        (tmp_path / name / "c" / place).parent.mkdir(parents=True)
        (tmp_path / name / "c" / place).touch()
        assert is_done(tmp_path, layout, (1, 4), reasons(job), has_labels=False)
    assert is_done(tmp_path, layout, (1, 4), reasons(job), has_labels=True)


@pytest.mark.parametrize(
    "elsewhere",
    [lambda job: replace(job, spec=job.spec + " "), lambda job: replace(job, store=job.store.with_name("other.zarr"))],
)
def test_a_machine_that_does_not_see_the_store_writes_nothing(job: Job, elsewhere: Callable[[Job], Job]) -> None:
    before = fingerprint(job.store)
    with pytest.raises(
        DataError, match=rf"is not on a disk that {socket.gethostname()} shares; give --store a folder that every worker"
    ) as caught:
        build_block(elsewhere(job), (0, 0))
    assert "\n" not in str(caught.value)
    assert fingerprint(job.store) == before
    assert not job.store.with_name("other.zarr").exists()


@pytest.mark.parametrize(("moment", "name", "written"), [(RasterMosaic, "read", 0), (block, "measure", 1)])
def test_a_store_begun_anew_meanwhile_gets_no_rows_of_the_old_one(
    job: Job, monkeypatch: pytest.MonkeyPatch, moment: Any, name: str, written: int
) -> None:
    plain = getattr(moment, name)

    def anew(*args: Any) -> Any:
        (job.store / ".build" / "spec.json").write_text("another")
        return plain(*args)

    monkeypatch.setattr(moment, name, anew)
    with pytest.raises(DataError, match="is not on a disk that"):
        build_block(job, (0, 0))
    assert (job.store / "image" / "c" / "0" / "0" / "0").is_file() == bool(written)
    assert not (job.store / "reason" / "c").exists()
    assert not (job.store / ".build" / "moments" / "c").exists()


def test_a_place_that_cannot_be_written_is_an_error_of_the_disk(job: Job) -> None:
    (job.store / "image" / "c").write_text("in the way")
    with pytest.raises(OSError, match="image") as caught:
        build_block(job, (0, 0))
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, DataError)
    assert caught.value.filename == str(job.store)
