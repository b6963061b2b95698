"""A trained run as one file that needs no cropcam: ONNX, or a program of torch.export.

The file takes values as the store holds them, of the store's type, so that nobody has to convert or standardise by hand. It holds the map, for rasters
of any size (`cropcam.model.inference.map_program`), or the classifier of patches (`cropcam.model.inference.patch_program`).
Axis suffixes: B batch, C band, H/W rows and columns, K class.
"""

from __future__ import annotations

import io
import json
import logging
import mmap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from cropcam.model.inference.map_program import MapProgram
from cropcam.model.inference.output_difference import difference
from cropcam.model.inference.patch_program import PatchProgram
from cropcam.model.inference.predictor import Predictor
from cropcam.model.networks import NETWORKS, Network
from cropcam.model.networks.contract import one_line
from cropcam.model.runs.checkpoint import load_network, run_provenance
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.fitting import method_of
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.extras import need
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.outputs import Output, check_outputs
from cropcam.pipeline.runtime.progress import silent

TOLERANCE = 1e-3  # of the eager module's outputs: other kernels add in another order
MAP, PATCHES = "map", "patches"
Arrays = tuple[Tensor, Tensor]
Predict = Callable[[Tensor], Arrays]


@dataclass(frozen=True)
class Program:
    """A module to be written, and what stands about it in the file.

    Attributes:
        module: from stored values to two outputs.
        outputs: their names.
        meaning: of the outputs, for the file's metadata.
        free: names of the axes of the input that have no fixed length, by their number.
        examples: shapes of the rasters or patches (B, C, H, W) that the file is traced with (the first) and checked with.
    """

    module: nn.Module
    outputs: tuple[str, str]
    meaning: dict[str, str]
    free: dict[int, str]
    examples: tuple[tuple[int, int, int, int], ...]

    @property
    def dynamic_shapes(self) -> tuple[dict[int, Dim]]:
        """As torch's exporters take them."""
        return ({axis: Dim(name, min=1) for axis, name in self.free.items()},)


def export_model(run: Path, to: Path, *, outputs: str = MAP, log: Callable[[str], object] = silent) -> str:
    """Write a run's best network to `to`, FILE.onnx or FILE.pt2, checked against the network; returns one line about it.

    Args:
        run: the run folder.
        to: the file, complete or absent.
        outputs: "map": class probabilities and classes of rasters of any size, by the run's own method; "patches": presence and activation maps of patches.
        log: called with a line where the probabilities are not calibrated.

    Raises:
        ConfigError: another ending or other outputs, ONNX is not installed, the network is no torch program, or torch cannot export a network that is not
            built in.
        DataError: no usable run, or the file's outputs differ from the network's; then no file is left.
        OSError: the disk refused.
    """
    check_outputs([Output(to, "--to", "model", _is_exported)], [run])
    writers: dict[str, Callable[[Program, Tensor, dict[str, str]], tuple[bytes, Predict]]] = {".onnx": _onnx, ".pt2": _torch_program}
    programs = {MAP: _map_program, PATCHES: _patch_program}
    if to.suffix not in writers:
        raise ConfigError(f"--to {to}: name a file that ends in .onnx or .pt2")
    if outputs not in programs:
        raise ConfigError(f"--outputs {outputs}: no such outputs; choose one of {', '.join(programs)}")
    network, config = load_network(run, torch.device("cpu"))
    if config.is_fitted:
        raise ConfigError(
            f"export-model: {config.network.model} is no torch program and cannot be exported; use cropcam map, or train --model linear"
        )
    if to.suffix == ".onnx":
        need("writing ONNX", "export", instead="or name a file that ends in .pt2")
    program = programs[outputs](run, network, config, log)
    examples = [_random_dn(config, shape) for shape in program.examples]
    with _quiet():
        with _exportable(config.network.model):
            content, predict = writers[to.suffix](program, examples[0], _metadata(run, config, program))
        differs = max(difference(program.module, predict, dn_BCHW) for dn_BCHW in examples)
    if not differs <= TOLERANCE:
        raise DataError(f"{to}: its outputs differ from the network's (by {differs:.2g} of the largest value); nothing was written")
    atomic_write(to, content)
    return f"{to}: {len(content) / 1e6:.1f} MB, {' and '.join(program.outputs)}, within {differs:.1g} of the network on random values"


