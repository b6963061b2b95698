"""The run folder: written files read back equal, and damaged files are refused with one line."""

from __future__ import annotations

import errno
import json
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from cropcam.model.networks import Network, build
from cropcam.model.runs.checkpoint import (
    BEST,
    check_run_folder,
    load_network,
    load_tensors,
    load_training_state,
    load_weights,
    save_tensors,
    training_state,
    write_json,
)
from cropcam.model.runs.config import CONFIG, RunConfig
from cropcam.model.strategies.base import Strategy
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write, clear_partial_files
from cropcam.pipeline.runtime.hashing import file_sha256

CPU = torch.device("cpu")


@pytest.fixture
def run(config: RunConfig, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    write_json(folder / CONFIG, config.to_json())
    save_tensors(folder / BEST, dict(build("baseline", 7, 5).state_dict()), {"epoch": "3"})
    return folder


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond that many bytes: a full disk, for this process alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def stepped(seed: int) -> tuple[Network, torch.optim.AdamW]:
    torch.manual_seed(seed)
    network = build("baseline", 2, 3)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(2):
        step(network, optimizer)
    return network, optimizer


def step(network: Network, optimizer: torch.optim.AdamW) -> None:
    optimizer.zero_grad()
    network(torch.ones(2, 2, 8, 8)).logits_BK.square().sum().backward()
    optimizer.step()


def test_tensors_read_back_equal_and_repeat_their_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3).t(), "a": torch.tensor(3.0), "c": torch.zeros(0, 2)}
    made_by = {"epoch": "4", "study": "demo", "code_version": "0", "store_digest": "ab"}
    digests = set()
    for attempt in range(6):
        path = tmp_path / f"{attempt}.safetensors"
        save_tensors(path, tensors, made_by)
        digests.add(file_sha256(path))
    read, metadata = load_tensors(path)
    assert metadata == made_by
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    assert len(digests) == 1
    assert path.stat().st_mode & 0o077 == write_plain(tmp_path).stat().st_mode & 0o077, "readable to whom other files are"


def write_plain(folder: Path) -> Path:
    path = folder / "plain"
    path.write_text("")
    return path


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[:-5],
    "header only": lambda data: data[:60],
    "noise": lambda data: b"\x93NUMPY" * (len(data) // 6),
    "zeros": lambda data: bytes(len(data)),
    "endless header": lambda data: struct.pack("<Q", 1 << 60) + data[8:],
    "longer": lambda data: data + b"more",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_checkpoint(run: Path, damage: Callable[[bytes], bytes]) -> None:
    path = run / BEST
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"^[^\n]*best\.safetensors: damaged checkpoint \([^\n]+\); train into another folder$"):
        load_network(run, CPU)


def test_missing_checkpoint(run: Path) -> None:
    (run / BEST).unlink()
    with pytest.raises(DataError, match=r"best\.safetensors: no checkpoint; train the run first"):
        load_network(run, CPU)


def test_network_reads_back_equal(run: Path, config: RunConfig) -> None:
    network, read = load_network(run, CPU)
    tensors, _ = load_tensors(run / BEST)
    assert read == config
    assert not network.training
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dense.weight": torch.zeros(4, 256)}, r"dense\.weight is \[4, 256\], expected \[5, 256\]"),
        ({"extra": torch.zeros(1)}, r"extra is \[1\], expected absent"),
        ({"dense.bias": torch.full((5,), torch.nan)}, r"dense\.bias holds values that are not finite"),
    ],
)
def test_weights_of_another_network(run: Path, change: dict[str, torch.Tensor], message: str) -> None:
    tensors, _ = load_tensors(run / BEST)
    save_tensors(run / BEST, tensors | change, {})
    with pytest.raises(DataError, match=rf"best\.safetensors: .*{message}.*; train into another folder"):
        load_network(run, CPU)


def test_a_missing_tensor_is_named() -> None:
    network = build("baseline", 2, 3)
    tensors = network.state_dict()
    del tensors["dense.bias"]
    with pytest.raises(DataError, match=r"dense\.bias is absent, expected \[3\]"):
        load_weights(network, tensors, Path("best"))


def test_training_goes_on_as_if_never_saved(tmp_path: Path) -> None:
    network, optimizer = stepped(0)
    save_tensors(tmp_path / "last", training_state(network, optimizer, Strategy()), {})
    other, fresh = stepped(1)
    load_training_state(other, fresh, Strategy(), load_tensors(tmp_path / "last")[0], tmp_path / "last")
    for each in ((network, optimizer), (other, fresh)):
        step(*each)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_the_optimizer_state_of_another_network_is_refused(tmp_path: Path) -> None:
    network, optimizer = stepped(0)
    tensors = training_state(network, optimizer, Strategy())
    del tensors["optimizer.0.exp_avg"]
    with pytest.raises(DataError, match=r"optimizer\.0\.exp_avg is absent, expected \[32, 2, 3, 3\]"):
        load_training_state(network, optimizer, Strategy(), tensors, tmp_path / "last")


def test_a_full_disk_leaves_the_old_file(run: Path) -> None:
    before = file_sha256(run / BEST)
    with disk_of(10_000), pytest.raises(OSError, match=r"File too large: '.*best\.safetensors'") as caught:
        save_tensors(run / BEST, {"a": torch.zeros(100_000)}, {})
    assert caught.value.errno == errno.EFBIG
    with disk_of(10), pytest.raises(OSError, match=r"File too large: '.*history\.csv'"):
        atomic_write(run / "history.csv", "x" * 100)
    assert file_sha256(run / BEST) == before
    assert sorted(path.name for path in run.iterdir()) == [BEST, CONFIG]


def test_leftovers_of_a_killed_command_go(run: Path) -> None:
    (run / f".{BEST}.partial").write_bytes(b"half")
    (run / ".metrics.json.partial").write_bytes(b"half")
    (run / ".keep").write_bytes(b"")
    clear_partial_files(run)
    assert sorted(path.name for path in run.iterdir()) == [".keep", BEST, CONFIG]


def test_json_is_for_readers(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1], "a": "x"})
    assert (tmp_path / "a.json").read_text() == json.dumps({"b": [1], "a": "x"}, indent=2) + "\n"


def test_a_run_is_begun_in_a_folder_that_holds_nothing_of_its_names(tmp_path: Path, run: Path) -> None:
    check_run_folder(tmp_path / "new")
    check_run_folder(run)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "job-17.log").touch()
    (tmp_path / "logs" / "environment.json").touch()  # all that a run which was killed at once has
    check_run_folder(tmp_path / "logs")


@pytest.mark.parametrize("name", ["README.md", "config.json", "report.html", "zarr.json"])
def test_a_folder_of_others_is_no_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"name": "another tool"}')
    with pytest.raises(DataError, match=r"--run .*: is there already and holds no run that cropcam wrote; choose another name"):
        check_run_folder(tmp_path)


def test_a_run_with_a_damaged_configuration_is_still_one(run: Path) -> None:
    (run / CONFIG).write_text("{")
    check_run_folder(run)


def test_the_store_is_no_place_for_its_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--run .*: is an input of this command"):
        check_run_folder(tmp_path / "s.zarr", [tmp_path / "." / "s.zarr"])
