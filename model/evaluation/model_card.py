"""The model card of a run: RUN/README.md, what it is for, what it learned from, how good it is, where it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cropcam.model.evaluation.results import four_decimals, seen_before
from cropcam.model.runs import history
from cropcam.model.runs.checkpoint import BEST, CARD, HISTORY, RunConfig, load_metadata
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.hashing import file_sha256

_METRICS = "metrics.json"


def write_card(run: Path, config: RunConfig) -> None:
    """Write the card from what the run folder holds; with the figures of metrics.json once the run is evaluated.

    Raises:
        OSError: the disk says no.
    """
    atomic_write(run / CARD, card(config, _best(run), _metrics(run)))


def _best(run: Path) -> history.Row | None:
    try:
        return history.read(run / HISTORY, int(load_metadata(run / BEST)["epoch"]))[-1]
    except (DataError, KeyError, ValueError, IndexError):  # a card says what is known; whoever trains on is told of the damage
        return None


def card(config: RunConfig, best: history.Row | None, metrics: dict[str, Any] | None) -> str:
    """The card as Markdown."""
    study = config.store_attrs.get("study", {})
    seasons = study.get("image", {}).get("seasons", [])
    bounds = study.get("area", {}).get("bounds", [])
    period = ", ".join(f"{first} to {last}" for first, last in seasons) or "not stated"
    lines = [
        f"# {config.model} on {config.study}",
        "",
        "## Intended use",
        f"Maps of {', '.join(config.classes.names)} from {len(config.bands)} bands ({', '.join(config.bands)}) of surface reflectance, in the region and "
        "season it was trained on. Not for single fields, nor for decisions about persons or payments without a check on the ground.",
        "",
        "## Data",
        f"- study `{config.study}`, bounds {bounds or 'not stated'}, images {period}",
        f"- patches of {config.size_px} px; store {config.store_digest[:12]}",
        f"- labels: {config.rule}; a class counts as present above {100 * config.presence_min_share:g} % of a patch; truth from {config.points or config.areas or study.get('labels', {}).get('asset', 'not stated')}",
        f"- loss {config.loss}, {config.optimizer}, step size {config.lr:g}, batches of {config.batch_size}, {config.epochs} epochs, seed {config.seed}, "
        f"{config.precision}",
        "",
        "## Figures",
        *_validation(best),
        *_figures(metrics),
        "",
        "## Limits",
        "- Its truth is itself a map (the Cropland Data Layer) with errors of its own.",
        "- Another year, season, sensor or region is another distribution: evaluate there before use.",
        "- A label that is nearly always 1 teaches nothing: read every accuracy beside the majority guess.",
        "- Pixels without image data in any band are no part of any figure.",
        "",
    ]
    return "\n".join(lines)


def _validation(best: history.Row | None) -> list[str]:
    if best is None:
        return []
    return [
        f"- validation, epoch {best.epoch}: loss {best.validation_loss:.4f}, agreement with the labels {best.validation_accuracy:.4f}; "
        f"the best constant answer {best.validation_majority_accuracy:.4f}"
    ]


def _figures(metrics: dict[str, Any] | None) -> list[str]:
    if metrics is None:
        return ["- not evaluated yet: `cropcam evaluate` adds figures"]
    labels, pixels = metrics["classification"], metrics["segmentation"]
    chosen = pixels["methods"][pixels["default"]]
    return [
        f"- {metrics['split']}, {metrics['patches']:,} patches: label accuracy {four_decimals(labels['accuracy'])} "
        f"(majority guess {four_decimals(labels['majority_accuracy'])})",
        f"- {metrics['split']}, pixels by {pixels['default']}: accuracy {four_decimals(chosen['pixel_accuracy'])} "
        f"(majority guess {four_decimals(pixels['majority_accuracy'])}), macro F1 {four_decimals(chosen['macro_f1'])}",
        *(f"- {sentence}" for sentence in seen_before(metrics)),
    ]


def _metrics(run: Path) -> dict[str, Any] | None:
    """What `evaluate` found of these weights; None where it is damaged or of others."""
    try:
        found: dict[str, Any] = json.loads((run / _METRICS).read_text("utf-8"))
        return found if found["made_by"]["checkpoint_digest"] == file_sha256(run / BEST) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
