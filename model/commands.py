"""The commands of the learning plane: parse, call, print. Imports of heavy modules stay inside the command that needs them.

The options of `train` follow from the declarations in `cropcam.model.options`.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import fields
from pathlib import Path

from cropcam.model.map_command import add_map
from cropcam.model.options import SECTIONS, Settings, declared, default_of, flag, proportions, types
from cropcam.pipeline.arguments import AddCommand, folder_argument
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.machine import say
from cropcam.pipeline.runtime.terminal import quoted


def train(args: argparse.Namespace) -> None:
    """Train a network on the weak labels of one or several stores; everything is written to the run folder."""
    from cropcam.model.training.train import train as run_training
    from cropcam.pipeline.runtime.progress import Stage

    with Stage("train") as stage:
        options = {"device": args.device, "resume": args.resume, "tensorboard": args.tensorboard}
        run_training(args.store, args.run, _settings(args), **options, progress=stage, log=stage.log)
    if os.environ.get("RANK", "0") == "0":  # under torchrun one process prints
        print(f"{args.run}: trained; go on with: cropcam evaluate {quoted(args.run)}")


def crossval(args: argparse.Namespace) -> None:
    """Leave each store, place or year out in turn: train on the others, score there; one table."""
    from cropcam.model.crossval import crossval as cross_validate
    from cropcam.model.report.terminal import folds
    from cropcam.pipeline.runtime.progress import Stage

    if args.no_run:
        raise ConfigError(f"--run {args.no_run} does not go with crossval, which has a run for each fold; name their folder with --out DIR")
    if args.no_resume:
        raise ConfigError("--resume does not go with crossval, which always goes on where it stopped; leave it out")
    options = {"leave_out": args.leave_out, "device": args.device, "tensorboard": args.tensorboard}
    found = cross_validate(args.store, args.out, _settings(args), **options, stages=Stage)
    print(f"{folds(found.rows())}\n{found.csv}: the table; the runs are beside it")


def _settings(args: argparse.Namespace) -> Settings:
    from cropcam.model.training.presets import preset

    passed = {name: value for name, value in vars(args).items() if name in declared() and value is not None}
    return Settings(**(preset(args.preset, passed) if args.preset else passed))


def evaluate(args: argparse.Namespace) -> None:
    """Metrics of a run on its store or, with --on, on another one (RUN/on), each with the majority guess; or of a map against points."""
    if args.points or args.run.is_file():
        _evaluate_map(args)
        return
    if args.label_column or args.out:
        raise ConfigError("--label-column and --out go with MAP --points FILE; the figures of a run are in its folder")
    from cropcam.model.evaluation.evaluate import evaluate as measure
    from cropcam.model.evaluation.notes import caveats
    from cropcam.model.report.terminal import classes, headline, methods
    from cropcam.pipeline.runtime.progress import Stage

    with Stage("evaluate") as stage:
        options = {name: getattr(args, name) for name in ("split", "on", "reference", "save", "store", "device")}
        metrics = measure(args.run, **options, progress=stage).to_dict()
    text = f"{headline(metrics)}\n\n{methods(metrics['segmentation'])}\n\n{classes(metrics)}"
    print(json.dumps(metrics, indent=2) if args.json else text)
    for note in caveats(metrics):
        say(f"note: {note}\n")
    if warning := metrics.get("shift", {}).get("warning"):
        say(f"{warning}\n")


def _evaluate_map(args: argparse.Namespace) -> None:
    if not args.points:
        raise ConfigError(
            f"{args.run}: is a file, no run folder; score a map against points: cropcam evaluate {quoted(args.run)} --points FILE"
        )
    if args.run.is_dir():
        raise ConfigError(f"{args.run}: is a folder; --points scores a map: cropcam map {quoted(args.run)} ... --out MAP.tif makes one")
    of_run = [f"--{name}" for name in ("on", "split", "save", "reference", "store") if getattr(args, name, None)]
    if of_run:
        raise ConfigError(f"{' and '.join(of_run)} go with a run, not with MAP --points FILE")
    from cropcam.model.evaluation.map_points import evaluate_map, is_scores, point_notes
    from cropcam.model.report.map_scores import map_classes, map_confusion, map_headline
    from cropcam.pipeline.runtime.atomic import atomic_write
    from cropcam.pipeline.runtime.outputs import Output, check_outputs

    if args.out:
        check_outputs([Output(args.out, "--out", "scores of a map", is_scores, (".json",))], [args.run, args.points])
    scores = evaluate_map(args.run, args.points, args.label_column)
    text = json.dumps(scores, indent=2, allow_nan=False)
    if args.out:
        atomic_write(args.out, text + "\n")
    print(text if args.json else f"{map_headline(scores)}\n\n{map_classes(scores)}\n\n{map_confusion(scores)}")
    for note in point_notes(scores):
        say(f"note: {note}\n")


def compare(args: argparse.Namespace) -> None:
    """Evaluated runs in one table, with plot and confusion matrices; CSV and one HTML page."""
    from cropcam.model.report.compare import compare as compare_runs
    from cropcam.model.report.terminal import side_by_side

    comparison = compare_runs(args.runs, args.out)
    for caution in comparison.cautions:
        say(f"note: {caution}\n")
    if args.json:
        print(json.dumps(comparison.to_dict()["rows"], indent=2))
        return
    print(side_by_side(comparison.rows()))
    print(f"{comparison.page}: open it in a browser; {comparison.csv} has intervals and all columns")


def report(args: argparse.Namespace) -> None:
    """One self-contained HTML page about a run: RUN/report.html."""
    from cropcam.model.report.run_report import write_report
    from cropcam.pipeline.runtime.progress import Stage

    if args.reference and not args.map:
        raise ConfigError("--reference goes with --map MAP.tif, whose areas the points adjust")
    with Stage("report") as stage:
        page = write_report(args.run, store=args.store, map_path=args.map, reference=args.reference, progress=stage)
    print(f"{page}: open it in a browser")


def export_model(args: argparse.Namespace) -> None:
    """A trained run as one file that needs no cropcam: ONNX or a torch.export program, checked equal."""
    from cropcam.model.inference.export import export_model as write

    print(write(args.run, args.to, outputs=args.outputs, log=say))


def add_commands(command: AddCommand) -> None:
    """Declare the commands of the learning plane and their options."""
    sub = command("train", train)
    sub.add_argument("store", type=folder_argument, nargs="+", metavar="STORE", help="several are trained on together")
    sub.add_argument("--run", type=folder_argument, required=True, metavar="RUN")
    _add_training_options(sub)
    sub.add_argument("--resume", action="store_true", help="go on with the run in the folder")

    sub = command("crossval", crossval)
    sub.add_argument("store", type=folder_argument, nargs="+", metavar="STORE", help="two or more")
    sub.add_argument("--out", type=folder_argument, required=True, metavar="DIR", help="of the runs and the table; a second call goes on")
    sub.add_argument(
        "--leave-out",
        choices=("store", "place", "year"),
        default="store",
        help="what is left out together: each store alone, stores that overlap by more than half, or those of one year (default: %(default)s)",
    )
    _add_training_options(sub)
    for name, more in (("run", {}), ("resume", {"action": "store_true"})):  # of train alone
        sub.add_argument(f"--{name}", dest=f"no_{name}", help=argparse.SUPPRESS, **more)  # type: ignore[arg-type]

    sub = command("evaluate", evaluate)
    sub.add_argument("run", type=folder_argument, metavar="RUN|MAP", help="a run folder, or with --points a map that cropcam map wrote")
    sub.add_argument("--on", type=folder_argument, metavar="STORE", help="a store of another place or year, of the run's bands and classes")
    sub.add_argument("--split", choices=("train", "validation", "test", "all"), help="default: test; all on a store that is new to the run")
    sub.add_argument("--reference", type=folder_argument, metavar="RUN", help="a run scored on the same patches, such as one trained there")
    sub.add_argument("--save", type=folder_argument, metavar="SEGMENTATION.zarr", help="write activation maps and classes per patch")
    sub.add_argument("--points", type=Path, metavar="FILE", help="score the map MAP against points: CSV, GeoPackage, GeoParquet, GeoJSON")
    sub.add_argument("--label-column", default="", metavar="NAME", help="with --points: its column of classes (default: found by its name)")
    sub.add_argument("--out", type=Path, metavar="FILE.json", help="with --points: also write the figures there")
    sub.add_argument("--json", action="store_true")
    _store_option(sub)
    add_device_option(sub)

    sub = command("compare", compare)
    sub.add_argument("runs", type=folder_argument, nargs="+", metavar="RUN", help="evaluated runs; gains are against the first")
    sub.add_argument("--out", type=Path, default=Path("comparison"), metavar="DIR", help="default: %(default)s")
    sub.add_argument("--json", action="store_true")

    add_device_option(add_map(command))

    sub = command("export-model", export_model)
    sub.add_argument("run", type=folder_argument, metavar="RUN")
    sub.add_argument("--to", type=Path, required=True, metavar="FILE", help="FILE.onnx, or FILE.pt2 for torch.export.load")
    sub.add_argument(
        "--outputs",
        choices=("map", "patches"),
        default="map",
        help="probabilities and classes of a raster of any size; or presence and activation maps of patches",
    )

    sub = command("report", report)
    sub.add_argument("run", type=folder_argument, metavar="RUN")
    sub.add_argument("--map", type=Path, metavar="MAP.tif", help="a map of the run, to be shown with its areas")
    sub.add_argument(
        "--reference", type=Path, metavar="POINTS", help="with --map: points with classes, which adjust its areas for its errors"
    )
    _store_option(sub)


def _add_training_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--preset", choices=("poster", "paper"), help="settings of the poster or of the paper after it; options override them")
    for section, kind in SECTIONS.items():
        group = sub.add_argument_group("loss and optimizer" if section == "optimizer" else section)
        for name in (item.name for item in fields(kind)):
            if declared()[name].flag:
                add_setting(group, name)
    add_device_option(sub)
    sub.add_argument("--tensorboard", action="store_true", help="also write RUN/tensorboard (needs cropcam[tensorboard])")


def add_setting(group: argparse._ActionsContainer, name: str) -> None:
    """The command-line option of a declared setting."""
    option, kind = declared()[name], types()[name]
    convert = proportions if kind == tuple[float, ...] else kind
    kinds = f"{' and '.join(option.kinds)}: " if option.kinds and len(option.kinds) < 3 else ""
    default = option.default or default_of(name)
    text = f"{kinds}{option.help}".replace("%", "%%") + (f" (default: {default})" if default not in ("", (), "auto") else "")
    group.add_argument(flag(name), type=convert, choices=option.choices or None, metavar=option.metavar, help=text)


def add_device_option(sub: argparse.ArgumentParser) -> None:
    """The option --device."""
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU where there is one")


def _store_option(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--store", type=folder_argument, metavar="STORE", help="the run's store, if it was moved")
