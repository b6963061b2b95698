"""The embedded Earth Engine over HTTP: routes, limits, operations, faults. The real client meets it in its own process."""

from __future__ import annotations

import errno
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from cropcam.pipeline.emulator import Fault, Faults, Limits, Server, serve
from cropcam.pipeline.emulator.tasks import Journal, Task
from cropcam.pipeline.errors import DataError, EarthEngineError
from cropcam.pipeline.grid import PixelGrid
from support.rasters import random_dn, write_raster

ROOT = Path(__file__).parents[2]
GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 410_000.0, 0.0, -30.0, 4_475_700.0), 700, 600)
SCENE, BANDS = "TEST/C/scene", ("B1", "B2")
PROJECT = "/v1/projects/my-project"


class Found(NamedTuple):
    """An answer: status, headers, body."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """A connection that is kept from call to call."""

    def __init__(self, server: Server) -> None:
        self._kept = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)

    def __call__(self, method: str, path: str, body: Any = None) -> Found:
        payload = None if body is None else json.dumps(body)
        self._kept.request(method, path, payload, {"Content-Type": "application/json"})
        answer = self._kept.getresponse()
        return Found(answer.status, dict(answer.headers), answer.read())

    def close(self) -> None:
        self._kept.close()


def write_asset(folder: Path, bands: dict[str, npt.NDArray[Any]], **properties: Any) -> None:
    for name, values in bands.items():
        write_raster(folder / f"{name}.tif", values, GRID, nodata=0, tiled=True, blockxsize=256, blockysize=256)
    about = {"bands": list(bands), "properties": {"system:index": folder.name, "system:time_start": 1_467_331_200_000, **properties}}
    (folder / "asset.json").write_text(json.dumps(about), "utf-8")


@pytest.fixture(scope="module")
def pixels() -> npt.NDArray[np.uint16]:
    values = random_dn((2, *GRID.shape_yx), seed=3)
    values[:, :100, 550:] = 0
    return values


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, pixels: npt.NDArray[np.uint16]) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    write_asset(folder / SCENE, dict(zip(BANDS, pixels, strict=True)))
    write_asset(folder / "TEST/C/mixed", {"A": pixels[0].astype(np.uint8), "F": pixels[1].astype(np.float32)})
    write_asset(folder / "TEST/C/codes", {"code": pixels[0].astype(np.uint8)})
    write_asset(folder / "TEST/empty", {"B1": np.zeros(GRID.shape_yx, np.uint16)})
    return folder


@pytest.fixture
def running(archive: Path, tmp_path: Path) -> Iterator[Callable[..., tuple[Server, Caller]]]:
    """Starts servers that end with the test."""
    started: list[tuple[Server, Caller]] = []

    def start(**options: Any) -> tuple[Server, Caller]:
        options.setdefault("out", tmp_path / "out")
        server = serve(options.pop("folder", archive), **options)
        started.append((server, Caller(server)))
        return started[-1]

    yield start
    for server, call in started:
        call.close()
        server.stop()


@pytest.fixture(scope="module")
def shared(archive: Path) -> Iterator[Server]:
    with serve(archive) as server:
        yield server


@pytest.fixture
def call(shared: Server) -> Iterator[Caller]:
    caller = Caller(shared)
    yield caller
    caller.close()


def load(asset: str = SCENE) -> dict[str, Any]:
    node = {"functionName": "Image.load", "arguments": {"id": {"constantValue": asset}}}
    return {"result": "0", "values": {"0": {"functionInvocationValue": node}}}


def grid_of(grid: PixelGrid) -> dict[str, Any]:
    a, b, c, d, e, f = grid.transform
    affine = {"scaleX": a, "shearX": b, "translateX": c, "shearY": d, "scaleY": e, "translateY": f}
    return {"dimensions": {"width": grid.width, "height": grid.height}, "affineTransform": affine, "crsCode": grid.crs}


def asked(grid: PixelGrid | None = GRID, asset: str = SCENE, file_format: str = "NPY", **more: Any) -> dict[str, Any]:
    return {"expression": load(asset), "fileFormat": file_format, **({"grid": grid_of(grid)} if grid else {}), **more}


def export_of(prefix: str = "image", *, asset: str = SCENE, bucket: str = "", folder: str = "crops", **more: Any) -> dict[str, Any]:
    geotiff = more.pop("geotiff", {})
    place = {"cloudStorageDestination": {"bucket": bucket}} if bucket else {"driveDestination": {"folder": folder}}
    next(iter(place.values()))["filenamePrefix"] = prefix
    options = {"fileFormat": "GEO_TIFF", "geoTiffOptions": geotiff, **place}
    return {"expression": load(asset), "description": "task", "fileExportOptions": options, **more}


def finished(call: Caller, operation: Found, state: str = "SUCCEEDED") -> dict[str, Any]:
    """The operation once it is done, after checking that it ended as expected."""
    assert operation.code == 200, operation.body
    found = call("POST", f"/v1/{operation.json['name']}:wait", {"timeout": "20s"}).json
    assert found["metadata"]["state"] == state, found
    assert found["done"]
    return dict(found)


def read(path: Path) -> npt.NDArray[Any]:
    with rasterio.open(path) as file:
        return file.read()  # type: ignore[no-any-return]


# --- pixels


def test_pixels_come_as_a_structured_array_with_masked_ones_0(call: Caller, pixels: npt.NDArray[np.uint16]) -> None:
    found = call("POST", f"{PROJECT}/image:computePixels", asked())
    record = np.load(io.BytesIO(found.body))
    assert record.dtype == np.dtype([("B1", "<u2"), ("B2", "<u2")])
    assert (np.stack([record["B1"], record["B2"]]) == pixels).all()
    assert found.headers["X-Cropcam-Engine"] == "embedded"
    assert int(found.headers["Content-Length"]) == len(found.body)


def test_without_a_grid_it_is_the_images_own(call: Caller, pixels: npt.NDArray[np.uint16]) -> None:
    record = np.load(io.BytesIO(call("POST", f"{PROJECT}/image:computePixels", asked(None, bandIds=["B2"])).body))
    assert record.dtype.names == ("B2",)
    assert (record["B2"] == pixels[1]).all()


def test_bands_of_several_types_keep_theirs(call: Caller, pixels: npt.NDArray[np.uint16]) -> None:
    record = np.load(io.BytesIO(call("POST", f"{PROJECT}/image:computePixels", asked(None, "TEST/C/mixed", bandIds=["F", "A"])).body))
    assert record.dtype == np.dtype([("F", "<f4"), ("A", "|u1")])
    assert (record["F"] == pixels[1]).all()


def test_an_asset_gives_its_pixels_by_name(call: Caller, pixels: npt.NDArray[np.uint16]) -> None:
    path = f"/v1/projects/earthengine-public/assets/{SCENE}:getPixels"
    record = np.load(io.BytesIO(call("POST", path, {"fileFormat": "NPY", "bandIds": ["B1"]}).body))
    assert (record["B1"] == pixels[0]).all()


def test_a_geotiff_says_where_it_lies_and_who_made_it(call: Caller, pixels: npt.NDArray[np.uint16]) -> None:
    found = call("POST", f"{PROJECT}/image:computePixels", asked(file_format="GEO_TIFF"))
    with rasterio.MemoryFile(found.body) as memory, memory.open() as file:
        assert (file.read() == pixels).all()
        assert file.descriptions == BANDS
        assert file.tags()["CROPCAM_ENGINE"] == "embedded"
        assert tuple(file.transform)[:6] == GRID.transform


def test_pictures_are_transparent_where_masked(call: Caller) -> None:
    style = {"ranges": [{"min": 7000, "max": 30_000}]}
    found = call("POST", f"{PROJECT}/image:computePixels", asked(file_format="PNG", bandIds=["B1"], visualizationOptions=style))
    assert found.headers["Content-Type"] == "image/png"
    rgba = plot(found.body)
    assert not rgba[:100, 550:, 3].any()
    assert (rgba[100:, :, 3] == 255).all()
    automatic = asked(GRID.window(_window(200, 0, 64, 64)), file_format="AUTO_JPEG_PNG", bandIds=["B1"], visualizationOptions=style)
    assert call("POST", f"{PROJECT}/image:computePixels", automatic).headers["Content-Type"] == "image/jpeg"


def test_too_many_bytes_are_refused_in_the_services_words(call: Caller) -> None:
    large = PixelGrid(GRID.crs, GRID.transform, 4096, 4096)
    error = call("POST", f"{PROJECT}/image:computePixels", asked(large)).json["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"] == "Total request size (100663296 bytes) must be less than or equal to 50331648 bytes."


def test_many_readers_at_once_get_each_their_own(shared: Server, pixels: npt.NDArray[np.uint16]) -> None:
    def one(number: int) -> bool:
        caller = Caller(shared)
        window = _window(37 * (number % 10), 53 * (number % 7), 128, 200)
        found = caller("POST", f"{PROJECT}/image:computePixels", asked(GRID.window(window)))
        caller.close()
        record = np.load(io.BytesIO(found.body))
        return bool((record["B2"] == pixels[(1, *window.slices)]).all())

    with ThreadPoolExecutor(30) as pool:
        assert all(pool.map(one, range(60)))


# --- the rest of the surface


def test_discovery_points_back_here(call: Caller, shared: Server) -> None:
    document = call("GET", "/$discovery/rest?version=v1&prettyPrint=false").json
    assert document["rootUrl"] == f"{shared.url}/"
    assert call("GET", "/%24discovery/rest?version=v1beta").json["version"] == "v1beta"


@pytest.mark.parametrize("version", ["v1", "v1alpha", "v1beta"])
def test_every_version_answers(call: Caller, version: str) -> None:
    assert len(call("GET", f"/{version}/projects/p/algorithms").json["algorithms"]) > 900
    assert call("GET", f"/{version}/projects/p/config").json["name"] == "projects/p/config"


def test_assets_are_described_and_listed(call: Caller) -> None:
    public = "/v1/projects/earthengine-public/assets"
    about = call("GET", f"{public}/{SCENE}").json
    assert (about["type"], about["id"], [band["id"] for band in about["bands"]]) == ("IMAGE", SCENE, list(BANDS))
    listed = call("GET", f"{public}/TEST/C:listAssets?pageSize=2").json
    assert [asset["id"] for asset in listed["assets"]] == ["TEST/C/codes", "TEST/C/mixed"]
    rest = call("GET", f"{public}/TEST/C:listAssets?pageSize=2&pageToken={listed['nextPageToken']}").json
    assert [asset["id"] for asset in rest["assets"]] == [SCENE]
    assert len(call("GET", f"{public}/TEST/C:listImages").json["images"]) == 3
    assert call("GET", "/v1/projects/my-project:listAssets").json == {"assets": []}


def test_what_is_not_there_is_404_in_googles_form(call: Caller) -> None:
    error = call("GET", "/v1/projects/earthengine-public/assets/NO/SUCH").json["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert "NO/SUCH" in error["message"]
    assert call("GET", f"{PROJECT}/operations/NONE").code == 404
    assert call("POST", f"{PROJECT}/operations/NONE:cancel", {}).code == 404
    assert call("GET", f"{PROJECT}/maps/none/tiles/0/0/0").code == 404
    assert call("GET", "/v2/anything").code == 404
    assert call("POST", "/faults", []).code == 404


def test_methods_it_has_not_are_refused_by_name_at_once(call: Caller) -> None:
    error = call("POST", f"{PROJECT}/table:export", {}).json["error"]
    assert (error["code"], error["status"]) == (400, "UNIMPLEMENTED")  # 501 would be retried
    assert error["message"] == "The method table:export is not implemented by the embedded engine."


@pytest.mark.parametrize(("body", "words"), [("{", "Invalid JSON payload"), ("[]", "must be an object"), ("{}", "carries no expression")])
def test_malformed_bodies_are_400(shared: Server, body: str, words: str) -> None:
    kept = http.client.HTTPConnection(urlsplit(shared.url).netloc, timeout=30)
    kept.request("POST", f"{PROJECT}/value:compute", body)
    answer = kept.getresponse()
    assert answer.status == 400
    assert words in json.loads(answer.read())["error"]["message"]
    kept.close()


def test_queries_that_are_no_numbers_are_400(call: Caller) -> None:
    assert "Invalid pageSize 'many'" in call("GET", f"{PROJECT}/operations?pageSize=many").json["error"]["message"]
    assert "Invalid timeout" in call("POST", f"{PROJECT}/operations/X:wait", {"timeout": "soon"}).json["error"]["message"]


def test_a_map_is_painted_tile_by_tile(call: Caller) -> None:
    style = {"ranges": [{"min": 7000, "max": 30_000}], "paletteColors": ["000000", "ffffff"]}
    made = call("POST", f"{PROJECT}/maps?fields=name", asked(None, file_format="PNG", bandIds=["B1"], visualizationOptions=style)).json
    zoom, x, y = 11, 523, 772  # over the scene's middle
    tile = call("GET", f"/v1/{made['name']}/tiles/{zoom}/{x}/{y}")
    assert tile.headers["Content-Type"] == "image/png"
    assert plot(tile.body).shape == (256, 256, 4)
    assert plot(tile.body)[..., 3].any()
    assert not plot(call("GET", f"/v1/{made['name']}/tiles/{zoom}/0/0").body).any()
    assert plot(call("GET", f"/v1/{made['name']}/tiles/0/0/0").body).shape == (256, 256, 4)
    assert "no tile 1/2/0" in call("GET", f"/v1/{made['name']}/tiles/1/2/0").json["error"]["message"]


def test_a_thumbnail_keeps_the_images_shape(call: Caller) -> None:
    made = call("POST", f"{PROJECT}/thumbnails", asked(None, file_format="PNG", bandIds=["B2"])).json
    assert plot(call("GET", f"/v1/{made['name']}:getPixels").body).shape == (439, 512, 4)


def test_a_thumbnail_of_its_own_grid_keeps_the_limits(call: Caller) -> None:
    wide = {"dimensions": {"width": 40_000, "height": 4}, "crsCode": "EPSG:32616", "affineTransform": {"scaleX": 1, "scaleY": -1}}
    made = call("POST", f"{PROJECT}/thumbnails", asked(None, file_format="PNG", bandIds=["B2"]) | {"grid": wide}).json
    found = call("GET", f"/v1/{made['name']}:getPixels")
    assert (found.code, "must be less than or equal to 32768" in found.json["error"]["message"]) == (400, True)


# --- exports


def test_an_export_lands_where_it_was_sent(running: Callable[..., tuple[Server, Caller]], pixels: npt.NDArray[np.uint16]) -> None:
    server, call = running()
    done = finished(call, call("POST", f"{PROJECT}/image:export", export_of("image", folder="a/b", priority={"value": 200})))
    meta = done["metadata"]
    assert meta["@type"] == "type.googleapis.com/google.earthengine.v1.OperationMetadata"
    assert (meta["type"], meta["description"], meta["priority"], meta["attempt"]) == ("EXPORT_IMAGE", "task", 200, 1)
    assert (meta["engine"], meta["progress"]) == ("embedded", 1.0)
    assert meta["createTime"] <= meta["startTime"] <= meta["endTime"]
    assert re.fullmatch(r"https://drive\.google\.com/#folders/1[\w-]{32}", *meta["destinationUris"])
    path = server.out / "drive" / "a%2Fb" / "image.tif"
    with rasterio.open(path) as file:
        assert (file.read() == pixels).all()
        assert file.tags()["CROPCAM_ENGINE"] == "embedded"
        assert (file.descriptions, file.nodata, tuple(file.transform)[:6]) == (BANDS, None, GRID.transform)
    assert [name.name for name in path.parent.iterdir()] == ["image.tif"]


def test_large_exports_are_split_at_the_file_dimensions(
    running: Callable[..., tuple[Server, Caller]], pixels: npt.NDArray[np.uint16]
) -> None:
    server, call = running()
    options = {"tileDimensions": {"width": 512, "height": 256}, "noData": {"floatValue": 65_535}}
    finished(call, call("POST", f"{PROJECT}/image:export", export_of("a/image", bucket="crops", geotiff=options)))
    files = sorted((server.out / "gs/crops/a").iterdir())
    assert [path.name for path in files] == [f"image-{row:010}-{col:010}.tif" for row in (0, 256, 512) for col in (0, 512)]
    put_together = np.zeros_like(pixels)
    for path in files:
        row, col = map(int, re.findall(r"\d{10}", path.name))
        with rasterio.open(path) as file:
            values = file.read()
            assert file.nodata == 65_535
            assert (file.transform.c, file.transform.f) == (410_000.0 + 30 * col, 4_475_700.0 - 30 * row)
        put_together[:, row : row + values.shape[1], col : col + values.shape[2]] = values
    assert (put_together == np.where(pixels == 0, 65_535, pixels)).all()


def test_empty_files_are_skipped_when_asked(running: Callable[..., tuple[Server, Caller]]) -> None:
    server, call = running()
    for prefix, skip in (("kept", False), ("skipped", True)):
        body = export_of(prefix, asset="TEST/empty", geotiff={"skipEmptyFiles": skip})
        finished(call, call("POST", f"{PROJECT}/image:export", body))
    assert [path.name for path in (server.out / "drive/crops").iterdir()] == ["kept.tif"]


def test_a_cloud_optimized_export_is_one(running: Callable[..., tuple[Server, Caller]], pixels: npt.NDArray[np.uint16]) -> None:
    from rio_cogeo.cogeo import cog_validate

    server, call = running()
    finished(call, call("POST", f"{PROJECT}/image:export", export_of("cog", geotiff={"cloudOptimized": True})))
    path = server.out / "drive/crops/cog.tif"
    assert cog_validate(path)[0]
    assert (read(path) == pixels).all()
    assert [left.name for left in path.parent.iterdir()] == ["cog.tif"]


def test_a_grid_in_the_request_is_taken(running: Callable[..., tuple[Server, Caller]], pixels: npt.NDArray[np.uint16]) -> None:
    server, call = running()
    window = _window(10, 20, 300, 40)
    finished(call, call("POST", f"{PROJECT}/image:export", export_of("part", grid=grid_of(GRID.window(window)))))
    assert (read(server.out / "drive/crops/part.tif") == pixels[(slice(None), *window.slices)]).all()


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (export_of(maxPixels={"value": "1000"}), 3, "Export too large: specified 420000 pixels (max: 1000). Specify higher maxPixels"),
        (export_of(geotiff={"tileDimensions": {"width": 300, "height": 256}}), 3, "multiples of the tile size (256)"),
        (export_of(geotiff={"noData": -1}), 3, "The noData value -1 is out of range"),
        (export_of(asset="TEST/C/mixed"), 3, "found inconsistent types: Byte and Float32"),
        (export_of(asset="NO/SUCH"), 5, "NO/SUCH"),
    ],
)
def test_tasks_that_cannot_be_fail_and_say_why(running: Callable[..., tuple[Server, Caller]], body: Any, code: int, words: str) -> None:
    server, call = running()
    done = finished(call, call("POST", f"{PROJECT}/image:export", body), "FAILED")
    assert done["error"]["code"] == code
    assert words in done["error"]["message"]
    assert not list(server.out.rglob("*.tif"))


def test_the_same_request_id_is_the_same_operation_in_its_project(running: Callable[..., tuple[Server, Caller]]) -> None:
    _, call = running()
    body = export_of(requestId="one-and-only")
    first = call("POST", f"{PROJECT}/image:export", body)
    again = call("POST", f"{PROJECT}/image:export", body)
    other = call("POST", "/v1/projects/other/image:export", body)
    assert first.json["name"] == again.json["name"]
    assert other.json["name"].startswith("projects/other/operations/")
    finished(call, first)
    finished(call, other)
    assert [entry["name"] for entry in call("GET", f"{PROJECT}/operations?pageSize=500").json["operations"]] == [first.json["name"]]


def test_two_run_at_once_higher_priority_first_and_the_queue_ends(running: Callable[..., tuple[Server, Caller]]) -> None:
    slow = Faults.of(Fault("export:run", kind="slow", seconds=30, count=2))
    _, call = running(faults=slow, limits=Limits(queue=3))
    running_names = [call("POST", f"{PROJECT}/image:export", export_of(f"r{n}")).json["name"] for n in range(2)]
    wait_for(lambda: states(call) == ["RUNNING", "RUNNING"])
    priorities = (100, 50, 900)
    waiting = [
        call("POST", f"{PROJECT}/image:export", export_of(f"w{n}", priority=value)).json["name"] for n, value in enumerate(priorities)
    ]
    full = call("POST", f"{PROJECT}/image:export", export_of("over"))
    assert (full.code, full.json["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "Too many tasks already in the queue (3)" in full.json["error"]["message"]
    assert states(call) == ["PENDING"] * 3 + ["RUNNING"] * 2
    call("POST", f"/v1/{running_names[0]}:cancel", {})
    for name in waiting:
        assert call("POST", f"/v1/{name}:wait", {"timeout": "20s"}).json["metadata"]["state"] == "SUCCEEDED"
    started = {name: call("GET", f"/v1/{name}").json["metadata"]["startTime"] for name in waiting}
    assert sorted(waiting, key=lambda name: started[name]) == [waiting[2], waiting[0], waiting[1]]
    call("POST", f"/v1/{running_names[1]}:cancel", {})
    assert call("POST", f"/v1/{running_names[1]}:wait", {"timeout": "20s"}).json["error"] == {"code": 1, "message": "Cancelled."}


def test_a_waiting_task_is_cancelled_at_once(running: Callable[..., tuple[Server, Caller]]) -> None:
    server, call = running(limits=Limits(batch_tasks=0))
    name = call("POST", f"{PROJECT}/image:export", export_of()).json["name"]
    assert call("POST", f"/v1/{name}:cancel", {}).json == {}
    assert call("GET", f"/v1/{name}").json["metadata"]["state"] == "CANCELLED"
    error = call("POST", f"/v1/{name}:cancel", {}).json["error"]
    assert (error["code"], error["status"]) == (400, "FAILED_PRECONDITION")
    assert not list(server.out.rglob("*.tif"))


def test_operations_are_listed_page_by_page_newest_first(running: Callable[..., tuple[Server, Caller]]) -> None:
    _, call = running(limits=Limits(batch_tasks=0))
    names = [call("POST", f"{PROJECT}/image:export", export_of(f"n{n}")).json["name"] for n in range(5)]
    first = call("GET", f"{PROJECT}/operations?pageSize=3").json
    second = call("GET", f"{PROJECT}/operations?pageSize=3&pageToken={first['nextPageToken']}").json
    assert [entry["name"] for entry in first["operations"] + second["operations"]] == names[::-1]


def test_a_server_that_stopped_goes_on_with_its_tasks(archive: Path, tmp_path: Path, pixels: npt.NDArray[np.uint16]) -> None:
    slow = Faults.of(Fault("export:run", kind="slow", seconds=30))
    with serve(archive, out=tmp_path / "out", faults=slow) as server:
        call = Caller(server)
        first = call("POST", f"{PROJECT}/image:export", export_of("first", requestId="id-1")).json["name"]
        wait_for(lambda: call("GET", f"/v1/{first}").json["metadata"].get("progress", 0) > 0)
        call.close()
    assert not list((tmp_path / "out").rglob("*.tif"))
    with serve(archive, out=tmp_path / "out") as server:
        call = Caller(server)
        again = call("POST", f"{PROJECT}/image:export", export_of("first", requestId="id-1"))
        assert again.json["name"] == first
        assert finished(call, again)["metadata"]["attempt"] == 2
        call.close()
    assert (read(tmp_path / "out/drive/crops/first.tif") == pixels).all()


def test_an_export_folder_serves_one_server_at_a_time(running: Callable[..., tuple[Server, Caller]], archive: Path) -> None:
    server, _ = running()
    with pytest.raises(DataError, match="another process is writing it"):
        serve(archive, out=server.out)


# --- faults


def test_a_quota_fault_strikes_so_many_times(running: Callable[..., tuple[Server, Caller]]) -> None:
    _, call = running(faults=Faults.of(Fault("image:computePixels", status=429, count=3), Fault("operations", status=503)))
    codes = [call("POST", f"{PROJECT}/image:computePixels", asked(bandIds=["B1"])).code for _ in range(5)]
    assert codes == [429, 429, 429, 200, 200]
    error = call("GET", f"{PROJECT}/operations").json["error"]
    assert (error["code"], error["status"]) == (503, "UNAVAILABLE")


def test_a_truncated_or_missing_answer_breaks_the_connection(running: Callable[..., tuple[Server, Caller]]) -> None:
    _, call = running(faults=Faults.of(Fault("image:computePixels", kind="truncate"), Fault("image:computePixels", kind="disconnect")))
    with pytest.raises(http.client.IncompleteRead):
        call("POST", f"{PROJECT}/image:computePixels", asked())
    call.close()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        call("POST", f"{PROJECT}/image:computePixels", asked())
    call.close()
    assert call("POST", f"{PROJECT}/image:computePixels", asked()).code == 200


def test_memory_timeout_and_slowness_are_worded_as_the_service_does(running: Callable[..., tuple[Server, Caller]]) -> None:
    route = "value:compute"
    faults = Faults.of(Fault(route, kind="memory"), Fault(route, kind="timeout"), Fault(route, kind="slow", seconds=0.3))
    _, call = running(faults=faults)
    body = {"expression": {"result": "0", "values": {"0": {"constantValue": 7}}}}
    messages = [call("POST", f"{PROJECT}/value:compute", body).json["error"]["message"] for _ in range(2)]
    assert messages == ["User memory limit exceeded.", "Computation timed out."]
    started = time.monotonic()
    assert call("POST", f"{PROJECT}/value:compute", body).json == {"result": 7}
    assert time.monotonic() - started >= 0.3


def test_a_computation_that_takes_too_long_is_given_up(running: Callable[..., tuple[Server, Caller]]) -> None:
    _, call = running(limits=Limits(interactive_s=-1))
    assert call("POST", f"{PROJECT}/image:computePixels", asked()).json["error"]["message"] == "Computation timed out."


@pytest.mark.parametrize(("kind", "code", "words"), [("status", 13, "Internal error."), ("memory", 8, "User memory limit exceeded.")])
def test_an_export_that_fails_half_way_leaves_whole_files_only(
    running: Callable[..., tuple[Server, Caller]], pixels: npt.NDArray[np.uint16], kind: Any, code: int, words: str
) -> None:
    server, call = running(faults=Faults.of(Fault("export:run", kind=kind)))
    body = export_of(geotiff={"tileDimensions": {"width": 256, "height": 256}})
    done = finished(call, call("POST", f"{PROJECT}/image:export", body), "FAILED")
    assert done["error"] == {"code": code, "message": words}
    files = sorted((server.out / "drive/crops").iterdir())
    assert 0 < len(files) < 9
    assert all(read(path).shape[0] == len(pixels) for path in files)
    assert not list((server.out / ".partial").iterdir())


def test_more_concurrent_requests_than_allowed_are_429(running: Callable[..., tuple[Server, Caller]]) -> None:
    # a slow fault holds no place; an interactive computation does: here one that waits for a lock of ours
    server, call = running(limits=Limits(concurrent=2))
    gate, inside = threading.Event(), threading.Semaphore(0)
    service = server._http.service
    compute = service.engine.compute

    def held(expression: Any) -> Any:
        inside.release()
        gate.wait(20)
        return compute(expression)

    service.engine.compute = held  # type: ignore[method-assign]
    body = {"expression": {"result": "0", "values": {"0": {"constantValue": 1}}}}
    callers = [Caller(server) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(caller, "POST", f"{PROJECT}/value:compute", body) for caller in callers]
        assert all(inside.acquire(timeout=20) for _ in callers)
        refused = call("POST", f"{PROJECT}/value:compute", body)
        assert call("GET", f"{PROJECT}/operations").code == 200  # looking at tasks is no computation
        gate.set()
        assert [future.result().code for future in waiting] == [200, 200]
    assert (refused.code, refused.json["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert call("POST", f"{PROJECT}/value:compute", body).code == 200
    for caller in callers:
        caller.close()


def test_a_body_over_the_limit_is_refused_unread(running: Callable[..., tuple[Server, Caller]]) -> None:
    _, call = running(limits=Limits(body_bytes=100))
    assert "exceeds the limit: 100 bytes" in call("POST", f"{PROJECT}/value:compute", {"pad": "x" * 200}).json["error"]["message"]


def test_faults_are_ordered_over_http_where_that_is_open(running: Callable[..., tuple[Server, Caller]]) -> None:
    _, call = running(faults=Faults(is_open=True))
    ordered = call("POST", "/faults", [{"route": "config", "status": 500, "count": 2}]).json
    assert (ordered[0]["route"], ordered[0]["count"]) == ("config", 2)
    assert [call("GET", f"{PROJECT}/config").code for _ in range(1)] == [500]
    assert call("GET", "/faults").json[0]["count"] == 1
    assert call("DELETE", "/faults").json == []
    assert call("GET", f"{PROJECT}/config").code == 200
    assert call("POST", "/faults", [{"kind": "fire"}]).code == 400


# --- bad input


def test_a_port_in_use_is_one_line(shared: Server, archive: Path) -> None:
    with pytest.raises(EarthEngineError, match=r"port \d+ on 127\.0\.0\.1 is in use; choose another with --port"):
        serve(archive, int(shared.url.rpartition(":")[2]))
    with pytest.raises(EarthEngineError, match="port 70000 is none"):
        serve(archive, 70_000)


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EarthEngineError, match="no such folder; make an archive with"):
        serve(tmp_path / "none")
    with pytest.raises(EarthEngineError, match=r"holds no asset\.json"):
        serve(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "truncated", "text"])
def test_a_damaged_archive_is_named_by_its_file(
    running: Callable[..., tuple[Server, Caller]], tmp_path: Path, pixels: npt.NDArray[np.uint16], damage: str
) -> None:
    folder = tmp_path / "archive"
    write_asset(folder / SCENE, dict(zip(BANDS, pixels, strict=True)))
    band = folder / SCENE / "B2.tif"
    if damage == "missing":
        band.unlink()
    else:
        band.write_bytes(band.read_bytes()[: band.stat().st_size // 2] if damage == "truncated" else b"no raster")
    _, call = running(folder=folder)
    found = call("POST", f"{PROJECT}/image:computePixels", asked())
    assert found.code == 400
    assert "B2" in found.json["error"]["message"]
    done = finished(call, call("POST", f"{PROJECT}/image:export", export_of()), "FAILED")
    assert "B2" in done["error"]["message"]


def test_a_disk_that_cannot_be_written_fails_the_task_and_no_more(running: Callable[..., tuple[Server, Caller]], tmp_path: Path) -> None:
    (tmp_path / "out/gs/crops").mkdir(parents=True)
    (tmp_path / "out/gs/crops/a").write_text("in the way", "utf-8")
    _, call = running()
    done = finished(call, call("POST", f"{PROJECT}/image:export", export_of("a/image", bucket="crops")), "FAILED")
    assert done["error"]["code"] == 9
    assert "out/gs/crops/a" in done["error"]["message"]
    finished(call, call("POST", f"{PROJECT}/image:export", export_of("image", bucket="crops")))


def test_a_journal_that_cannot_be_written_ends_no_worker(
    running: Callable[..., tuple[Server, Caller]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, call = running()
    save, full = Journal.save, []

    def sometimes(journal: Journal, task: Task) -> None:
        if task.state != "PENDING" and len(full) < 4:
            full.append(task.state)
            raise OSError(errno.ENOSPC, "No space left on device")
        save(journal, task)

    monkeypatch.setattr(Journal, "save", sometimes)
    for number in range(4):
        finished(call, call("POST", f"{PROJECT}/image:export", export_of(f"image{number}", bucket="crops")))
    assert full == ["RUNNING", "SUCCEEDED"] * 2


# --- processes


def test_the_command_prints_its_url_and_ends_on_ctrl_c(archive: Path, tmp_path: Path) -> None:
    # a shell that starts the tests in the background has them, and so this process, ignore SIGINT
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += f"from pathlib import Path; from cropcam.pipeline.emulator import serve_forever as s; s(Path({str(archive)!r}), out=Path({str(tmp_path)!r}), log=lambda text: print(text, flush=True))"
    faults = json.dumps([{"route": "config", "status": 500}])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CROPCAM_FAULTS": faults},
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        kept = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        for code_expected in (500, 200):
            kept.request("GET", f"{PROJECT}/config")
            answer = kept.getresponse()
            answer.read()
            assert answer.status == code_expected
        process.send_signal(signal.SIGINT)
        try:
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
        kept.close()
    assert (process.returncode, output, errors) == (0, "", "")


CLIENT = """
import json, sys, time
import ee, ee.deprecation
from google.auth.credentials import AnonymousCredentials
ee.deprecation._FetchDataCatalogStac = dict
ee.Initialize(AnonymousCredentials(), url=sys.argv[1], project="my-project")
image = ee.Image(sys.argv[2])
found = {"value": ee.Number(2).add(3).getInfo(), "bands": [band["id"] for band in image.getInfo()["bands"]]}
rectangle = ee.Geometry.Rectangle([410000, 4457700, 431000, 4475700], "EPSG:32616", False)
task = ee.batch.Export.image.toDrive(
    image, "image", folder="crops", region=rectangle, crs="EPSG:32616", crsTransform=[30, 0, 410000, 0, -30, 4475700],
    fileDimensions=512, shardSize=256, priority=7, formatOptions={"noData": 0},
)
task.start()
while task.active():
    time.sleep(0.05)
