"""Building a store against plain numpy; whatever is killed, full or changed on the way, the same bytes or one line."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import ConfigError, DataError, WorkStoppedError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.patches import build
from cropcam.pipeline.patches.build import Summary, from_rasters, from_shards
from cropcam.pipeline.patches.measure import HISTOGRAM_STEP, bin_edges
from cropcam.pipeline.rasters.values import ValueEncoding
from cropcam.pipeline.runtime.atomic import exclusive_lock, remove
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.store.verify import check
from cropcam.pipeline.study.study import Study, parse_study
from oracles import patches as oracle
from support.builds import GRID, build_study, fingerprint, small_blocks, write_inputs
from support.rasters import UTM, random_codes, random_dn, write_raster
from support.virtual import write_nodata, write_vrt

CODES = np.array([0, 81, 1, 5, 141, 176, 111], np.uint8)
FEW = "is complete|patches lie in"  # what a raster of few kept patches is refused with


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 4 x 4 patches, one at a time: twelve of them in the inputs."""
    small_blocks(monkeypatch, 4)
    monkeypatch.setattr("cropcam.pipeline.patches.build.cores", lambda: 1)


def same_as_plain_numpy(store: PatchStore, image: np.ndarray, label: np.ndarray | None, nodata: oracle.Nodata, study: Study) -> None:
    """Compare every array and every figure of a store with what stored values and codes make of it."""
    info, size = store.info, study.patches.size_px
    whole = Window(0, 0, *image.shape[1:])
    np.testing.assert_array_equal(store.read(whole), image)
    if label is not None:
        np.testing.assert_array_equal(store.read_labels(whole), label)
    expected = oracle.figures(image, label, size, nodata, study.legend, study.patches.valid_min_share)
    np.testing.assert_array_equal(store.table("reason"), expected["reason"])
    np.testing.assert_allclose(store.table("valid"), expected["valid"], rtol=1e-6)
    if label is not None:
        np.testing.assert_allclose(store.table("share"), expected["share"], rtol=1e-6)
    kept = expected["reason"] == 0
    np.testing.assert_array_equal(store.table("split") != 255, kept)
    np.testing.assert_array_equal((store.row_N, store.col_N), np.nonzero(kept))
    assert info.dropped == {"image": (expected["reason"] == 1).sum(), "label": (expected["reason"] == 2).sum(), "gap": 0}
    train = store.images(store.split_indices("train"))
    there = np.stack([oracle.has_value(one, nodata) for one in train])
    counts = info.statistics["histogram"]["counts"]
    for band in range(len(nodata)):
        values = train[:, band][there[:, band]].astype(np.float64)
        scale, offset = info.encoding.scale[band], info.encoding.offset[band]
        assert info.statistics["mean"][band] == pytest.approx(values.mean() * scale + offset, rel=1e-9, abs=1e-9)
        assert info.statistics["std"][band] == pytest.approx(
            values.std() * abs(scale), rel=1e-6, abs=1e-7 * abs(scale) * np.abs(values).max()
        )
        sampled = train[:, band, ::HISTOGRAM_STEP][there[:, band, ::HISTOGRAM_STEP]]
        assert counts[band] == oracle.histogram(sampled, bin_edges(image.dtype)).tolist()


