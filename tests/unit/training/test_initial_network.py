"""The network before its first step: initial weights by name and shape, the contract, frozen parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from cropcam.model.networks import build
from cropcam.model.runs.checkpoint import BEST, LAST
from cropcam.model.runs.config import RunConfig
from cropcam.model.training.initial_network import initial_network, load_initial_weights, match, resolve_initial_weights
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.runtime.progress import silent
from cropcam.pipeline.store.schema import StoreInfo
from support.packages import SMALL, install
from support.runs import make_config, make_run


def config_of(info: StoreInfo, init: Path | None = None, **settings: Any) -> RunConfig:
    config = make_config(Path("s.zarr"), info, **{"model": "fcn", "init": str(init or ""), **settings})
    return dataclasses.replace(config, digests={"init": file_sha256(init / BEST if init.is_dir() else init)} if init else {})


def written(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)
    return path


def fcn_weights(seed: int, bands: int = 7, classes: int = 5) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return build("fcn", bands, classes).state_dict()


def same(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and torch.equal(left, right)


def test_without_options_it_is_the_network_of_the_seed(info: StoreInfo, tmp_path: Path) -> None:
    network = initial_network(config_of(info, seed=4), tmp_path, silent)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in fcn_weights(4).items())


def test_matching_tensors_are_taken_and_counted(info: StoreInfo, tmp_path: Path) -> None:
    tensors = fcn_weights(1, bands=3)
    file = written(tmp_path / "w.safetensors", {**tensors, "head.weight": torch.ones(2, 2)})
    lines: list[str] = []
    network = initial_network(config_of(info, file), tmp_path, lines.append)
    assert lines == [
        f"--init {file}: 19 of the network's 20 tensors taken; new: features.0.0.weight; left in the file: features.0.0.weight, head.weight"
    ]
    taken = [name for name, value in network.state_dict().items() if same(value, tensors[name])]
    assert len(taken) == 19


def test_the_weights_of_one_part_match_below_it(info: StoreInfo, tmp_path: Path) -> None:
    """An encoder's file: names without the prefix, half precision, no counters of batch norm, a head that nobody wants."""
    part = {name.removeprefix("features."): value.half() for name, value in fcn_weights(1).items() if name.startswith("features.")}
    part = {name: value for name, value in part.items() if not name.endswith("num_batches_tracked")} | {"fc.weight": torch.zeros(9, 48)}
    file = written(tmp_path / "encoder.safetensors", part)
    config = config_of(info, file)
    network = config.new_network()
    line = load_initial_weights(network, config)
    assert line == (
        f"--init {file}: 15 of the network's 20 tensors taken, below features; new: dense.weight, dense.bias; left in the file: fc.weight"
    )
    torch.testing.assert_close(network.state_dict()["features.1.0.weight"], part["1.0.weight"].float())


def test_match_prefers_names_as_they_are() -> None:
    shapes = {"a.weight": (2, 2), "b.a.weight": (2, 2)}
    assert match(shapes, {"a.weight": (2, 2)}) == ("", {"a.weight": "a.weight"})
    assert match(shapes, {"a.weight": (3, 2)}) == ("", {})
    assert match({"dense.weight": (2, 2)}, {"dense.weight": (2, 2)}, dense=False) == ("", {})


def test_a_run_folder_gives_its_best_weights(info: StoreInfo, tmp_path: Path) -> None:
    network = build("fcn", 7, 5)
    make_run(tmp_path / "first", tmp_path / "s.zarr", info, network, model="fcn")
    assert resolve_initial_weights(str(tmp_path / "first"), "--init") == (
        str(tmp_path / "first"),
        file_sha256(tmp_path / "first" / BEST),
    )
    config = config_of(info, tmp_path / "first")
    fresh = config.new_network()
    assert load_initial_weights(fresh, config) == f"--init {tmp_path / 'first'}: 20 of the network's 20 tensors taken"
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in network.state_dict().items())


def test_of_the_dense_layer_of_other_classes_those_of_the_same_name_are_taken(info: StoreInfo, tmp_path: Path) -> None:
    before = dataclasses.replace(info, bands=tuple(f"B{band}" for band in range(7)))
    source = build("fcn", 7, 5)
    make_run(tmp_path / "first", tmp_path / "s.zarr", before, source, model="fcn")
    other = Legend.from_codes({"wheat": (24,), "Soybean": (5,), "corn": (1,)})
    config = config_of(info, tmp_path / "first")
    config = dataclasses.replace(config, store=dataclasses.replace(config.store, classes=other))
    network = config.new_network()
    fresh = network.dense.weight.detach().clone()
    line = load_initial_weights(network, config)
    assert ": 18 of the network's 20 tensors taken; the run's bands were B0, B1, B2, B3, B4, B5, B6; " in line
    assert line.endswith(
        "its classes were background, corn, soybean, forest, grassland: of the dense layer background, Soybean, corn are taken by name, wheat are new"
    )
    for index, name in enumerate(other.names):
        expected = fresh[index] if name == "wheat" else source.dense.weight[info.classes.names.index(name.lower())]
        assert torch.equal(network.dense.weight[index], expected)
        assert name == "wheat" or network.dense.bias[index] == source.dense.bias[info.classes.names.index(name.lower())]


