"""Pixels straight from the embedded engine with the real client: equal to the numpy twin, whatever happens on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ee
import numpy as np
import pytest
import rasterio

from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.error_messages import Backoff
from cropcam.pipeline.earthengine.session import Session, open_session
from cropcam.pipeline.emulator import Fault, Faults, Limits, serve
from cropcam.pipeline.errors import EarthEngineError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.rasters.export_shards import open_shards
from cropcam.pipeline.study.study import Study
from oracles.composite import compose
from support import scenes

ROOT = Path(__file__).parents[2]
PATIENCE = Backoff(attempts=60, first_s=0.001, longest_s=0.01)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    ee.Reset()


def wide(crs: str = "EPSG:4326", **image: object) -> Study:
    return scenes.study(area={"bounds": [-90.1, 40.98, -89.9, 41.06], "crs": crs}, image=image)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def test_delivered_pixels_equal_the_twin_on_any_grid_window_and_shard(archive: Path, tmp_path: Path) -> None:
    studies = {
        "plain": wide(),
        "albers": wide("EPSG:5070", mask=["cloud", "snow", "saturated"]),
        "seasons": wide(seasons=[["2016-05-01", "2016-07-01"], ["2016-07-01", "2016-10-01"]]),
        "two collections": wide(collections=[scenes.LANDSAT, scenes.LANDSAT_9], cloud_cover_max_pct=25.0),
    }
    with serve(archive) as server:
        session = open_session("p", server.url, backoff=PATIENCE, client_retries=0)
        for number, (name, study) in enumerate(studies.items()):
            twin = compose(study, archive, tmp_path / name / "twin")
            out = tmp_path / name / "out"
            deliver(study, session, out, window_px=(256, 512)[number % 2], shard_px=(512, 8192)[number // 2], workers=8)
            image, labels = open_shards(out, study)
            window = scenes.Window(0, 0, *study.grid.shape_yx)
            assert np.array_equal(image.read(window), read(twin[0])), name
            assert np.array_equal(labels.read(window), read(twin[1])[0]), name
            with rasterio.open(next(out.glob("image*"))) as file:
                assert file.descriptions == study.image.layers
                assert file.tags()["ENGINE"] == "loopback server, not Earth Engine"


def test_forty_refusals_and_broken_answers_cost_no_pixel(archive: Path, tmp_path: Path) -> None:
    study = wide()
    with serve(archive) as server:
        deliver(study, open_session("p", server.url), tmp_path / "calm", window_px=256)
    route = "image:computePixels"
    bad = Faults.of(
        Fault(route, status=429, count=40),
        Fault(route, "truncate", count=3),
        Fault(route, "disconnect", count=3),
        Fault(route, status=500, count=3),
        Fault(route, "memory", count=1, after=4),
    )
    with serve(archive, faults=bad) as server:
        deliver(study, open_session("p", server.url, backoff=PATIENCE, client_retries=0), tmp_path / "rough", window_px=256)
        assert bad.left() == []
    for name in ("image.tif", "labels.tif"):
        assert (tmp_path / "rough" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()


class Seen(Session):
    """A session that records the longer side of each pixel request, by the layer's name."""

    def pixels(self, image: ee.Image, grid: PixelGrid, request_name: str) -> bytes:
        self.__dict__.setdefault("sides", []).append((request_name.split(maxsplit=1)[0], max(grid.shape_yx)))
        return super().pixels(image, grid, request_name)

    def with_backoff(self, backoff: Backoff) -> Session:
        other = Seen(self.project, self.api_url, self.is_loopback, backoff)
        other.__dict__["sides"] = self.__dict__.setdefault("sides", [])
        return other


def test_a_layer_that_is_too_much_costs_two_windows_and_no_pixel(archive: Path, tmp_path: Path) -> None:
    study = wide()
    with serve(archive) as server:
        deliver(study, open_session("p", server.url), tmp_path / "calm", window_px=256)
    lines: list[str] = []
    with serve(archive, limits=Limits(request_bytes=150_000)) as server:  # 256 px of the image are more, 128 px are not
        opened = open_session("p", server.url, backoff=PATIENCE, client_retries=0)
        session = Seen(opened.project, opened.api_url, opened.is_loopback, PATIENCE)
        deliver(study, session, tmp_path / "late", window_px=256, workers=2, log=lines.append)
    sides = session.__dict__["sides"]
    assert [side for layer, side in sides if layer == "image" and side > 128] == [256, 256]
    assert "image: two requests were too large for the service; from now on they have 128 px" in lines
    assert not any(layer == "labels" and side == 128 for layer, side in sides)
    for name in ("image.tif", "labels.tif"):
        assert (tmp_path / "late" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()


def test_a_service_busy_for_too_long_leaves_what_was_fetched(archive: Path, tmp_path: Path) -> None:
    study = wide()
    busy = Faults.of(Fault("image:computePixels", status=429, count=10_000, after=3))
    with serve(archive, faults=busy) as server:
        backoff = Backoff(attempts=2, first_s=0.001)
        with pytest.raises(EarthEngineError, match=r"429.*; tried 2 times; run the same command again later"):
            deliver(study, open_session("p", server.url, backoff=backoff, client_retries=0), tmp_path / "out", window_px=256, workers=1)
    assert len(list((tmp_path / "out/.windows").glob("image*.npy"))) == 2
    assert not list((tmp_path / "out").glob("*.tif"))


def test_nothing_secret_and_nothing_of_this_machine_in_the_shards(archive: Path, tmp_path: Path) -> None:
    with serve(archive) as server:
        deliver(scenes.study(), open_session("p", server.url), tmp_path)
        with rasterio.open(tmp_path / "image.tif") as file:
            text = json.dumps(file.tags())
    assert str(tmp_path) not in text
    assert server.url not in text


@pytest.mark.slow
def test_kills_submit_nothing_twice_and_change_no_byte() -> None:
    words = ["-m", "benchmarks.kills", "--kills", "2", "--per-set", "1", "--size-px", "300", "--seed", "0"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, check=True, timeout=400, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["sets"] >= 2  # to Drive and to a folder
    assert (found["kills"], found["submitted_twice"], found["sets_with_other_bytes"]) == (2, 0, 0)


@pytest.mark.parametrize("crs", ["ESRI:102008", "+proj=laea +lat_0=41 +lon_0=-90 +datum=WGS84 +units=m"])
def test_a_grid_in_a_crs_without_a_code_of_epsg(archive: Path, tmp_path: Path, crs: str) -> None:
    study = scenes.study(area={"crs": crs})
    twin = compose(study, archive, tmp_path / "twin")
    with serve(archive) as server:
        deliver(study, open_session("p", server.url, backoff=PATIENCE, client_retries=0), tmp_path / "out")
    image, labels = open_shards(tmp_path / "out", study)
    window = scenes.Window(0, 0, *study.grid.shape_yx)
    assert np.array_equal(image.read(window), read(twin[0]))
    assert np.array_equal(labels.read(window), read(twin[1])[0])
    assert image.read(window).any()