def _map_program(run: Path, network: Network, config: RunConfig, log: Callable[[str], object]) -> Program:
    method = method_of(run, network, config, log=log)
    module = MapProgram(Predictor(config, network.state_dict(), method, "cpu")).eval()
    bands, size = len(config.store.bands), config.store.size_px
    meaning = {
        "output": "probabilities (batch, class, y, x): calibrated, NaN without data; classes (batch, y, x): index of the class, 255 without data",
        "method": method.name,
        "window": f"a window of a raster gives the pixels of its map where it begins at a multiple of {module.step_px} px and holds "
        f"{module.halo_px} px more on each side",
    }
    examples = ((2, bands, size + 3, 2 * size + 1), (1, bands, size // 2 + 1, size + 5), (3, bands, size, 1))
    return Program(module, ("probabilities", "classes"), meaning, {0: "batch", 2: "height", 3: "width"}, examples)


def _patch_program(run: Path, network: Network, config: RunConfig, log: Callable[[str], object]) -> Program:  # noqa: ARG001 - as of the map
    meaning = {
        "output": f"logits (batch, class), above 0: the class is predicted to cover more than {config.labels.presence_min_share:g} of the valid pixels; "
        "maps (batch, class, y, x): activation maps without the bias",
    }
    bands, size = len(config.store.bands), config.store.size_px
    examples = tuple((count, bands, size, size) for count in (2, 3, 1))
    return Program(PatchProgram(network, config).eval(), ("logits", "maps"), meaning, {0: "batch"}, examples)


def _is_exported(path: Path) -> bool:
    """Whether a file is a network that `export_model` wrote: its metadata name the checkpoint, at the end of either kind of file."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.rfind(b"checkpoint_digest") >= 0
    except (OSError, ValueError):  # empty
        return False


def _onnx(program: Program, dn_BCHW: Tensor, metadata: dict[str, str]) -> tuple[bytes, Predict]:
    import onnx  # noqa: PLC0415 - an extra
    import onnxruntime  # noqa: PLC0415

    written = torch.onnx.export(
        _traced(program, dn_BCHW),
        (dn_BCHW,),
        dynamo=True,
        dynamic_shapes=program.dynamic_shapes,
        verbose=False,
        input_names=["dn"],
        output_names=list(program.outputs),
    )
    assert written is not None
    proto = written.model_proto
    onnx.helper.set_model_props(proto, metadata)
    content: bytes = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def predict(dn_BCHW: Tensor) -> Arrays:
        first, second = session.run(None, {"dn": dn_BCHW.numpy()})
        return torch.from_numpy(first), torch.from_numpy(second)

    return content, predict


def _torch_program(program: Program, dn_BCHW: Tensor, metadata: dict[str, str]) -> tuple[bytes, Predict]:
    file = io.BytesIO()
    torch.export.save(_traced(program, dn_BCHW), file, extra_files={"cropcam.json": json.dumps(metadata)})
    predict: Predict = torch.export.load(io.BytesIO(file.getvalue())).module()
    return file.getvalue(), predict


def _traced(program: Program, dn_BCHW: Tensor) -> torch.export.ExportedProgram:
    # Conditions on lengths that always hold, but that the tracer cannot prove, become assertions in the program instead of bounds.
    return torch.export.export(
        program.module, (dn_BCHW,), dynamic_shapes=program.dynamic_shapes, prefer_deferred_runtime_asserts_over_guards=True
    )


def _metadata(run: Path, config: RunConfig, program: Program) -> dict[str, str]:
    return {
        **run_provenance(run, config),
        "labels": config.labels.labels,
        "bands": ",".join(config.store.bands),
        "classes": ",".join(config.store.classes.names),
        "input": f"dn (batch, band, y, x) {config.store.encoding.dtype}: values as stored; physical value = dn x scale + offset; {_meaning(config)}",
        **program.meaning,
    }


def _random_dn(config: RunConfig, shape: tuple[int, int, int, int]) -> Tensor:
    """Stored values (B, C, H, W) of the training data's mean and deviation, of the store's type, some of them nodata."""
    store, encoding = config.store, config.store.encoding
    mean, std, scale, offset = (np.array(values).reshape(-1, 1, 1) for values in (store.mean, store.std, encoding.scale, encoding.offset))
    values_BCHW, dtype = (mean + std * np.random.default_rng(0).normal(size=shape) - offset) / scale, np.dtype(encoding.dtype)
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        values_BCHW = np.rint(values_BCHW).clip(max(limits.min, -(2**53)), min(limits.max, 2**53))
    dn_BCHW = values_BCHW.astype(dtype)
    dn_BCHW[:, encoding.has_nodata_C, :2, :3] = encoding.nodata_C[encoding.has_nodata_C].reshape(-1, 1, 1)
    return torch.from_numpy(dn_BCHW)


def _meaning(config: RunConfig) -> str:
    """Scale, offset and nodata: once where all bands have the same."""
    encoding = config.store.encoding
    values = {"scale": encoding.scale, "offset": encoding.offset, "nodata": encoding.nodata}
    return ", ".join(f"{name} {numbers[0] if encoding.is_uniform else list(numbers)}" for name, numbers in values.items())


@contextmanager
def _exportable(network: str) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if network in NETWORKS:  # then it is a bug
            raise
        raise ConfigError(f"network {network}: torch cannot export it: {one_line(error)}; see 'Export' in docs/networks.md") from error


@contextmanager
def _quiet() -> Iterator[None]:
    # a user can do nothing about the exporters' own deprecations and notes
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