def too_few(image: np.ndarray, label: np.ndarray | None, nodata: oracle.Nodata, study: Study) -> bool:
    """Whether patches are kept in fewer split blocks than there are splits."""
    found = oracle.figures(image, label, study.patches.size_px, nodata, study.legend, study.patches.valid_min_share)
    across, down = study.splits.block_patches
    return len({(row // down, col // across) for row, col in np.argwhere(found["reason"] == 0)}) < 3


@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_any_rasters_become_the_store_of_a_plain_loop(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("any")
    pick = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    rng, size = np.random.default_rng(pick(0, 2**32 - 1)), pick(8, 16)
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "int16", "int32", "float32", "float64"]))
    height, width = pick(size, 6 * size), pick(3 * size, 7 * size)
    grid = PixelGrid(UTM.crs, UTM.transform, width, height)
    study = build_study(
        image={"bands": ["first", "second"]},  # names of their own: any value may be one
        patches={"size_px": size, "valid_min_share": pick(1, 10) / 10},
        splits={"block_patches": [1, 2]},
    )
    image = rng.integers(1, 250, (2, height, width)).astype(dtype)
    tags = [(data.draw(st.sampled_from([0.5, -0.01, 2.0])), data.draw(st.sampled_from([0.0, 7.0]))) for _ in range(2)]
    given_nodata = [data.draw(st.sampled_from([None, 0.0, 9.0, *([float("nan")] if "float" in dtype else [])])) for _ in range(2)]
    usual = {"uint16": 0.0, "int16": -9999.0, "float32": -9999.0, "float64": -9999.0}
    nodata = tuple(usual.get(dtype) if value is None else value for value in given_nodata)
    holes = rng.random((height, width)) < rng.choice([0, 0.002, 0.2])
    paths = []
    for number, (band, (scale, offset), tag, missing) in enumerate(zip(image, tags, given_nodata, nodata, strict=True)):
        if missing is not None:
            band[holes] = missing
        written = np.where(holes, np.inf, band).astype(dtype) if "float" in dtype and number else band  # infinite is missing too
        tiles = {"tiled": True, "blockxsize": 16, "blockysize": 32} if data.draw(st.booleans()) else {}
        paths.append(write_raster(folder / f"{number}.tif", written, grid, nodata=tag, **tiles))
        with rasterio.open(paths[-1], "r+") as file:
            file.scales, file.offsets = (scale,), (offset,)
    label = rng.choice(CODES, (height, width), p=[0.001, 0.001, *[0.1996] * 5]) if data.draw(st.booleans()) else None
    labels = [] if label is None else [write_raster(folder / "cdl.tif", label, grid)]
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch, pick(1, 8))
        patch.setattr("cropcam.pipeline.store.schema.BLOCK_BYTES", data.draw(st.sampled_from([1, 20_000, 2**27])))
        if too_few(image, label, nodata, study):
            with pytest.raises(DataError, match=FEW):
                from_rasters(study, paths, labels, folder / "s.zarr")
            assert sorted(folder.iterdir()) == sorted([*paths, *labels])
            return
        from_rasters(study, paths, labels, folder / "s.zarr")
        store = open_store(folder / "s.zarr")
        assert store.encoding == BandEncoding(dtype, *map(tuple, zip(*tags, strict=True)), nodata)  # type: ignore[arg-type]
        same_as_plain_numpy(store, image, label, nodata, study)
        assert check(folder / "s.zarr").problems == ()
        first = fingerprint(folder / "s.zarr")
        from_rasters(study, paths, labels, folder / "again.zarr")
        assert fingerprint(folder / "again.zarr") == first


@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_any_shards_become_the_store_of_a_plain_loop(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("shards")
    pick = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    rng, size = np.random.default_rng(pick(0, 2**32 - 1)), pick(8, 16)
    values = build_study(patches={"size_px": size, "valid_min_share": pick(1, 10) / 10}).to_dict()
    values["area"] |= data.draw(st.sampled_from([{"crs": "EPSG:4326"}, {"crs": "EPSG:5070"}, {"crs": "EPSG:32616", "scale_m": 25.0}]))
    west, south = -90 + pick(0, 99) / 1e4, 41 + pick(0, 99) / 1e4
    values["area"]["bounds"] = [west, south, west + pick(180, 300) / 1e4, south + pick(150, 250) / 1e4]
    values["splits"] |= {"block_patches": [1, 2]}
    study = parse_study(values)
    height, width = study.grid.shape_yx
    dn = rng.integers(1, 65536, (2, height, width)).astype(np.uint16)
    dn[:, rng.random((height, width)) < rng.choice([0, 0.002, 0.2])] = 0
    dn[0, rng.random((height, width)) < rng.choice([0, 0.001])] = 0
    codes = rng.choice(CODES, (height, width), p=[0.001, 0.001, *[0.1996] * 5])
    for kind, layers in (("image", dn), ("labels", codes[None])):
        tile = {"tiled": True, "blockxsize": 16 * pick(1, 4), "blockysize": 16 * pick(1, 4)} if data.draw(st.booleans()) else {}
        down, across = ([0, *sorted({pick(1, length - 1) for _ in range(pick(0, 2))}), length] for length in (height, width))
        for (top, bottom), (left, right) in product(pairwise(down), pairwise(across)):
            place = study.grid.window(Window(top, left, bottom - top, right - left))
            write_raster(folder / f"{kind}-{top:010d}-{left:010d}.tif", layers[:, top:bottom, left:right], place, **tile)
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch, pick(1, 6))
        if too_few(dn, codes, (0.0, 0.0), study):
            with pytest.raises(DataError, match=FEW):
                from_shards(study, folder, folder / "s.zarr")
            return
        from_shards(study, folder, folder / "s.zarr")
        same_as_plain_numpy(open_store(folder / "s.zarr"), dn, codes, (0.0, 0.0), study)
        assert check(folder / "s.zarr").problems == ()


