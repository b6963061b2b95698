"""Files of the run folder; checkpoints are safetensors, written atomically.

RUN/config.json          the settings, the store and its digests: enough to rebuild the network and its labels (`runs.config`)
RUN/environment.json     versions, platform, device
RUN/history.csv          one line per epoch
RUN/last.safetensors     weights, optimizer state, strategy state and epoch, for `--resume`
RUN/best.safetensors     the weights of the selected epoch, for `evaluate`, `map` and `report`
RUN/segment.json         the fitted segmentation methods (`segmentation.methods`)
RUN/seen.json            what the run has seen (`transfer.seen`)
RUN/cautions.json        the warnings of the training (`runs.cautions`)
RUN/README.md            the model card, once trained
RUN/stac.json            the run as a STAC item, once trained (`evaluation.run_item`)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cropcam.model.networks import Network
from cropcam.model.runs.config import CONFIG, RunConfig, load_config
from cropcam.model.strategies.base import Strategy
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.runtime.outputs import STORE, Output, check_outputs, json_object
from cropcam.pipeline.runtime.provenance import provenance
from cropcam.pipeline.runtime.terminal import quoted
from cropcam.pipeline.text_files import parse_json

LAST, BEST, HISTORY = "last.safetensors", "best.safetensors", "history.csv"
ENVIRONMENT, CARD, METRICS, ITEM = "environment.json", "README.md", "metrics.json", "stac.json"
_FILES = (LAST, BEST, HISTORY, CARD, METRICS, ITEM, "segment.json", "seen.json", "cautions.json", "patches.csv", "report.html")
_METADATA_KEY = "cropcam"  # one key: safetensors writes several in no fixed order, and equal runs need equal bytes
_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool}
_ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")
_OPTIMIZER_STATE = {torch.optim.AdamW: _ADAM_STATE, torch.optim.Adam: _ADAM_STATE, torch.optim.SGD: ("momentum_buffer",)}


def check_run_folder(run: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse, before any work, a place that is no run's: a store, or a folder with files of the names that a run has.

    Raises:
        ConfigError: a name that no folder should have.
        DataError: something else lies there, or in the way.
    """
    check_outputs([Output(run, "--run", "run", _may_hold_a_run, is_folder=True)], inputs)


def _may_hold_a_run(folder: Path) -> bool:
    """Whether a folder is a run, or holds nothing that a run would replace; ENVIRONMENT comes first, so a killed run may hold it alone."""
    if any((folder / name).exists() for name in STORE):
        return False
    there = [name for name in (*_FILES, CONFIG) if (folder / name).exists()]
    return not there or (CONFIG in there and (_is_config(folder / CONFIG) or not {LAST, BEST, HISTORY}.isdisjoint(there)))


def _is_config(path: Path) -> bool:
    return {"store", "network"} <= json_object(path).keys()


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON values atomically, indented."""
    atomic_write(path, json.dumps(values, indent=2) + "\n")


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors as safetensors, atomically. Equal tensors and metadata give equal bytes.

    Not by `save_file`: a killed one leaves a temporary file, its mode is 0600, and it hides the disk's error number.

    Raises:
        OSError: writing failed; the file that was at `path` is kept.
    """
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    atomic_write(path, save(flat, {_METADATA_KEY: json.dumps(metadata, sort_keys=True)}))


def run_provenance(run: Path, config: RunConfig) -> dict[str, str]:
    """Provenance of an artefact made with the run's selected network."""
    digests = {"store_digest": config.store.digest, "checkpoint_digest": file_sha256(run / BEST)}
    return {**provenance(config.store.study, **digests), "model": config.network.model}


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a checkpoint, on the CPU.

    Raises:
        DataError: absent or damaged.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        metadata = _metadata(file, path)
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES:
            raise DataError(
                f"{path}: {name} is of {str(tensor.dtype).removeprefix('torch.')}, no type of weights; train into another folder"
            )
    return tensors, metadata


