"""All windows of a map: each once, in order, a bounded number at a time, and what is done stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.maps import mapping
from cropcam.pipeline.maps.mapping import make_windows
from cropcam.pipeline.maps.window_files import WindowFiles
from cropcam.pipeline.maps.window_job import PROBABILITY, WindowJob
from cropcam.pipeline.maps.windows import Scores
from cropcam.pipeline.runtime.progress import silent
from support.clusters import local_cluster
from support.windows import FirstBand, random_classes, raster, raster_of

CLASS_OF = random_classes(40, 30)
COUNTED = np.arange(1, 51, dtype=np.uint16).reshape(1, 1, 50)  # a window a column


def begun(folder: Path, job: WindowJob, side: int) -> WindowFiles:
    grid = job.source.grid
    files = WindowFiles(folder / ".windows", grid, list(tiles(grid.shape_yx, (side, side))))
    files.begin({}, lambda _: None)
    return files


def content(files: WindowFiles) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files.folder.glob("*.tif")}


def test_progress_counts_every_window_from_those_that_are_done(tmp_path: Path) -> None:
    job = WindowJob(raster_of(CLASS_OF), FirstBand(2), 5)
    files, calls = begun(tmp_path, job, 15), list[tuple[int, int, str]]()
    make_windows(job, files, lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(done, 6) for done in range(7)]
    assert [call[2] for call in calls[:3]] == ["", "row 0, column 0", "row 0, column 15"]
    before = content(files)
    files.path(files.windows[4]).unlink()
    seen: list[Any] = []
    make_windows(WindowJob(job.source, FirstBand(2, called=seen.append), 5), files, lambda *call: calls.append(call))
    assert calls[7:] == [(5, 6, ""), (6, 6, "row 30, column 0")]
    assert len(seen) == 1  # windows that are there are not predicted again
    assert content(files) == before


class Failing(FirstBand):
    """Stops at the window of value 9."""

    def __call__(self, block_CYX: np.ndarray) -> Scores:
        if block_CYX[0, 0, 0] == 9:
            raise self.error
        return super().__call__(block_CYX)

    error: BaseException = DataError("block 9")


@pytest.mark.parametrize("error", [DataError("block 9"), KeyboardInterrupt("block 9"), RuntimeError("block 9")])
def test_an_error_stops_the_rest_and_what_is_done_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    monkeypatch.setattr(Failing, "error", error)
    seen: list[Any] = []
    job = WindowJob(raster(COUNTED), Failing(called=seen.append), 60)
    files = begun(tmp_path, job, 1)
    with pytest.raises(type(error), match="block 9"):
        make_windows(job, files, silent)
    assert len(seen) == 8
    assert 8 - mapping.AHEAD - 1 <= len(content(files)) <= 8
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("read", "pack"))]


def test_an_error_of_the_source_or_of_packing_stops_too(tmp_path: Path) -> None:
    class Broken(type(raster(COUNTED))):  # type: ignore[misc]
        def read(self, window: Window) -> np.ndarray:
            if window.col == 5:
                raise DataError("column 5 cannot be read")
            return super().read(window)

    source = Broken(COUNTED, scale=1.0, offset=0.0)
    job = WindowJob(source, FirstBand(), 60)
    with pytest.raises(DataError, match="column 5 cannot be read"):
        make_windows(job, begun(tmp_path, job, 1), silent)

    class Unpacked(WindowJob):
        def packed(self, window: Window, scored: Any) -> Any:
            if window.col == 5:
                raise DataError("column 5 cannot be packed")
            return super().packed(window, scored)

    with pytest.raises(DataError, match="column 5 cannot be packed"):
        make_windows(Unpacked(raster(COUNTED), FirstBand(), 60), begun(tmp_path, job, 1), silent)


def test_windows_are_read_and_written_a_few_at_a_time(tmp_path: Path) -> None:
    """However slow a prediction is, no more than `AHEAD` windows are read before it; however slow packing is, no more wait."""
    read, predicted, packed = list[int](), list[int](), list[int]()

    class Slow(WindowJob):
        def read(self, window: Window) -> Any:
            read.append(window.col)
            return super().read(window)

        def scored(self, block: Any) -> Any:
            assert len(read) - len(predicted) <= mapping.AHEAD + 1
            if not predicted:
                time.sleep(0.1)
            predicted.append(len(predicted))
            return super().scored(block)

        def packed(self, window: Window, scored: Any) -> Any:
            assert len(predicted) - len(packed) <= mapping.AHEAD + 2
            if not packed:
                time.sleep(0.1)
            packed.append(window.col)
            return super().packed(window, scored)

    job = Slow(raster(COUNTED), FirstBand(), 60)
    make_windows(job, begun(tmp_path, job, 1), silent)
    assert packed == list(range(50))
    assert sorted(read) == list(range(50))


def test_a_full_disk_is_one_line_about_the_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WindowFiles, "write", full)
    job = WindowJob(raster(COUNTED), FirstBand(), 60)
    with pytest.raises(DataError, match=r"0_0\.tif: cannot be written: .*No space left on device; check the disk's free space") as caught:
        make_windows(job, begun(tmp_path, job, 1), silent)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two threads in this process."""
    with local_cluster() as found:
        yield found


def test_a_cluster_makes_the_same_bytes_and_goes_on_too(tmp_path: Path, address: str) -> None:
    job = WindowJob(raster_of(CLASS_OF), FirstBand(2), 5, (PROBABILITY,))
    here, there = begun(tmp_path / "here", job, 10), begun(tmp_path / "there", job, 10)
    make_windows(job, here, silent)
    calls: list[tuple[int, int]] = []
    make_windows(job, there, lambda done, total, _: calls.append((done, total)), address)
    assert calls == [(done, 12) for done in range(13)]
    assert content(here) == content(there)
    there.path(there.windows[5]).unlink()
    make_windows(job, there, lambda done, total, _: calls.append((done, total)), address)
    assert calls[13:] == [(11, 12), (12, 12)]
    assert content(here) == content(there)


def test_an_error_on_a_worker_is_the_same_line_here(tmp_path: Path, address: str) -> None:
    job = WindowJob(raster(COUNTED), Failing(), 60)
    with pytest.raises(DataError, match=r"^block 9$"):
        make_windows(job, begun(tmp_path, job, 1), silent, address)


def test_nobody_at_the_address_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cropcam.pipeline.runtime import tasks

    monkeypatch.setattr(tasks, "_CONNECT_S", 0.2)
    job = WindowJob(raster(COUNTED), FirstBand(), 60)
    with pytest.raises(DataError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:9"):
        make_windows(job, begun(tmp_path, job, 1), silent, "tcp://127.0.0.1:9")
