"""A trained run as one file that needs no cropcam: ONNX, or a program of torch.export.

The file takes values as the store holds them, as float32, so that nobody has to standardise by hand, and gives
logits and activation maps per pixel. The number of patches per batch is free; bands and patch size are the run's.
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
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.losses.objectives import ModelOutputs
from cropcam.model.networks import NETWORKS, Network, NetworkOutput
from cropcam.model.networks.contract import one_line
from cropcam.model.runs.checkpoint import load_network, run_provenance
from cropcam.model.runs.config import RunConfig
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.extras import need
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.outputs import Output, check_outputs

TOLERANCE = 1e-3  # of the eager network's outputs: other kernels add in another order
_TENSORS = tuple(name for name in Normalization._fields if name not in ("seasons", "has_nodata"))
Outputs = tuple[Tensor, Tensor]
Predict = Callable[[Tensor], Outputs]


class Exported(nn.Module):
    """Stored values (B, C, H, W) float32 to logits of presence (B, K), present above 0, and activation maps (B, K, H, W) without the bias."""

    def __init__(self, network: Network, config: RunConfig) -> None:
        super().__init__()
        self.network, self._objective, self._min_share = network, config.objective, config.labels.presence_min_share
        normalization = Normalization.of(config, "cpu")
        self._seasons, self._has_nodata = normalization.seasons, normalization.has_nodata
        for name in _TENSORS:
            self.register_buffer(name, getattr(normalization, name))

    def forward(self, dn_BCHW: Tensor) -> Outputs:
        """Logits and activation maps."""
        normalization = Normalization(
            **{name: getattr(self, name) for name in _TENSORS}, seasons=self._seasons, has_nodata=self._has_nodata
        )
        x_BCHW, valid_BHW = standardise(dn_BCHW, normalization)
        maps_BFhw = self.network.maps(x_BCHW)  # an exported program cannot branch on whether all pixels are valid, as the network does
        logits_BK = self.network.dense(self.network.pooled(maps_BFhw, valid_BHW))
        outputs = ModelOutputs(self.network, NetworkOutput(logits_BK, maps_BFhw), valid_BHW)
        return self._objective.presence_logits(outputs, self._min_share), outputs.cams_BKHW


def export_model(run: Path, to: Path) -> str:
    """Write a run's best network to `to`, FILE.onnx or FILE.pt2, checked against the network; returns one line about it.

    Raises:
        ConfigError: another ending, ONNX is not installed, the network is no torch program, or torch cannot export a network that is not built in.
        DataError: no usable run, or the file's outputs differ from the network's; then no file is left.
        OSError: the disk refused.
    """
    check_outputs([Output(to, "--to", "model", _is_exported)], [run])
    writers: dict[str, Callable[[Exported, Tensor, dict[str, str]], tuple[bytes, Predict]]] = {".onnx": _onnx, ".pt2": _program}
    if to.suffix not in writers:
        raise ConfigError(f"--to {to}: name a file that ends in .onnx or .pt2")
    network, config = load_network(run, torch.device("cpu"))
    if config.is_fitted:
        raise ConfigError(
            f"export-model: {config.network.model} is no torch program and cannot be exported; use cropcam map, or train --model linear"
        )
    if to.suffix == ".onnx":
        need("writing ONNX", "export", instead="or name a file that ends in .pt2")
    model = Exported(network, config).eval()
    dn_BCHW = _random_dn(config, patches=3)
    with _quiet():
        with _exportable(config.network.model):
            content, predict = writers[to.suffix](model, dn_BCHW[:2], _metadata(run, config))
        difference = max(_difference(model, predict, dn_BCHW[:count]) for count in (3, 1))
    if not difference <= TOLERANCE:
        raise DataError(f"{to}: its outputs differ from the network's (by {difference:.2g} of the largest value); nothing was written")
    atomic_write(to, content)
    return f"{to}: {len(content) / 1e6:.1f} MB, within {difference:.1g} of the network on random patches"


def _is_exported(path: Path) -> bool:
    """Whether a file is a network that `export_model` wrote: its metadata name the checkpoint, at the end of either kind of file."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.rfind(b"checkpoint_digest") >= 0
    except (OSError, ValueError):  # empty
        return False


