"""A run elsewhere: scored on another store beside a run trained there, and adapted with few weak labels of that place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cropcam.cli import main
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.runs.config import load_config
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import open_store
from support.runs import train
from support.store_parts import replace_values
from support.stores import make_store, make_study

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two places with a run each; a third store groups the codes otherwise."""
    folder = tmp_path_factory.mktemp("travel")
    for seed, name in enumerate(("home", "away")):
        make_store(folder / f"{name}.zarr", count=60, size_px=8, seed=seed)
        train(
            folder / f"{name}.zarr", folder / f"{name}-run", labels="shares", model="fcn", epochs=4, batch_size=8, seed=seed, device="cpu"
        )
    other = make_study(8, classes={"soybean": (5,), "corn": (1,), "forest": (141, 142, 143), "grassland": (176,), "wheat": (24,)})
    make_store(folder / "coded.zarr", count=20, size_px=8, seed=5, study=other)
    return folder


def metrics_of(out: str) -> Any:
    document = json.loads(out)
    document.pop("warnings")  # beside metrics.json: what the training found
    return document


def test_a_run_is_scored_on_another_store_beside_a_run_trained_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, away, there = folder / "home-run", folder / "away.zarr", folder / "away-run"
    assert main(["evaluate", str(run), "--device", "cpu", "--json"]) == 0
    home = metrics_of(capsys.readouterr().out)
    assert (home["home"], home["split"], home["store"]["name"], "shift" in home) == (True, "test", "home", False)
    assert main(["evaluate", str(run), "--on", str(away), "--reference", str(there), "--device", "cpu", "--json"]) == 0
    found = metrics_of(capsys.readouterr().out)
    digest = open_store(away).info.digest
    assert (found["home"], found["split"], found["store"]) == (False, "test", {"name": "away", "path": str(away), "digest": digest})
    assert found == json.loads((run / "on" / f"away-{digest[:8]}" / "metrics.json").read_text())
    assert json.loads((run / "metrics.json").read_text()) == home, "the figures of home stay"
    assert main(["evaluate", str(there), "--device", "cpu", "--json"]) == 0
    own = metrics_of(capsys.readouterr().out)["segmentation"]
    reference = found["reference"]["segmentation"]
    assert reference["method"] == own["default"]
    assert reference["pixel_accuracy"] == own["methods"][own["default"]]["pixel_accuracy"]
    part = found["segmentation"]
    difference = part["methods"][part["default"]]["pixel_accuracy"] - reference["pixel_accuracy"]
    assert found["reference"]["pixel_accuracy_difference"] == pytest.approx(difference)
    assert part["majority_accuracy"] == own["majority_accuracy"]
    assert 0 <= found["expected"]["pixel_accuracy"] <= 1
    assert main(["evaluate", str(run), "--on", str(away), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "60 patches of all splits of away, which the run has not seen" in printed
    assert "estimated pixel accuracy" in printed


def test_a_store_of_other_classes_is_scored_in_the_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, coded = folder / "home-run", open_store(folder / "coded.zarr")
    assert main(["evaluate", str(run), "--on", str(coded.path), "--device", "cpu", "--json"]) == 0
    found = metrics_of(capsys.readouterr().out)
    legend = load_config(run).store.classes
    truth = legend.index(coded.labels(np.arange(len(coded))))
    counts = np.bincount(truth[truth != UNLABELLED], minlength=len(legend))
    shares = dict(zip(legend.names, counts / counts.sum(), strict=True))
    assert found["segmentation"]["class_shares"] == pytest.approx(shares)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--on", "blank.zarr"], 3, "has no labels to score against; name points with --points FILE, or map it: cropcam map"),
        (["--on", "wide.zarr"], 3, "its patches are of 10 x 10 px, those of the run"),
        (["--on", "home.zarr", "--reference", "absent"], 3, "absent: no run folder"),
    ],
)
def test_stores_that_do_not_fit_are_refused(
    folder: Path, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, options in (("blank.zarr", {"labels": False, "size_px": 8}), ("wide.zarr", {"size_px": 10})):
        if not (folder / name).exists():
            make_store(folder / name, count=6, **options)
    words = [str(folder / word) if not word.startswith("--") else word for word in words]
    assert main(["evaluate", str(folder / "home-run"), "--device", "cpu", *words]) == code
    assert message in capsys.readouterr().err


def areas(folder: Path, patches: int) -> Path:
    """One polygon with the areas of the first training patches of the other place."""
    store = open_store(folder / "away.zarr")
    a, _, c, _, e, f = store.grid.transform
    features = []
    for patch in store.split_indices("train")[:patches]:
        west, north = c + a * 8 * int(store.col_N[patch]), f + e * 8 * int(store.row_N[patch])
        ring = [[west, north], [west + a * 8, north], [west + a * 8, north + e * 8], [west, north + e * 8], [west, north]]
        areas = dict(zip(store.info.classes.names, store.share_NK[patch].tolist(), strict=True))
        features.append({"type": "Feature", "properties": areas, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    file = folder / f"{patches}.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return file


@pytest.mark.parametrize("patches", [1, 3])
def test_a_run_goes_on_with_a_few_polygons_of_the_other_place(folder: Path, patches: int) -> None:
    lines: list[str] = []
    run, source, file = folder / f"adapted-{patches}", folder / "home-run", areas(folder, patches)
    config = train(
        folder / "away.zarr", run, labels="shares", areas=str(file), init=str(source), batch_size=8, device="cpu", log=lines.append
    )
    assert (config.network.freeze, config.optimizer.lr) == ("statistics", 1e-3)
    assert config.store.mean == load_config(source).store.mean
    assert config.trained_patches == patches
    before, after = (load_network(each, CPU)[0].state_dict() for each in (source, run))
    kept = [name for name in before if "running" in name]
    assert kept
    for name in before:
        same = bool((before[name] == after[name]).all())
        assert same == (name in kept or name.endswith("tracked")), f"{name}: statistics stay, weights move"
    assert any("too few to select an epoch by" in line for line in lines)
    steps = next(int(line.split()[0].replace(",", "")) for line in lines if " steps in " in line)
    assert 150 <= steps <= 180


def test_points_of_the_other_place_adapt_a_run(folder: Path) -> None:
    store = open_store(folder / "away.zarr")
    index = store.split_indices("train")[:12]
    class_B = store.classes(index)[:, 4, 4]
    a, _, c, _, e, f = store.grid.transform
    lon, lat = transform_points(store.grid.crs, "EPSG:4326", c + a * (store.col_N[index] * 8 + 4.5), f + e * (store.row_N[index] * 8 + 4.5))
    rows = [f"{x},{y},{store.info.classes.names[k]}" for x, y, k in zip(lon, lat, class_B, strict=True) if k != UNLABELLED]
    (folder / "points.csv").write_text("lon,lat,class\n" + "\n".join(rows) + "\n")
    settings = {"labels": "points", "points": str(folder / "points.csv"), "init": str(folder / "home-run"), "epochs": 2, "batch_size": 4}
    config = train(folder / "away.zarr", folder / "by-points", **settings, device="cpu")
    assert (config.network.freeze, config.optimizer.passes) == ("statistics", 1)


def test_a_run_that_is_no_better_than_guessing_ends_with_a_warning(tmp_path: Path) -> None:
    lines: list[str] = []
    make_store(tmp_path / "s.zarr", count=40, size_px=8, signal=False)
    settings = {"labels": "majority", "model": "fcn", "epochs": 1, "batch_size": 8, "lr": 1e-6}
    train(tmp_path / "s.zarr", tmp_path / "run", **settings, device="cpu", log=lines.append)
    assert lines[-1].startswith("warning: the run is no better than guessing: validation accuracy 0.")
    assert "--init RUN" in lines[-1]


def test_no_truth_of_the_other_place_reaches_an_adapted_run(folder: Path, tmp_path: Path) -> None:
    """Labels and shares of the target may be anything: weights, refinement and what the run has seen follow from the polygons alone."""
    found, file = [], areas(folder, 3)
    for number in (0, 1):
        store = tmp_path / f"{number}.zarr"
        make_store(store, count=60, size_px=8, seed=1)
        if number:
            opened = open_store(store)
            label_NHW, share_NK = opened.labels(np.arange(60)), opened.share_NK
            replace_values(store, label=label_NHW[::-1, ::-1], share=np.roll(share_NK, 1, axis=0))
        run = tmp_path / f"run-{number}"
        settings = {"labels": "shares", "areas": str(file), "init": str(folder / "home-run"), "epochs": 2, "batch_size": 8}
        train(store, run, **settings, device="cpu")
        seen = {key: value for key, value in json.loads((run / "seen.json").read_text()).items() if key != "checkpoint_digest"}
        segment = json.loads((run / "segment.json").read_text())["methods"]
        found.append(({name: tensor.tolist() for name, tensor in load_network(run, CPU)[0].state_dict().items()}, seen, segment))
    assert found[0] == found[1]