def test_blocks_make_no_difference_to_what_a_store_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels, dn, codes = write_inputs(tmp_path)
    found = []
    for side in (1, 3, 32):
        small_blocks(monkeypatch, side)
        summary = from_rasters(build_study(), image, labels, tmp_path / f"{side}.zarr")
        assert (summary.count, summary.existed, sum(summary.split_counts.values())) == (133, False, 133)
        assert summary.info.dropped == {"image": 7, "label": 3, "gap": 0}
        store = open_store(tmp_path / f"{side}.zarr")
        same_as_plain_numpy(store, dn, codes, (0.0, 0.0), build_study())
        found.append((store.table("split").tolist(), store.info))
    assert found[0] == found[1] == found[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.zarr", "3.zarr", "32.zarr", "cdl.tif", "image.tif"]


@pytest.mark.parametrize(("width", "height"), [(20, 40), (40, 40), (41, 40), (40, 41), (81, 81)])
@pytest.mark.usefixtures("blocks")
def test_grids_smaller_than_a_block_and_a_pixel_wider_than_one(tmp_path: Path, width: int, height: int) -> None:
    grid, study = PixelGrid(UTM.crs, UTM.transform, width, height), build_study(splits={"block_patches": [1, 2]})
    image, labels, dn, codes = write_inputs(tmp_path, grid, holes=False)
    from_rasters(study, image, labels, tmp_path / "s.zarr")
    same_as_plain_numpy(open_store(tmp_path / "s.zarr"), dn, codes, (0.0, 0.0), study)
    assert check(tmp_path / "s.zarr").problems == ()
    for moment in ("image", "moments"):  # also where a block without a whole patch is the last
        with killed_at(moment, -(-width // 40) * -(-height // 40) - 1), suppress(Killed):
            from_rasters(study, image, labels, tmp_path / "t.zarr")
    from_rasters(study, image, labels, tmp_path / "t.zarr")
    assert fingerprint(tmp_path / "t.zarr") == fingerprint(tmp_path / "s.zarr")


@pytest.mark.usefixtures("blocks")
def test_a_store_of_images_alone(tmp_path: Path) -> None:
    image, _, dn, _ = write_inputs(tmp_path)
    summary = from_rasters(build_study(), image, [], tmp_path / "s.zarr")
    assert summary.info.dropped == {"image": 7, "label": 0, "gap": 0}
    assert not summary.info.has_labels
    assert "class_pixels" not in summary.info.statistics
    same_as_plain_numpy(open_store(tmp_path / "s.zarr"), dn, None, (0.0, 0.0), build_study())
    assert not {"label", "share"} & {path.name for path in (tmp_path / "s.zarr").iterdir()}
    with pytest.raises(DataError, match=r"made otherwise \(input labels:cdl\.tif differs; input order differs\)"):
        from_rasters(build_study(), image, [tmp_path / "cdl.tif"], tmp_path / "s.zarr")


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_at(moment: str, after: int = 0) -> Iterator[None]:
    """A process that ends where `moment` comes for the time after `after` times.

    A moment is an array that a block is about to write (image: nothing of the block is there; moments: its zarr shards are; reason: all
    but its mark) or a function that building calls.
    """
    name = "block._array" if moment in ("image", "moments", "reason") else moment
    target = f"cropcam.pipeline.patches.{name}"
    package, _, function = target.rpartition(".")
    plain, calls = getattr(__import__(package, fromlist=[function]), function), 0

    def dying(*args: Any, **options: Any) -> Any:
        nonlocal calls
        if name == moment or args[1] == moment:
            calls += 1
            if calls > after:
                raise Killed
        return plain(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, SimpleNamespace(replace=dying) if moment == "unfinished.os" else dying)
        yield


def files(store: Path, name: str) -> int:
    return sum(path.is_file() for path in (store / name / "c").rglob("*"))


@pytest.mark.parametrize(
    ("moment", "after", "image_files", "done"),
    [
        ("image", 0, 0, 0),
        ("image", 5, 5, 5),
        ("moments", 0, 1, 0),
        ("moments", 5, 6, 5),
        ("reason", 5, 6, 5),
        ("moments", 11, 12, 11),
        ("unfinished.create_sums", 0, 0, 0),
        ("build._finish", 0, 12, 12),
        ("statistics.of_store", 0, 12, 12),
        ("build.root_json", 0, 12, 12),
    ],
)
@pytest.mark.usefixtures("blocks")
def test_what_is_killed_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, moment: str, after: int, image_files: int, done: int) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    study, store = build_study(splits={"gap_patches": 1, "block_patches": [4, 3]}), tmp_path / "s.zarr"
    whole = from_rasters(study, image, labels, tmp_path / "whole.zarr")
    assert whole.info.dropped["gap"] > 0
    with killed_at(moment, after), pytest.raises(Killed, match=r"^$"):
        from_rasters(study, image, labels, store)
    assert files(store, "image") == image_files
    assert files(store, "reason") == done
    with pytest.raises(DataError, match=r"s\.zarr: unfinished; run the 'cropcam patches' command that began it again"):
        open_store(store)
    seen: list[int] = []
    log: list[str] = []
    again = from_rasters(study, image, labels, store, progress=lambda at, _total, _note: seen.append(at), log=log.append)
    assert seen == list(range(done + 1, 13))
    assert log == []
    assert fingerprint(store) == fingerprint(tmp_path / "whole.zarr")
    assert (again.count, again.split_counts, again.info) == (whole.count, whole.split_counts, whole.info)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cdl.tif", "image.tif", "s.zarr", "whole.zarr"]


@pytest.mark.parametrize(("moment", "calls"), [("build.publish", 1), ("unfinished.remove", 1), ("unfinished.os", 0)])
@pytest.mark.usefixtures("blocks")
def test_a_kill_before_the_root_has_its_name(tmp_path: Path, moment: str, calls: int) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    store = tmp_path / "s.zarr"
    from_rasters(build_study(), image, labels, tmp_path / "whole.zarr")
    with killed_at(moment, calls), pytest.raises(Killed, match=r"^$"):
        from_rasters(build_study(), image, labels, store)
    assert (store / ".build").exists() == (moment != "unfinished.os")
    (store / "image" / "c" / "0" / "0" / "0.__lock").touch()  # as a writer leaves it
    assert (store / "zarr.json.partial").is_file()
    with pytest.raises(DataError, match=r"s\.zarr: unfinished"):
        open_store(store)
    assert from_rasters(build_study(), image, labels, store).existed
    assert fingerprint(store) == fingerprint(tmp_path / "whole.zarr")


@pytest.mark.usefixtures("blocks")
def test_a_finished_root_of_other_inputs_is_given_its_name_and_refused(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    with killed_at("build.publish", 1), pytest.raises(Killed, match=r"^$"):
        from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    with pytest.raises(DataError, match="split seed: 0 against 1"):
        from_rasters(build_study(), image, labels, tmp_path / "s.zarr", seed=1)
    assert check(tmp_path / "s.zarr").problems == ()


Change = Callable[[dict[str, Any], Path], None]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda call, _: call.update(study=build_study(patches={"valid_min_share": 0.5})), "patches.valid_min_share"),
        (lambda call, _: call.update(seed=1), "store.split_seed"),
        (lambda call, _: call.update(encoding=ValueEncoding(nodata=9)), "input.options"),
        (lambda call, _: call.update(labels=[]), "input.labels:cdl.tif"),
        (lambda _, folder: write_raster(folder / "image.tif", random_dn((2, *GRID.shape_yx), 1), GRID), "input.image:image.tif"),
    ],
)
@pytest.mark.parametrize("moment", ["reason", "build._finish"])
@pytest.mark.usefixtures("blocks")
def test_unfinished_work_of_another_kind_is_thrown_away_and_said(tmp_path: Path, change: Change, named: str, moment: str) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    call: dict[str, Any] = {"study": build_study(), "image": image, "labels": labels}
    with killed_at(moment, 5 if moment == "reason" else 0), pytest.raises(Killed, match=r"^$"):
        from_rasters(**call, store=tmp_path / "s.zarr")
    change(call, tmp_path)
    log: list[str] = []
    from_rasters(**call, store=tmp_path / "s.zarr", log=log.append)
    assert len(log) == 1
    assert log[0].startswith("starting over: the unfinished store found here was begun with another ")
    assert named in log[0]
    from_rasters(**call, store=tmp_path / "fresh.zarr")
    assert fingerprint(tmp_path / "s.zarr") == fingerprint(tmp_path / "fresh.zarr")


