"""RUN/report.html: everything about a run on one page that needs neither network nor scripts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from markupsafe import Markup

from cropcam.model.report import content, figures
from cropcam.model.report.gallery import STRETCH_PCT, gallery
from cropcam.model.report.page import evaluated, template
from cropcam.model.runs.checkpoint import BEST, ENVIRONMENT, HISTORY, RunConfig, load_metadata, load_network
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.predictions import open_trained_store
from cropcam.model.training.label_accuracy import in_words
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import is_geographic
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.schema import StoreInfo, drops_in_words

REPORT = "report.html"


def write_report(run: Path, *, store: Path | None = None, progress: Progress = silent) -> Path:
    """Write RUN/report.html from what `train` and `evaluate` left there, and return its path.

    The same run gives the same bytes.

    Args:
        run: folder of an evaluated run.
        store: where the run's store lies, if no longer where the run's configuration says.
        progress: told (steps done, steps in all, what comes next).

    Raises:
        DataError: not evaluated since it was trained, or no usable run, store or checkpoint.
        OSError: the disk says no.
    """
    network, config = load_network(run, torch.device("cpu"))
    metrics, table = evaluated(run)
    dataset, info = open_trained_store(run, config, store)
    progress(1, 4, "curves")
    history, best = _history(run)
    plots = {"curves": _curves(history, best, config.labels), "places": _places(dataset, info, table, metrics)}
    progress(2, 4, "gallery")
    pictures = gallery(network, config, dataset, table, fitted_segmenter(run, network, config, dataset, torch.device("cpu")))
    progress(3, 4, "page")
    page = template("report.html.j2").render(
        run=run.resolve().name,
        config=config,
        legend=config.classes,
        metrics=metrics,
        learnt_from=content.LEARNT_FROM.get(config.labels, f"{config.labels} labels"),
        headlines=content.headlines(metrics),
        cautions=content.cautions(metrics, history),
        label_rows=content.label_rows(metrics, config.classes),
        pixel_rows=content.pixel_rows(metrics, config.classes),
        interval_note=content.interval_note(metrics),
        method_rows=content.method_rows(metrics),
        plots=plots,
        best=best,
        gallery=pictures,
        stretch_pct=STRETCH_PCT,
        scale=figures.gradient(figures.DIVERGING),
        made_by=_made_by(run, config, info, metrics),
    )
    atomic_write(run / REPORT, page)
    progress(4, 4, "done")
    return run / REPORT


def _history(run: Path) -> tuple[pd.DataFrame | None, int | None]:
    """The epochs, and which of them the weights are of."""
    path, epoch = run / HISTORY, load_metadata(run / BEST).get("epoch")
    if not path.is_file() or epoch is None:
        return None, None
    try:
        return pd.read_csv(path).astype({"epoch": int, "validation_loss": float}), int(epoch)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as a history ({str(error).splitlines()[0]}); train into another folder") from None


def _curves(history: pd.DataFrame | None, best: int | None, labels: str) -> list[Markup]:
    if history is None or best is None:
        return []
    column = "validation_majority_accuracy"
    majority = float(history[column].iloc[-1]) if column in history else None
    return [figures.curve(history, "loss", best), figures.curve(history, "accuracy", best, majority, in_words(labels))]


def _places(dataset: xr.Dataset, info: StoreInfo, table: pd.DataFrame, metrics: dict[str, Any]) -> list[Markup]:
    # only the rectangle of the patch grid that holds patches: a store may cover a corner of its study
    rows, cols = dataset["row"].to_numpy(), dataset["col"].to_numpy()
    top, left = rows.min(), cols.min()
    kept = np.zeros((rows.max() - top + 1, cols.max() - left + 1), bool)
    kept[rows - top, cols - left] = True
    shown = np.full(kept.shape, np.nan)
    shown[table["row"] - top, table["col"] - left] = table["pixel_accuracy"]
    middle_y = info.transform[5] + info.transform[4] * info.patch_size_px * (rows.max() + top) / 2
    ratio = abs(info.transform[4] / info.transform[0])
    aspect = ratio / math.cos(math.radians(middle_y)) if is_geographic(info.crs) else ratio
    part = metrics["segmentation"]
    pooled = part["methods"][part["default"]]["pixel_accuracy"]
    known = table["pixel_accuracy"].dropna().to_numpy()
    return [figures.accuracies(known, pooled, part["majority_accuracy"]), figures.places(shown, kept, aspect)]


def _made_by(run: Path, config: RunConfig, info: StoreInfo, metrics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    path = run / ENVIRONMENT
    try:
        environment = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError:
        raise DataError(f"{path}: damaged; delete it, or train the run again") from None
    settings = ("model", "labels", "presence_min_share", "epochs", "batch_size", "lr", "weight_decay", "seed", "size_px")
    statistics = zip(config.bands, config.mean, config.std, strict=True)
    return {
        "Study": {
            "study": config.study,
            "classes": "; ".join(f"{item.name} {_codes(item.codes)}" for item in config.classes.classes),
            "crs": info.crs,
            "split seed": info.split_seed,
            "patches dropped": drops_in_words(info.dropped),
        },
        "Training": {key.replace("_", " "): getattr(config, key) for key in settings},
        "Bands: mean and standard deviation of reflectance": {band: f"{mean:.4f} ± {std:.4f}" for band, mean, std in statistics},
        "Versions": {"trained by": f"cropcam {config.code_version}", "evaluated by": f"cropcam {metrics['made_by']['code_version']}"}
        | {str(key): value for key, value in environment.items()},
        "Digests": {"store": config.store_digest, "checkpoint": metrics["made_by"]["checkpoint_digest"]} | info.digests,
    }


def _codes(codes: tuple[int, ...]) -> str:
    return "(CDL " + ", ".join(map(str, codes)) + ")" if codes else "(every other labelled CDL code)"
