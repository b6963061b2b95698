"""The commands of the learning plane: parse, call, print. Imports of heavy modules stay inside the command that needs them.

The options of `train` follow from the declarations in `cropcam.model.options`.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from cropcam.model.evaluate_command import add_evaluate, store_option
from cropcam.model.map_command import add_map, map_line
from cropcam.model.options import SECTIONS, Settings, declared, default_of, flag, proportions, types
from cropcam.model.presets_command import TRAINING
from cropcam.pipeline.arguments import AddCommand, folder_argument, json_option
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.extras import absence
from cropcam.pipeline.runtime.console import command_line, free_name, is_json, note, show


def train(args: argparse.Namespace) -> None:
    """Train a network on the weak labels of patch stores.

    Everything is written to the run folder.
    """
    from cropcam.model.training.train import train as run_training
    from cropcam.pipeline.runtime.progress import Stage

    with Stage("train") as stage:
        options = {"device": args.device, "resume": args.resume, "tensorboard": args.tensorboard}
        run_training(args.store, args.run, _settings(args), **options, progress=stage, log=stage.log)
    if os.environ.get("RANK", "0") == "0":  # under torchrun one process prints
        document = _trained(args.run) if is_json() else {}
        show(document, f"{args.run}: trained", places=[args.run], then=command_line("evaluate", args.run))


def _trained(run: Path) -> dict[str, Any]:
    """What a run folder holds after training, as JSON values."""
    from cropcam.model.report.runs import read_history
    from cropcam.model.runs.cautions import read_cautions
    from cropcam.model.runs.checkpoint import BEST, load_metadata
    from cropcam.model.runs.config import load_config

    config, rows = load_config(run), read_history(run)
    epoch = int(load_metadata(run / BEST)["epoch"])
    return {
        "run": str(run),
        "stores": [str(path) for path in config.store_paths(run)],
        "model": config.network.model,
        "labels": config.labels.labels,
        "patches": config.trained_patches,
        "epochs": len(rows),
        "selected_epoch": epoch,
        "warnings": read_cautions(run),
        "selected": {str(name): float(value) for name, value in rows.iloc[epoch - 1].items()},
    }


def crossval(args: argparse.Namespace) -> None:
    """Leave each store, place or year out in turn; one table.

    Each time the others are trained on, and the run is scored on what was left out and at home.
    """
    from cropcam.model.crossval import crossval as cross_validate
    from cropcam.model.report.terminal import folds
    from cropcam.pipeline.runtime.progress import Stage

    if args.no_run:
        raise ConfigError(f"--run {args.no_run} does not go with crossval, which has a run for each fold; name their folder with --out DIR")
    if args.no_resume:
        raise ConfigError("--resume does not go with crossval, which always goes on where it stopped; leave it out")
    options = {"leave_out": args.leave_out, "device": args.device, "tensorboard": args.tensorboard}
    found = cross_validate(args.store, args.out, _settings(args), **options, stages=Stage)
    runs = sorted(path.parent for path in args.out.glob("without-*/config.json"))
    show(
        {"rows": found.rows(), "csv": str(found.csv), "json": str(found.json), "runs": [str(run) for run in runs]},
        f"{folds(found.rows())}\n{found.csv}: the table; the runs are beside it",
        places=[found.csv, found.json],
        then="" if absence("compare", "report") else command_line("compare", *runs, "--out", free_name(args.out / "comparison")),
    )


def _settings(args: argparse.Namespace) -> Settings:
    from cropcam.model.training.presets import preset

    passed = {name: value for name, value in vars(args).items() if name in declared() and value is not None}
    return Settings(**(preset(args.preset, passed) if args.preset else passed))


def compare(args: argparse.Namespace) -> None:
    """Evaluated runs in one table: CSV and one HTML page.

    The page has a plot and each class's confusion matrices.
    """
    from cropcam.model.report.compare import compare as compare_runs
    from cropcam.model.report.terminal import side_by_side

    comparison = compare_runs(args.runs, args.out)
    for caution in comparison.cautions:
        note(f"note: {caution}")
    text = f"{side_by_side(comparison.rows())}\n{comparison.page}: open it in a browser; {comparison.csv} has intervals and all columns"
    show(comparison.to_dict(), text, places=[comparison.page, comparison.csv])


def report(args: argparse.Namespace) -> None:
    """One self-contained HTML page about a run: RUN/report.html."""
    from cropcam.model.report.run_report import write_report
    from cropcam.pipeline.runtime.progress import Stage

    if args.reference and not args.map:
        raise ConfigError("--reference goes with --map MAP.tif, whose areas the points adjust")
    with Stage("report") as stage:
        page = write_report(args.run, store=args.store, map_path=args.map, reference=args.reference, progress=stage)
    points = ("--reference", args.reference) if args.reference else ()
    then = command_line("area", args.map, *points) if args.map else map_line(args.run, args.store)
    show({"run": str(args.run), "report": str(page)}, f"{page}: open it in a browser", places=[page], then=then)


def export_model(args: argparse.Namespace) -> None:
    """A trained run as one file: ONNX or a torch.export program.

    The file needs no cropcam. Its outputs are checked against the run's.
    """
    from cropcam.model.inference.export import export_model as write

    text = write(args.run, args.to, outputs=args.outputs, log=note)
    show({"run": str(args.run), "file": str(args.to), "bytes": args.to.stat().st_size}, text, places=[args.to])


def add_commands(command: AddCommand) -> None:
    """Declare the commands of the learning plane and their options."""
    sub = command("train", train)
    sub.add_argument("store", type=folder_argument, nargs="+", metavar="STORE", help="several are trained on together")
    sub.add_argument("--run", type=folder_argument, required=True, metavar="RUN", help="folder of the run, to be made")
    _add_training_options(sub)
    sub.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    json_option(sub)

    sub = command("crossval", crossval)
    sub.add_argument("store", type=folder_argument, nargs="+", metavar="STORE", help="two or more")
    sub.add_argument("--out", type=folder_argument, required=True, metavar="DIR", help="of the runs and the table; a second call goes on")
    sub.add_argument(
        "--leave-out",
        choices=("store", "place", "year"),
        default="store",
        help="left out together: a store, stores that overlap by half, or those of a year (default: %(default)s)",
    )
    _add_training_options(sub)
    json_option(sub)
    for name, more in (("run", {}), ("resume", {"action": "store_true"})):  # of train alone
        sub.add_argument(f"--{name}", dest=f"no_{name}", help=argparse.SUPPRESS, **more)  # type: ignore[arg-type]

    add_device_option(add_evaluate(command))

    sub = command("compare", compare)
    sub.add_argument("runs", type=folder_argument, nargs="+", metavar="RUN", help="evaluated runs; gains are against the first")
    sub.add_argument("--out", type=Path, default=Path("comparison"), metavar="DIR", help="default: %(default)s")
    json_option(sub)

    add_device_option(add_map(command))

    sub = command("export-model", export_model)
    sub.add_argument("run", type=folder_argument, metavar="RUN", help="a run folder")
    sub.add_argument("--to", type=Path, required=True, metavar="FILE", help="FILE.onnx, or FILE.pt2 for torch.export.load")
    sub.add_argument(
        "--outputs",
        choices=("map", "patches"),
        default="map",
        help="probabilities and classes of a raster of any size; or presence and activation maps of patches",
    )
    json_option(sub)

    sub = command("report", report)
    sub.add_argument("run", type=folder_argument, metavar="RUN", help="an evaluated run")
    sub.add_argument("--map", type=Path, metavar="MAP.tif", help="a map of the run, to be shown with its areas")
    sub.add_argument(
        "--reference", type=Path, metavar="POINTS", help="with --map: points with classes, which adjust its areas for its errors"
    )
    json_option(sub)
    store_option(sub)


def _add_training_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--preset", choices=TRAINING, help="settings of the poster or of the paper after it; options override them")
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
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="CROPCAM_DEVICE; default: a GPU where there is one")