def test_a_run_without_a_class_of_the_store_gives_no_dense_layer(info: StoreInfo, tmp_path: Path) -> None:
    make_run(
        tmp_path / "first",
        tmp_path / "s.zarr",
        dataclasses.replace(info, classes=Legend.from_codes({"rye": (27,)})),
        build("fcn", 7, 2),
        model="fcn",
    )
    rice = Legend.from_codes({"rice": (3,)})
    rice = dataclasses.replace(rice, classes=(dataclasses.replace(rice.classes[0], name="rest"), *rice.classes[1:]))
    config = config_of(info, tmp_path / "first")
    config = dataclasses.replace(config, store=dataclasses.replace(config.store, classes=rice))
    line = load_initial_weights(config.new_network(), config)
    assert line.endswith(
        "left in the file: dense.bias, dense.weight; its classes were background, rye: of the dense layer nothing is taken, rest, rice are new"
    )


@pytest.mark.parametrize("names", ["features.9.weight", "dense.bias"])
def test_weights_of_another_architecture(names: str, info: StoreInfo, tmp_path: Path) -> None:
    """The bias of the dense layer alone has the same shape in every network."""
    file = written(tmp_path / "w.safetensors", {names: torch.zeros(5), "conv1.weight": torch.zeros(64, 3, 7, 7)})
    config = config_of(info, file)
    match = (
        rf"^--init {file}: weights of another architecture: none of its 2 tensors \(conv1\.weight, {names}\) has name and shape of a "
        r"weight of fcn \(features\.0\.0\.weight, features\.0\.1\.weight, features\.0\.1\.bias and 17 more\); name weights of this network"
    )
    with pytest.raises(DataError, match=match):
        load_initial_weights(config.new_network(), config)


def test_damaged_weights(info: StoreInfo, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"\x93NUMPY" * 9)
    config = config_of(info, file)
    with pytest.raises(DataError, match=r"w\.safetensors: damaged weights \(.*\); name another file$"):
        load_initial_weights(config.new_network(), config)
    tensors = fcn_weights(0)
    tensors["features.1.0.weight"][0, 0] = torch.nan
    config, before = config_of(info, written(file, tensors)), fcn_weights(7)
    network = config.new_network()
    network.load_state_dict(before)
    with pytest.raises(DataError, match=r"w\.safetensors: features\.1\.0\.weight holds values that are not finite; name another file$"):
        load_initial_weights(network, config)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_changed_weights(info: StoreInfo, tmp_path: Path) -> None:
    config = config_of(info, written(tmp_path / "w.safetensors", fcn_weights(0)))
    written(tmp_path / "w.safetensors", fcn_weights(1))
    with pytest.raises(
        DataError, match=r"w\.safetensors: changed since the run began \(sha256 \w{12} then, \w{12} now\); put that file back$"
    ):
        load_initial_weights(config.new_network(), config)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "absent.safetensors",
            r"No such file or directory: .*absent\.safetensors; name a \.safetensors file or the folder of a trained run$",
        ),
        ("absent", r"No such file or directory: .*absent; name"),
        ("empty", r"No such file or directory: .*empty/best\.safetensors; name"),
        ("weights.pth", r"only \.safetensors files are read \(files of torch\.save are pickle\); convert it first$"),
    ],
)
def test_files_that_cannot_be_weights(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "weights.pth").write_bytes(b"PK")
    with pytest.raises(ConfigError, match=rf"^--init {tmp_path / name}: {message}"):
        resolve_initial_weights(str(tmp_path / name), "--init")


def test_a_run_with_a_checkpoint_needs_no_file(info: StoreInfo, tmp_path: Path) -> None:
    file = written(tmp_path / "w.safetensors", fcn_weights(0))
    config = config_of(info, file)
    file.unlink()
    (tmp_path / LAST).write_bytes(b"")
    initial_network(config, tmp_path, silent)


def test_frozen_parts_are_counted(info: StoreInfo, tmp_path: Path) -> None:
    lines: list[str] = []
    network = initial_network(config_of(info, freeze="features.0, features.1."), tmp_path, lines.append)
    assert network.frozen == ("features.0", "features.1")
    assert lines == [f"--freeze features.0, features.1.: {9 * (7 * 32 + 32 * 48) + 2 * (32 + 48):,} of 37,077 parameters are not trained"]


def test_the_contract_is_checked_for_networks_that_are_not_built_in(
    info: StoreInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, tmp_path, "wrong", SMALL.replace("stride = 2", "stride = 4"))
    with pytest.raises(
        ConfigError, match=r"^network wrong:Small: maps of patches \(2, 7, 12, 12\) .* are \(2, 4, 6, 6\) .*, expected \(2, 4, 3, 3\)"
    ):
        initial_network(config_of(info, model="wrong:Small"), tmp_path, silent)
