"""The STAC item of a run, RUN/stac.json: its network by the extension MLM, the place and the seasons of its training data, its files.

Source: https://github.com/stac-extensions/mlm, version 1.4.0. The same weights give the same bytes: files with times or places in them have no
checksum.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any

from cropcam.model.data.normalization import CLIP, Normalization
from cropcam.model.networks import Network
from cropcam.model.runs.checkpoint import BEST, ENVIRONMENT, HISTORY, ITEM, METRICS
from cropcam.model.runs.config import CONFIG, RunConfig
from cropcam.model.segmentation.methods import SEGMENT
from cropcam.model.transfer.domain import store_seasons
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps import stac
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.store.schema import StoreInfo
from cropcam.pipeline.text_files import read_json

_EXTENSIONS = (stac.MLM, stac.CLASSIFICATION, stac.RASTER, stac.FILE, stac.PROCESSING)
_FILES = {  # of the run folder, beside the weights
    "config": (CONFIG, "Settings and store"),
    "history": (HISTORY, "Loss and accuracy of each epoch"),
    "segmentation": (SEGMENT, "Methods from activation maps to classes"),
    "metrics": (METRICS, "Metrics, with intervals"),
}
_HIDDEN = ("init", "data_loading")  # settings that are places or of the machine


def write_run_item(run: Path, network: Network, config: RunConfig) -> Path:
    """Write the item from the files of the run folder; its path.

    Raises:
        OSError: the disk refused.
    """
    path = run / ITEM
    atomic_write(path, stac.as_text(run_item(run, network, config)))
    return path


def run_item(run: Path, network: Network, config: RunConfig) -> dict[str, Any]:
    """The item as JSON values. Links are relative to the folder."""
    infos = [StoreInfo.from_attrs(attrs, f"{run}/{CONFIG}") for attrs in config.store_attrs()]
    seasons = [season for info in infos for season in store_seasons(info)]
    bands, name = _bands(config), model_name(config)
    roles = ["mlm:model", "mlm:weights"]
    weights = stac.asset(run / BEST, run, "Weights of the selected epoch", roles, bands=bands)
    assets = {"model": {**weights, "mlm:artifact_type": "safetensors.torch.save"}}
    assets |= {key: stac.reference(run / file, run, title, ["metadata"]) for key, (file, title) in _FILES.items() if (run / file).is_file()}
    properties = {
        "title": f"{config.network.model} on {config.store.study}",
        "description": (
            f"Maps of {', '.join(config.store.classes.names)} from {len(bands)} bands, trained on {config.labels.labels} labels."
            + ("" if seasons else f" {stac.DATES_UNKNOWN}")
        ),
        **stac.interval(seasons),
        "bands": bands,
        "processing:lineage": f"trained on {config.labels.labels} labels of the store {config.store.digest[:12]}, seed {config.data.seed}",
        "processing:software": {"cropcam": config.code_version},
        "cropcam:study": config.store.study,
        "cropcam:store_digest": config.store.digest,
        "mlm:name": name,
        "mlm:architecture": config.network.model,
        "mlm:tasks": ["semantic-segmentation"],
        **_framework(run, config),
        "mlm:total_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "mlm:pretrained": bool(config.network.init),
        "mlm:pretrained_source": PurePath(config.network.init).name or None,
        "mlm:batch_size_suggestion": config.data.batch_size,
        "mlm:input": [_input(config)],
        "mlm:output": [_output(config)],
        "mlm:hyperparameters": _hyperparameters(config),
    }
    return stac.whole_item(name, _EXTENSIONS, [info.pixel_grid for info in infos], properties, [], assets)


def model_name(config: RunConfig) -> str:
    """The name of the model: network, study, kind of label and seed, in the letters that `mlm:name` has."""
    text = f"{config.network.model}-{config.store.study}-{config.labels.labels}-seed-{config.data.seed}"
    return re.sub(r"^[^A-Za-z]+", "", re.sub(r"[^A-Za-z0-9_.-]+", "-", text))


def _bands(config: RunConfig) -> list[dict[str, Any]]:
    """The bands as the store has them."""
    encoding = config.store.encoding
    return [
        {
            "name": name,
            "data_type": encoding.dtype,
            **stac.missing(nodata),
            "raster:scale": scale,
            "raster:offset": offset,
        }
        for name, scale, offset, nodata in zip(config.store.bands, encoding.scale, encoding.offset, encoding.nodata, strict=True)
    ]


def _input(config: RunConfig) -> dict[str, Any]:
    normalization = Normalization.of(config, "cpu")
    numbers = zip(normalization.mean_C.tolist(), normalization.std_C.tolist(), strict=True)
    size, bands = config.store.size_px, list(config.store.bands)
    return {
        "name": "image",
        "description": f"Physical values, standardised by band and clipped to +-{CLIP:g}; a missing value is 0.",
        "bands": bands,
        "input": {
            "shape": [-1, len(bands), size, size],
            "dim_order": ["batch", "channel", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": [{"type": "z-score", "mean": mean, "stddev": std} for mean, std in numbers],
        "resize_type": None,
        "pre_processing_function": {"format": "python", "expression": "cropcam.model.data.normalization:standardise"},
    }


def _output(config: RunConfig) -> dict[str, Any]:
    size, classes = config.store.size_px, stac.classes(config.store.classes, nodata=False)
    return {
        "name": "classes",
        "description": "Scores of each pixel; the class is the highest.",
        "tasks": ["semantic-segmentation"],
        "result": {
            "shape": [-1, len(classes), size, size],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": classes,
        "post_processing_function": {"format": "python", "expression": "cropcam.map_raster"},
    }


def _hyperparameters(config: RunConfig) -> dict[str, Any]:
    """The settings that have a value."""
    sections = (config.optimizer, config.strategy, config.data, config.network)
    settings = {name: value for section in sections for name, value in vars(section).items() if name not in _HIDDEN}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items() if value not in ("", (), None)}


def _framework(run: Path, config: RunConfig) -> dict[str, str]:
    """Framework and version, as RUN/environment.json has it."""
    if config.network.model == "trees":
        return {"mlm:framework": "LightGBM"}
    try:
        version = str(read_json(run / ENVIRONMENT, "the environment of a run")["torch"])
    except (DataError, KeyError, TypeError):  # a run of an earlier version
        version = ""
    is_release = re.fullmatch(r"\d+\.\d+\.\d+(\+[0-9A-Za-z.-]+)?", version)
    return {"mlm:framework": "PyTorch", **({"mlm:framework_version": version} if is_release else {})}
