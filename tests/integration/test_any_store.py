"""Stores of any stored type, and stores without labels: from rasters through training to maps, and what damage leads to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import torch

from cropcam.cli import main
from cropcam.model.data.dataset import batches, read_labels, read_split
from cropcam.model.data.normalization import Normalization
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.inference.export import export_model
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.runs.config import load_config
from cropcam.model.transfer.seen import seen_by
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.patches import build
from cropcam.pipeline.store.patch_store import open_store
from support.builds import GRID, build_study
from support.rasters import random_codes, write_raster
from support.runs import make_run, train
from support.store_parts import all_labels, damage, flipped, replace_values
from support.stores import make_store

STUDY = build_study(splits={"method": "random"})
TRAIN = ("--epochs", "1", "--device", "cpu")
CODES = random_codes(GRID.shape_yx)
LEVEL = np.select([CODES == 1, CODES == 5, CODES == 141, CODES == 176], [0.1, 0.2, 0.3, 0.4], 0.5)


def reflectance() -> npt.NDArray[np.float64]:
    """Two bands that tell the classes apart."""
    noise = np.random.default_rng(0).normal(0, 0.01, (2, *GRID.shape_yx))
    return np.stack([LEVEL, 0.6 - LEVEL]) + noise


def with_scales(path: Path, scale: float, offset: float) -> Path:
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (scale,), (offset,)
    return path


def int16_image(folder: Path) -> list[Path]:
    values = np.rint(reflectance() * 10_000).astype(np.int16)
    values[:, :15, :25] = -9999
    return [write_raster(folder / "image.tif", values, GRID, nodata=-9999)]


def float32_image(folder: Path) -> list[Path]:
    """NaN and -9999 both say that a value is missing."""
    values = reflectance().astype(np.float32)
    values[0, :15, :25], values[1, 40, 41] = np.nan, -9999
    return [write_raster(folder / "image.tif", values, GRID)]


def image_of_own_scales(folder: Path) -> list[Path]:
    """A file per band, with a scale, an offset and a nodata value of its own."""
    first, second = np.rint(reflectance() * 10_000).astype(np.int16)
    second = ((second / 10_000 + 1) / 0.001).astype(np.int16)
    first[:15, :25], second[20:22] = -9999, 0
    files = [write_raster(folder / f"SR_B{n}.tif", band, GRID, nodata=nodata) for n, band, nodata in ((4, first, -9999), (5, second, 0))]
    return [with_scales(files[0], 0.0001, 0.0), with_scales(files[1], 0.001, -1.0)]


IMAGES: dict[str, tuple[Callable[[Path], list[Path]], BandEncoding]] = {
    "int16": (int16_image, BandEncoding.uniform("int16", 2, 0.0001, 0.0, -9999.0)),
    "float32": (float32_image, BandEncoding.uniform("float32", 2, 1.0, 0.0, -9999.0)),
    "own scales": (image_of_own_scales, BandEncoding("int16", (0.0001, 0.001), (0.0, -1.0), (-9999.0, 0.0))),
}


def run(*words: object) -> int:
    return main(list(map(str, words)))


def built(folder: Path, image: list[Path], *, labels: bool = True) -> Path:
    files = [write_raster(folder / "cdl.tif", CODES, GRID)] if labels else []
    build.from_rasters(STUDY, image, files, folder / "s.zarr")
    return folder / "s.zarr"


def true_points(path: Path) -> Path:
    """A point in every second pixel of every fifth row, with its true class."""
    a, _, c, _, e, f = GRID.transform
    places = [(row, col) for row in range(0, GRID.height, 5) for col in range(0, GRID.width, 2) if CODES[row, col]]
    lines = [f"{c + a * (col + 0.5)!r},{f + e * (row + 0.5)!r},{CODES[row, col]}" for row, col in places]
    path.write_text("x,y,class\n" + "\n".join(lines) + "\n")
    return path


def assert_same_map(ours: Path, theirs: Path) -> None:
    """The same bytes of pixels on the same grid with the same tags; only the inputs have other names, and files tell no season."""
    with rasterio.open(ours) as one, rasterio.open(theirs) as other:
        assert one.read().tobytes() == other.read().tobytes()
        assert (one.profile, one.shape) == (other.profile, GRID.shape_yx)
        tags, others = one.tags(), other.tags()
        assert (tags.pop("inputs"), others.pop("inputs").split()[0].endswith(".tif")) == ("s.zarr", True)
        assert (tags.pop("stac"), others.pop("stac")) == (f"{ours.stem}.stac.json", f"{theirs.stem}.stac.json")
        assert "/" in tags.pop("seasons")
        assert tags == others


@pytest.mark.parametrize("kind", IMAGES)
def test_any_type_trains_and_its_map_is_that_of_the_rasters(tmp_path: Path, kind: str) -> None:
    write, encoding = IMAGES[kind]
    image = write(tmp_path)
    store = built(tmp_path, image)
    assert open_store(store).encoding == encoding
    assert run("train", store, "--run", tmp_path / "run", "--labels", "pixels", *TRAIN) == 0
    assert load_config(tmp_path / "run").store.encoding == encoding
    assert run("evaluate", tmp_path / "run", "--device", "cpu") == 0
    assert run("map", tmp_path / "run", "--store", store, "--out", tmp_path / "ours.tif", "--device", "cpu") == 0
    assert run("map", tmp_path / "run", "--image", *image, "--out", tmp_path / "theirs.tif", "--device", "cpu") == 0
    assert_same_map(tmp_path / "ours.tif", tmp_path / "theirs.tif")
    with rasterio.open(tmp_path / "ours.tif") as file:
        classes = file.read(1)
    missing = np.isnan(encoding.physical(open_store(store)._array("image").read().result())).any(axis=0)
    np.testing.assert_array_equal(classes == 255, missing)
    assert missing.sum() >= 15 * 25


@pytest.mark.parametrize("kind", IMAGES)
def test_any_type_is_streamed_as_it_is_held_in_memory(tmp_path: Path, kind: str) -> None:
    store = open_store(built(tmp_path, IMAGES[kind][0](tmp_path)))
    config = make_run(tmp_path / "run", store.path, store.info, labels="pixels", loss="cross-entropy")
    held, streamed = (read_split(store, "train", config.label_spec, config.store.classes, loading) for loading in ("memory", "stream"))
    plan, normalization = streamed.plan_epoch(3, 1, rot90=True), Normalization.of(config, "cpu")
    for (x, targets), (other, others) in zip(*(batches(split, 16, normalization, plan) for split in (held, streamed)), strict=True):
        assert np.array_equal(x, other)
        assert np.array_equal(targets.valid_BHW, others.valid_BHW)
        assert np.array_equal(targets.pixel_BHW, others.pixel_BHW)


@pytest.mark.parametrize("kind", ["int16", "own scales"])
def test_the_exported_file_of_any_type_answers_as_the_network(tmp_path: Path, kind: str) -> None:
    store = open_store(built(tmp_path, IMAGES[kind][0](tmp_path)))
    make_run(tmp_path / "run", store.path, store.info)
    assert "of the network on random values" in export_model(tmp_path / "run", tmp_path / "model.pt2")


@pytest.mark.parametrize(
    "rule",
    [
        {"labels": "presence"},
        {"labels": "majority"},
        {"labels": "shares"},
        {"labels": "shares", "share_step": 0.2},
        {"labels": "shares", "bag_size": 4},
    ],
    ids=str,
)
def test_a_patch_without_a_labelled_pixel_has_no_label_of_any_kind(tmp_path: Path, rule: dict[str, Any]) -> None:
    """Its shares are NaN."""
    make_store(tmp_path / "s.zarr", count=30, size_px=8)
    before = open_store(tmp_path / "s.zarr")
    index, spec, legend = before.split_indices("train"), LabelSpec(**rule), before.info.classes
    share, label = before.share_NK.copy(), all_labels(before.path)
    share[index[::3]], label[index[::3]] = np.nan, 0
    replace_values(before.path, share=share, label=label)
    labels = read_labels(open_store(before.path), index, spec, legend)
    np.testing.assert_array_equal(labels.labelled(), np.arange(len(index)) % 3 > 0)
    assert train(before.path, tmp_path / "run", epochs=1, device="cpu", **rule)
    assert evaluate(tmp_path / "run", split="train", device="cpu").patches == len(index)


def test_a_store_without_labels_trains_on_points_and_maps_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = int16_image(tmp_path)
    store, points = built(tmp_path, image, labels=False), true_points(tmp_path / "points.csv")
    assert run("train", store, "--run", tmp_path / "other", "--labels", "presence", *TRAIN) == 3
    assert error_line(capsys).endswith("(train --labels points --points FILE, --labels shares --areas FILE, --labels pixels --fields FILE)")
    assert not (tmp_path / "other").exists()
    assert run("train", store, "--run", tmp_path / "run", "--labels", "points", "--points", points, *TRAIN) == 0
    capsys.readouterr()
    assert run("evaluate", tmp_path / "run", "--device", "cpu") == 3
    assert (
        f"s.zarr: has no labels to score against; name points with --points FILE, or map it: cropcam map {tmp_path / 'run'} --store "
        in error_line(capsys)
    )
    assert run("map", tmp_path / "run", "--store", store, "--out", tmp_path / "ours.tif", "--device", "cpu") == 0
    assert run("map", tmp_path / "run", "--image", *image, "--out", tmp_path / "theirs.tif", "--device", "cpu") == 0
    assert_same_map(tmp_path / "ours.tif", tmp_path / "theirs.tif")


def test_a_store_of_other_bands_is_not_mapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many bands, in another order."""
    image = int16_image(tmp_path)
    store = open_store(built(tmp_path, image))
    make_run(tmp_path / "run", store.path, store.info)
    build.from_rasters(build_study(image={"bands": ["SR_B5", "SR_B4"]}), image, [], tmp_path / "other.zarr")
    assert run("map", tmp_path / "run", "--store", tmp_path / "other.zarr", "--out", tmp_path / "map.tif", "--device", "cpu") == 3
    assert "other.zarr: its bands are SR_B5, SR_B4, the run" in error_line(capsys)
    assert not (tmp_path / "map.tif").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, and an evaluated run on it, with what it has seen."""
    folder = tmp_path_factory.mktemp("whole")
    store = built(folder, int16_image(folder))
    make_run(folder / "run", store, open_store(store).info)
    assert run("evaluate", folder / "run", "--device", "cpu") == 0
    seen_by(folder / "run", *load_network(folder / "run", torch.device("cpu")), torch.device("cpu"))
    return folder


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of an error."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    (line,) = (line for line in error.splitlines() if line.startswith("cropcam: "))
    return line


@pytest.mark.parametrize(("change", "problem"), [(flipped, "is damaged"), (None, "is missing")])
@pytest.mark.parametrize("command", ["train memory", "train stream", "evaluate", "map", "report"])
def test_a_damaged_shard_is_one_line_and_exit_3(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    change: Any,
    problem: str,
) -> None:
    if command == "train stream":
        monkeypatch.setattr("cropcam.model.data.loading.free_memory", lambda: 0)
    store, folder = shutil.copytree(trained / "s.zarr", tmp_path / "broken.zarr"), shutil.copytree(trained / "run", tmp_path / "run")
    damage(store, "image", change)
    before = sorted(path.name for path in folder.iterdir())
    words: tuple[object, ...] = {
        "evaluate": ("evaluate", folder, "--store", store, "--device", "cpu"),
        "map": ("map", folder, "--store", store, "--out", tmp_path / "map.tif", "--device", "cpu"),
        "report": ("report", folder, "--store", store),
    }.get(command, ("train", store, "--run", tmp_path / "new", *TRAIN))
    assert run(*words) == 3
    line = error_line(capsys)
    assert f"{store}/image/c/0/0/0: {problem}" in line
    assert line.endswith("build it again with 'cropcam patches'")
    assert sorted(path.name for path in folder.iterdir()) == before
    assert not (tmp_path / "map.tif").exists()
