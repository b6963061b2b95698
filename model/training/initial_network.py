"""The network of a run before its first step: new or given weights, its contract checked, its frozen parts frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from cropcam.model.networks import NETWORKS, Network
from cropcam.model.networks.base import STATISTICS
from cropcam.model.networks.contract import check_maps
from cropcam.model.runs.checkpoint import BEST, LAST
from cropcam.model.runs.config import RunConfig, load_config
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.hashing import file_sha256

NOTHING = "none"  # of --freeze, where the default is another
_DENSE = ("dense.weight", "dense.bias")
SHOWN = 3  # names of tensors in a line
Shapes = Mapping[str, tuple[int, ...]]
_COUNTER = "num_batches_tracked"  # of batch norm; not every file of weights has it


def initial_network(config: RunConfig, run: Path, log: Callable[[str], None]) -> Network:
    """The network with which the run in the folder `run` begins, or into which its checkpoint is loaded; on the CPU.

    Raises:
        ConfigError: the network does not fulfil its contract, or `freeze` names no part of it.
        DataError: the initial weights have changed, are damaged or of another architecture.
    """
    options, store = config.network, config.store
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.data.seed)
        network = config.new_network()
    if options.model not in NETWORKS:
        check_maps(network, options.model, bands=len(store.bands), size_px=store.size_px)
    if options.init and not (run / LAST).exists():
        log(load_initial_weights(network, config))
    if options.freeze not in ("", NOTHING):
        network.freeze(*(part.strip().rstrip(".") for part in options.freeze.split(",")))
        fixed = sum(parameter.numel() for parameter in network.parameters() if not parameter.requires_grad)
        kept = "the statistics of batch norm stay; " if STATISTICS in network.frozen else ""
        log(
            f"--freeze {options.freeze}: {kept}{fixed:,} of {sum(each.numel() for each in network.parameters()):,} parameters are not trained"
        )
    return network


def resolve_initial_weights(path: str, option: str) -> tuple[str, str]:
    """The absolute path of initial weights, a file or a run folder, and the sha256 (hex) of the file, in a folder that of its best weights.

    Raises:
        ConfigError: it cannot be read or is not a safetensors file; names the option.
    """
    absolute = Path(path).resolve()
    file = _weights_file(absolute)
    try:
        file.stat()
        if file.suffix != ".safetensors":
            raise ConfigError(f"{option} {path}: only .safetensors files are read (files of torch.save are pickle); convert it first")
        return str(absolute), file_sha256(file)
    except OSError as error:
        raise ConfigError(f"{option} {path}: {error.strerror}: {file}; name a .safetensors file or the folder of a trained run") from None


def load_initial_weights(network: Network, config: RunConfig) -> str:
    """Load the tensors of `config.network.init` that match in name and shape; one line with what matched and what did not.

    Names also match below one part of the network, so that the weights of an encoder alone fit the part that holds it. The dense layer of
    a run with other classes is taken class by class.

    Raises:
        DataError: the file is damaged, has changed, has values that are not finite, or no weight matches.
    """
    init = Path(config.network.init)
    file, state = _weights_file(init), network.state_dict()
    rows, note = _compare_run(init, config)
    try:
        if (now := file_sha256(file)) != (then := config.digests.get("init", now)):
            raise DataError(f"{file}: changed since the run began (sha256 {then[:12]} then, {now[:12]} now); put that file back")
        with safe_open(file, framework="pt") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118 - no mapping
            part, names = match({name: tuple(tensor.shape) for name, tensor in state.items()}, shapes, dense=rows is None)
            if not any(len(shapes[name]) > 1 and not own.startswith("dense.") for own, name in names.items()):
                raise DataError(
                    f"--init {init}: weights of another architecture: none of its {len(shapes)} tensors ({_listed(list(shapes))}) has name and "
                    f"shape of a weight of {config.network.model} ({_listed(list(state))}); name weights of this network or of a part of it"
                )
            taken = {own: opened.get_tensor(name) for own, name in names.items()}
            if rows and all(name in shapes and shapes[name][1:] == tuple(state[name].shape)[1:] for name in _DENSE):
                taken |= {name: _rows(opened.get_tensor(name), state[name], rows) for name in _DENSE}
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{file}: damaged weights ({error}); name another file") from None
    _copy(taken, state, file)
    new = [name for name in state if name not in taken and not name.endswith(_COUNTER)]
    left = [name for name in shapes if name not in {*names.values(), *taken} and not name.endswith(_COUNTER)]
    parts = [
        f"{len(names)} of the network's {len(state)} tensors taken{f', below {part}' if part else ''}",
        *([f"new: {_listed(new)}"] if new else []),
        *([f"left in the file: {_listed(left)}"] if left else []),
        *note,
    ]
    return f"--init {init}: {'; '.join(parts)}"


def match(network: Shapes, file: Shapes, *, dense: bool = True) -> tuple[str, dict[str, str]]:
    """The part of the network below which most tensors of a file match in name and shape, and the file's name by the network's name.

    Without `dense` the dense layer matches nothing.

    >>> match({"stem.weight": (3, 7), "encoder.0.weight": (8, 3)}, {"0.weight": (8, 3), "fc.weight": (9, 8)})
    ('encoder', {'encoder.0.weight': '0.weight'})
    """
    pieces = [name.split(".") for name in network]
    parts = sorted(
        {".".join(words[:count]) for words in pieces for count in range(len(words))}, key=lambda part: (part.count("."), len(part), part)
    )
    best: tuple[str, dict[str, str]] = ("", {})
    for part in parts:
        own = {f"{part}.{name}" if part else name: name for name in file}
        names = {key: name for key, name in own.items() if network.get(key) == file[name] and (dense or not key.startswith("dense."))}
        if len(names) > len(best[1]):
            best = part, names
    return best


def _weights_file(path: Path) -> Path:
    return path / BEST if path.is_dir() else path


def _compare_run(init: Path, config: RunConfig) -> tuple[list[tuple[int, int]] | None, list[str]]:
    """The classes, by index here and in the run folder `init`, that both have, and what differs, in words; None where all are the same.

    A file has neither classes nor bands.
    """
    if not init.is_dir():
        return None, []
    trained = load_config(init)
    before, now, note = trained.store, config.store, list[str]()
    if before.bands != now.bands:
        note.append(f"the run's bands were {', '.join(before.bands)}")
    if before.classes.names == now.classes.names:
        return None, note
    then = {name.casefold(): index for index, name in enumerate(before.classes.names)}
    known = [name for name in now.classes.names if name.casefold() in then]
    new = [name for name in now.classes.names if name not in known]
    note.append(
        f"its classes were {', '.join(before.classes.names)}: of the dense layer "
        + (f"{', '.join(known)} are taken by name" if known else "nothing is taken")
        + (f", {', '.join(new)} are new" if new else "")
    )
    return [(now.classes.names.index(name), then[name.casefold()]) for name in known], note


def _rows(given: Tensor, own: Tensor, rows: Sequence[tuple[int, int]]) -> Tensor:
    """The network's tensor with the rows of the classes that both have."""
    found = own.clone()
    for here, there in rows:
        found[here] = given[there]
    return found


@torch.no_grad()
def _copy(taken: Mapping[str, Tensor], state: Mapping[str, Tensor], file: Path) -> None:
    for name, tensor in taken.items():
        if not tensor.isfinite().all():
            raise DataError(f"{file}: {name} holds values that are not finite; name another file")
    for name, tensor in taken.items():
        state[name].copy_(tensor)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
