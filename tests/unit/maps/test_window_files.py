"""Finished windows in their folder: kept, found again, thrown away where they are of another map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.grid import tiles
from cropcam.pipeline.maps.mapping import make_windows
from cropcam.pipeline.maps.window_files import SPEC, Layer, WindowFiles
from cropcam.pipeline.maps.window_job import CLASSES, LAYER, PROBABILITY, WindowJob
from cropcam.pipeline.runtime.progress import silent
from support.snapshots import snapshot
from support.windows import FirstBand, random_classes, raster_of

HEIGHT, WIDTH, SIDE = 40, 50, 20
CLASS_OF = random_classes(HEIGHT, WIDTH)
NUMBERS = np.random.default_rng(1).integers(1, 999, (HEIGHT, WIDTH))
JOB = WindowJob(raster_of(CLASS_OF, NUMBERS), FirstBand(beside=True), 5, (PROBABILITY, LAYER))
A_SPEC = {"input": "a.tif", "window": 20, "shift": [0.5, float("-inf")]}


@pytest.fixture
def files(tmp_path: Path) -> WindowFiles:
    grid = JOB.source.grid
    return WindowFiles(tmp_path / "new" / ".map.tif.windows", grid, list(tiles(grid.shape_yx, (SIDE, SIDE))))


def made(files: WindowFiles, lines: list[str] | None = None, **changes: object) -> WindowFiles:
    files.begin(A_SPEC | changes, (lines if lines is not None else []).append)
    make_windows(JOB, files, silent)
    return files


def test_the_same_specification_goes_on(files: WindowFiles) -> None:
    lines: list[str] = []
    made(files, lines)
    before = {path.name: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    assert len(before) == 1 + 2 * 6
    files.begin(A_SPEC, lines.append)
    assert before == {path.name: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    assert files.missing(numbers=True) == []
    assert lines == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"window": 21}, "another window"),
        ({"shift": [0.5, 0.0]}, "another shift"),
        ({"input": "b.tif", "smoothness": 1, "other_thing": 3, "window": 7}, "another input, another other thing, another smoothness"),
    ],
)
def test_another_specification_starts_over_and_names_what_differs(files: WindowFiles, changes: dict[str, object], named: str) -> None:
    lines: list[str] = []
    made(files)
    files.begin(A_SPEC | changes, lines.append)
    assert lines == [f"starting over: the unfinished map found here was begun with {named}"]
    assert [path.name for path in files.folder.iterdir()] == [SPEC]
    assert files.missing(numbers=False) == list(files.windows)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00" * 90])
def test_a_damaged_specification_starts_over(files: WindowFiles, text: str) -> None:
    made(files)
    (files.folder / SPEC).write_text(text)
    files.begin(A_SPEC, lambda _: None)
    assert files.missing(numbers=False) == list(files.windows)
    assert json.loads((files.folder / SPEC).read_text()) == A_SPEC


def test_partial_files_of_a_killed_process_are_cleared(files: WindowFiles) -> None:
    made(files)
    (files.folder / ".0_0.tif.partial").write_bytes(b"half")
    files.begin(A_SPEC, lambda _: None)
    assert not (files.folder / ".0_0.tif.partial").exists()


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, "zeros", "absent"])
def test_a_damaged_window_is_made_again(files: WindowFiles, numbers: bool, kept: float | str) -> None:
    made(files)
    window = files.windows[3]
    path = files.path(window, numbers=numbers)
    content = path.read_bytes()
    if kept == "absent":
        path.unlink()
    elif kept == "zeros":  # the length of the file arrived on the disk, its data did not
        path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    else:
        path.write_bytes(content[: int(float(kept) * len(content))])
    assert files.missing(numbers=True) == [window]
    assert files.missing(numbers=False) == ([] if numbers else [window])
    make_windows(JOB, files, silent)
    assert path.read_bytes() == content


@pytest.mark.parametrize("error", [KeyboardInterrupt("Ctrl-C"), OSError(28, "No space left on device")])
def test_what_is_kept_is_said(files: WindowFiles, error: BaseException) -> None:
    lines: list[str] = []
    with pytest.raises(type(error), match=r"Ctrl-C|No space"), files.kept(lines.append):
        raise error
    assert lines == []  # nothing is
    files.begin(A_SPEC, lines.append)
    with pytest.raises(type(error), match=r"Ctrl-C|No space"), files.kept(lines.append):
        raise error
    assert not files.folder.exists()
    made(files)
    files.path(files.windows[0]).unlink()
    with pytest.raises(type(error), match=r"Ctrl-C|No space"), files.kept(lines.append):
        raise error
    assert lines == [f"5 of 6 windows are done and kept in {files.folder}; the same command goes on from there"]
    with files.kept(lines.append):
        pass
    assert len(lines) == 1
    files.discard()
    files.discard()
    assert list(files.folder.parent.iterdir()) == []


def test_windows_are_one_raster(files: WindowFiles) -> None:
    made(files)
    colors = {0: (1, 2, 3, 255), 4: (9, 8, 7, 255), 255: (0, 0, 0, 0)}
    tags = {"study": 'a "study" & <more>', "classes": '{"0": "é"}'}
    layers = {
        CLASSES: Layer(JOB.bands[CLASSES], ("class",), tags, colors=colors),
        PROBABILITY: Layer(JOB.bands[PROBABILITY], ("a & b", "b", "c", "d", "e"), tags, scale=1 / 250),
        LAYER: Layer((1,), ("numbers",), tags, is_numbers=True),
    }
    for name, layer in layers.items():
        with rasterio.open(files.mosaic(name, layer)) as dataset:
            assert (dataset.crs.to_string(), tuple(dataset.transform)[:6]) == (files.grid.crs, files.grid.transform)
            assert dataset.descriptions == layer.descriptions
            assert tags.items() <= dataset.tags().items()
            assert dataset.scales == (layer.scale,) * len(layer.bands)
            values = dataset.read()
        if name == CLASSES:
            np.testing.assert_array_equal(values[0], CLASS_OF)
            with rasterio.open(files.mosaic(name, layer)) as dataset:
                table = dataset.colormap(1)
                assert [table[index] for index in (0, 1, 4, 255)] == [(1, 2, 3, 255), (0, 0, 0, 255), (9, 8, 7, 255), (0, 0, 0, 0)]
        elif name == PROBABILITY:
            np.testing.assert_array_equal(values.argmax(axis=0)[CLASS_OF != 255], CLASS_OF[CLASS_OF != 255])
        else:
            np.testing.assert_array_equal(values[0], np.where(CLASS_OF == 255, np.nan, NUMBERS).astype(np.float32))


def test_one_raster_may_stand_for_all_windows(files: WindowFiles) -> None:
    made(files)
    layer = Layer((1,), ("class",), {})
    with rasterio.open(files.mosaic("class", layer)) as dataset, rasterio.open(
        files.folder / "other.tif", "w", "GTiff", width=WIDTH, height=HEIGHT, count=1, dtype="uint8", crs=dataset.crs, transform=dataset.transform
    ) as other:  # fmt: skip
        other.write(np.full((1, HEIGHT, WIDTH), 3, np.uint8))
    with rasterio.open(files.mosaic("class", layer, "other.tif")) as dataset:
        assert (dataset.read() == 3).all()


def test_a_planted_link_is_removed_and_nothing_written_through_it(files: WindowFiles, tmp_path: Path) -> None:
    other = tmp_path / "other"
    made(WindowFiles(other, files.grid, files.windows))  # of the same specification
    before = snapshot(other)
    files.folder.parent.mkdir()
    files.folder.symlink_to(other)
    made(files, smoothness=1)
    assert not files.folder.is_symlink()
    assert snapshot(other) == before