found["task"] = task.status()
found["tasks"] = [entry["metadata"]["state"] for entry in ee.data.listOperations()]
found["listed"] = [entry["id"] for entry in ee.data.listImages({"parent": "TEST/C", "startTime": "2016-06-01T00:00:00Z"})["images"]]
found["config"] = ee.data.getProjectConfig()["maxConcurrentExports"]
tiles = image.select("B1").getMapId({"min": 0, "max": 30000, "palette": "000000,ffffff"})["tile_fetcher"]
found["tile"] = tiles.fetch_tile(523, 772, 11)[:4].hex()
try:
    ee.data.getAsset("NO/SUCH")
except ee.EEException as error:
    found["error"] = str(error)
print(json.dumps(found))
"""


def test_the_unmodified_client_works_through_it(running: Callable[..., tuple[Server, Caller]], pixels: npt.NDArray[np.uint16]) -> None:
    pytest.importorskip("ee", exc_type=ImportError)
    server, _ = running(faults=Faults.of(Fault("operation", status=429)))
    words = [sys.executable, "-W", "ignore", "-c", CLIENT, server.url, SCENE]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["value"], found["bands"], found["tasks"]) == (5, list(BANDS), ["SUCCEEDED"])
    assert (found["task"]["state"], found["task"]["priority"]) == ("COMPLETED", 7)
    assert found["listed"] == ["TEST/C/codes", "TEST/C/mixed", SCENE]
    assert found["tile"] == "89504e47"
    assert found["config"] == 2
    assert "NO/SUCH" in found["error"]
    files = sorted(path.name for path in (server.out / "drive/crops").iterdir())
    assert files == [f"image-{row:010}-{col:010}.tif" for row in (0, 512) for col in (0, 512)]
    assert (read(server.out / "drive/crops" / files[0]) == pixels[:, :512, :512]).all()


def plot(picture: bytes) -> npt.NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"))


def states(call: Caller) -> list[str]:
    return [entry["metadata"]["state"] for entry in call("GET", f"{PROJECT}/operations").json["operations"]]


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def _window(row: int, col: int, height: int, width: int) -> Any:
    from cropcam.pipeline.grid import Window

    return Window(row, col, height, width)
