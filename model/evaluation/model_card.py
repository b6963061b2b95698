"""The model card of a run, RUN/README.md: intended use, data, metrics, limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from cropcam.model.evaluation.notes import format_metric, leakage_notes
from cropcam.model.networks import NETWORKS
from cropcam.model.runs import history
from cropcam.model.runs.checkpoint import BEST, CARD, HISTORY, METRICS, load_metadata
from cropcam.model.runs.config import RunConfig
from cropcam.model.runs.sealed import read_sealed
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.runtime.terminal import one_line


def write_model_card(run: Path, config: RunConfig) -> None:
    """Write the card from the files of the run folder; with the metrics of metrics.json where they are of these weights.

    Raises:
        OSError: the disk refused.
    """
    atomic_write(run / CARD, model_card(config, _selected_row(run), _metrics(run)))


def model_card(config: RunConfig, selected: history.Row | None, metrics: Mapping[str, Any] | None) -> str:
    """The card as Markdown, from the configuration, the history's row of the weights and metrics.json."""
    truth = config.labels.file or config.store.attrs.get("study", {}).get("labels", {}).get("asset", "not stated")
    lines = [
        f"# {plain(config.network.model)} on {plain(config.store.study)}",
        "",
        "## Intended use",
        f"Maps of {plain(', '.join(config.store.classes.names))} from {len(config.store.bands)} bands ({plain(', '.join(config.store.bands))}), in the region and "
        "season of its training data. Not for single fields, nor for decisions about persons or payments without a check on the ground.",
        "",
        "## Data",
        *_store_lines(config),
        f"- patches of {config.store.size_px} px; store {config.store.digest[:12]}",
        f"- labels: {plain(str(config.label_spec))}; a class counts as present above {100 * config.labels.presence_min_share:g} % of a patch; truth from {plain(str(truth))}",
        _training_line(config),
        *_initial_lines(config),
        "",
        "## Metrics",
        *_validation_lines(selected),
        *_metric_lines(metrics),
        "",
        "## Limits",
        "- Ground truth from a label raster is itself a map with errors of its own.",
        "- Another year, season, sensor or region is another distribution: evaluate there before use.",
        "- A label that is nearly always 1 carries no information: compare every accuracy with the majority guess.",
        "- Pixels without image data in any band are no part of any metric.",
        "",
    ]
    return "\n".join(lines)


def plain(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> print(plain("<img> *a* SR_B1 _x_"))
    \<img\> \*a\* SR_B1 \_x\_
    """
    return re.sub(r"([\\`*\[\]<>|]|(?<!\w)_|_(?!\w))", r"\\\1", one_line(text))


def _code(text: object) -> str:
    return f"`{one_line(str(text)).replace('`', chr(39))}`"


def _store_lines(config: RunConfig) -> list[str]:
    """A line for the store, or for each of several: study, bounds, seasons."""
    if not config.stores:
        return [f"- study {_code(config.store.study)}, {_place(config.store.attrs)}"]
    held = "; held out: its patches are the test split"
    return [
        f"- store {plain(part.name)} ({part.digest[:12]}): study {_code(part.attrs['study']['study']['name'])}, {_place(part.attrs)}{held if part.held_out else ''}"
        for part in config.stores
    ]


def _place(attrs: Mapping[str, Any]) -> str:
    study = attrs.get("study", {})
    period = ", ".join(f"{first} to {last}" for first, last in study.get("image", {}).get("seasons", [])) or "not stated"
    return f"bounds {study.get('area', {}).get('bounds', []) or 'not stated'}, images {period}"


def _training_line(config: RunConfig) -> str:
    if config.is_fitted:
        return f"- fitted at once to labelled pixels, seed {config.data.seed}"
    return (
        f"- loss {config.optimizer.loss}, {config.optimizer.optimizer}, learning rate {config.optimizer.lr:g}, batches of "
        f"{config.data.batch_size}, {config.optimizer.epochs} epochs, seed {config.data.seed}, {config.network.precision}"
    )


def _initial_lines(config: RunConfig) -> list[str]:
    network, lines = config.network, []
    source = "" if network.model in NETWORKS else f" of {config.network_package or 'a module of no installed package'}"
    options = f", {network.model_options}" if network.model_options else ""
    if source or options:
        lines.append(f"- network {plain(f'{network.model}{source}{options}')}")
    if network.init:
        lines.append(f"- initial weights: {plain(PurePath(network.init).name)} (sha256 {config.digests.get('init', '')[:12]})")
    if network.freeze:
        lines.append(f"- not trained: {plain(str(network.freeze))}")
    return lines


def _selected_row(run: Path) -> history.Row | None:
    try:
        return history.read(run / HISTORY, int(load_metadata(run / BEST)["epoch"]))[-1]
    except (
        DataError,
        KeyError,
        ValueError,
        IndexError,
    ):  # a card of an incomplete folder has fewer lines; `train --resume` names the damage
        return None


def _validation_lines(selected: history.Row | None) -> list[str]:
    if selected is None:
        return []
    return [
        f"- validation, epoch {selected.epoch}: loss {selected.validation_loss:.4f}, accuracy {selected.validation_accuracy:.4f}; "
        f"best constant prediction {selected.validation_majority_accuracy:.4f}"
    ]


def _metric_lines(metrics: Mapping[str, Any] | None) -> list[str]:
    if metrics is None:
        return ["- not evaluated yet: `cropcam evaluate` adds metrics"]
    labels, pixels = metrics["classification"], metrics["segmentation"]
    default = pixels["methods"][pixels["default"]]
    return [
        f"- {metrics['split']}, {metrics['patches']:,} patches: label accuracy {format_metric(labels['accuracy'])} "
        f"(majority guess {format_metric(labels['majority_accuracy'])})",
        f"- {metrics['split']}, pixels by {pixels['default']}: accuracy {format_metric(default['pixel_accuracy'])} "
        f"(majority guess {format_metric(pixels['majority_accuracy'])}), macro F1 {format_metric(default['macro_f1'])}",
        *(f"- {sentence}" for sentence in leakage_notes(metrics)),
    ]


def _metrics(run: Path) -> dict[str, Any] | None:
    """The content of metrics.json; None where it is absent, damaged or of other weights."""
    try:
        values = read_sealed(run / METRICS, "the metrics of a run", "provenance", step="evaluate the run again")
        return values if values["provenance"]["checkpoint_digest"] == file_sha256(run / BEST) else None
    except (DataError, OSError, ValueError, KeyError, TypeError):
        return None
