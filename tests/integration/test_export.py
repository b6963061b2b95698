"""Batch exports with the real client over loopback, against the embedded engine: shards equal the numpy twin's."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
import rasterio
from PIL import Image

from cropcam.pipeline.earthengine import exports
from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.destinations import parse_destination
from cropcam.pipeline.earthengine.error_messages import Backoff
from cropcam.pipeline.earthengine.export_run import Options, Pace
from cropcam.pipeline.earthengine.plan import plan
from cropcam.pipeline.earthengine.session import Session, open_session
from cropcam.pipeline.emulator import Fault, Faults, Limits, Server, serve
from cropcam.pipeline.errors import EarthEngineError
from cropcam.pipeline.rasters.export_shards import open_shards
from oracles.composite import compose
from support import scenes
from support.chromium import CHROMIUM, hard_to_read, launched, too_wide

ROOT = Path(__file__).parents[2]
PACE = Options(pace=Pace(0.02))
PATIENCE = Backoff(attempts=60, first_s=0.001, longest_s=0.01)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def twin(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What the numpy twin makes of the same archive."""
    image, labels = compose(scenes.study(), archive, tmp_path_factory.mktemp("twin"))
    return {"image": read(image), "labels": read(labels)}


@pytest.fixture
def server(archive: Path, tmp_path: Path) -> Iterator[Server]:
    with serve(archive, out=tmp_path / "engine", faults=Faults(is_open=True)) as one:
        yield one


@pytest.fixture
def session(server: Server) -> Iterator[Session]:
    yield open_session("p", server.url, backoff=PATIENCE, client_retries=0)
    ee.Reset()


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def faults(server: Server, *described: Fault) -> None:
    import urllib.request

    body = json.dumps([vars(fault) for fault in described]).encode()
    urllib.request.urlopen(urllib.request.Request(f"{server.url}/faults", body, {"Content-Type": "application/json"}), timeout=10).close()  # noqa: S310


@pytest.mark.parametrize("destination", ["drive:maps", "gs://bucket-1/a/b"])
def test_exported_shards_equal_the_twin(
    twin: dict[str, np.ndarray], server: Server, session: Session, tmp_path: Path, destination: str
) -> None:
    made = plan(scenes.study(), parse_destination(destination))
    rows = exports.export(made, session, tmp_path / "m.json", PACE)
    assert [row.state for row in rows] == ["SUCCEEDED", "SUCCEEDED"]
    assert all(row.seconds is not None and row.eecu_s is not None and row.uris for row in rows)
    folder = server.out / ("drive/maps" if destination.startswith("drive") else "gs/bucket-1/a/b")
    assert sorted(path.name for path in folder.iterdir()) == ["demo-image.tif", "demo-labels.tif"]
    for layer, wanted in twin.items():
        assert np.array_equal(read(folder / f"demo-{layer}.tif"), wanted)
    open_shards(folder, made.study)


def test_cells_and_files_fit_together_on_either_grid(archive: Path, server: Server, session: Session, tmp_path: Path) -> None:
    for crs in ("EPSG:4326", "EPSG:5070"):
        study = scenes.study(area={"bounds": [-90.1, 40.98, -89.9, 41.06], "crs": crs})
        compose(study, archive, tmp_path / f"twin-{crs[5:]}")
        made = plan(study, parse_destination(f"drive:{crs[5:]}"), cell_px=512, file_px=256)
        exports.export(made, session, tmp_path / "m.json", PACE)
        folder = server.out / "drive" / crs[5:]
        assert len(list(folder.iterdir())) == made.files > len(made.tasks) > 2
        source, labels = open_shards(folder, study)
        whole = study.grid.window(scenes.Window(0, 0, *study.grid.shape_yx))
        window = scenes.Window(0, 0, *whole.shape_yx)
        assert np.array_equal(source.read(window), read(tmp_path / f"twin-{crs[5:]}" / "image.tif"))
        assert np.array_equal(labels.read(window), read(tmp_path / f"twin-{crs[5:]}" / "labels.tif")[0])


def test_the_service_having_a_bad_day_costs_nothing(server: Server, session: Session, twin: dict[str, np.ndarray], tmp_path: Path) -> None:
    study = scenes.study()
    faults(
        server,
        Fault("image:export", status=429, count=10),
        Fault("image:export", "disconnect", count=2),
        Fault("operations", status=503, count=5),
        Fault("value:compute", status=500, count=3),
    )
    exports.export(plan(study, parse_destination("drive:bad")), session, tmp_path / "m.json", PACE)
    assert np.array_equal(read(server.out / "drive/bad/demo-image.tif"), twin["image"])
    assert len(session.operations()) == 2


