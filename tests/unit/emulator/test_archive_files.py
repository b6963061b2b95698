"""Files of an archive that someone else made: names, links, formats, sizes."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioError

from cropcam.pipeline.emulator import archive_files
from cropcam.pipeline.emulator.archive_files import band_names, check_band_name, is_within, open_band, read_about
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.errors import EngineError
from support.small_images import ASSET, GRID, write_small_images

CRS_AND_PLACE: dict[str, Any] = {"crs": GRID.crs, "transform": rasterio.Affine(*GRID.transform)}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """An archive of small images, beside a secret raster."""
    write_small_images(tmp_path / "archive")
    with rasterio.open(tmp_path / "secret.tif", "w", driver="GTiff", width=4, height=3, count=1, dtype="uint8", **CRS_AND_PLACE) as file:
        file.write(np.full((1, 3, 4), 7, np.uint8))
    return tmp_path / "archive"


def change(archive: Path, **fields: Any) -> None:
    path = archive / ASSET / "asset.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), "utf-8")


def read(archive: Path) -> Any:
    load = {"functionInvocationValue": {"functionName": "Image.load", "arguments": {"id": {"constantValue": ASSET}}}}
    return Engine(archive).image({"result": "0", "values": {"0": load}}).read(GRID)


@pytest.mark.parametrize(
    "name", ["../../../secret", "..", ".", "", ".hidden", "a/b", "a\\b", "a\0b", "/vsicurl/http:", "a b", "a\n", "x" * 201, 3, None, []]
)
def test_a_name_that_is_none_of_a_file_is_refused(hostile: Path, name: Any) -> None:
    with pytest.raises(EngineError, match=r"Asset 'T/image' of the archive is damaged: .* is no name of a band") as refused:
        check_band_name(name, ASSET)
    assert refused.value.status == "FAILED_PRECONDITION"
    change(hostile, bands=[name])
    with pytest.raises(EngineError, match="of the archive is damaged"):
        read(hostile)


def test_an_absolute_name_is_refused(hostile: Path) -> None:
    change(hostile, bands=[str(hostile.parent / "secret")])
    with pytest.raises(EngineError, match="is no name of a band"):
        read(hostile)


@pytest.mark.parametrize("bands", [3, None, {"a": 1}, [["a"]], [{"name": "a"}]])
def test_bands_of_a_wrong_type_are_refused(bands: Any) -> None:
    with pytest.raises(EngineError, match="of the archive is damaged"):
        band_names({"bands": bands}, ASSET)


def test_names_of_bands() -> None:
    assert band_names({"bands": ["SR_B1", {"id": "B8A"}, "2016_crop-land", "a.b"]}, ASSET) == ["SR_B1", "B8A", "2016_crop-land", "a.b"]


def test_links_that_lead_out_of_the_archive_are_not_followed(hostile: Path) -> None:
    band = hostile / ASSET / "a.tif"
    band.unlink()
    band.symlink_to(hostile.parent / "secret.tif")
    with pytest.raises(EngineError, match=r"band 'a' leads out of the archive"):
        read(hostile)
    (hostile / "out").symlink_to(hostile.parent)
    (hostile / "in").symlink_to(hostile / "T")
    engine = Engine(hostile)
    with pytest.raises(EngineError, match="does not exist"):
        engine.asset("out")
    assert [asset["id"] for asset in engine.list_assets("")] == ["T", "in"]
    about = hostile / ASSET / "asset.json"
    about.rename(hostile.parent / "elsewhere.json")
    about.symlink_to(hostile.parent / "elsewhere.json")
    with pytest.raises(EngineError, match=r"asset\.json leads out of the archive"):
        Engine(hostile).asset(ASSET)


def test_links_in_a_loop_and_an_archive_behind_a_link_are_read(hostile: Path) -> None:
    (hostile / "loop").symlink_to(hostile, target_is_directory=True)
    (hostile / "T/self").symlink_to("self")
    (hostile.parent / "link").symlink_to(hostile)
    values, _ = read(hostile.parent / "link")
    assert values.shape == (3, 3, 4)


def test_only_a_geotiff_is_opened_and_nothing_beside_it(hostile: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        url = f"/vsicurl/http://127.0.0.1:{listener.getsockname()[1]}/e.tif"
        vrt = f"""<VRTDataset rasterXSize="4" rasterYSize="3"><SRS>EPSG:32616</SRS><GeoTransform>400000,30,0,4500000,0,-30</GeoTransform>
            <VRTRasterBand dataType="UInt16" band="1"><SimpleSource><SourceFilename>{url}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""
        for beside in ("a.tif.ovr", "a.tif.msk", "b.tif"):
            (hostile / ASSET / beside).write_text(vrt)
        with open_band(hostile / ASSET / "a.tif") as file:
            assert file.read(1).shape == (3, 4)
            assert file.overviews(1) == []
        with pytest.raises(EngineError, match="of the archive is damaged: band 'b'"):
            read(hostile)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_block_that_fills_the_memory_is_not_read(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert archive_files.BLOCK_BYTES == 67_108_864
    monkeypatch.setattr(archive_files, "BLOCK_BYTES", 23)  # 3 x 4 px of two bytes in one strip
    with pytest.raises(RasterioError, match="its blocks have 3 x 4 px"), open_band(hostile / ASSET / "a.tif"):
        pass


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "3", '{"bands": ' + "[" * 5000 + "]" * 5000 + "}", '{"bands": [], "properties": 1' + "0" * 5000 + "}"]
)
def test_json_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "asset.json").write_text(text)
    with pytest.raises(EngineError, match=r"^Asset 'X' of the archive is damaged: asset\.json: "):
        read_about(tmp_path / "asset.json", "X", tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "asset.json")
    with pytest.raises(EngineError, match="is a pipe or a device"):
        read_about(tmp_path / "asset.json", "X", tmp_path)


def test_within(tmp_path: Path) -> None:
    assert is_within(tmp_path, tmp_path)
    assert is_within(tmp_path / "a/b", tmp_path / "x", tmp_path)
    assert not is_within(tmp_path.with_name(f"{tmp_path.name}x"), tmp_path)
    assert not is_within(tmp_path / "a/../..", tmp_path)
