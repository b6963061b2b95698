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
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches.build import from_rasters
from cropcam.pipeline.patches.measure import HISTOGRAM_STEP
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import GAP
from cropcam.pipeline.store.verify import check
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support.builds import small_blocks
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


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("", 3, r"is a folder; give the file name of the picture"),
        ("p.txt", 2, r"end the name in \.png or \.svg"),
        ("notes.png", 3, r"is there already and holds no picture that cropcam wrote"),
        ("notes.svg", 3, r"is there already and holds no picture that cropcam wrote"),
    ],
)
def test_a_place_for_no_picture_is_refused_before_the_store_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: int, message: str
) -> None:
    for notes in ("notes.png", "notes.svg"):
        (tmp_path / notes).write_text("cropcam")
    assert main(["check", str(tmp_path / "absent.zarr"), "--out", str(tmp_path / name)]) == code
    assert re.search(rf"^cropcam: --out {re.escape(str(tmp_path / name))}: .*{message}", capsys.readouterr().err, re.MULTILINE)


def test_statistics_of_one_pass_are_those_of_the_store(good: Path) -> None:
    store = open_store(good)
    info, train = store.info, store.images(store.split_indices("train"))[:, :, ::HISTOGRAM_STEP]
    counted = np.array(info.statistics["histogram"]["counts"])
    for band in range(4):
        np.testing.assert_array_equal(counted[band], np.bincount(train[:, band].ravel() >> 8, minlength=256))
    pixels = info.statistics["class_pixels"]
    for split in ("train", "validation", "test"):
        mine = info.classes.index(store.labels(store.split_indices(split)))
        assert list(pixels[split].values()) == [(mine == k).sum() for k in range(5)]
    assert info.bands == ("1_SR_B4", "1_SR_B5", "2_SR_B4", "2_SR_B5")


def test_patches_in_the_gap_are_left_out_counted_and_in_no_statistic(tmp_path: Path) -> None:
    path = made(tmp_path, gap_patches=1, block_patches=[4, 3])
    store = open_store(path)
    info = store.info
    assert info.dropped["gap"] > 0
    assert info.dropped["gap"] == (store.table("reason") == GAP).sum()
    assert len(store) == 107 - info.dropped["gap"]
    assert check(path).problems == ()
    train = store.images(store.split_indices("train"))
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
    store = open_store(made(tmp_path, holdout=loaded.splits.holdout))
    assert store.row_N[store.split_N == 2].max() <= store.row_N[store.split_N != 2].min()
    (tmp_path / "study.toml").write_text(text.replace("north", "south"))
    assert main(["describe", str(tmp_path / "study.toml")]) == 2


def rewrite(name: str, value: object, place: object = 0) -> Callable[[Path], None]:
    """Change the entries of a table at `place`."""

    def harm(path: Path) -> None:
        array = zarr.open_array(path / name)
        array[place] = value  # type: ignore[index, assignment]

    return harm


def swap_splits(path: Path) -> None:
    """Give one patch another split than its neighbours have."""
    array = zarr.open_array(path / "split")
    array[5, 5] = (int(array[5, 5]) + 1) % 3  # type: ignore[call-overload, arg-type]


def edit_root(path: Path) -> None:
    """Change a type in the consolidated copy alone."""
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace('"long_name": "image"', '"long_name": "map"'))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: flip_bit(path / "image" / "c" / "0" / "0" / "0", 999), "image/c/0/0/0: is damaged"),
        (lambda path: (path / "label" / "c" / "0" / "0").unlink(), "label/c/0/0: is missing"),
        (rewrite("share", 1), "block 0, 0 (rows 0..90, columns 0..120): class shares are not those of the labels"),
        (rewrite("valid", 0), "valid shares are not those of image and labels"),
        (rewrite("split", 9), "split: holds 9, which means nothing"),
        (rewrite("reason", 7), "reason: holds 7, which means nothing"),
        (rewrite("reason", 2), "reasons for dropping patches are not those of image and labels"),
        (rewrite("reason", 3), "split and reason differ in which patches are kept"),
        (rewrite("reason", 3, (5, 5)), "the attributes count {'image': 1, 'label': 0, 'gap': 0} patches dropped, the tables"),
        (rewrite("split", 255, (5, 5)), "split and reason differ in which patches are kept"),
        (rewrite("x", 0.0), "x: not what the store's attributes make it"),
        (rewrite("band", "B1"), "band: not what the store's attributes make it"),
        (rewrite("season", "B1"), "season: not what the store's attributes make it"),
        (rewrite("label", 99, (slice(0, 3), 0)), "label codes that the legend 'cdl' does not have: 99"),
        (swap_splits, "not disjoint in space"),
        (edit_root, "its copy of the arrays' metadata is not theirs"),
    ],
)
def test_every_harm_is_named(good: Path, tmp_path: Path, harm: Callable[[Path], None], message: str) -> None:
    copy = tmp_path / "harmed.zarr"
    shutil.copytree(good, copy)
    harm(copy)
    assert any(message in problem for problem in check(copy).problems)
    assert main(["check", str(copy)]) == 3


def test_a_gap_that_is_too_narrow_is_found(tmp_path: Path) -> None:
    store = made(tmp_path, gap_patches=1, block_patches=[4, 3])
    row, col = np.argwhere(open_store(store).table("reason") == GAP)[0]
    for name in ("split", "reason"):
        zarr.open_array(store / name)[row, col] = 0  # type: ignore[index]
    assert any("patches lie within 1 patches of the" in problem for problem in check(store).problems)


def flip_bit(path: Path, place: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, 4)
    store, rng = made(tmp_path), np.random.default_rng(0)
    files = [path for path in sorted(store.rglob("*")) if path.is_file() and path.parent != store]
    assert len(files) == 2 * 9 + 4 * 9 + 2 + 2 + 11  # shards, tables, coordinates, metadata
    for path in files:
        whole = path.read_bytes()
        flip_bit(path, int(rng.integers(len(whole))), int(rng.integers(8)))
        if path.relative_to(store).parts[0] in ("image", "label") and path.name != "zarr.json":
            assert any(str(path) in problem for problem in check(store).problems)
        else:
            assert main(["check", str(store), "--out", str(tmp_path / "p.png")]) == 3, path
        path.write_bytes(whole)
    assert check(store).problems == ()


def test_a_store_of_schema_1_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "s.zarr").mkdir()
    (tmp_path / "s.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {"schema_version": 1}}')
    with pytest.raises(DataError, match="schema version 1, this cropcam reads 2; delete it and build it again"):
        check(tmp_path / "s.zarr")


def test_images_alone_of_bands_that_differ_are_checked(tmp_path: Path) -> None:
    values = random_dn((2, *UTM.shape_yx)).astype(np.float32)
    values[0, :12, :12], values[1, 30, 30] = np.nan, -7
    paths = [write_raster(tmp_path / f"{i}.tif", values[i], UTM, nodata=nodata) for i, nodata in enumerate((np.nan, -7.0))]
    values_of_study = study().to_dict()
    values_of_study["image"] |= {"seasons": SEASONS[:1], "bands": ["first", "second"]}
    from_rasters(parse_study(values_of_study), paths, [], tmp_path / "s.zarr")
    assert check(tmp_path / "s.zarr").problems == ()
    rewrite("nodata", 3.0)(tmp_path / "s.zarr")
    assert any("nodata: not what" in problem for problem in check(tmp_path / "s.zarr").problems)
