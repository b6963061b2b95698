"""Shards of a delivery: verified before they appear, placed on the grid, tagged with their study."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.earthengine import delivered_shards as shardfiles
from cropcam.pipeline.earthengine.delivered_shards import Shard, changed_fields, is_written, verify, write_shard
from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.layers import layers_of
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.study.study import Study, parse_study
from support.pixel_service import Pixels, small

pytestmark = pytest.mark.usefixtures("transport")


def test_a_shard_that_does_not_read_back_as_it_was_sent_never_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small()
    flips = iter(range(10_000))
    own = shardfiles._bands
    monkeypatch.setattr(shardfiles, "_bands", lambda pixels, layer: own(pixels, layer) + (next(flips) == 1))
    with pytest.raises(DataError, match="did not reach the disk as they were sent"):
        deliver(study, Pixels(study), tmp_path)
    assert not list(tmp_path.glob("image*.tif"))


def shard_of(study: Study, path: Path, place: Window, digest: str = "d") -> Shard:
    return Shard(path, layers_of(study)[0], place, digest, is_loopback=True)


def pixels_of(window: Window) -> np.ndarray:
    """DN that give the place of each pixel, in the bands of `small`."""
    yy, xx = np.mgrid[window.row : window.row + window.height, window.col : window.col + window.width]
    found = np.zeros(yy.shape, [("SR_B4", "u2"), ("SR_B5", "u2")])
    found["SR_B4"], found["SR_B5"] = yy + 8001, xx + 8001
    return found


def test_a_shard_is_written_from_its_windows_with_the_study_in_its_tags(tmp_path: Path) -> None:
    study, place = small(), Window(0, 256, 300, 374)
    shard = shard_of(study, tmp_path / "image.tif", place)
    assert not is_written(shard, study)
    windows = [Window(0, 256, 256, 374), Window(256, 256, 44, 374)]
    write_shard(shard, study, windows, pixels_of)
    with rasterio.open(shard.path) as file:
        assert tuple(file.transform)[:6] == study.grid.window(place).transform
        assert (file.descriptions, file.nodata, file.crs.to_string()) == (("SR_B4", "SR_B5"), 0, study.grid.crs)
        expected = pixels_of(place)
        np.testing.assert_array_equal(file.read(), [expected["SR_B4"], expected["SR_B5"]])
        tags = file.tags()
    assert parse_study(json.loads(tags["STUDY_JSON"])) == study
    assert (tags["GRAPH_DIGEST"], tags["ENGINE"]) == ("d", "loopback server, not Earth Engine")
    assert [path.name for path in tmp_path.iterdir()] == ["image.tif"]
    assert is_written(shard, study)
    assert changed_fields(shard.path, study) == []


def test_a_shard_of_another_graph_or_size_is_refused_by_its_difference(tmp_path: Path) -> None:
    study, place = small(), Window(0, 0, 20, 30)
    shard = shard_of(study, tmp_path / "image.tif", place)
    write_shard(shard, study, [place], pixels_of)
    other = small(cloud_cover_max_pct=20.0)
    assert changed_fields(shard.path, other) == ["image.cloud_cover_max_pct: 100.0 against 20.0"]
    with pytest.raises(DataError, match=r"of another study \(image\.cloud_cover_max_pct: 100\.0 against 20\.0\); choose another folder"):
        is_written(shard_of(other, shard.path, place, "other"), other)
    with pytest.raises(DataError, match=r"of another study \(30 x 20 px against 30 x 21\)"):
        is_written(shard_of(study, shard.path, Window(0, 0, 21, 30)), study)


def test_a_shard_in_another_place_is_named(tmp_path: Path) -> None:
    study = small()
    grid = study.grid
    whole = Window(0, 0, *grid.shape_yx)
    top, bottom = Window(0, 0, 256, grid.width), Window(256, 0, grid.height - 256, grid.width)
    labels = Shard(tmp_path / "labels.tif", layers_of(study)[1], whole, "d", is_loopback=True)
    write_shard(labels, study, [whole], lambda window: np.ones((window.height, window.width), [("cropland", "u1")]))
    first, second = (shard_of(study, tmp_path / f"image-{place.row:010d}-{0:010d}.tif", place) for place in (top, bottom))
    for shard in (first, second):
        write_shard(shard, study, [shard.place], pixels_of)
    verify(study, [first, second, labels])
    moved = replace(second, place=bottom._replace(row=255))
    with pytest.raises(DataError, match=r"image-0000000256-0000000000\.tif: lies at \(256, 0, 115, 630\), expected \(255, 0, 115, 630\)"):
        verify(study, [first, moved, labels])
    second.path.unlink()
    with pytest.raises(DataError, match=r"pixels lie in no image-.* or sibling; a shard is missing"):
        verify(study, [first, labels])


def test_shards_of_a_sensor_whose_values_are_bytes_are_verified(tmp_path: Path) -> None:
    """A place needs no meaning of the values, which bytes have by the sensor's table alone."""
    table = {
        "title": "Bytes", "source": "this test", "composite": "median", "dtype": "uint8", "nodata": 255, "resolution_m": 30,
        "default_bands": ["red"], "bands": {"red": {}}, "collections": [{"id": "A", "default_years": [0, 9999], "bands": {"red": "R"}}],
    }  # fmt: skip
    values = small().to_dict()
    study = parse_study(values | {"image": {"sensor": table, "seasons": values["image"]["seasons"]}, "labels": None})
    shard = Shard(tmp_path / "image.tif", layers_of(study)[0], Window(0, 0, *study.grid.shape_yx), "d", is_loopback=True)
    write_shard(shard, study, [shard.place], lambda window: np.ones((window.height, window.width), [("red", "u1")]))
    verify(study, [shard])
