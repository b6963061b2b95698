"""The cost of a delivery by the profiles of some of its windows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.delivery_cost import DeliveryCost
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.session import open_session
from cropcam.pipeline.emulator import serve
from cropcam.pipeline.grid import PixelGrid
from support import scenes
from support.profiled_service import Profiled

pytestmark = pytest.mark.usefixtures("transport")
GRID = PixelGrid("EPSG:4326", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), 1_000, 1_000)  # 1,000 EECU-seconds of an image


def fetched(cost: DeliveryCost, service: Profiled, layer: str, windows: int) -> None:
    """Fetch so many windows, on many threads."""

    def fetch(_: int) -> None:
        with cost.window(layer, GRID.width * GRID.height):
            service.pixels(None, GRID, layer)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch, range(windows)))


def test_every_twentieth_window_stands_for_the_others() -> None:
    service = Profiled()
    cost = DeliveryCost(service)
    fetched(cost, service, "image", 41)
    fetched(cost, service, "labels", 1)
    assert len(service.costs) == 4
    assert cost.text().startswith("about 11.4 EECU-hours in this run, by the profiles of 4 of 42 windows: 7.6 % of a Community month, ")


def test_a_window_that_fails_is_no_sample() -> None:
    service = Profiled(largest_px=10)
    cost = DeliveryCost(service, every=1)
    with pytest.raises(ServiceError, match="memory limit"):
        fetched(cost, service, "image", 1)
    assert cost.text() == ""


def test_a_run_without_a_profile_ends_with_a_line_that_it_is_not_known() -> None:
    service = Profiled(is_profiling=False)
    cost = DeliveryCost(service)
    fetched(cost, service, "image", 2)
    assert cost.text() == "EECU: the service returned no profile of a window, so the cost of this run is not known"
    service = Profiled(broken=9)
    cost = DeliveryCost(service)
    fetched(cost, service, "image", 2)
    assert cost.text() == "EECU: the cost of this run is not known (not ready)"


def test_a_delivery_ends_with_its_cost(archive: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    with serve(archive) as server:
        session = open_session("p", server.url)
        deliver(scenes.study(), session, tmp_path / "shards", log=lines.append)
        assert lines[-1].startswith("about ")
        assert "by the profiles of 2 of 2 windows" in lines[-1]
        lines.clear()
        deliver(scenes.study(), session, tmp_path / "shards", log=lines.append)
    assert lines == []  # nothing fetched, nothing spent
