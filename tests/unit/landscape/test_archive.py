"""The simulated archive: contract, determinism, restart after a kill, refusals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import CDL_ORIGIN_XY, PixelGrid, resample_nearest
from cropcam.pipeline.landscape import simulate, truth
from cropcam.pipeline.landscape.archive import identity
from cropcam.pipeline.landscape.assets import finish
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.runtime.atomic import exclusive_lock
from cropcam.pipeline.study.study import Study, parse_study

SCENES = "LANDSAT/LC08/C02/T1_L2"
LABELS = "USDA/NASS/CDL/2016"
SCENE_BANDS = (*(f"SR_B{band}" for band in range(1, 8)), "QA_PIXEL", "QA_RADSAT")
LABEL_BANDS = ("cropland", "confidence")


def tiny(**changes: Any) -> Study:
    """A study of 0.03 degrees across the border of UTM zones 15 and 16, 32 days long."""
    area = {"bounds": changes.pop("bounds", [-90.015, 41.0, -89.985, 41.03])}
    image = {"seasons": changes.pop("seasons", [["2016-07-01", "2016-08-02"]])}
    image |= {"collections": changes.pop("collections")} if "collections" in changes else {}
    return parse_study({"study": {"name": "tiny"}, "area": area, "image": image, "labels": {"asset": changes.pop("asset", LABELS)}})


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    simulate(tiny(), folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def pixels(folder: Path) -> dict[str, npt.NDArray[Any]]:
    found = {}
    for file in sorted(folder.rglob("*.tif")):
        with rasterio.open(file) as source:
            found[str(file.relative_to(folder))] = source.read(1)
    return found


def test_scenes_follow_the_contract(archive: Path) -> None:
    folders = sorted((archive / SCENES).iterdir())
    assert len(folders) == 4
    zones, fills = set(), []
    for folder in folders:
        about = json.loads((folder / "asset.json").read_text("utf-8"))
        assert about["bands"] == list(SCENE_BANDS)
        assert sorted(file.name for file in folder.iterdir()) == sorted(["asset.json", *(f"{band}.tif" for band in SCENE_BANDS)])
        properties = about["properties"]
        assert properties["system:index"] == folder.name
        assert folder.name.startswith(f"LC08_{properties['WRS_PATH']:03d}{properties['WRS_ROW']:03d}_2016")
        bands = {}
        for band in SCENE_BANDS:
            with rasterio.open(folder / f"{band}.tif") as source:
                assert source.dtypes == ("uint16",)
                assert source.crs.to_epsg() == 32600 + properties["UTM_ZONE"]
                assert source.transform.a == -source.transform.e == 30
                assert source.transform.c % 30 == source.transform.f % 30 == 15
                assert source.nodata == {"QA_PIXEL": 1, "QA_RADSAT": None}.get(band, 0)
                assert source.profile["tiled"]
                bands[band] = source.read(1)
        fill = bands["QA_PIXEL"] == 1
        for band in SCENE_BANDS[:7]:
            np.testing.assert_array_equal(bands[band] == 0, fill)
        assert (bands["QA_RADSAT"][fill] == 0).all()
        cloud = (bands["QA_PIXEL"] >> 3) & 1
        assert properties["CLOUD_COVER"] == pytest.approx(100 * cloud[~fill].mean(), abs=0.006)
        zones.add(properties["UTM_ZONE"])
        fills.append(fill.mean())
    assert zones == {15, 16}
    assert max(fills) > 0.1 > min(fills)


def test_labels_follow_the_contract(archive: Path) -> None:
    folder = archive / LABELS
    about = json.loads((folder / "asset.json").read_text("utf-8"))
    assert about["bands"] == list(LABEL_BANDS)
    assert about["properties"] == {"system:time_start": 1451606400000, "system:time_end": 1483228800000, "system:index": "2016"}
    with rasterio.open(folder / "cropland.tif") as source, rasterio.open(folder / "confidence.tif") as sure:
        assert source.crs.to_epsg() == 5070
        assert source.dtypes == sure.dtypes == ("uint8",)
        assert source.nodata == sure.nodata == 0
        assert (source.transform.c - CDL_ORIGIN_XY[0]) % 30 == (source.transform.f - CDL_ORIGIN_XY[1]) % 30 == 0
        colours = source.colormap(1)
        assert all(colours[item.code][:3] == (item.color or (0, 0, 0)) for item in cdl().codes)
        codes, confidence = source.read(1), sure.read(1)
    outside = codes == 0
    assert 0.05 < outside.mean() < 0.6
    np.testing.assert_array_equal(confidence == 0, outside)
    assert set(np.unique(codes)) <= set(cdl().by_code)


def test_scenes_see_the_land_that_is_true(archive: Path) -> None:
    study = tiny()
    codes = truth(study.grid)
    compared = 0
    for folder in sorted((archive / SCENES).iterdir()):
        with rasterio.open(folder / "QA_PIXEL.tif") as source:
            grid = PixelGrid(f"EPSG:{source.crs.to_epsg()}", tuple(source.transform)[:6], source.width, source.height)
            qa = resample_nearest(source.read(1), grid, study.grid, 1)
        land = (qa & 0b1_1111) == 0
        water = ((qa >> 7) & 1) == 1
        assert ((water == (codes == 111)) | ~land).mean() > 0.97
        compared += int(land.sum())
    assert compared > codes.size


def test_same_seed_same_bytes_whatever_the_blocks(archive: Path, tmp_path: Path) -> None:
    simulate(tiny(), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(archive)
    simulate(tiny(), tmp_path / "blocks", block_px=67)
    whole, cut = pixels(archive), pixels(tmp_path / "blocks")
    assert whole.keys() == cut.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(cut[name], values, err_msg=name)


def test_another_seed_is_another_land(archive: Path, tmp_path: Path) -> None:
    simulate(tiny(), tmp_path, seed=1)
    one, two = pixels(archive), pixels(tmp_path)
    assert one.keys() == two.keys()
    name = f"{LABELS}/cropland.tif"
    assert (one[name] != two[name]).mean() > 0.2


def test_second_run_finds_everything(archive: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in archive.rglob("*")}
    seen: list[tuple[int, int, str]] = []
    summary = simulate(tiny(), archive, 0, lambda *call: seen.append(call))
    assert (summary.written, summary.existing, seen) == (0, 5, [])
    assert {file: file.stat().st_mtime_ns for file in archive.rglob("*")} == before


def test_progress_counts_up_to_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    summary = simulate(tiny(), tmp_path, 0, lambda *call: seen.append(call), block_px=128)
    assert [done for done, _, _ in seen] == list(range(1, seen[0][1] + 1))
    assert {note for _, _, note in seen} <= set(summary.assets)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.study.study import load_study

def progress(done, total, note):
    if done == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

simulate(load_study(sys.argv[1]), Path(sys.argv[2]), 0, progress)
"""