@pytest.mark.parametrize("removed", [1, 4, 99])
@pytest.mark.usefixtures("blocks")
def test_a_kill_while_other_work_is_thrown_away(tmp_path: Path, removed: int) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    store, paths = tmp_path / "s.zarr", []
    with killed_at("reason", 5), pytest.raises(Killed, match=r"^$"):
        from_rasters(build_study(), image, labels, store)

    def half(path: Path) -> None:
        paths.append(path)
        if len(paths) > removed or path == store:
            (store / ".build" / "spec.json").unlink()
            raise Killed
        remove(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cropcam.pipeline.patches.unfinished.remove", half)
        with pytest.raises(Killed, match=r"^$"):
            from_rasters(build_study(), image, labels, store, seed=1)
    from_rasters(build_study(), image, labels, store, seed=1)
    from_rasters(build_study(), image, labels, tmp_path / "fresh.zarr", seed=1)
    assert fingerprint(store) == fingerprint(tmp_path / "fresh.zarr")


def test_two_at_once(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    with exclusive_lock(tmp_path / "s.zarr"), pytest.raises(DataError, match=r"s\.zarr: another process is writing it; wait for that one"):
        from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    assert from_rasters(build_study(), image, labels, tmp_path / "s.zarr").count == 133


def test_an_equal_store_is_left_and_another_is_never_overwritten(tmp_path: Path) -> None:
    image, labels, dn, _ = write_inputs(tmp_path)
    store = tmp_path / "s.zarr"
    first = from_rasters(build_study(), image, labels, store)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    again = from_rasters(build_study(), image, labels, store)
    assert (first.existed, again.existed, again.count, again.split_counts) == (False, True, first.count, first.split_counts)
    with pytest.raises(DataError, match=r"made otherwise \(patches.size_px: 10 against 20\)"):
        from_rasters(build_study(patches={"size_px": 20}), image, labels, store)
    with pytest.raises(DataError, match="split seed: 0 against 1"):
        from_rasters(build_study(), image, labels, store, seed=1)
    with pytest.raises(DataError, match="input options differs"):
        from_rasters(build_study(), image, labels, store, encoding=ValueEncoding(nodata=9))
    write_raster(image[0], dn + 1, GRID)
    with pytest.raises(DataError, match=r"input image:image\.tif differs"):
        from_rasters(build_study(), image, labels, store)
    assert before == {path: path.stat().st_mtime_ns for path in store.rglob("*")}


def test_files_of_one_name_in_several_folders_are_told_apart(tmp_path: Path) -> None:
    dn, codes, labels = random_dn((2, *GRID.shape_yx)), random_codes(GRID.shape_yx), tmp_path / "cdl.tif"
    images = [tmp_path / folder / "band.tif" for folder in ("four", "five")]
    for path, band in zip(images, dn, strict=True):
        write_raster(path, band, GRID)
    write_raster(labels, codes, GRID)
    digests = from_rasters(build_study(), images, [labels], tmp_path / "s.zarr").info.digests
    assert {"image:band.tif", "image:band.tif (2)", "labels:cdl.tif"} <= digests.keys()
    for path, band in zip(images, dn, strict=True):
        write_raster(path, band + 1, GRID)
        with pytest.raises(DataError, match=r"made otherwise \(input image:band\.tif( \(2\))? differs"):
            from_rasters(build_study(), images, [labels], tmp_path / "s.zarr")
        write_raster(path, band, GRID)


def test_the_order_of_files_is_part_of_what_a_store_is(tmp_path: Path) -> None:
    dn, labels = random_dn((2, *GRID.shape_yx)), [tmp_path / f"cdl-{name}.tif" for name in "ab"]
    images = [write_raster(tmp_path / f"{name}.tif", band, GRID) for name, band in zip(("one", "two"), dn, strict=True)]
    for seed, path in enumerate(labels):
        write_raster(path, random_codes(GRID.shape_yx, seed), GRID)
    store = tmp_path / "s.zarr"
    from_rasters(build_study(), images, labels, store)
    assert from_rasters(build_study(), images, labels, store).existed
    for other in ((images[::-1], labels), (images, labels[::-1])):
        with pytest.raises(DataError, match=r"made otherwise \(input order differs\)"):
            from_rasters(build_study(), *other, store)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    (tmp_path / "notes").write_text("years")
    with pytest.raises(DataError, match=r"--store .*notes: is a file; name a folder"):
        from_rasters(build_study(), image, labels, tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "years"


def test_a_folder_that_is_no_store_is_not_touched(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(DataError, match="mine: is there already and holds no patch store that cropcam wrote"):
        from_rasters(build_study(), image, labels, tmp_path / "mine")
    (tmp_path / "mine" / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}))
    with pytest.raises(DataError, match=r"mine: no patch store \(no schema_version"):
        from_rasters(build_study(), image, labels, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_an_empty_folder_becomes_a_store(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    (tmp_path / "s.zarr").mkdir()
    assert from_rasters(build_study(), image, labels, tmp_path / "s.zarr").count == 133


@pytest.mark.usefixtures("blocks")
def test_a_store_by_a_roundabout_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    (tmp_path / "disk" / "real.zarr").mkdir(parents=True)
    (tmp_path / "link.zarr").symlink_to(tmp_path / "disk" / "real.zarr")
    monkeypatch.chdir(tmp_path / "disk")
    for name in ("../link.zarr", "../s.zarr"):
        with killed_at("reason", 5), pytest.raises(Killed, match=r"^$"):
            from_rasters(build_study(), image, labels, Path(name))
        from_rasters(build_study(), image, labels, Path(name), seed=1)
        assert check(Path(name)).problems == ()
    assert (tmp_path / "link.zarr").is_symlink()
    assert fingerprint(tmp_path / "disk" / "real.zarr") == fingerprint(tmp_path / "s.zarr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patches": {"size_px": 120}}, "130 x 110 px hold no patch of 120 x 120 px"),
        ({"splits": {"block_patches": [13, 11]}}, r"133 patches lie in 1 block of 13 x 11 patches; .* need at least 3"),
        ({"splits": {"gap_patches": 30}}, r"splits\.gap_patches = 30 leaves no"),
    ],
)
def test_studies_that_do_not_fit_the_raster(tmp_path: Path, change: dict[str, dict[str, object]], message: str) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    with pytest.raises(DataError, match=message):
        from_rasters(build_study(**change), image, labels, tmp_path / "s.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cdl.tif", "image.tif"]


@pytest.mark.parametrize("empty", ["image", "nan", "labels"])
def test_nothing_but_nodata(tmp_path: Path, empty: str) -> None:
    dn, codes = random_dn((2, *GRID.shape_yx)), random_codes(GRID.shape_yx)
    values = {"image": dn * 0, "nan": np.full(dn.shape, np.nan, np.float32), "labels": dn}[empty]
    codes = codes * 0 if empty == "labels" else codes
    image, labels = [write_raster(tmp_path / "image.tif", values, GRID)], [write_raster(tmp_path / "cdl.tif", codes, GRID)]
    reason = "143 label" if empty == "labels" else "143 image"
    with pytest.raises(DataError, match=rf"none of 143 patches is complete \({reason}\); lower patches.valid_min_share"):
        from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cdl.tif", "image.tif"]


@pytest.mark.usefixtures("blocks")
def test_a_file_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    whole = image[0].read_bytes()
    image[0].write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DataError, match="truncated or damaged"):
        from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cdl.tif", "image.tif"]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.full(GRID.shape_yx, 99, np.uint8), "holds label 99, which the legend 'cdl' does not have"),
        (np.full(GRID.shape_yx, 300, np.int16), "holds label 300, which the legend 'cdl' does not have"),
        (np.full(GRID.shape_yx, 1, np.float32), "labels are float32; label codes are integers"),
    ],
)
def test_labels_that_are_not_in_the_legend(tmp_path: Path, codes: np.ndarray, message: str) -> None:
    image, _, _, _ = write_inputs(tmp_path)
    labels = [write_raster(tmp_path / "own.tif", codes, GRID)]
    with pytest.raises(DataError, match=rf"own\.tif: {message}"):
        from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    assert not list(tmp_path.glob("*s.zarr*"))