def test_a_fault_at_every_tenth_answer_submits_nothing_twice(server: Server, session: Session, tmp_path: Path) -> None:
    made = plan(scenes.study(area={"bounds": [-90.1, 40.98, -89.9, 41.06]}), parse_destination("drive:tenth"), cell_px=256)
    faults(
        server,
        Fault("*", "unavailable", after=9, every=10, count=1000),
        Fault("image:export", "disconnect", every=3, count=1000),
        Fault("operations", "late", count=2),
        Fault("operation", "no_operation", after=3),
        Fault("operation", "state", state="QUEUED_FOR_REVIEW", count=3),
        Fault("request_id:same", "other_operation", count=2),
        Fault("request_id:same", "same_request", count=2),
    )
    rows = exports.export(made, session, tmp_path / "m.json", PACE)
    assert {row.state for row in rows} == {"SUCCEEDED"}
    assert len(session.operations()) == len(made.tasks) > 4


def test_a_task_that_fails_is_reported_and_redone_by_the_next_run(
    server: Server, session: Session, twin: dict[str, np.ndarray], tmp_path: Path
) -> None:
    made = plan(scenes.study(), parse_destination("drive:memory"))
    faults(server, Fault("export:run", "timeout"))
    with pytest.raises(
        EarthEngineError, match=r"2 tasks: 1 unsubmitted, 1 failed; missing: .*demo-labels failed: Computation timed out: "
    ) as caught:
        exports.export(made, session, tmp_path / "m.json", PACE)
    assert caught.value.exit_code == 4
    assert re.fullmatch(r"demo-labels: projects/\S+: Computation timed out\.", caught.value.raw)  # for --debug
    faults(server, Fault("export:run", "memory", count=2))
    exports.export(made, session, tmp_path / "m.json", PACE)  # smaller tiles need less memory
    bodies = [json.loads(path.read_text())["body"] for path in (server.out / "operations").glob("*.json")]
    tiles = [body["fileExportOptions"]["geoTiffOptions"].get("tileSize") for body in bodies]
    assert {"value": 128} in tiles
    assert {"value": 64} in tiles
    assert np.array_equal(read(server.out / "drive/memory/demo-labels.tif"), twin["labels"])


def test_tasks_are_listed_and_cancelled(archive: Path, tmp_path: Path) -> None:
    slow = Faults.of(Fault("export:run", "slow", count=50, seconds=0.3))
    made = plan(scenes.study(area={"bounds": [-90.1, 40.98, -89.9, 41.06]}), parse_destination("drive:slow"), cell_px=256)
    with serve(archive, faults=slow, out=tmp_path / "engine") as server:
        session = open_session("p", server.url, backoff=PATIENCE, client_retries=0)
        rows = exports.export(made, session, tmp_path / "m.json", Options(wait=False))
        assert {row.state for row in rows} <= {"PENDING", "RUNNING"}
        found = exports.cancel(made, session, tmp_path / "m.json")
        assert {row.state for row in found} <= {"CANCELLED", "CANCELLING", "SUCCEEDED"}
        deadline = time.monotonic() + 60
        while {row.state for row in exports.tasks(made, session, tmp_path / "m.json")} & {"RUNNING", "CANCELLING", "PENDING"}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    ee.Reset()


