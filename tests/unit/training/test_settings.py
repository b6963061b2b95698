from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from cropcam.model.runs.checkpoint import BEST, LAST, write_json
from cropcam.model.runs.config import CONFIG, RunConfig, load_config
from cropcam.model.training.settings import configure
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import StoreInfo
from support.packages import SMALL, install
from support.stores import make_store

STORE = Path("patches.zarr")


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> StoreInfo:
    return make_store(tmp_path_factory.mktemp("settings") / "patches.zarr", count=12, size_px=8)


@pytest.fixture
def run(info: StoreInfo, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    write_json(
        folder / CONFIG, configure(PatchStore(STORE, info), folder, {"model": "baseline", "epochs": 4, "lr": 0.01}, resume=False).to_json()
    )
    (folder / LAST).write_bytes(b"")
    return folder


def test_a_new_run_takes_the_studys_share_unless_passed(info: StoreInfo, tmp_path: Path) -> None:
    config = configure(PatchStore(STORE, info), tmp_path / "run", {"model": "baseline"}, resume=False)
    assert config.labels.presence_min_share == 0.05
    assert (config.optimizer.epochs, config.data.batch_size, config.optimizer.lr, config.data.seed) == (16, 32, 1e-3, 0)
    assert config.store.digest == info.digest
    assert configure(PatchStore(STORE, info), tmp_path / "run", {"presence_min_share": 0.0}, resume=True).labels.presence_min_share == 0.0


def test_no_more_points_than_a_patch_has_pixels(info: StoreInfo, tmp_path: Path) -> None:
    passed = {"labels": "points", "points_per_patch": 64}
    assert configure(PatchStore(STORE, info), tmp_path / "run", passed, resume=False).labels.points_per_patch == 64
    match = r"^--points-per-patch 65 is not possible: a patch has 64 pixels \(8 x 8\); .* use --labels pixels$"
    with pytest.raises(ConfigError, match=match):
        configure(PatchStore(STORE, info), tmp_path / "run", passed | {"points_per_patch": 65}, resume=False)


def test_a_constant_band_is_divided_by_1(info: StoreInfo, tmp_path: Path) -> None:
    statistics = info.statistics | {"std": [0.0, *info.statistics["std"][1:]]}
    config = configure(PatchStore(STORE, dataclasses.replace(info, statistics=statistics)), tmp_path / "run", {}, resume=False)
    assert config.store.std == (1.0, *info.statistics["std"][1:])


def test_statistics_that_are_not_finite_are_refused(info: StoreInfo, tmp_path: Path) -> None:
    statistics = info.statistics | {"mean": [float("nan")] * 7}
    with pytest.raises(DataError, match=r"a band has no mean or standard deviation over the training split"):
        configure(PatchStore(STORE, dataclasses.replace(info, statistics=statistics)), tmp_path / "run", {}, resume=False)


def test_an_existing_run_is_not_trained_over(info: StoreInfo, run: Path) -> None:
    with pytest.raises(ConfigError, match=r"run: holds a run already; go on with it with --resume, or name another folder"):
        configure(PatchStore(STORE, info), run, {}, resume=False)


def test_a_folder_with_nothing_but_settings_holds_no_run(info: StoreInfo, run: Path) -> None:
    (run / LAST).unlink()
    assert configure(PatchStore(STORE, info), run, {"model": "baseline"}, resume=False).optimizer.lr == 0.001
    again = configure(PatchStore(STORE, info), run, {"batch_size": 8}, resume=True)
    assert (again.optimizer.lr, again.optimizer.epochs, again.data.batch_size) == (0.01, 4, 8)


def test_a_file_is_no_run_folder(info: StoreInfo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file: is a file; name a folder"):
        configure(PatchStore(STORE, info), tmp_path / "file", {}, resume=True)


def test_a_folder_of_other_things_is_fine(info: StoreInfo, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    assert configure(PatchStore(STORE, info), tmp_path, {}, resume=False).optimizer.epochs == 16


def test_a_checkpoint_without_configuration(info: StoreInfo, tmp_path: Path) -> None:
    (tmp_path / LAST).write_text("")
    with pytest.raises(DataError, match=r"no config\.json in it"):
        configure(PatchStore(STORE, info), tmp_path, {}, resume=True)


def test_a_setting_that_is_not_passed_is_the_runs(info: StoreInfo, run: Path) -> None:
    config = configure(PatchStore(STORE, info), run, {}, resume=True)
    assert (config.optimizer.epochs, config.optimizer.lr) == (4, 0.01)
    assert configure(PatchStore(STORE, info), run, {"epochs": 9, "lr": 0.01}, resume=True) == config.changed(epochs=9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0.1}, r"trained with --lr 0\.01, now 0\.1; leave it out, or name another folder"),
        ({"seed": 5}, r"trained with --seed 0, now 5"),
        ({"presence_min_share": 0.0}, r"trained with --presence-min-share 0\.05"),
        ({"batch_size": 8}, r"--batch-size 32"),
        ({"epochs": 3}, r"trained with --epochs 4, now 3; it can only grow"),
    ],
)
def test_other_settings_are_refused(info: StoreInfo, run: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configure(PatchStore(STORE, info), run, given, resume=True)


def test_another_store_is_refused(info: StoreInfo, run: Path) -> None:
    other = dataclasses.replace(info, split_seed=3, crs="EPSG:32615")
    with pytest.raises(DataError, match=r"not the store that .*run was trained on: crs: 'EPSG:4326' against 'EPSG:32615' \(and 1 more\)"):
        configure(PatchStore(STORE, other), run, {}, resume=True)


def begun(info: StoreInfo, folder: Path, passed: dict[str, Any]) -> Path:
    """A run folder with a checkpoint."""
    config = configure(PatchStore(STORE, info), folder, passed, resume=False)
    folder.mkdir()
    write_json(folder / CONFIG, config.to_json())
    (folder / LAST).write_bytes(b"")
    return folder


def test_a_network_of_a_package_is_recorded_with_all_its_options(info: StoreInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = SMALL.replace("stride = 2", 'stride = 2\n    defaults = {"lr": 0.25}')
    install(monkeypatch, tmp_path / "site", "smallnets", code, {"small": "smallnets:Small"})
    run = begun(info, tmp_path / "run", {"model": "small", "model_options": "width=8"})
    config = load_config(run)
    assert (config.network.model, config.network_package, config.optimizer.lr) == ("small", "smallnets-nets==1.2", 0.25)
    assert config.network.model_options == "width=8,name=plain,slope=0.5,wide=false"
    for same in ("width=8", "wide=false,width=8"):
        assert configure(PatchStore(STORE, info), run, {"model_options": same}, resume=True) == config
    with pytest.raises(ConfigError, match=r"trained with --model-options width=8,.*, now width=9,.*; leave it out, or name another folder"):
        configure(PatchStore(STORE, info), run, {"model_options": "width=9"}, resume=True)
    with pytest.raises(ConfigError, match=r"--model-options widht=9: the network small has no option 'widht' \(is it 'width'\?\)"):
        configure(PatchStore(STORE, info), tmp_path / "new", {"model": "small", "model_options": "widht=9"}, resume=False)


def test_an_unknown_network_is_refused(info: StoreInfo, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^no network 'vgg'; known: baseline, resnet50, unet, fcn, fcn-time, linear, trees; or name a class as package\.module:Class$",
    ):
        configure(PatchStore(STORE, info), tmp_path / "run", {"model": "vgg"}, resume=False)


def test_initial_weights_are_recorded_and_not_needed_again(info: StoreInfo, tmp_path: Path) -> None:
    file, moved = tmp_path / "w.safetensors", tmp_path / "moved.safetensors"
    file.write_bytes(b"weights")
    moved.write_bytes(b"weights")
    run = begun(info, tmp_path / "run", {"init": str(file), "freeze": "features.0"})
    config = load_config(run)
    assert (config.network.init, config.network.freeze, config.digests) == (str(file), "features.0", {"init": file_sha256(file)})
    file.unlink()
    for again in ({}, {"init": str(file)}, {"freeze": "features.0"}):
        assert configure(PatchStore(STORE, info), run, again, resume=True) == config
    assert configure(PatchStore(STORE, info), run, {"init": str(moved)}, resume=True) == config.changed(init=str(moved))
    moved.write_bytes(b"others")
    with pytest.raises(
        ConfigError, match=r"trained with --init .*w\.safetensors \(sha256 \w{12}\), now .*moved\.safetensors \(\w{12}\), which differs"
    ):
        configure(PatchStore(STORE, info), run, {"init": str(moved)}, resume=True)
    with pytest.raises(ConfigError, match=r"^--init .*w\.safetensors: No such file or directory"):
        configure(PatchStore(STORE, info), tmp_path / "other", {"init": str(file)}, resume=False)


def test_the_initial_weights_of_a_run_folder_are_its_best(info: StoreInfo, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / BEST).write_bytes(b"best")
    write_json(first / CONFIG, configure(PatchStore(STORE, info), first.with_name("none"), {"model": "fcn"}, resume=False).to_json())
    moved = dataclasses.replace(info, statistics=info.statistics | {"mean": [0.5] * len(info.bands), "std": [0.1] * len(info.bands)})
    config = configure(PatchStore(STORE, moved), tmp_path / "run", {"init": str(first)}, resume=False)
    assert (config.network.init, config.digests) == (str(first), {"init": file_sha256(first / BEST)})
    assert config.store.mean == pytest.approx(info.statistics["mean"]), "the weights are of values standardised so"
    assert (config.optimizer.lr, config.network.freeze) == (1e-3, "statistics")
    plain = configure(PatchStore(STORE, moved), tmp_path / "run", {"init": str(first), "freeze": "none", "lr": 0.5}, resume=False)
    assert (plain.optimizer.lr, plain.network.freeze) == (0.5, "none")
    other = dataclasses.replace(info, bands=info.bands[::-1])
    with pytest.raises(
        ConfigError, match=r"--init .*first: its bands are SR_B1, .*, those of the store are SR_B7, .*: the same in another order"
    ):
        configure(PatchStore(STORE, other), tmp_path / "run", {"init": str(first)}, resume=False)


def test_trees_learn_from_pixels_at_once(info: StoreInfo, tmp_path: Path) -> None:
    def configured(**passed: Any) -> RunConfig:
        return configure(PatchStore(STORE, info), tmp_path / "run", {"model": "trees", **passed}, resume=False)

    (tmp_path / "x.safetensors").touch()
    config = configured(labels="points", seed=4, batch_size=8, loss="cross-entropy", epochs=1)
    assert config.is_fitted
    assert (config.optimizer.epochs, config.network.precision, config.optimizer.loss) == (1, "fp32", "cross-entropy")
    assert config.network.model_options == "trees=100,neighbourhood=1,pixels=100000"
    match = r"^--model trees learns from pixels with a class, which {} labels do not give: name --labels points or pixels, or take --model linear"
    for labels in ("presence", "majority", "shares"):
        with pytest.raises(ConfigError, match=match.format(labels)):
            configured(labels=labels)
    for name, value in (
        ("lr", 0.1),
        ("epochs", 2),
        ("freeze", "dense"),
        ("class_weights", "balanced"),
        ("rot90", True),
        ("init", str(tmp_path / "x.safetensors")),
    ):
        with pytest.raises(ConfigError, match=rf"^--{name.replace('_', '-')} does not go with --model trees, which is fitted at once"):
            configured(labels="pixels", **{name: value})
    assert not configured(model="linear", labels="shares").is_fitted


def test_a_run_of_trees_has_no_more_epochs(info: StoreInfo, run: Path) -> None:
    passed = {"model": "trees", "labels": "pixels"}
    (run / LAST).unlink()
    write_json(run / CONFIG, configure(PatchStore(STORE, info), run, passed, resume=False).to_json())
    assert configure(PatchStore(STORE, info), run, {}, resume=True).network.model == "trees", (
        "before the fit the settings are taken up as they are"
    )
    (run / LAST).write_bytes(b"")
    with pytest.raises(ConfigError, match=r"trained with --epochs 1, now 2; leave it out"):
        configure(PatchStore(STORE, info), run, {"epochs": 2}, resume=True)
