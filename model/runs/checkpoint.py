"""The run folder: its configuration, its environment, and checkpoints that need no pickle.

RUN/config.json          what was trained, on what, how: enough to rebuild the network and its labels
RUN/environment.json     versions, platform, device
RUN/history.csv          one line per epoch
RUN/last.safetensors     weights, optimiser state and epoch: where `--resume` goes on
RUN/README.md            the model card, once trained
RUN/best.safetensors     the weights with the lowest validation loss, or of the last epoch where a network labels itself: what `evaluate`, `map` and `report` use
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.model.losses.objectives import Objective, objective
from cropcam.model.networks import Network, build
from cropcam.model.runs.options import Options
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.runtime.provenance import provenance
from cropcam.pipeline.store.schema import StoreInfo

CONFIG, LAST, BEST, HISTORY = "config.json", "last.safetensors", "best.safetensors", "history.csv"
ENVIRONMENT, CARD = "environment.json", "README.md"
_MADE_BY = "cropcam"  # the one metadata key; safetensors writes several in no fixed order, and bytes are to repeat
_CONSEQUENCES = ("digests", "dropped", "statistics")  # attributes of a store that follow from others
_MEMORY = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.Adam: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.SGD: ("momentum_buffer",),
}


@dataclass(frozen=True, kw_only=True)
class RunConfig(Options):
    """What was trained, on what, how.

    `mean` and `std` are reflectance per band over the training split; `store_attrs` is what the store said of itself;
    `class_prior` the classes' shares of pixels as the user knows them, empty where unknown.
    """

    study: str
    store: str
    store_digest: str
    model: str
    labels: str
    presence_min_share: float
    bands: tuple[str, ...]
    classes: Legend
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    seed: int
    code_version: str
    store_attrs: dict[str, Any] = field(default_factory=dict)
    loss: str = "bce"
    precision: str = "fp32"
    feed: str = "resident"
    points_digest: str = ""
    areas_digest: str = ""

    @property
    def rule(self) -> LabelSpec:
        """How its weak labels are made."""
        told = {item.name: getattr(self, item.name) for item in fields(LabelSpec) if item.name != "kind"}
        return LabelSpec(kind=self.labels, **told)

    @property
    def keep_last_epoch(self) -> bool:
        """Whether the last epoch is kept and not the best: a network that labels itself grows surer, which its weak labels take amiss."""
        return self.self_labels > 0

    @property
    def matches_prior(self) -> bool:
        """Whether one-vs-rest logits are put on one scale by the known class shares, in pseudo-labels and in the segmentation."""
        return bool(self.class_prior) and not self.objective.is_softmax

    @property
    def objective(self) -> Objective:
        """What it learns by."""
        return objective(self.loss, self.labels)

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON values."""
        values = asdict(self)
        return {
            **{name: values[name] for name in RunConfig.__annotations__},  # for readers: what was trained on what, then the options
            **values,
            "classes": self.classes.attrs(),
            "bands": list(self.bands),
            "mean": list(self.mean),
            "std": list(self.std),
            "class_prior": list(self.class_prior),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunConfig:
        """The inverse of `to_json`."""
        lists: dict[str, Any] = {key: tuple(values[key]) for key in ("bands", "mean", "std", "class_prior")}
        return cls(**{**values, **lists, "classes": Legend.from_attrs(values["classes"])})


def store_differences(config: RunConfig, info: StoreInfo) -> list[str]:
    """One line per attribute in which a store differs from the one the run was trained on; empty when they are the same.

    What follows from other differences (digests, counts, statistics) comes last.
    The code version counts for nothing: it is no part of what was cut, from what, how.
    """
    if config.store_digest == info.digest:
        return []
    ours, theirs = _flat(config.store_attrs), _flat(info.attrs())
    differing = [key for key in {*ours, *theirs} - {"code_version"} if ours.get(key) != theirs.get(key)]
    if not ours or not differing:
        return [f"digest: {config.store_digest[:12]} against {info.digest[:12]}"]
    differing.sort(key=lambda key: (key.startswith(_CONSEQUENCES), key))
    return [f"{key}: {ours.get(key)!r} against {theirs.get(key)!r}" for key in differing]


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON values atomically, for readers: indented, one line end at the end."""
    atomic_write(path, json.dumps(values, indent=2) + "\n")


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors as safetensors, atomically. The same tensors and metadata give the same bytes.

    Serialised in memory and written here, not by `save_file`: that one leaves a temporary file of its own when killed,
    makes the checkpoint unreadable to others (mode 0600) and hides the disk's error number.

    Raises:
        OSError: the disk says no; what was at `path` before is still there.
    """
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    atomic_write(path, save(flat, {_MADE_BY: json.dumps(metadata, sort_keys=True)}))


def run_provenance(run: Path, config: RunConfig) -> dict[str, str]:
    """Provenance of an artefact that the run's best network made."""
    digests = {"store_digest": config.store_digest, "checkpoint_digest": file_sha256(run / BEST)}
    return {**provenance(config.study, **digests), "model": config.model}


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a checkpoint, on the CPU.

    Raises:
        DataError: absent or damaged.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, _metadata(file)  # noqa: SIM118 - no mapping


def load_metadata(path: Path) -> dict[str, str]:
    """What a checkpoint says of itself; its tensors are not read.

    Raises:
        DataError: absent or damaged.
    """
    with _opened(path) as file:
        return _metadata(file)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise DataError(f"{path}: no checkpoint; train the run first: cropcam train STORE --run {path.parent}")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: damaged checkpoint ({error}); train into another folder") from None


def _metadata(file: Any) -> dict[str, str]:  # noqa: ANN401 - safetensors names no type
    found: dict[str, str] = json.loads((file.metadata() or {}).get(_MADE_BY, "{}"))
    return found


def load_config(run: Path) -> RunConfig:
    """The configuration of a run folder.

    Raises:
        DataError: no run folder, or a damaged configuration.
    """
    path = run / CONFIG
    if not path.is_file():
        raise DataError(f"{run}: no run folder (no {CONFIG} in it); make one with 'cropcam train STORE --run {run}'")
    try:
        return RunConfig.from_json(json.loads(path.read_text("utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); train the run again") from None


def load_network(run: Path, device: torch.device) -> tuple[Network, RunConfig]:
    """The run's best network, in evaluation mode on `device`, and its configuration.

    Raises:
        DataError: no run folder, no checkpoint, a damaged one, or one of another network.
    """
    config = load_config(run)
    tensors, _ = load_tensors(run / BEST)
    with torch.random.fork_rng(devices=[]):  # the caller's random state is its own
        network = build(config.model, len(config.bands), len(config.classes))
    load_weights(network, tensors, run / BEST)
    return network.to(device).eval(), config


def load_weights(network: Network, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put the tensors of the checkpoint at `path` into `network`.

    Raises:
        DataError: a tensor is missing, unknown, of another shape or not finite.
    """
    _check({name: tensor.shape for name, tensor in network.state_dict().items()}, tensors, path)
    network.load_state_dict(dict(tensors))


def training_state(network: Network, optimiser: torch.optim.Optimizer, average: Network | None = None) -> dict[str, Tensor]:
    """All that the next step depends on: `network.NAME`, where there is one `average.NAME`, and of parameter I `optimiser.I.NAME` (for AdamW step, exp_avg, exp_avg_sq)."""
    networks = _networks(network, average).items()
    weights = {f"{which}.{name}": tensor for which, one in networks for name, tensor in one.state_dict().items()}
    memory = optimiser.state_dict()["state"]
    return weights | {f"optimiser.{index}.{name}": tensor for index, kept in memory.items() for name, tensor in kept.items()}


def load_training_state(
    network: Network, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], path: Path, average: Network | None = None
) -> None:
    """The inverse of `training_state`, from the checkpoint at `path`.

    Raises:
        DataError: a tensor is missing, unknown, of another shape or not finite.
    """
    remembered = {index: state_shapes(optimiser, parameter) for index, parameter in enumerate(network.parameters())}
    networks = _networks(network, average)
    expected = {f"{which}.{name}": tensor.shape for which, one in networks.items() for name, tensor in one.state_dict().items()}
    expected |= {f"optimiser.{index}.{name}": shape for index, kept in remembered.items() for name, shape in kept.items()}
    _check(expected, tensors, path)
    for which, one in networks.items():
        one.load_state_dict({name: tensors[f"{which}.{name}"] for name in one.state_dict()})
    parameters, memory = list(network.parameters()), {}
    for index, kept in remembered.items():
        found = {name: tensors[f"optimiser.{index}.{name}"] for name in kept}
        # laid out as the parameter is: fused kernels walk both as they lie in memory
        memory[index] = {name: t if name == "step" else torch.empty_like(parameters[index]).copy_(t) for name, t in found.items()}
    optimiser.load_state_dict({**optimiser.state_dict(), "state": memory})


def _networks(network: Network, average: Network | None) -> dict[str, Network]:
    return {"network": network} | ({"average": average} if average else {})


def _check(expected: Mapping[str, torch.Size], found: Mapping[str, Tensor], path: Path) -> None:
    for name in sorted({*expected, *found}):
        wanted = list(expected[name]) if name in expected else "absent"
        shape = list(found[name].shape) if name in found else "absent"
        if wanted != shape:
            raise DataError(f"{path}: not the weights of this network: {name} is {shape}, expected {wanted}; train into another folder")
        if not torch.isfinite(found[name]).all():
            raise DataError(f"{path}: {name} holds values that are not finite; train into another folder")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    # nested attributes as dotted keys, so that the one that differs can be named
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def state_shapes(optimiser: torch.optim.Optimizer, parameter: Tensor) -> dict[str, torch.Size]:
    """What the optimiser state_shapes of a parameter once it has moved: names and shapes."""
    return {name: torch.Size() if name == "step" else parameter.shape for name in _MEMORY[type(optimiser)]}