@pytest.mark.parametrize("blocks", [1, 2])
def test_killed_run_goes_on_and_ends_with_the_same_bytes(archive: Path, tmp_path: Path, blocks: int) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(tiny().to_toml(), "utf-8")
    folder = tmp_path / "killed"
    root = str(Path(__file__).parents[3])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file), str(folder), root, str(blocks)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(folder.rglob(".*.partial")), "nothing was under way"
    assert len(list(folder.rglob("asset.json"))) == blocks - 1
    summary = simulate(tiny(), folder)
    assert summary.existing == blocks - 1
    assert contents(folder) == contents(archive)


def test_interrupt_leaves_nothing_half_written(tmp_path: Path) -> None:
    def interrupt(done: int, _total: int, _note: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tiny(), tmp_path, 0, interrupt)
    assert [file.parent.name for file in tmp_path.rglob("asset.json")] == ["2016"]
    assert not list(tmp_path.rglob(".*.partial"))
    assert not list((tmp_path / SCENES).iterdir())


def test_one_process_writes_an_archive(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "simulate"), pytest.raises(DataError, match="another process is writing it"):
        simulate(tiny(), tmp_path)
    assert simulate(tiny(), tmp_path).written > 1
    assert not list(tmp_path.glob(".*"))
    with exclusive_lock(tmp_path / "simulate"):
        assert simulate(tiny(), tmp_path).written == 0  # whole as it is, perhaps where nobody may write


def test_what_did_not_reach_the_disk_is_found_before_an_asset_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def worn(folder: Path, *arguments: Any) -> None:
        path = folder / "cropland.tif"
        if path.exists():
            with path.open("r+b") as file:
                file.seek(path.stat().st_size // 2)
                file.write(bytes(400))
        finish(folder, *arguments)

    monkeypatch.setattr("cropcam.pipeline.landscape.label_assets.finish", worn)
    with pytest.raises(DataError, match=r"cannot be written: .*; see to space and rights, then run simulate again"):
        simulate(tiny(), tmp_path)
    assert not list(tmp_path.rglob("asset.json"))


@pytest.mark.parametrize(
    ("study", "seed", "differs"),
    [
        (tiny(), 1, r"seed = 0, now 1"),
        (tiny(bounds=[-90.015, 41.0, -89.985, 41.04]), 0, r"area\.bounds"),
        (tiny(seasons=[["2016-07-01", "2016-08-03"]]), 0, r"period .*2016-08-02"),
        (tiny(asset="USDA/NASS/CDL/2017"), 0, r"labels\.asset"),
        (tiny(collections=["LANDSAT/LC08/C02/T1_L2", "LANDSAT/LC09/C02/T1_L2"]), 0, r"image\.collections"),
    ],
)
def test_archive_of_another_study_is_refused(archive: Path, study: Study, seed: int, differs: str) -> None:
    with pytest.raises(DataError, match=differs):
        simulate(study, archive, seed)


def test_foreign_assets_are_refused(tmp_path: Path) -> None:
    real = tmp_path / "real" / SCENES / "LC08_023032_20160711"
    real.mkdir(parents=True)
    (real / "asset.json").write_text('{"bands": ["SR_B1"], "properties": {}}', "utf-8")
    with pytest.raises(DataError, match="not made by cropcam simulate"):
        simulate(tiny(), tmp_path / "real")
    (real / "asset.json").write_text("[", "utf-8")
    with pytest.raises(DataError, match="not made by cropcam simulate"):
        simulate(tiny(), tmp_path / "real")
    (tmp_path / "loose" / LABELS).mkdir(parents=True)
    with pytest.raises(DataError, match=r"holds no asset\.json"):
        simulate(tiny(), tmp_path / "loose")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        simulate(tiny(), tmp_path / "file")
    with pytest.raises(DataError, match="cannot be written"):
        simulate(tiny(), tmp_path / "file" / "below")


def test_rows_of_wide_and_low_areas_are_of_another_version() -> None:
    wide, narrow = tiny(bounds=[-95.0, 41.0, -92.0, 42.0]), tiny(bounds=[-95.0, 41.0, -93.5, 42.0])
    assert (identity(wide, 0)["landscape_version"], identity(narrow, 0)["landscape_version"]) == (2, 1)


def test_labels_need_a_year(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must end in a year"):
        simulate(tiny(asset="USDA/NASS/CDL"), tmp_path)
    assert not list(tmp_path.iterdir())
