"""Cutting against a plain numpy oracle; the store is the contract's; drops are counted; nothing is half-written."""

from __future__ import annotations

import json
import resource
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import Blosc

from cropcam.cli import main
from cropcam.pipeline import kernels
from cropcam.pipeline.chunks import Chunks, give_back, memory, of_bytes, split
from cropcam.pipeline.cutting import Rules, cut, shares
from cropcam.pipeline.errors import ConfigError, DataError, WorkStoppedError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.kernels import BIN_DN, BINS, HISTOGRAM_STEP
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.patches import from_rasters, from_shards
from cropcam.pipeline.rasters.raster import ValueEncoding
from cropcam.pipeline.store.schema import open_store
from cropcam.pipeline.store.verify import check
from cropcam.pipeline.study.study import LANDSAT_BANDS, Study, load_study, parse_study
from support.rasters import UTM, random_codes, random_dn, write_raster

LEGEND = load_study("demo").legend
BIG = PixelGrid(UTM.crs, UTM.transform, 130, 110)


def study(**sections: dict[str, object]) -> Study:
    """A study of two bands and patches of 10 px in blocks of 3 x 2."""
    values = load_study("demo").to_dict()
    values["image"] |= {"bands": ["SR_B4", "SR_B5"]}
    values["patches"] |= {"size_px": 10}
    values["splits"] |= {"block_patches": [3, 2]}
    for section, keys in sections.items():
        values[section] |= keys
    return parse_study(values)


def rasters(folder: Path, holes: bool = True) -> tuple[list[Path], list[Path], np.ndarray, np.ndarray]:
    """An image with a nodata corner and single nodata pixels, labels with gaps, both on one grid."""
    dn, codes = random_dn((2, *BIG.shape_yx)), random_codes(BIG.shape_yx)
    if holes:
        dn[:, :15, :25] = 0
        dn[0, 77, 33] = 0
        codes[40:50, 60:80] = 0
        codes[95, 5] = 81
    return [write_raster(folder / "image.tif", dn, BIG)], [write_raster(folder / "cdl.tif", codes, BIG)], dn, codes


