"""The command evaluate."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cropcam.model.map_command import map_line
from cropcam.pipeline.arguments import AddCommand, folder_argument, json_option
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.extras import absence
from cropcam.pipeline.runtime.console import WARNING, command_line, note, show
from cropcam.pipeline.runtime.terminal import quoted


def evaluate(args: argparse.Namespace) -> None:
    """Metrics of a run, at home or away, or of a map.

    A run is evaluated on its store or, with --on, on another one (RUN/on). Each figure has the majority guess beside it.
    With --points the truth is a file of points; a map is always scored so.
    """
    if args.run.is_file() or (args.points and not args.run.is_dir()):
        _evaluate_map(args)
        return
    if args.out:
        raise ConfigError("--out goes with MAP --points FILE; the figures of a run are in its folder")
    if args.label_column and not args.points:
        raise ConfigError("--label-column goes with --points FILE, whose column of classes it names")
    from cropcam.model.evaluation.evaluate import evaluate as measure
    from cropcam.model.report.terminal import classes, headline, methods
    from cropcam.model.runs.checkpoint import METRICS
    from cropcam.pipeline.runtime.progress import Stage

    with Stage("evaluate") as stage:
        options = {name: getattr(args, name) for name in ("split", "on", "reference", "save", "store", "points", "label_column", "device")}
        metrics = measure(args.run, **options, progress=stage).to_dict()
    text = f"{headline(metrics)}\n\n{methods(metrics['segmentation'])}\n\n{classes(metrics)}"
    of_training, of_figures = _warnings(args.run, metrics)
    for line in of_training:
        note(f"{WARNING}{line}")
    for line in of_figures:
        note(f"note: {line}")
    if warning := metrics.get("shift", {}).get("warning"):
        note(warning if warning.startswith(WARNING) else f"{WARNING}{warning}")
    if not (args.run / METRICS).is_file():
        then = command_line("evaluate", args.run)
    elif absence("report", "report"):
        then = map_line(args.run, args.store)
    else:
        then = command_line("report", args.run, *(("--store", args.store) if args.store else ()))
    show({**metrics, "warnings": [*of_training, *of_figures]}, text, places=[_metrics_of(args, metrics)], then=then)


def with_warnings(run: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """The figures of a run and the warnings of its training and evaluation, as JSON values."""
    of_training, of_figures = _warnings(run, metrics)
    return {**metrics, "warnings": [*of_training, *of_figures]}


def _warnings(run: Path, metrics: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Of the training, and of the figures."""
    from cropcam.model.report.content import cautions
    from cropcam.model.report.runs import read_history
    from cropcam.model.runs.cautions import read_cautions

    return read_cautions(run), cautions(metrics, read_history(run))


def _metrics_of(args: argparse.Namespace, metrics: dict[str, Any]) -> Path:
    """The file of the figures."""
    from cropcam.model.evaluation.elsewhere import folder_on
    from cropcam.model.runs.checkpoint import METRICS

    folder = folder_on(args.run, args.on, metrics["store"]["digest"]) if args.on and "store" in metrics else args.run
    return Path(folder / metrics.get("truth", {}).get("folder", "") / METRICS)


def _evaluate_map(args: argparse.Namespace) -> None:
    if not args.points:
        raise ConfigError(
            f"{args.run}: is a file, no run folder; score a map against points: cropcam evaluate {quoted(args.run)} --points FILE"
        )
    of_run = [f"--{name}" for name in ("on", "split", "save", "reference", "store") if getattr(args, name, None)]
    if of_run:
        raise ConfigError(f"{' and '.join(of_run)} go with a run, not with MAP --points FILE")
    from cropcam.model.evaluation.map_points import evaluate_map, is_scores, point_notes
    from cropcam.model.report.map_scores import map_classes, map_confusion, map_headline
    from cropcam.pipeline.runtime.atomic import atomic_write
    from cropcam.pipeline.runtime.outputs import Output, check_outputs

    if args.out:
        check_outputs([Output(args.out, "--out", "scores of a map", is_scores)], [args.run, args.points])
    scores = evaluate_map(args.run, args.points, args.label_column)
    if args.out:
        atomic_write(args.out, json.dumps(scores, indent=2, allow_nan=False) + "\n")
    for caveat in point_notes(scores):
        note(f"note: {caveat}")
    text = f"{map_headline(scores)}\n\n{map_classes(scores)}\n\n{map_confusion(scores)}"
    column = ("--label-column", args.label_column) if args.label_column else ()
    then = command_line("area", args.run, "--reference", args.points, *column)
    show(scores, text, places=[args.out] if args.out else [], then=then)


def add_evaluate(command: AddCommand) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    sub = command("evaluate", evaluate)
    sub.add_argument("run", type=folder_argument, metavar="RUN|MAP", help="a run folder, or with --points a map that cropcam map wrote")
    sub.add_argument("--on", type=folder_argument, metavar="STORE", help="a store of another place or year, of the run's bands and classes")
    sub.add_argument("--split", choices=("train", "validation", "test", "all"), help="default: test; all on a store that is new to the run")
    sub.add_argument("--reference", type=folder_argument, metavar="RUN", help="a run scored on the same patches, such as one trained there")
    sub.add_argument("--save", type=folder_argument, metavar="SEGMENTATION.zarr", help="write activation maps and classes per patch")
    sub.add_argument(
        "--points", type=Path, metavar="FILE", help="points as the truth, of a map or a run: CSV, GeoPackage, GeoParquet, GeoJSON"
    )
    sub.add_argument("--label-column", default="", metavar="NAME", help="with --points: its column of classes (default: found by its name)")
    sub.add_argument("--out", type=Path, metavar="FILE.json", help="with MAP --points: also write the figures there")
    json_option(sub)
    store_option(sub)
    return sub


def store_option(sub: argparse.ArgumentParser) -> None:
    """The option --store of a command that reads a run."""
    sub.add_argument("--store", type=folder_argument, metavar="STORE", help="the run's store, if it was moved")
