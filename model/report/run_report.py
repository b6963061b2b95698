"""RUN/report.html: everything about a run on one page that needs neither network nor scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from markupsafe import Markup

from cropcam.model.report import content, figures
from cropcam.model.report.composites import NODATA_RGB, STRETCH_PCT
from cropcam.model.report.gallery import gallery
from cropcam.model.report.page import template
from cropcam.model.report.places import elsewhere_rows
from cropcam.model.report.runs import read_elsewhere, read_history, read_run
from cropcam.model.runs.cautions import read_cautions
from cropcam.model.runs.checkpoint import BEST, ENVIRONMENT, HISTORY, load_metadata, load_network
from cropcam.model.runs.config import RunConfig, StorePart
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.predictions import open_trained_store
from cropcam.model.training.label_accuracy import accuracy_words
from cropcam.pipeline.code_table import hex_color
from cropcam.pipeline.crs import is_geographic
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.outputs import Output, check_outputs, is_page
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import format_dropped
from cropcam.pipeline.text_files import read_json_object

if TYPE_CHECKING:
    from cropcam.model.report.map_section import MapSection

REPORT = "report.html"


def write_report(
    run: Path, *, store: Path | None = None, map_path: Path | None = None, reference: Path | None = None, progress: Progress = silent
) -> Path:
    """Write RUN/report.html from the files of `train` and `evaluate`, and return its path.

    The same run gives the same bytes.

    Args:
        run: folder of an evaluated run.
        store: place of the run's store, if it was moved.
        map_path: a map that the run made, to be shown with its areas.
        reference: points with classes, which adjust the map's areas for its errors.
        progress: called with (steps done, steps in all, the next step).

    Raises:
        DataError: not evaluated since it was trained, at home or elsewhere, or no usable run, store or checkpoint; a map of another run.
        OSError: the disk refused.
    """
    check_outputs([Output(run / REPORT, "", "report", is_page)], [map_path, reference])
    network, config = load_network(run, torch.device("cpu"))
    home = read_run(run, run.resolve().name)
    metrics, table = home.metrics, home.patches
    elsewhere = elsewhere_rows(home, read_elsewhere(run, home))
    opened = open_trained_store(run, config, store)
    shown = _shown(run, map_path, reference) if map_path else None
    progress(1, 4, "curves")
    history, epoch = read_history(run), load_metadata(run / BEST).get("epoch")
    plots = {
        "curves": _curves(run / HISTORY, history, epoch, config.labels.labels),
        "places": _places(opened, table, metrics),
        "seasons": _seasons(metrics),
        "reliability": _reliability(metrics, config.store.classes),
    }
    progress(2, 4, "gallery")
    pictures = gallery(network, config, opened, table, fitted_segmenter(run, network, config, opened, torch.device("cpu")))
    progress(3, 4, "page")
    page = template("report.html.j2").render(
        run=run.resolve().name,
        config=config,
        legend=config.store.classes,
        metrics=metrics,
        trained_on=content.trained_on(config.labels),
        has_class=content.has_class(metrics["classification"]["presence_min_share"]),
        headlines=content.headlines(metrics),
        cautions=[*read_cautions(run), *content.cautions(metrics, history)],
        interval_note=content.interval_note(metrics),
        elsewhere=elsewhere,
        plots=plots,
        epoch=epoch,
        gallery=pictures,
        made=shown,
        stretch_pct=STRETCH_PCT,
        scale=figures.gradient(figures.DIVERGING),
        nodata=hex_color(NODATA_RGB),
        provenance=_provenance(run, config, opened, metrics),
        digests={"store": config.store.digest, "checkpoint": metrics["provenance"]["checkpoint_digest"]} | opened.info.digests,
    )
    atomic_write(run / REPORT, page)
    progress(4, 4, "done")
    return run / REPORT


def _shown(run: Path, map_path: Path, reference: Path | None) -> MapSection:
    from cropcam.model.report.map_section import map_section  # noqa: PLC0415 - a report without a map needs no GDAL

    return map_section(run, map_path, reference)


def _curves(path: Path, history: pd.DataFrame, epoch: str | None, labels: str) -> list[Markup]:
    if history.empty or epoch is None:
        return []
    if missing := [name for name in figures.CURVES if name not in history]:
        raise DataError(f"{path}: has no column {missing[0]}, which the report draws; train the run again")
    if int(epoch) not in set(history["epoch"]):
        raise DataError(f"{path}: has no epoch {epoch}, whose weights {BEST} holds; train the run again")
    column = "validation_majority_accuracy"
    majority = float(history[column].iloc[-1]) if column in history else None
    return [figures.curve(history, "loss", int(epoch)), figures.curve(history, "accuracy", int(epoch), majority, accuracy_words(labels))]


def _seasons(metrics: Mapping[str, Any]) -> list[Markup]:
    part = metrics["segmentation"]
    return [figures.seasons_curve(part["seasons_seen"], part["majority_accuracy"])] if part.get("seasons_seen") else []


def _reliability(metrics: Mapping[str, Any], legend: Legend) -> list[Markup]:
    """The reliability curves of the class with the largest probability, then of each class; none of metrics of an earlier version."""
    part = metrics["segmentation"].get("calibration")
    if part is None:
        return []
    curves = [
        ("predicted class", figures.VALIDATION, part),
        *((item.name, item.color_hex, part["per_class"][item.name]) for item in legend.classes),
    ]
    return [figures.reliability(title, color, values, str(number)) for number, (title, color, values) in enumerate(curves)]


def _places(store: PatchStore, table: pd.DataFrame, metrics: Mapping[str, Any]) -> list[Markup]:
    part = metrics["segmentation"]
    pooled = part["methods"][part["default"]]["pixel_accuracy"]
    accuracy_N = table["pixel_accuracy"].dropna().to_numpy()
    histogram = figures.accuracies(accuracy_N, pooled, part["majority_accuracy"])
    if len(store.parts) == 1:
        return [histogram, _map(store, table)]
    return [
        histogram,
        *(_map(own, table[table["store"].astype(str) == name], name, n) for n, (name, own) in enumerate(store.parts.items())),
    ]


def _map(store: PatchStore, table: pd.DataFrame, name: str = "", number: int = 0) -> Markup:
    """The map of a store's patches; name and number are of one of several stores."""
    # only the rectangle of the patch grid that holds patches: a store may cover a corner of its study
    info, rows, cols = store.info, store.row_N, store.col_N
    top, left = rows.min(), cols.min()
    kept_YX = np.zeros((rows.max() - top + 1, cols.max() - left + 1), bool)
    kept_YX[rows - top, cols - left] = True
    accuracy_YX = np.full(kept_YX.shape, np.nan)
    accuracy_YX[table["row"] - top, table["col"] - left] = table["pixel_accuracy"]
    middle_y = info.transform[5] + info.transform[4] * info.patch_size_px * (rows.max() + top) / 2
    ratio = abs(info.transform[4] / info.transform[0])
    aspect = ratio / math.cos(math.radians(middle_y)) if is_geographic(info.crs) else ratio
    return figures.places(accuracy_YX, kept_YX, aspect, name, number)


