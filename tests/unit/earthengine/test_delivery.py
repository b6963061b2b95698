"""Pixels straight from a service in memory: windows within the limits, quarters, the journal, shards that are whole or absent."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioIOError

from cropcam.pipeline.earthengine import delivery
from cropcam.pipeline.earthengine import pixel_requests as windows
from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.layers import Layer
from cropcam.pipeline.errors import ConfigError, DataError, EarthEngineError
from cropcam.pipeline.study.study import parse_study
from support.pixel_service import Pixels, bytes_of, small
from support.rasters import UTM, write_raster

pytestmark = pytest.mark.usefixtures("transport")


def test_shards_hold_every_pixel_in_its_place(tmp_path: Path) -> None:
    study = small()
    lines, seen = [], []
    paths = deliver(
        study, Pixels(study), tmp_path, workers=3, window_px=256, shard_px=512, progress=lambda *given: seen.append(given), log=lines.append
    )
    assert [path.name for path in paths] == [
        "image-0000000000-0000000000.tif",
        "image-0000000000-0000000512.tif",
        "labels-0000000000-0000000000.tif",
        "labels-0000000000-0000000512.tif",
    ]
    assert study.grid.shape_yx == (371, 630)
    for path in paths:
        with rasterio.open(path) as file:
            row, col = (
                round((file.transform.f - study.grid.transform[5]) / study.grid.transform[4]),
                round((file.transform.c - study.grid.transform[2]) / study.grid.transform[0]),
            )
            yy, xx = np.mgrid[row : row + file.height, col : col + file.width]
            for number in range(file.count):
                assert np.array_equal(file.read(number + 1), (yy * 7 + xx + number) % 250 + (1 if "labels" in file.name else 8000))
            tags = file.tags()
            assert (tags["STUDY"], tags["ENGINE"], file.nodata) == ("demo", "Earth Engine", 0)
            assert file.block_shapes[0] == (256, 256)
            assert file.descriptions == (("cropland",) if file.count == 1 else ("SR_B4", "SR_B5"))
    assert seen[-1] == (12, 12, "labels")
    assert len(lines) == 5  # a line a shard, and the cost
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)


def test_what_is_there_stays_and_costs_no_request(tmp_path: Path) -> None:
    study = small()
    service = Pixels(study)
    first = deliver(study, service, tmp_path)
    assert [path.name for path in first] == ["image.tif", "labels.tif"]
    before, asked = bytes_of(tmp_path), len(service.asked)
    deliver(study, service, tmp_path)
    assert (bytes_of(tmp_path), len(service.asked)) == (before, asked)


def test_disturbed_runs_end_with_the_same_bytes(tmp_path: Path) -> None:
    study = small()
    deliver(study, Pixels(study), tmp_path / "calm", window_px=256, shard_px=512)
    service = Pixels(study)
    for number in range(40):
        service.orders[:] = [None] * (number % 5) + [ServiceError("no", "refused")]
        try:
            deliver(study, service, tmp_path / "rough", window_px=256, shard_px=512, workers=2)
            break
        except EarthEngineError:
            continue
    else:
        pytest.fail("never came to its end")
    assert bytes_of(tmp_path / "rough") == bytes_of(tmp_path / "calm")


def test_passing_faults_and_answers_that_broke_off_cost_no_pixel(tmp_path: Path) -> None:
    study = small()
    deliver(study, Pixels(study), tmp_path / "calm")
    service = Pixels(study)
    service.orders[:] = [
        ee.EEException("Too many concurrent aggregations."),
        "truncate",
        ConnectionResetError("reset"),
        "truncate",
        TimeoutError("late"),
    ]
    deliver(study, service, tmp_path / "rough", workers=1)
    assert bytes_of(tmp_path / "rough") == bytes_of(tmp_path / "calm")
    service = Pixels(study)
    service.orders[:] = ["truncate"] * 100
    with pytest.raises(EarthEngineError, match=r"an answer of .* bytes that is no NPY file; tried 3 times"):
        deliver(study, service, tmp_path / "never", workers=1)


def test_shards_and_windows_of_another_study_are_refused_by_the_field_that_differs(tmp_path: Path) -> None:
    study = small()
    deliver(study, Pixels(study), tmp_path / "done")
    other = small(cloud_cover_max_pct=20.0)
    with pytest.raises(
        DataError, match=r"image\.tif: a shard of another study \(image.cloud_cover_max_pct: 100.0 against 20.0\); choose another folder"
    ):
        deliver(other, Pixels(other), tmp_path / "done")
    service = Pixels(study)
    service.orders[:] = [None, None, ServiceError("no", "refused")]
    with pytest.raises(EarthEngineError, match="no"):
        deliver(study, service, tmp_path / "begun", window_px=256, workers=1)
    with pytest.raises(DataError, match=r"an unfinished delivery of another study lies there \(image.cloud_cover_max_pct"):
        deliver(other, Pixels(other), tmp_path / "begun", window_px=256)
    with pytest.raises(DataError, match=r"windows: .*256.* against .*512"):
        deliver(study, service, tmp_path / "begun", window_px=512)
    (tmp_path / "begun/.windows/journal.json").write_text("{")
    with pytest.raises(
        DataError,
        match=r"journal\.json, line 1, column 2: not JSON: .*the journal of an unfinished delivery is damaged: delete its folder$",
    ):
        deliver(study, service, tmp_path / "begun", window_px=256)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/image.tif").write_bytes(b"no tiff")
    with pytest.raises(DataError, match=r"image\.tif: damaged; delete it"):
        deliver(study, service, tmp_path / "foreign")
    write_raster(tmp_path / "foreign/image.tif", np.zeros(UTM.shape_yx, np.uint16), UTM)
    with pytest.raises(DataError, match="it has no provenance tags"):
        deliver(study, service, tmp_path / "foreign")


def test_a_full_disk_is_one_line_and_the_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small()
    deliver(study, Pixels(study), tmp_path / "calm", window_px=256)
    write, count = windows.atomic_write, []

    def full(path: Path, content: bytes, **options: Any) -> None:
        count.append(1)
        if len(count) == 5:  # the journal, three windows, another one
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content, **options)

    service = Pixels(study)
    monkeypatch.setattr(windows, "atomic_write", full)
    with pytest.raises(DataError, match="the disk is full; what was fetched stays: free space and run the same command again"):
        deliver(study, service, tmp_path / "full", window_px=256, workers=1)
    kept = len(list((tmp_path / "full/.windows").glob("*.npy")))
    assert kept >= 3
    asked = len(service.asked)
    deliver(study, service, tmp_path / "full", window_px=256, workers=1)
    assert len(service.asked) - asked == 12 - kept + 1  # and the check of the label asset
    assert bytes_of(tmp_path / "full") == bytes_of(tmp_path / "calm")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("8214 requested and 566 written"), "8214 requested and 566 written"),
        (RasterioIOError("Read failed. See previous exception for details."), "Read failed. See previous exception for details"),
        (OSError(), "OSError"),
    ],
)
def test_a_write_that_failed_without_a_number_is_one_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, message: str
) -> None:
    def fails(*_what: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(windows, "atomic_write", fails)
    with pytest.raises(DataError, match=rf"cannot be written \({message}\), the disk may be full; what was fetched stays"):
        deliver(small(), Pixels(small()), tmp_path)


def test_a_layer_the_study_no_longer_has_is_named_by_the_field(tmp_path: Path) -> None:
    labelled = small()
    deliver(labelled, Pixels(labelled), tmp_path / "labels")
    values = {key: value for key, value in labelled.to_dict().items() if key not in ("labels", "classes")}
    alone = parse_study(values)
    with pytest.raises(DataError, match=r"labels\.tif: a shard of another study \(labels.*\), or choose another folder"):
        deliver(alone, Pixels(alone), tmp_path / "labels")
    counted = small(count=True)
    deliver(counted, Pixels(counted), tmp_path / "counts")
    with pytest.raises(
        DataError, match=r"image\.tif: a shard of another study \(image\.count: True against False\); choose another folder"
    ):
        deliver(small(), Pixels(small()), tmp_path / "counts")


def test_two_runs_never_write_to_one_folder(tmp_path: Path) -> None:
    study = small()
    with delivery.exclusive_lock(tmp_path / "delivery"), pytest.raises(DataError, match="another process is writing it"):
        deliver(study, Pixels(study), tmp_path)


def test_options_are_checked_before_the_first_request(tmp_path: Path) -> None:
    study = small()
    service = Pixels(study)
    for options, message in (
        ({"window_px": 100}, "--window-px 100: windows are multiples of 256 px"),
        ({"window_px": 33_024}, "a request may be 32,768 px a side"),
        ({"window_px": 4096}, r"a request of image would hold 100\.7 MB; the limit is 48 MB"),
        ({"window_px": 512, "shard_px": 768}, "--shard-px 768: not a multiple of the windows' 512 px"),
        ({"workers": 41}, "--workers 41: 1 to 40"),
    ):
        with pytest.raises(ConfigError, match=message):
            deliver(study, service, tmp_path, **options)
    assert service.asked == []
    with pytest.raises(ConfigError, match="1050 bands; a request may hold 1024"):
        windows.check_window_px(Layer("image", tuple(map(str, range(1050))), "uint8"), 256)