def load_metadata(path: Path) -> dict[str, str]:
    """The metadata of a checkpoint; its tensors are not read.

    Raises:
        DataError: absent or damaged.
    """
    with _opened(path) as file:
        return _metadata(file, path)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise DataError(f"{path}: no checkpoint; train the run first: cropcam train STORE --run {quoted(path.parent)}")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: damaged checkpoint ({str(error)[:160]}); train into another folder") from None


def _metadata(file: Any, path: Path) -> dict[str, str]:  # noqa: ANN401 - safetensors has no type for it
    values = parse_json((file.metadata() or {}).get(_METADATA_KEY, "{}"), f"{path}: its metadata", step="train into another folder")
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise DataError(f"{path}: its metadata are not texts; train into another folder")
    return values


def load_network(run: Path, device: torch.device) -> tuple[Network, RunConfig]:
    """The network of the selected epoch, in evaluation mode on `device`, and the run's configuration.

    Raises:
        ConfigError: the run's network is not built in and cannot be imported.
        DataError: no run folder, no checkpoint, or a checkpoint that is damaged or of another network.
    """
    config = load_config(run)
    tensors, _ = load_tensors(run / BEST)
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays
        network = config.new_network()
    load_weights(network, tensors, run / BEST)
    return network.to(device).eval(), config


def load_weights(network: Network, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load the tensors of the checkpoint at `path` into `network`.

    Raises:
        DataError: a tensor is missing, unknown, of another shape or not finite.
    """
    _check(network.state_shapes(), tensors, path)
    network.load_state_dict(dict(tensors))


def training_state(network: Network, optimizer: torch.optim.Optimizer, strategy: Strategy) -> dict[str, Tensor]:
    """The tensors that the next step depends on: `network.NAME`, `optimizer.I.NAME` of trained parameter I, and the strategy's state."""
    weights = {f"network.{name}": tensor for name, tensor in network.state_dict().items()} | strategy.state_dict()
    state = optimizer.state_dict()["state"]
    return weights | {f"optimizer.{index}.{name}": tensor for index, kept in state.items() for name, tensor in kept.items()}


def load_training_state(
    network: Network, optimizer: torch.optim.Optimizer, strategy: Strategy, tensors: Mapping[str, Tensor], path: Path
) -> None:
    """The inverse of `training_state`, from the checkpoint at `path`.

    Raises:
        DataError: a tensor is missing, unknown, of another shape or not finite.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    kept = {
        index: {name: torch.Size() if name == "step" else parameter.shape for name in _OPTIMIZER_STATE[type(optimizer)]}
        for index, parameter in enumerate(parameters)
    }
    expected = {f"network.{name}": shape for name, shape in network.state_shapes().items()} | strategy.state_shapes()
    expected |= {f"optimizer.{index}.{name}": shape for index, shapes in kept.items() for name, shape in shapes.items()}
    _check(expected, tensors, path)
    network.load_state_dict({name: tensors[f"network.{name}"] for name in network.state_dict()})
    strategy.load_state_dict({name: tensors[name] for name in strategy.state_shapes()})
    state = {}
    for index, shapes in kept.items():
        loaded = {name: tensors[f"optimizer.{index}.{name}"] for name in shapes}
        # in the parameter's memory layout: fused kernels walk both in memory order
        state[index] = {name: t if name == "step" else torch.empty_like(parameters[index]).copy_(t) for name, t in loaded.items()}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _check(expected: Mapping[str, torch.Size | None], tensors: Mapping[str, Tensor], path: Path) -> None:
    for name in sorted({*expected, *tensors}):
        shape = list(tensors[name].shape) if name in tensors else "absent"
        size = expected.get(name)
        wanted = list(size) if size is not None else "absent" if name not in expected else "of any shape" if shape == "absent" else shape
        if wanted != shape:
            raise DataError(f"{path}: not the weights of this network: {name} is {shape}, expected {wanted}; train into another folder")
        if not torch.isfinite(tensors[name]).all():
            raise DataError(f"{path}: {name} holds values that are not finite; train into another folder")