@pytest.mark.parametrize("limit", [10_000, 100])
def test_a_disk_that_is_full_keeps_what_is_done(tmp_path: Path, limit: int) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    store = tmp_path / "s.zarr"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(
            WorkStoppedError, match=r"s\.zarr.*: .*File too large.*; the blocks that are done are kept: make room"
        ) as caught:
            from_rasters(build_study(), image, labels, store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert from_rasters(build_study(), image, labels, store).count == 133
    from_rasters(build_study(), image, labels, tmp_path / "fresh.zarr")
    assert fingerprint(store) == fingerprint(tmp_path / "fresh.zarr")


@pytest.mark.usefixtures("blocks")
def test_a_task_that_the_disk_refuses_costs_that_block_alone(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    from_rasters(build_study(), image, labels, tmp_path / "whole.zarr")
    plain, calls = build.build_block, []

    def refusing(job: Any, block: tuple[int, int]) -> int:
        calls.append(block)
        if len(calls) == 7:
            raise OSError(errno.ENOSPC, "No space left on device", str(job.store))
        return plain(job, block)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cropcam.pipeline.patches.build.build_block", refusing)
        with pytest.raises(
            WorkStoppedError, match=r"s\.zarr: No space left on device; the blocks that are done are kept: make room, then run"
        ):
            from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    assert files(tmp_path / "s.zarr", "reason") == 6
    from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    assert fingerprint(tmp_path / "s.zarr") == fingerprint(tmp_path / "whole.zarr")


def test_own_labels_carry_no_confidence(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    with pytest.raises(ConfigError, match=r"labels\.confidence_min_pct needs the asset's confidence"):
        from_rasters(build_study(labels={"confidence_min_pct": 50}), image, labels, tmp_path / "s.zarr")


def test_a_random_split_is_warned_of(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    log: list[str] = []
    from_rasters(build_study(splits={"method": "random"}), image, labels, tmp_path / "s.zarr", log=log.append)
    assert [line[:35] for line in log] == ['warning: splits.method = "random": ']


@pytest.mark.usefixtures("blocks")
def test_progress_reaches_the_end(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    calls: list[tuple[int, int, str]] = []
    summary: Summary = from_rasters(build_study(), image, labels, tmp_path / "s.zarr", progress=lambda *facts: calls.append(facts))
    assert [(done, total) for done, total, _ in calls] == [(number, 12) for number in range(1, 13)]
    assert calls[-1][2].startswith(f"{summary.count} patches kept, ")


def test_files_that_are_read_with_a_raster_are_part_of_what_was_made(tmp_path: Path) -> None:
    (image,), (cdl,), _, _ = write_inputs(tmp_path)
    virtual, store = write_vrt(tmp_path / "a.vrt", image), tmp_path / "s.zarr"
    build = partial(from_rasters, build_study(image={"bands": ["SR_B4", "SR_B5"]}), [virtual], [cdl], store)
    assert not build().existed
    assert build().existed
    assert "image file:image.tif" in open_store(store).info.digests
    sidecar = write_nodata(cdl, 1)
    with pytest.raises(DataError, match=r"made otherwise \(input labels file:cdl\.tif\.aux\.xml differs\)"):
        build()
    sidecar.unlink()
    assert build().existed
    with rasterio.open(image, "r+") as dataset:
        dataset.write(dataset.read() + 1)
    with pytest.raises(DataError, match=r"made otherwise \(input image file:image\.tif differs\)"):
        build()


@pytest.mark.usefixtures("blocks")
def test_a_sidecar_that_comes_meanwhile_is_noticed(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)

    def come(done: int, *_: object) -> None:
        if done == 1:
            write_nodata(labels[0], 1)

    with pytest.raises(DataError, match=r"cdl\.tif\.aux\.xml: changed while the store was built from it"):
        from_rasters(build_study(), image, labels, tmp_path / "s.zarr", progress=come)


def test_an_input_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    lines = list[str]()

    def touch(done: int, *_: object) -> None:
        if done == 1:
            os.utime(image[0], ns=(0, 0))

    with pytest.raises(DataError, match=f"{image[0].name}: changed while the store was built from it; run the same command again"):
        from_rasters(build_study(), image, labels, tmp_path / "s.zarr", progress=touch, log=lines.append)
    assert not (tmp_path / "s.zarr").exists()
    from_rasters(build_study(), image, labels, tmp_path / "s.zarr")


def test_a_store_of_cdl_is_what_it_was_before_legends(tmp_path: Path) -> None:
    image, labels, _, codes = write_inputs(tmp_path)
    from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    store = open_store(tmp_path / "s.zarr")
    assert hashlib.sha256(store.share_NK.tobytes()).hexdigest() == "337f56f54d263c638d036d8b653cb1b278b0c5594319fbb5e5d65106d6678355"
    assert store.share_NK.sum(axis=0).tolist() == [50, 18, 19, 24, 22]
    assert store.info.digests["study"] == "15487bfbd947e0bbcfbf78620b60072aa84735114737773b1a469af0fc5385c2"
    assert "legend" not in store.info.attrs()
    assert store.info.attrs()["classes"][0] == {"name": "background", "codes": [], "color": [186, 178, 170]}
    assert [tuple(item.color) for item in store.info.classes.classes[1:]] == [(255, 211, 0), (58, 132, 24), (28, 99, 92), (150, 220, 140)]
    np.testing.assert_array_equal(store.read_labels(Window(0, 0, *codes.shape)), codes)


def test_codes_above_255_and_their_names_are_in_the_store(tmp_path: Path) -> None:
    image, (path,), _, codes = write_inputs(tmp_path)
    wide = codes.astype(np.uint16)
    wide[codes == 5] = 40_000
    wide[codes == 81] = 999
    write_raster(path, wide, GRID)
    named = {"1": "A", "40000": ["B", "#010203"], **{str(code): f"c{code}" for code in (111, 122, 141, 176)}}
    study = build_study(labels={"legend": named, "nodata": 999}, classes={"a": ["a"], "b": [40_000]})
    from_rasters(study, image, [path], tmp_path / "s.zarr")
    store = open_store(tmp_path / "s.zarr")
    found = store.read_labels(Window(0, 0, *codes.shape))
    assert found.dtype == store.labels(np.array([0])).dtype == np.uint16
    np.testing.assert_array_equal(found, np.where(wide == 999, 0, wide))
    same_as_plain_numpy(store, store.read(Window(0, 0, *codes.shape)), np.asarray(found), (0.0, 0.0), study)
    assert (store.info.classes.classes, store.info.classes.table.codes) == (study.legend.classes, study.table.codes)
    assert store.info.attrs()["legend"] == {"name": "", "codes": store.info.study["labels"]["legend"]}
    assert check(tmp_path / "s.zarr").problems == ()


def test_a_study_without_labels_takes_no_label_files(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    values = build_study().to_dict()
    del values["labels"]
    study = parse_study(values)
    with pytest.raises(ConfigError, match=r"^--labels needs labels, and the study demo has none; add \[labels\]"):
        from_rasters(study, image, labels, tmp_path / "s.zarr")
    from_rasters(study, image, [], tmp_path / "s.zarr")
    assert not open_store(tmp_path / "s.zarr").info.has_labels
    assert check(tmp_path / "s.zarr").problems == ()