def _provenance(run: Path, config: RunConfig, store: PatchStore, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    path, info = run / ENVIRONMENT, store.info
    step = "delete it, or train the run again"
    environment = read_json_object(path, "the environment of a run", step=step) if path.is_file() else {}
    steps = () if config.is_fitted else ("epochs", "batch_size", "lr", "weight_decay")
    settings = ("model", "model_options", "labels", "presence_min_share", *steps, "seed")
    statistics = zip(config.store.bands, config.store.mean, config.store.std, strict=True)
    codes = {
        item.name: f"codes {', '.join(map(str, item.codes))}" if item.codes else "every other labelled code"
        for item in config.store.classes.classes
    }
    return {
        "Study": {
            "study": config.store.study,
            "classes": "; ".join(f"{name} ({of_class})" for name, of_class in codes.items()),
            "crs": ", ".join(dict.fromkeys(part.info.crs for part in store.parts.values())),
            "patch size": f"{info.patch_size_px} px",
            "split seed": ", ".join(dict.fromkeys(str(part.info.split_seed) for part in store.parts.values())),
            "patches dropped": format_dropped(info.dropped),
        },
        **({"Stores": {part.name: _about(part) for part in config.stores}} if config.stores else {}),
        "Training": {key.replace("_", " "): config.setting(key) for key in settings if config.setting(key) != ""},
        "Bands: mean and standard deviation": {band: f"{mean:.4f} ± {std:.4f}" for band, mean, std in statistics},
        "Versions": {"trained by": f"cropcam {config.code_version}", "evaluated by": f"cropcam {metrics['provenance']['code_version']}"}
        | {str(key): value for key, value in environment.items()},
    }


def _about(part: StorePart) -> str:
    study = part.attrs["study"]
    seasons = ", ".join(f"{first} to {last}" for first, last in study["image"]["seasons"])
    return f"study {study['study']['name']}, images {seasons}" + ("; held out: not trained on" if part.held_out else "")
