"""The real service against the embedded engine: the same graph over the same scenes gives the same pixels.

Opt-in, for someone with an Earth Engine account:

    CROPCAM_LIVE_PROJECT=my-project python -m pytest -m live tests/live

It counts the scenes of one month over 256 x 256 px of Iowa, fetches them as they are (about 40 MB), serves them from
the embedded engine, and compares composite and labels of both. Nothing is written at the service. Without the variable
it is skipped; the comparison itself is tested against the embedded engine in the service's place.
"""

from __future__ import annotations

import datetime
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest

from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.scenes import scenes as scenes_of
from cropcam.pipeline.earthengine.session import Session, open_session
from cropcam.pipeline.emulator import serve
from cropcam.pipeline.grid import PixelGrid, covering_window
from cropcam.pipeline.rasters.export_shards import open_shards
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support import scenes
from support.rasters import write_raster

PROJECT = os.environ.get("CROPCAM_LIVE_PROJECT")
SIDE_PX = 256


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    ee.Reset()


def iowa(**image: Any) -> Study:
    """256 x 256 px of fields between two paths, July 2016."""
    values = load_study("demo").to_dict()
    side = SIDE_PX * 30.0 / 111_319.490793
    values["area"] |= {"bounds": [-93.6, 42.0, -93.6 + side + 1e-9, 42.0 + side + 1e-9]}
    values["image"] |= {"seasons": [["2016-07-01", "2016-08-01"]], **image}
    return parse_study(values)


def fetch_archive(study: Study, session: Session, archive: Path) -> int:
    """Write the scenes and labels a study needs into an archive, as the service holds them; return how many scenes."""
    (season,) = study.image.seasons
    (collection,) = study.image.collections
    listed = scenes_of(study, season).reduceColumns(ee.Reducer.toList(), ["system:index"]).get("list")
    names = session.value(listed, "listing scenes")
    for name in names:
        fetch_asset(session, f"{collection}/{name}", [*study.image.bands, "QA_PIXEL", "QA_RADSAT"], study.grid, archive)
    fetch_asset(session, study.labels.asset, ["cropland"], study.grid, archive)
    return len(names)


def fetch_asset(session: Session, asset: str, bands: list[str], target: PixelGrid, archive: Path) -> None:
    """One image's bands on its own grid, as far as the target can need them."""
    image = ee.Image(asset)
    about = session.value(image, asset)
    band = next(one for one in about["bands"] if one["id"] == bands[0])
    native = PixelGrid(band["crs"], tuple(band["crs_transform"]), band["dimensions"][0], band["dimensions"][1])
    part = covering_window(native, target, margin_px=4)
    if part is None:
        return
    grid, folder = native.window(part), archive / asset
    fill = [1 if name == "QA_PIXEL" else 0 for name in bands]
    whole = image.select(bands).unmask(ee.Image.constant(fill)).toUint16()
    pixels = np.load(io.BytesIO(session.pixels(whole, grid, asset)))
    for name in bands:
        write_raster(folder / f"{name}.tif", pixels[name].astype("uint8" if name == "cropland" else "uint16"), grid)
    properties = {key: value for key, value in about["properties"].items() if key in ("system:time_start", "system:index", "CLOUD_COVER")}
    if "system:time_start" not in properties:
        properties["system:time_start"] = int(datetime.datetime(2016, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000)
    (folder / "asset.json").write_text(json.dumps({"bands": bands, "properties": properties}), "utf-8")


def compare(study: Study, session: Session, tmp_path: Path) -> dict[str, float]:
    """Share of pixels that are equal, of the composite and of the labels."""
    assert fetch_archive(study, session, tmp_path / "archive") > 0
    deliver(study, session, tmp_path / "service", window_px=256)
    with serve(tmp_path / "archive") as server:
        deliver(study, open_session("local", server.url), tmp_path / "embedded", window_px=256)
    window = scenes.Window(0, 0, *study.grid.shape_yx)
    found = {}
    for number, name in enumerate(("image", "labels")):
        ours, theirs = (open_shards(tmp_path / side, study)[number].read(window) for side in ("embedded", "service"))
        found[name] = float((ours == theirs).mean())
    return found


@pytest.mark.live
@pytest.mark.skipif(not PROJECT, reason="set CROPCAM_LIVE_PROJECT to a project registered for Earth Engine")
def test_the_service_and_the_embedded_engine_agree(tmp_path: Path) -> None:
    assert compare(iowa(), open_session(PROJECT), tmp_path) == {"image": 1.0, "labels": 1.0}


def test_the_comparison_itself_with_the_embedded_engine_as_the_service(tmp_path: Path) -> None:
    with serve(scenes.write_archive(tmp_path / "scenes")) as server:
        assert compare(scenes.study(), open_session("p", server.url), tmp_path) == {"image": 1.0, "labels": 1.0}