def _onnx(model: Exported, dn_BCHW: Tensor, metadata: dict[str, str]) -> tuple[bytes, Predict]:
    import onnx  # noqa: PLC0415 - an extra
    import onnxruntime  # noqa: PLC0415

    free, outputs = _free_batch(), ["logits", "maps"]
    program = torch.onnx.export(
        model, (dn_BCHW,), dynamo=True, dynamic_shapes=free, verbose=False, input_names=["dn"], output_names=outputs
    )
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, metadata)
    content: bytes = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def predict(dn_BCHW: Tensor) -> Outputs:
        logits_BK, maps_BKHW = session.run(None, {"dn": dn_BCHW.numpy()})
        return torch.from_numpy(logits_BK), torch.from_numpy(maps_BKHW)

    return content, predict


def _program(model: Exported, dn_BCHW: Tensor, metadata: dict[str, str]) -> tuple[bytes, Predict]:
    file = io.BytesIO()
    program = torch.export.export(model, (dn_BCHW,), dynamic_shapes=_free_batch())
    torch.export.save(program, file, extra_files={"cropcam.json": json.dumps(metadata)})
    predict: Predict = torch.export.load(io.BytesIO(file.getvalue())).module()
    return file.getvalue(), predict


def _free_batch() -> tuple[dict[int, torch.export.Dim]]:
    return ({0: torch.export.Dim("batch", min=1)},)


def _metadata(run: Path, config: RunConfig) -> dict[str, str]:
    return {
        **run_provenance(run, config),
        "labels": config.labels.labels,
        "bands": ",".join(config.store.bands),
        "classes": ",".join(config.store.classes.names),
        "input": f"dn (batch, band, y, x) float32: values as stored; physical value = dn x scale + offset; {_meaning(config)}",
        "output": f"logits (batch, class), above 0: the class is predicted to cover more than {config.labels.presence_min_share:g} of the valid pixels; "
        "maps (batch, class, y, x): activation maps without the bias",
    }


def _random_dn(config: RunConfig, patches: int) -> Tensor:
    """Stored values of the training data's mean and deviation, some of them nodata."""
    store, encoding = config.store, config.store.encoding
    mean, std, scale, offset = (np.array(values).reshape(-1, 1, 1) for values in (store.mean, store.std, encoding.scale, encoding.offset))
    normal = np.random.default_rng(0).normal(size=(patches, len(store.bands), store.size_px, store.size_px))
    dn_BCHW = ((mean + std * normal - offset) / scale).astype(np.float32)
    dn_BCHW[:, encoding.has_nodata_C, :2, :3] = encoding.nodata_C[encoding.has_nodata_C].reshape(-1, 1, 1)
    return torch.from_numpy(dn_BCHW)


def _meaning(config: RunConfig) -> str:
    """Scale, offset and nodata: once where all bands have the same."""
    encoding = config.store.encoding
    values = {"scale": encoding.scale, "offset": encoding.offset, "nodata": encoding.nodata}
    return ", ".join(f"{name} {numbers[0] if encoding.is_uniform else list(numbers)}" for name, numbers in values.items())


@torch.no_grad()
def _difference(model: Exported, predict: Predict, dn_BCHW: Tensor) -> float:
    # relative to the largest value of each output; NaN where an output is not finite, which no tolerance accepts
    pairs = list(zip(model(dn_BCHW), predict(dn_BCHW), strict=True))
    if any(expected.shape != actual.shape for expected, actual in pairs):
        return float("nan")
    return max(float((expected - actual).abs().max() / expected.abs().max().clamp_min(1e-12)) for expected, actual in pairs)


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
