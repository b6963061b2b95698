"""A sound store passes; every harm is found and named; gap, hold-out and several seasons reach the store."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from cropcam.cli import main
from cropcam.pipeline.kernels import HISTOGRAM_STEP
from cropcam.pipeline.patches import from_rasters
from cropcam.pipeline.store.schema import open_store, shard_path
from cropcam.pipeline.store.verify import check
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support.rasters import UTM, random_codes, random_dn, write_raster

SEASONS = [["2016-04-01", "2016-06-01"], ["2016-07-01", "2016-09-01"]]


def study(**splits: object) -> Study:
    """Two bands in two seasons, patches of 10 px."""
    values = load_study("demo").to_dict()
    values["image"] |= {"bands": ["SR_B4", "SR_B5"], "seasons": SEASONS}
    values["patches"] |= {"size_px": 10}
    values["splits"] |= {"block_patches": [3, 3], **splits}
    return parse_study(values)


def made(folder: Path, **splits: object) -> Path:
    dn = random_dn((4, *UTM.shape_yx))
    dn[0, 5, 5] = 0
    image = [write_raster(folder / "image.tif", dn, UTM)]
    labels = [write_raster(folder / "cdl.tif", random_codes(UTM.shape_yx), UTM)]
    from_rasters(study(**splits), image, labels, folder / "s.zarr")
    return folder / "s.zarr"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("store"))


def test_a_sound_store_and_its_picture(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(good).problems == ()
    for name in ("p.png", "p.svg"):
        assert main(["check", str(good), "--out", str(tmp_path / name)]) == 0
        assert "sound: 107 patches in 1 zarr shard\n" in capsys.readouterr().out
        assert (tmp_path / name).stat().st_size > 2000
    assert main(["describe", str(good)]) == 0
    assert "98 %" in capsys.readouterr().out


@pytest.mark.parametrize("path", [".", "../s.zarr", "group/.."])
def test_the_picture_lies_beside_the_store_however_that_is_called(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    shutil.copytree(good, tmp_path / "s.zarr")
    (tmp_path / "s.zarr" / "group").mkdir()
    monkeypatch.chdir(tmp_path / "s.zarr")
    assert main(["check", path]) == 0
    assert (tmp_path / "s-splits.png").stat().st_size > 2000


@pytest.mark.parametrize(("name", "message"), [("", r"is a folder; give the file name"), ("p.txt", r"end the name in \.png or \.svg")])
def test_a_place_for_no_picture_is_refused_before_the_store_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    assert main(["check", str(tmp_path / "absent.zarr"), "--out", str(tmp_path / name)]) == 2
    assert re.search(rf"^cropcam: --out {re.escape(str(tmp_path / name))}: .*{message}", capsys.readouterr().err, re.MULTILINE)


def test_statistics_of_one_pass_are_those_of_the_store(good: Path) -> None:
    raw, info = open_store(good)
    train = raw["image"].to_numpy()[raw["split"].to_numpy() == 0][:, :, ::HISTOGRAM_STEP]
    counted = np.array(info.statistics["histogram"]["counts"])
    for band in range(4):
        np.testing.assert_array_equal(counted[band], np.bincount(train[:, band].ravel() >> 8, minlength=256))
    pixels = info.statistics["class_pixels"]
    index = info.classes.index(raw["label"].to_numpy())
    for number, split in enumerate(("train", "validation", "test")):
        mine = index[raw["split"].to_numpy() == number]
        assert list(pixels[split].values()) == [(mine == k).sum() for k in range(5)]
    assert info.bands == ("1_SR_B4", "1_SR_B5", "2_SR_B4", "2_SR_B5")


def test_patches_in_the_gap_are_left_out_counted_and_in_no_statistic(tmp_path: Path) -> None:
    store = made(tmp_path, gap_patches=1, block_patches=[4, 3])
    raw, info = open_store(store)
    assert info.dropped["gap"] > 0
    assert len(raw["row"]) == 107 - info.dropped["gap"]
    assert check(store).problems == ()
    train = raw["image"].to_numpy()[raw["split"].to_numpy() == 0]
    sampled = train[:, :, ::HISTOGRAM_STEP]
    np.testing.assert_array_equal(info.statistics["histogram"]["counts"][1], np.bincount(sampled[:, 1].ravel() >> 8, minlength=256))
    np.testing.assert_allclose(info.statistics["mean"], train.mean(axis=(0, 2, 3)) * 0.0000275 - 0.2, rtol=1e-9)


def test_a_hold_out_beside_the_study_file(tmp_path: Path) -> None:
    ring = [[-89, 40.415], [-80, 40.415], [-80, 50], [-89, 50], [-89, 40.415]]
    (tmp_path / "north.geojson").write_text(json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}))
    text = study().to_toml().replace('"holdout" = ""', '"holdout" = "north.geojson"')
    (tmp_path / "study.toml").write_text(text)
    loaded = load_study(str(tmp_path / "study.toml"))
    assert json.loads(loaded.splits.holdout)["type"] == "MultiPolygon"
    store = made(tmp_path, holdout=loaded.splits.holdout)
    raw, _ = open_store(store)
    test = raw["row"].to_numpy()[raw["split"].to_numpy() == 2]
    assert test.max() <= raw["row"].to_numpy()[raw["split"].to_numpy() != 2].min()
    (tmp_path / "study.toml").write_text(text.replace("north", "south"))
    assert main(["describe", str(tmp_path / "study.toml")]) == 2


def rewrite(name: str, value: int) -> Callable[[Path], None]:
    """Change the first entry of a small array."""

    def harm(path: Path) -> None:
        array = zarr.open_array(path / name)
        array[0] = value

    return harm


def flip_byte(path: Path) -> None:
    shard = shard_path(path, "image", 0)
    data = bytearray(shard.read_bytes())
    data[100] ^= 255
    shard.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (flip_byte, "crc32c"),
        (lambda path: shard_path(path, "label", 0).unlink(), "crc32c of no file"),
        (rewrite("share", 1), "class shares are not those of the labels"),
        (rewrite("valid", 0), "valid shares are not those of image and labels"),
        (rewrite("row", 50), "row or col lies outside the grid"),
        (rewrite("col", 5), "not in row-major order, or one stands twice"),
        (rewrite("split", 9), "split holds 9; known are 0..2"),
    ],
)
def test_every_harm_is_named(good: Path, tmp_path: Path, harm: Callable[[Path], None], message: str) -> None:
    copy = tmp_path / "harmed.zarr"
    shutil.copytree(good, copy)
    harm(copy)
    assert any(message in problem for problem in check(copy).problems)
    assert main(["check", str(copy)]) == 3


def test_a_few_patches_at_a_time_find_the_same(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "harmed.zarr"
    shutil.copytree(good, copy)
    valid = zarr.open_array(copy / "valid")
    valid[50] = 0.5  # type: ignore[index]
    monkeypatch.setattr("cropcam.pipeline.store.verify._HELD_BYTES", 20 * 10 * 10 * 9)
    assert check(good).problems == ()
    assert check(copy).problems == ("patches 40..59: valid shares are not those of image and labels",)


@pytest.mark.parametrize("name", ["image", "label", "row", "col", "share", "valid", "split"])
def test_a_flipped_bit_anywhere_in_a_zarr_shard_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("cropcam.pipeline.store.schema.PATCHES_PER_SHARD", 16)
    monkeypatch.setattr("cropcam.pipeline.store.verify.PATCHES_PER_SHARD", 16)
    store, rng = made(tmp_path), np.random.default_rng(0)
    files = [path for path in (store / name / "c").rglob("*") if path.is_file()]
    assert len(files) == (7 if name in ("image", "label") else 1)  # 107 patches
    for path in files:
        whole = path.read_bytes()
        for place in rng.integers(0, len(whole), 2):
            harmed = bytearray(whole)
            harmed[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(harmed)
            if name in ("image", "label"):
                assert any(str(path) in problem for problem in check(store).problems)
            else:
                assert main(["check", str(store), "--out", str(tmp_path / "p.png")]) in (0, 3)  # no checksum: what matters is recomputed
        path.write_bytes(whole)
    assert check(store).problems == ()


def test_blocks_that_are_torn_are_found(good: Path, tmp_path: Path) -> None:
    copy = tmp_path / "torn.zarr"
    shutil.copytree(good, copy)
    array = zarr.open_array(copy / "split")
    array[0] = (int(array[0]) + 1) % 3  # type: ignore[call-overload, arg-type]
    assert any("not disjoint in space" in problem for problem in check(copy).problems)