def test_a_full_queue_is_waited_for(archive: Path, tmp_path: Path) -> None:
    made = plan(scenes.study(area={"bounds": [-90.1, 40.98, -89.9, 41.06]}), parse_destination("drive:queue"), cell_px=256)
    with serve(archive, limits=Limits(queue=2), out=tmp_path / "engine") as server:
        session = open_session("p", server.url, backoff=PATIENCE, client_retries=0)
        rows = exports.export(made, session, tmp_path / "m.json", PACE)
        assert {row.state for row in rows} == {"SUCCEEDED"}
        assert len(session.operations()) == len(made.tasks)
    ee.Reset()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"asset": "USDA/NASS/CDL/2031"}}, r"labels\.asset USDA/NASS/CDL/2031: .*not found.*labels\.asset of the study"),
        ({"image": {"collections": ["LANDSAT/LC09/C02/T2_L2"]}}, r"LANDSAT/LC09/C02/T2_L2.*image\.collections"),
        ({"image": {"seasons": [["2012-01-01", "2012-02-01"]]}}, "no scene of .* from 2012-01-01 to 2012-02-01 meets the area"),
        ({"image": {"bands": ["ST_B10"]}}, "check image.collections, image.bands"),
    ],
)
def test_what_the_service_lacks_is_named(session: Session, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    made = plan(scenes.study(**changes), parse_destination("drive:x"))
    with pytest.raises(EarthEngineError, match=message):
        exports.export(made, session, tmp_path / "m.json", PACE)


def test_the_requests_as_the_service_sees_them(server: Server, session: Session, tmp_path: Path) -> None:
    exports.export(plan(scenes.study(), parse_destination("drive:maps"), priority=7), session, tmp_path / "m.json", PACE)
    bodies = [json.loads(path.read_text())["body"] for path in (server.out / "operations").glob("*.json")]
    for body in bodies:
        assert set(body) == {"expression", "description", "fileExportOptions", "maxPixels", "priority", "requestId"}
        assert body["priority"] == {"value": 7}
        assert body["maxPixels"] == {"value": "10000000000000"}
    assert not any(secret in json.dumps(bodies) for secret in ("token", "Bearer"))


def test_a_token_reaches_the_service_and_nothing_else(server: Server, tmp_path: Path) -> None:
    from google.oauth2.credentials import Credentials

    token = "ya29.made-up-secret-0123456789"  # noqa: S105 - made up
    lines: list[str] = []
    session = open_session("p", server.url, credentials=Credentials(token), backoff=PATIENCE, client_retries=0)
    faults(server, Fault("export:run", "timeout"))
    with pytest.raises(EarthEngineError, match="1 failed") as caught:
        exports.export(
            plan(scenes.study(), parse_destination("drive:t")), session, tmp_path / "m.json", Options(pace=PACE.pace, log=lines.append)
        )
    deliver(scenes.study(), session, tmp_path / "shards", log=lines.append)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not any(token.encode() in content for content in written)
    assert token not in str(caught.value) + repr(session) + "".join(lines)
    ee.Reset()


@pytest.fixture(scope="module")
def previews(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A page whose tiles come from an endpoint, and one with the layers inside."""
    folder = tmp_path_factory.mktemp("previews")
    with serve(archive, out=folder / "engine") as server:
        script = f"""
import sys; sys.path.insert(0, "tests")
from pathlib import Path
from support import scenes
from cropcam.pipeline.earthengine.preview import preview
from cropcam.pipeline.earthengine.session import open_session
session = open_session("p", {server.url!r}, client_retries=0)
for name in ("tiles", "inside"):
    preview(scenes.study(), session, Path({str(folder)!r}, name + ".html"), cell_px=256, inside=name == "inside")
"""
        subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=ROOT, check=True, timeout=120)
        yield {name: folder / f"{name}.html" for name in ("tiles", "inside")}


def test_a_preview_page_holds_layers_cells_and_legend(previews: dict[str, Path]) -> None:
    for text in (page.read_text() for page in previews.values()):
        for wanted in ("export cells", "composite 2016-05-01 to 2016-10-01", "labels", "soybean"):
            assert wanted in text
    assert "http://127.0.0.1" in previews["tiles"].read_text()
    assert "127.0.0.1" not in previews["inside"].read_text()


@pytest.mark.skipif(not CHROMIUM, reason="no chromium: the preview page is not looked at in a browser")
def test_a_browser_shows_the_layers_with_scale_opacity_and_legend(previews: dict[str, Path]) -> None:
    wrong, asked = list[str](), list[str]()
    classes = scenes.study().legend.classes
    assert not re.findall(r"(?:src|href)=[\"'](https?://[^\"']+)", previews["tiles"].read_text())  # scripts and styles are inside the page
    with launched() as browser:
        for name, (width, height) in (("tiles", (700, 600)), ("inside", (1280, 800)), ("inside", (400, 700))):
            page = browser.new_page(viewport={"width": width, "height": height})
            page.route("**/*openstreetmap*/**", lambda route: route.fulfill(status=204))
            page.on("console", lambda message: wrong.append(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("request", lambda request, name=name: asked.append(f"{name} {request.url.partition(':')[0]}"))
            page.goto(previews[name].as_uri())
            page.wait_for_selector("html[data-ready]")
            page.wait_for_function(
                "() => [...document.images].every((one) => one.complete) && !document.querySelector('.leaflet-tile-pane .leaflet-tile:not(.leaflet-tile-loaded):not([src*=openstreetmap])')"
            )
            page.wait_for_timeout(300)  # tiles fade in
            seen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).reshape(-1, 3)
            colours = {tuple(rgb): count for rgb, count in zip(*np.unique(seen, axis=0, return_counts=True), strict=True)}
            for land_class in classes[1:]:  # every class of the labels covers far more than its legend swatch
                assert colours.get(land_class.color, 0) > 1_000, (name, width, land_class.name)
            assert too_wide(page) == []
            assert hard_to_read(page) == []
            assert page.locator(".leaflet-control-scale-line").inner_text().endswith("m")
            assert page.locator(".panel li").count() == len(classes)
            assert page.locator(".panel").evaluate("(panel) => panel.open") == (width > 600)
            box = page.locator(".panel").bounding_box()
            assert box["width"] * box["height"] < 0.25 * width * height
            if width > 600:
                page.get_by_role("slider", name="labels").fill("30")
                assert page.evaluate("() => window[PREVIEW.layers.at(-1).variable].options.opacity") == 0.3
            page.close()
    assert wrong == []
    assert {line for line in asked if line.startswith("inside")} <= {"inside file", "inside data"}