@settings(deadline=None)
@given(st.integers(8, 45), st.integers(8, 45), st.integers(1, 9), st.floats(0.05, 1.0), st.integers(0, 2**32 - 1))
def test_cutting_agrees_with_a_plain_loop(height: int, width: int, size: int, minimum: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dn = rng.integers(1, 65536, (3, height, width)).astype(np.uint16)
    dn[:, rng.random((height, width)) < rng.choice([0, 0.02, 0.5])] = 0
    codes = rng.choice(np.array([0, 81, 1, 5, 141, 176, 111], np.uint8), (height, width), p=[0.02, 0.02, *[0.192] * 5])
    units_RC = rng.integers(0, 4, (height // size, width // size))
    found = cut(dn, codes, Rules(size, LEGEND.lookup(), len(LEGEND), minimum), units_RC)
    image, label = decoded(found.image[0], "<u2", (3, size, size)), decoded(found.label[0], "u1", (size, size))
    small, n, dropped = found.small, 0, 0
    counted = {unit: np.zeros((3, BINS), int) for unit in np.unique(units_RC)}
    for row, col in product(range(height // size), range(width // size)):
        part = np.s_[row * size : (row + 1) * size, col * size : (col + 1) * size]
        index, pixels = LEGEND.index(codes[part]), dn[:, *part].astype(int)
        valid = np.mean((pixels > 0).all(axis=0) & (index != UNLABELLED))
        if valid < minimum - 1e-9:
            dropped += 1
            continue
        assert (small["row"][n], small["col"][n]) == (row, col)
        np.testing.assert_array_equal(image[n], pixels)
        np.testing.assert_array_equal(label[n], codes[part])
        assert small["valid"][n] == pytest.approx(valid)
        labelled = max((index != UNLABELLED).sum(), 1)
        np.testing.assert_allclose(shares(small["counts"])[n], [(index == k).sum() / labelled for k in range(len(LEGEND))], rtol=1e-6)
        sums = [(pixels > 0).sum(axis=(1, 2)), pixels.sum(axis=(1, 2)), (pixels**2).sum(axis=(1, 2))]
        np.testing.assert_array_equal(small["moments"][n], sums)
        for band, sample in enumerate(pixels[:, ::HISTOGRAM_STEP]):
            counted[units_RC[row, col]][band] += np.bincount(sample[sample > 0] // BIN_DN, minlength=BINS)
        n += 1
    assert (len(found), found.dropped.total()) == (n, dropped)
    np.testing.assert_array_equal(small["units"], sorted(counted))
    expected = np.array([counted[unit] for unit in sorted(counted)], int).reshape(-1, 3, BINS)  # none where no patch fits
    np.testing.assert_array_equal(small["histogram"], expected)


def decoded(chunks: Chunks, dtype: str, shape: tuple[int, ...]) -> list[np.ndarray]:
    ends = np.cumsum(chunks.sizes)
    assert ends[-1] == chunks.data.size if len(ends) else not chunks.data.size
    frames = [chunks.data[end - size : end].tobytes() for end, size in zip(ends, chunks.sizes, strict=True)]
    return [np.frombuffer(Blosc().decode(frame), dtype).reshape(shape) for frame in frames]


def test_without_blosc_at_hand_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels, _, _ = rasters(tmp_path)
    checksums = []
    for name, calls in (("a.zarr", kernels.CALLS_BLOSC), ("b.zarr", False)):
        monkeypatch.setattr("cropcam.pipeline.kernels.CALLS_BLOSC", calls)
        checksums.append(from_rasters(study(), image, labels, tmp_path / name).info.checksums)
    assert checksums[0] == checksums[1]


@given(st.lists(st.lists(st.binary(min_size=1, max_size=5), max_size=5), max_size=5), st.integers(0, 30))
def test_chunks_are_split_between_two_patches(runs: list[list[bytes]], count: int) -> None:
    flat = [chunk for run in runs for chunk in run]
    for found, expected in zip(split([of_bytes(run) for run in runs], count), (flat[:count], flat[count:]), strict=True):
        assert b"".join(one.data.tobytes() for one in found) == b"".join(expected)
        assert [size for one in found for size in one.sizes] == [len(chunk) for chunk in expected]


def test_memory_is_used_again_only_when_nothing_looks_at_it() -> None:
    give_back()
    first = memory((1000,), np.uint8)
    view = first[10:20]
    view[:] = 7
    del first
    second = memory((1000,), np.uint8)
    second[:] = 0
    assert view.tolist() == [7] * 10
    address = view.ctypes.data - 10
    del view
    assert memory((5, 100), np.uint16).ctypes.data == address
    give_back()


@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_a_whole_store_from_any_shards_agrees_with_a_plain_loop(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("shards")
    pick = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    rng, size = np.random.default_rng(pick(0, 2**32 - 1)), pick(8, 17)
    values = study(patches={"size_px": size, "valid_min_share": pick(1, 10) / 10}).to_dict()
    values["area"] |= data.draw(st.sampled_from([{"crs": "EPSG:4326"}, {"crs": "EPSG:5070"}, {"crs": "EPSG:32616", "scale_m": 25.0}]))
    west, south = -90 + pick(0, 99) / 1e4, 41 + pick(0, 99) / 1e4
    values["area"]["bounds"] = [west, south, west + pick(180, 400) / 1e4, south + pick(150, 300) / 1e4]
    values["splits"] |= {"block_patches": [1, 2]}
    wanted = parse_study(values)
    height, width = wanted.grid.shape_yx
    dn = rng.integers(1, 65536, (2, height, width)).astype(np.uint16)
    dn[:, rng.random((height, width)) < rng.choice([0, 0.002, 0.2])] = 0
    dn[0, rng.random((height, width)) < rng.choice([0, 0.001])] = 0
    codes = rng.choice(np.array([0, 81, 1, 5, 141, 176, 111], np.uint8), (height, width), p=[0.001, 0.001, *[0.1996] * 5])
    for kind, layers in (("image", dn), ("labels", codes[None])):
        tile = {"tiled": True, "blockxsize": 16 * pick(1, 4), "blockysize": 16 * pick(1, 4)} if data.draw(st.booleans()) else {}
        down, across = ([0, *sorted({pick(1, length - 1) for _ in range(pick(0, 2))}), length] for length in (height, width))
        for (top, bottom), (left, right) in product(pairwise(down), pairwise(across)):
            place = wanted.grid.window(Window(top, left, bottom - top, right - left))
            write_raster(folder / f"{kind}-{top:010d}-{left:010d}.tif", layers[:, top:bottom, left:right], place, **tile)
    kept = []
    for row, col in product(range(height // size), range(width // size)):
        part = np.s_[row * size : (row + 1) * size, col * size : (col + 1) * size]
        index = wanted.legend.index(codes[part])
        if np.mean((dn[:, *part] > 0).all(axis=0) & (index != UNLABELLED)) >= wanted.patches.valid_min_share - 1e-9:
            kept.append((row, col, dn[:, *part], codes[part]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cropcam.pipeline.parts._BAND_BYTES", pick(1, 40_000))
        patch.setattr("cropcam.pipeline.parts._PIECE_BYTES", pick(1, 20_000))
        patch.setattr("cropcam.pipeline.parts._LIMIT_BYTES", data.draw(st.sampled_from([1, 2**20])))
        patch.setattr("cropcam.pipeline.store.schema.PATCHES_PER_SHARD", pick(1, 40))
        if len({(row // 2, col) for row, col, _, _ in kept}) < 3:
            with pytest.raises(DataError, match=r"is complete|need at least 3"):
                from_shards(wanted, folder, folder / "s.zarr")
            return
        from_shards(wanted, folder, folder / "s.zarr")
        assert check(folder / "s.zarr").problems == ()
    raw, info = open_store(folder / "s.zarr")
    assert sum(info.dropped.values()) == wanted.patch_grid.count - len(kept)
    np.testing.assert_array_equal(raw["row"], [row for row, _, _, _ in kept])
    np.testing.assert_array_equal(raw["col"], [col for _, col, _, _ in kept])
    np.testing.assert_array_equal(raw["image"], [image for _, _, image, _ in kept])
    np.testing.assert_array_equal(raw["label"], [label for _, _, _, label in kept])
    train = raw["image"].to_numpy()[raw["split"].to_numpy() == 0].astype(float)
    seen = np.where(train == 0, np.nan, train * 0.0000275 - 0.2)
    np.testing.assert_allclose(info.statistics["mean"], np.nanmean(seen, axis=(0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(info.statistics["std"], np.nanstd(seen, axis=(0, 2, 3)), rtol=1e-6)
    sampled = train[:, :, ::HISTOGRAM_STEP]
    assert info.statistics["histogram"]["counts"] == [
        np.histogram(sampled[:, band][sampled[:, band] > 0], 256, (0, 65536))[0].tolist() for band in (0, 1)
    ]


def test_the_store_is_the_contracts(tmp_path: Path) -> None:
    image, labels, dn, codes = rasters(tmp_path)
    summary = from_rasters(study(), image, labels, tmp_path / "s.zarr")
    with xr.open_zarr(tmp_path / "s.zarr") as decoded:  # as any user would, and without a warning
        assert decoded["image"].dims == ("patch", "band", "y", "x")
        reflectance = decoded["image"].to_numpy()
    raw, info = open_store(tmp_path / "s.zarr")
    assert {name: (raw[name].dims, str(raw[name].dtype)) for name in raw.variables} == {
        "image": (("patch", "band", "y", "x"), "uint16"),
        "label": (("patch", "y", "x"), "uint8"),
        "row": (("patch",), "int32"),
        "col": (("patch",), "int32"),
        "share": (("patch", "class"), "float32"),
        "valid": (("patch",), "float32"),
        "split": (("patch",), "uint8"),
    }
    assert raw["image"].attrs["_FillValue"] == 0
    np.testing.assert_allclose(reflectance, raw["image"].to_numpy() * 0.0000275 - 0.2, atol=1e-6)
    for n, (row, col) in enumerate(zip(raw["row"].to_numpy(), raw["col"].to_numpy(), strict=True)):
        np.testing.assert_array_equal(raw["image"][n], dn[:, row * 10 : row * 10 + 10, col * 10 : col * 10 + 10])
        np.testing.assert_array_equal(raw["label"][n], codes[row * 10 : row * 10 + 10, col * 10 : col * 10 + 10])
    assert (np.diff(raw["row"].to_numpy() * 1000 + raw["col"].to_numpy()) > 0).all()
    assert info.dropped == {"image_nodata": 7, "unlabelled": 3, "both_together": 0}
    assert summary.count == 13 * 11 - 10 == len(raw["row"])
    attrs = json.loads((tmp_path / "s.zarr" / "zarr.json").read_text())["attributes"]
    assert {"schema_version", "study", "classes", "crs", "transform", "digests"} <= set(attrs)
    assert attrs["classes"][1] == {"name": "corn", "codes": [1], "color": [255, 211, 0]}


def test_three_seasons_of_seven_bands_read_by_xarray_and_tensorstore(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensorstore = pytest.importorskip("tensorstore", reason="tensorstore is a development dependency")
    values = study().to_dict()
    values["area"] |= {"bounds": [-90.0, 41.0, -89.98, 41.012]}
    values["image"] |= {
        "bands": list(LANDSAT_BANDS),
        "seasons": [["2016-04-01", "2016-06-01"], ["2016-06-01", "2016-08-01"], ["2016-08-01", "2016-10-01"]],
    }
    wanted = parse_study(values)
    grid, dn = wanted.grid, random_dn((21, *wanted.grid.shape_yx))
    for top, height in ((0, 19), (19, grid.height - 19)):
        place = Window(top, 0, height, grid.width)
        write_raster(
            tmp_path / f"image-{top:010d}-0000000000.tif", dn[:, top : top + height], grid.window(place), names=wanted.image.layers
        )
    write_raster(tmp_path / "labels.tif", random_codes(grid.shape_yx), grid)
    store = tmp_path / "s.zarr"
    info = from_shards(wanted, tmp_path, store).info
    assert info.bands[0] == "1_SR_B1"
    assert info.bands[-1] == "3_SR_B7"
    rows, cols = grid.height // 10, grid.width // 10
    expected = dn[:, : rows * 10, : cols * 10].reshape(21, rows, 10, cols, 10).transpose(1, 3, 0, 2, 4).reshape(-1, 21, 10, 10)
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(store / "image")}}
    np.testing.assert_array_equal(tensorstore.open(spec).result().read().result(), expected)
    with xr.open_zarr(store, mask_and_scale=False) as raw:
        np.testing.assert_array_equal(raw["image"], expected)
    assert main(["describe", str(store)]) == 0
    assert "3_SR_B7" in (printed := capsys.readouterr().out)
    assert "valid    100.00% of the pixels" in printed
    assert check(store).problems == ()


def test_statistics_are_those_of_the_training_split_alone(tmp_path: Path) -> None:
    image, labels, _, _ = rasters(tmp_path)
    info = from_rasters(study(patches={"valid_min_share": 0.5}), image, labels, tmp_path / "s.zarr").info
    raw, _ = open_store(tmp_path / "s.zarr")
    train = raw["image"].to_numpy()[raw["split"].to_numpy() == 0].astype(float)
    train[train == 0] = np.nan
    reflectance = train * 0.0000275 - 0.2
    np.testing.assert_allclose(info.statistics["mean"], np.nanmean(reflectance, axis=(0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(info.statistics["std"], np.nanstd(reflectance, axis=(0, 2, 3)), rtol=1e-6)


def test_strips_and_zarr_shards_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels, _, _ = rasters(tmp_path)
    from_rasters(study(), image, labels, tmp_path / "a.zarr")
    monkeypatch.setattr("cropcam.pipeline.parts._BAND_BYTES", 1)
    monkeypatch.setattr("cropcam.pipeline.store.schema.PATCHES_PER_SHARD", 16)
    from_rasters(study(), image, labels, tmp_path / "b.zarr")
    one, two = open_store(tmp_path / "a.zarr"), open_store(tmp_path / "b.zarr")
    for name in one[0].variables:
        np.testing.assert_array_equal(one[0][name], two[0][name])
    differing = {key for key, value in one[1].attrs().items() if value != two[1].attrs()[key]}
    assert differing == {"checksums"}


def test_an_equal_store_is_left_and_another_is_never_overwritten(tmp_path: Path) -> None:
    image, labels, dn, _ = rasters(tmp_path)
    store = tmp_path / "s.zarr"
    first = from_rasters(study(), image, labels, store)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    again = from_rasters(study(), image, labels, store)
    assert (first.existed, again.existed, again.split_counts) == (False, True, first.split_counts)
    with pytest.raises(DataError, match=r"made otherwise \(patches.size_px: 10 against 20\)"):
        from_rasters(study(patches={"size_px": 20}), image, labels, store)
    with pytest.raises(DataError, match="split seed: 0 against 1"):
        from_rasters(study(), image, labels, store, seed=1)
    with pytest.raises(DataError, match="input options differs"):
        from_rasters(study(), image, labels, store, encoding=ValueEncoding(nodata=9))
    write_raster(image[0], dn + 1, BIG)
    with pytest.raises(DataError, match=r"input image:image\.tif differs"):
        from_rasters(study(), image, labels, store)
    assert before == {path: path.stat().st_mtime_ns for path in store.rglob("*")}


def test_files_of_one_name_in_several_folders_are_told_apart(tmp_path: Path) -> None:
    dn, codes, labels = random_dn((2, *BIG.shape_yx)), random_codes(BIG.shape_yx), tmp_path / "cdl.tif"
    images = [tmp_path / folder / "band.tif" for folder in ("four", "five")]
    for path, band in zip(images, dn, strict=True):
        path.parent.mkdir()
        write_raster(path, band, BIG)
    write_raster(labels, codes, BIG)
    digests = from_rasters(study(), images, [labels], tmp_path / "s.zarr").info.digests
    assert {"image:band.tif", "image:band.tif (2)", "labels:cdl.tif"} <= digests.keys()
    for path, band in zip(images, dn, strict=True):
        write_raster(path, band + 1, BIG)
        with pytest.raises(DataError, match=r"made otherwise \(input image:band\.tif( \(2\))? differs"):
            from_rasters(study(), images, [labels], tmp_path / "s.zarr")
        write_raster(path, band, BIG)


def test_the_order_of_files_is_part_of_what_a_store_is(tmp_path: Path) -> None:
    dn, labels = random_dn((2, *BIG.shape_yx)), [tmp_path / f"cdl-{name}.tif" for name in "ab"]
    images = [write_raster(tmp_path / f"{name}.tif", band, BIG) for name, band in zip(("one", "two"), dn, strict=True)]
    for seed, path in enumerate(labels):
        write_raster(path, random_codes(BIG.shape_yx, seed), BIG)
    store = tmp_path / "s.zarr"
    from_rasters(study(), images, labels, store)
    assert from_rasters(study(), images, labels, store).existed
    for other in ((images[::-1], labels), (images, labels[::-1])):
        with pytest.raises(DataError, match=r"made otherwise \(input order differs\)"):
            from_rasters(study(), *other, store)


def test_what_a_kill_right_after_delivery_leaves_is_removed(tmp_path: Path) -> None:
    image, labels, _, _ = rasters(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cropcam.pipeline.resume.Work.forget", lambda _work: None)
        from_rasters(study(), image, labels, tmp_path / "s.zarr")
    assert (tmp_path / ".s.zarr.partial").exists()
    assert from_rasters(study(), image, labels, tmp_path / "s.zarr").existed
    assert not (tmp_path / ".s.zarr.partial").exists()


def test_a_patch_without_a_valid_pixel_is_never_kept(tmp_path: Path) -> None:
    image, labels, _, _ = rasters(tmp_path)
    info = from_rasters(study(patches={"valid_min_share": 1e-9}), image, labels, tmp_path / "s.zarr").info
    raw, _ = open_store(tmp_path / "s.zarr")
    assert raw["valid"].to_numpy().min() > 0
    assert info.dropped == {"image_nodata": 2, "unlabelled": 2, "both_together": 0}


def test_a_file_is_no_store(tmp_path: Path) -> None:
    image, labels, _, _ = rasters(tmp_path)
    (tmp_path / "notes").write_text("years")
    with pytest.raises(DataError, match="is a file, not a patch store; name one, or make one with"):
        from_rasters(study(), image, labels, tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "years"


def test_a_folder_that_is_no_store_is_not_touched(tmp_path: Path) -> None:
    image, labels, _, _ = rasters(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(DataError, match=r"is a folder without zarr\.json, not a patch store"):
        from_rasters(study(), image, labels, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patches": {"size_px": 120}}, "130 x 110 px hold no patch of 120 x 120 px"),
        ({"splits": {"block_patches": [13, 11]}}, r"133 patches lie in 1 block of 13 x 11 patches; .* need at least 3"),
    ],
)
def test_studies_that_do_not_fit_the_raster(tmp_path: Path, change: dict[str, dict[str, object]], message: str) -> None:
    image, labels, _, _ = rasters(tmp_path)
    with pytest.raises(DataError, match=message):
        from_rasters(study(**change), image, labels, tmp_path / "s.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cdl.tif", "image.tif"]


@pytest.mark.parametrize("empty", ["image", "nan", "labels"])
def test_nothing_but_nodata(tmp_path: Path, empty: str) -> None:
    dn, codes = random_dn((2, *BIG.shape_yx)), random_codes(BIG.shape_yx)
    values = {"image": dn * 0, "nan": np.full(dn.shape, np.nan, np.float32), "labels": dn}[empty]
    codes = codes * 0 if empty == "labels" else codes
    image, labels = [write_raster(tmp_path / "image.tif", values, BIG)], [write_raster(tmp_path / "cdl.tif", codes, BIG)]
    reason = "143 unlabelled" if empty == "labels" else "143 image nodata"
    with pytest.raises(DataError, match=rf"none of 143 patches is complete \({reason}\); lower patches.valid_min_share"):
        from_rasters(study(), image, labels, tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_a_file_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    image, labels, _, _ = rasters(tmp_path)
    whole = image[0].read_bytes()
    image[0].write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DataError, match="truncated or damaged"):
        from_rasters(study(), image, labels, tmp_path / "s.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cdl.tif", "image.tif"]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.full(BIG.shape_yx, 99, np.uint8), "holds label 99, which no CDL uses"),
        (np.full(BIG.shape_yx, 300, np.int16), "holds label 300; CDL codes are 0..255"),
        (np.full(BIG.shape_yx, 1, np.float32), "labels are float32; CDL codes are integers"),
    ],
)
def test_labels_that_are_no_cdl(tmp_path: Path, codes: np.ndarray, message: str) -> None:
    image, _, _, _ = rasters(tmp_path)
    labels = [write_raster(tmp_path / "own.tif", codes, BIG)]
    with pytest.raises(DataError, match=rf"own\.tif: {message}"):
        from_rasters(study(), image, labels, tmp_path / "s.zarr")
    assert not list(tmp_path.glob("*s.zarr*"))


def test_a_disk_that_is_full_leaves_no_store_and_the_next_run_goes_on(tmp_path: Path) -> None:
    image, labels, _, _ = rasters(tmp_path)
    store = tmp_path / "s.zarr"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(WorkStoppedError, match=r"s\.zarr.*: File too large; what is done is kept beside the store"):
            from_rasters(study(), image, labels, store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not store.exists()
    assert from_rasters(study(), image, labels, store).count == 133
    assert not (tmp_path / ".s.zarr.partial").exists()


def test_own_labels_carry_no_confidence(tmp_path: Path) -> None:
    image, labels, _, _ = rasters(tmp_path)
    with pytest.raises(ConfigError, match=r"labels\.confidence_min_pct needs CDL's confidence"):
        from_rasters(study(labels={"confidence_min_pct": 50}), image, labels, tmp_path / "s.zarr")


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    image, labels, _, _ = rasters(tmp_path)
    calls: list[tuple[int, int, str]] = []
    from_rasters(study(), image, labels, tmp_path / "s.zarr", progress=lambda *facts: calls.append(facts))
    assert calls[-1][0] == calls[-1][1] == 1
    assert calls[-1][2].startswith("133 patches kept, ")
