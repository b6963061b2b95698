"""The command line: one command per stage. Parse, call, print; nothing heavy is imported before a command needs it.

Exit codes: 0 done; 2 usage or configuration; 3 data; 4 Earth Engine; 1 a bug; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def demo(args: argparse.Namespace) -> None:
    """The whole way on simulated scenes: archive, export, patches, train, evaluate, map, report."""
    from cropcam.model.evaluation.evaluate import evaluate
    from cropcam.model.inference.wall_to_wall import map_raster
    from cropcam.model.report.run_report import write_report
    from cropcam.model.report.terminal import headline
    from cropcam.model.training.train import train
    from cropcam.pipeline.earthengine.delivery import deliver
    from cropcam.pipeline.earthengine.session import open_session
    from cropcam.pipeline.emulator import serve
    from cropcam.pipeline.landscape import simulate
    from cropcam.pipeline.patches import from_shards
    from cropcam.pipeline.rasters.export_shards import open_image_shards
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    out: Path = args.out
    study, run, store = load_study("demo"), out / "run", out / "patches.zarr"
    with Stage("simulate") as stage:
        simulate(study, out / "archive", seed=args.seed or 0, progress=stage)
    with serve(out / "archive") as server, Stage("export") as stage:
        deliver(study, open_session(None, server.url), out / "shards", progress=stage, log=stage.log)
    with Stage("patches") as stage:
        cut = from_shards(study, out / "shards", store, seed=args.seed or 0, progress=stage)
    print(_patches_line(cut))
    with Stage("train") as stage:
        train(
            store, run, model="baseline", epochs=args.epochs, seed=args.seed, device=args.device, resume=True, progress=stage, log=stage.log
        )
    with Stage("evaluate") as stage:
        metrics = evaluate(run, device=args.device, progress=stage)
    print(headline(metrics.to_dict()))
    with Stage("map") as stage:
        map_raster(run, open_image_shards(out / "shards", study), out / "map.tif", device=args.device, progress=stage)
    with Stage("report") as stage:
        report = write_report(run, progress=stage)
    print(f"All on simulated data. Open {report} in a browser and {out / 'map.tif'} in QGIS.")


def describe(args: argparse.Namespace) -> None:
    """Grid, patches, bands, classes, bytes to expect; of a store: counts, shares, statistics."""
    from cropcam.pipeline import describe as about
    from cropcam.pipeline.study.study import presets

    is_store = args.what not in presets() and Path(args.what).is_dir()  # 'demo' is the preset, './demo' a folder
    facts = about.of_store(Path(args.what)) if is_store else about.of_study(args.what)
    print(json.dumps(facts, indent=2) if args.json else about.as_text(facts))


def simulate(args: argparse.Namespace) -> None:
    """Write a simulated archive of Landsat scenes and a CDL for the study's area and period."""
    from cropcam.pipeline.landscape import simulate as write_archive
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    study = load_study(args.study)
    with Stage("simulate") as stage:
        write_archive(study, args.archive, seed=args.seed, progress=stage)
    print(f"{args.archive}: simulated {study.name}, seed {args.seed}")


def emulate(args: argparse.Namespace) -> None:
    """Serve an archive as an Earth Engine endpoint on loopback; prints the URL."""
    from cropcam.pipeline.emulator import serve_forever

    serve_forever(args.archive, args.port, out=args.out, say=lambda url: print(url, flush=True))


def export(args: argparse.Namespace) -> None:
    """Bring composite and labels to Drive, Cloud Storage or, straight as pixels, a local folder."""
    from cropcam.pipeline.earthengine import delivery, exports
    from cropcam.pipeline.earthengine.destinations import parse_destination
    from cropcam.pipeline.earthengine.manifest import manifest_path
    from cropcam.pipeline.earthengine.plan import plan
    from cropcam.pipeline.earthengine.task_status import summary
    from cropcam.pipeline.earthengine.task_view import TaskView
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    study, destination = load_study(args.study), parse_destination(args.to)
    if isinstance(destination, Path):
        if args.no_wait:
            raise _usage("--no-wait goes with drive: and gs://; pixels to a folder are fetched while you wait")
        if args.dry_run:
            print(delivery.plan_text(study, destination, window_px=args.window_px, shard_px=args.shard_px))
            return
        with _session(args, exports=False) as session, Stage("export") as stage:
            lattice = {"workers": args.workers, "window_px": args.window_px, "shard_px": args.shard_px}
            shards = delivery.deliver(study, session, destination, **lattice, progress=stage, log=stage.log)
        print("\n".join(map(str, shards)))
        return
    if args.no_wait and args.archive:
        raise _usage("--no-wait needs an endpoint that outlives the command: run cropcam emulate --archive DIR, and give --api-url its URL")
    tasks_planned = plan(study, destination, cell_px=args.cell_px, file_px=args.file_px, priority=args.priority)
    if args.dry_run:
        print(tasks_planned.text())
        return
    with _session(args) as session, TaskView("export") as view:
        rows = exports.export(tasks_planned, session, manifest_path(args.study), wait=not args.no_wait, view=view, log=view.log)
    print(summary(rows))


def tasks(args: argparse.Namespace) -> None:
    """What the exports of a study are doing; --cancel stops them."""
    from cropcam.pipeline.earthengine import exports
    from cropcam.pipeline.earthengine import task_status as watch
    from cropcam.pipeline.earthengine.destinations import parse_destination
    from cropcam.pipeline.earthengine.manifest import manifest_path
    from cropcam.pipeline.earthengine.plan import plan
    from cropcam.pipeline.study.study import load_study

    study, destination = load_study(args.study), parse_destination(args.to)
    if isinstance(destination, Path):
        raise _usage(f"--to {args.to}: pixels to a folder make no tasks; name the drive:FOLDER or gs://BUCKET/PREFIX of the export")
    with _session(args) as session:
        look = exports.cancel if args.cancel else exports.tasks
        rows = look(plan(study, destination, cell_px=args.cell_px, file_px=args.file_px), session, manifest_path(args.study))
    print(watch.lines(rows))
    print(watch.summary(rows))


def preview(args: argparse.Namespace) -> None:
    """A geemap page of region, export cells, composite and labels."""
    from cropcam.pipeline.earthengine.preview import preview as draw
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    study = load_study(args.study)
    with _session(args, exports=False) as session, Stage("preview") as stage:
        draw(study, session, args.out, progress=stage)
    print(f"{args.out}: its tiles come from the endpoint when a browser opens it")


def patches(args: argparse.Namespace) -> None:
    """Cut rasters into a patch store: own files (--image, --labels) or an export's shards (--from)."""
    from cropcam.pipeline.errors import ConfigError
    from cropcam.pipeline.patches import from_rasters, from_shards
    from cropcam.pipeline.rasters.raster import Conversion
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    if args.image and not args.labels:
        raise ConfigError("--image needs --labels FILE: the CDL raster the patches are labelled from")
    if args.folder and (args.labels or _says_what_values_mean(args)):
        raise ConfigError("--labels, --scale, --offset and --nodata go with --image; shards of an export carry their own meaning")
    study = load_study(args.study)
    with Stage("patches") as stage:
        if args.folder:
            cut = from_shards(study, args.folder, args.store, seed=args.seed, scheduler=args.scheduler, progress=stage, log=stage.log)
        else:
            conversion = Conversion(args.scale, args.offset, args.nodata)
            cut = from_rasters(
                study,
                args.image,
                args.labels,
                args.store,
                conversion=conversion,
                seed=args.seed,
                scheduler=args.scheduler,
                progress=stage,
                log=stage.log,
            )
    print(f"{args.store}: {_patches_line(cut)}")


def check(args: argparse.Namespace) -> None:
    """Look through a whole store: checksums, labels, shares, splits; and draw where its patches lie."""
    from cropcam.pipeline.errors import DataError
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.store.verify import check as look_through
    from cropcam.pipeline.store.verify import draw, picture_path

    picture = picture_path(args.store, args.out)
    with Stage("check") as stage:
        report = look_through(args.store, progress=stage)
    note = "" if report.checksums else " (it carries no checksums)"
    sound = f"{args.store}: sound: {report.patches:,} patches in {report.shards:,} zarr shard{'s' if report.shards != 1 else ''}{note}"
    print("\n".join(report.problems) or sound)
    draw(args.store, picture)
    print(f"{picture}: shows where its patches lie")
    if report.problems:
        raise DataError(f"{args.store}: {len(report.problems)} problems; delete it and cut it again with 'cropcam patches'")


def train(args: argparse.Namespace) -> None:
    """Train a network on a store's weak labels; the run folder keeps everything."""
    from cropcam.model.training.presets import preset
    from cropcam.model.training.settings import SETTINGS
    from cropcam.model.training.train import train as run_training
    from cropcam.pipeline.runtime.progress import Stage

    settings = {name: value for name, value in vars(args).items() if name in SETTINGS and value is not None}
    settings = preset(args.preset, settings) if args.preset else settings
    with Stage("train") as stage:
        run_training(
            args.store,
            args.run,
            device=args.device,
            resume=args.resume,
            tensorboard=args.tensorboard,
            progress=stage,
            log=stage.log,
            **settings,
        )
    if os.environ.get("RANK", "0") == "0":  # under torchrun one process speaks
        print(f"{args.run}: trained; go on with: cropcam evaluate {args.run}")


def evaluate(args: argparse.Namespace) -> None:
    """Figures of a run on one split, beside the majority guess: RUN/metrics.json."""
    from cropcam.model.evaluation.evaluate import evaluate as measure
    from cropcam.model.evaluation.notes import caveats
    from cropcam.model.report.terminal import classes, headline, methods
    from cropcam.pipeline.runtime.progress import Stage

    with Stage("evaluate") as stage:
        evaluated = measure(
            args.run,
            split=args.split,
            save=args.save,
            store=args.store,
            baselines=args.baselines,
            device=args.device,
            progress=stage,
        )
    metrics = evaluated.to_dict()
    print(
        json.dumps(metrics, indent=2) if args.json else f"{headline(metrics)}\n\n{methods(metrics['segmentation'])}\n\n{classes(metrics)}"
    )
    for note in [*caveats(metrics), *metrics["segmentation"].get("baselines_notes", [])]:
        print(f"note: {note}", file=sys.stderr)


def compare(args: argparse.Namespace) -> None:
    """Evaluated runs side by side: table, plot, confusion matrices; CSV and one HTML page."""
    from cropcam.model.report.compare import compare as set_side_by_side
    from cropcam.model.report.terminal import side_by_side

    found = set_side_by_side(args.runs, args.out)
    for caution in found.cautions:
        print(f"note: {caution}", file=sys.stderr)
    if args.json:
        print(json.dumps(found.to_dict()["rows"], indent=2))
        return
    print(side_by_side(found.rows()))
    print(f"{found.page}: open it in a browser; {found.csv} has intervals and all columns")


def map_(args: argparse.Namespace) -> None:
    """Class map of whole rasters as a Cloud Optimized GeoTIFF."""
    from cropcam.model.inference.wall_to_wall import map_raster
    from cropcam.model.runs.checkpoint import load_config
    from cropcam.pipeline.rasters.export_shards import open_image_shards
    from cropcam.pipeline.rasters.mosaic import open_image
    from cropcam.pipeline.rasters.raster import Conversion
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import parse_study

    if args.folder and _says_what_values_mean(args):
        raise _usage("--scale, --offset and --nodata go with --image; shards of an export carry their own meaning")
    config = load_config(args.run)
    if args.folder:
        source = open_image_shards(args.folder, parse_study(config.store_attrs["study"], f"{args.run}/config.json"))
    else:
        source = open_image(args.image, config.bands, Conversion(args.scale, args.offset, args.nodata))
    with Stage("map") as stage:
        summary = map_raster(args.run, source, args.out, device=args.device, progress=stage, log=stage.log)
    print(summary)


def report(args: argparse.Namespace) -> None:
    """One self-contained HTML page about a run: RUN/report.html."""
    from cropcam.model.report.run_report import write_report
    from cropcam.pipeline.runtime.progress import Stage

    with Stage("report") as stage:
        page = write_report(args.run, store=args.store, progress=stage)
    print(f"{page}: open it in a browser")


def export_model(args: argparse.Namespace) -> None:
    """A trained run as one file that needs no cropcam: ONNX or a torch.export program, checked equal."""
    from cropcam.model.inference.export import export_model as write

    print(write(args.run, args.to))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    args = _parser().parse_args(argv)
    # threads that wait for work sleep: spinning ones made training three times slower on a busy machine (read when torch loads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GDAL_CACHEMAX", "256")  # MB; GDAL would take a twentieth of the machine's memory
    try:
        args.call(args)
    except KeyboardInterrupt:
        again = "run the same command again with --resume" if "resume" in vars(args) else "run the same command again"
        print(f"interrupted; nothing is half-written: {again} to go on", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - the last stop: one line, or the traceback of a bug
        return _explain(error, args.debug)
    return 0


def _explain(error: Exception, debug: bool) -> int:
    import traceback

    from cropcam.pipeline.errors import CropcamError

    if isinstance(error, BrokenPipeError):
        return 0
    known = isinstance(error, CropcamError)
    if debug or not (known or isinstance(error, OSError)):
        traceback.print_exception(error)
    if known:
        print(f"cropcam: {error}", file=sys.stderr)
        return error.exit_code  # type: ignore[attr-defined,no-any-return]
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"cropcam: {where}{error.strerror or error}; nothing half-written was left: free space or choose another place, then run it again",
            file=sys.stderr,
        )
        return 3
    print("cropcam: this is a bug; please report the lines above", file=sys.stderr)
    return 1


@contextmanager
def _session(args: argparse.Namespace, *, exports: bool = True) -> Iterator[Any]:
    """An open session: with the service, with --api-url, or with an embedded engine over --archive that ends with the command.

    Only with `exports` does that engine write: beside the archive, where one engine at a time may.
    """
    from cropcam.pipeline.earthengine.session import EMBEDDED, open_session

    if not args.archive:
        yield open_session(args.project, args.api_url)
        return
    if args.api_url is not None:
        raise _usage("--archive starts an endpoint of its own; leave out --api-url")
    from cropcam.pipeline.emulator import serve

    folder: Path = args.archive.resolve()
    with serve(folder, out=folder.with_name(f"{folder.name}-exports") if exports else None) as server:
        yield open_session(args.project, server.url, name=f"{EMBEDDED}{folder}")


def _says_what_values_mean(args: argparse.Namespace) -> bool:
    return (args.scale, args.offset, args.nodata) != (None, None, None)


def _usage(text: str) -> Exception:
    from cropcam.pipeline.errors import ConfigError

    return ConfigError(text)


def _patches_line(cut: Any) -> str:  # noqa: ANN401 - cropcam.pipeline.patches.Summary, not imported for --help's sake
    from cropcam.pipeline.store.schema import drops_in_words

    splits = ", ".join(f"{count:,} {name}" for name, count in cut.split_counts.items())
    already = "already there, " if cut.existed else ""
    return f"{already}{cut.count:,} patches kept of {cut.info.patch_grid.count:,} ({splits}); dropped: {drops_in_words(cut.info.dropped)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cropcam", description="From satellite rasters and weak labels to a crop map with honest numbers."
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of any error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, call: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        text = (call.__doc__ or "").splitlines()[0]
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        sub.set_defaults(call=call)
        return sub

    _data_options(command)
    _model_options(command)
    return parser


def _data_options(command: Callable[[str, Callable[[argparse.Namespace], None]], argparse.ArgumentParser]) -> None:
    sub = command("demo", demo)
    sub.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: %(default)s")
    _training_options(sub)

    sub = command("describe", describe)
    sub.add_argument("what", metavar="STUDY|STORE", help="a preset, a TOML file or a patch store")
    sub.add_argument("--json", action="store_true")

    sub = command("simulate", simulate)
    sub.add_argument("study", metavar="STUDY")
    sub.add_argument("--archive", type=Path, required=True, metavar="DIR")
    sub.add_argument("--seed", type=int, default=0)

    sub = command("emulate", emulate)
    sub.add_argument("--archive", type=Path, required=True, metavar="DIR")
    sub.add_argument("--port", type=int, default=0, help="default: any that is free")
    sub.add_argument("--out", type=Path, metavar="DIR", help="where exports land (default: beside the archive)")

    sub = command("export", export)
    sub.add_argument("study", metavar="STUDY")
    sub.add_argument("--to", required=True, metavar="WHERE", help="drive:FOLDER, gs://BUCKET/PREFIX or a local folder")
    _endpoint_options(sub)
    _cell_options(sub)
    sub.add_argument("--priority", type=int, default=100, help="of tasks, 0 to 9999 (default %(default)s)")
    sub.add_argument("--window-px", type=int, help="side of one pixel request to a folder (default: 512, or what fits 48 MB)")
    sub.add_argument("--shard-px", type=int, default=8192, help="side of one file in a folder (default %(default)s)")
    sub.add_argument("--workers", type=int, default=40, help="pixel requests at once (default %(default)s)")
    sub.add_argument("--no-wait", action="store_true", help="return once the tasks are started")
    sub.add_argument("--dry-run", action="store_true", help="print the plan: tasks, pixels, bytes, files")

    sub = command("tasks", tasks)
    sub.add_argument("study", metavar="STUDY")
    sub.add_argument("--to", required=True, metavar="WHERE", help="drive:FOLDER or gs://BUCKET/PREFIX, as exported")
    _endpoint_options(sub)
    _cell_options(sub)
    sub.add_argument("--cancel", action="store_true", help="cancel all that wait or run")

    sub = command("preview", preview)
    sub.add_argument("study", metavar="STUDY")
    sub.add_argument("--out", type=Path, required=True, metavar="PAGE.html")
    _service_options(sub)

    sub = command("patches", patches)
    sub.add_argument("study", metavar="STUDY")
    _image_options(sub)
    sub.add_argument("--labels", type=Path, nargs="+", metavar="FILE", help="CDL raster(s), any CRS and grid")
    sub.add_argument("--store", type=_folder, required=True, metavar="STORE")
    sub.add_argument("--seed", type=int, default=0, help="of the split (default %(default)s)")
    sub.add_argument("--scheduler", metavar="ADDRESS", help="cut on a dask.distributed cluster (default: threads)")

    sub = command("check", check)
    sub.add_argument("store", type=_folder, metavar="STORE")
    sub.add_argument("--out", type=Path, metavar="PICTURE", help="PNG or SVG of the splits (default: NAME-splits.png beside NAME.zarr)")


def _model_options(command: Callable[[str, Callable[[argparse.Namespace], None]], argparse.ArgumentParser]) -> None:
    sub = command("train", train)
    sub.add_argument("store", type=_folder, metavar="STORE")
    sub.add_argument("--run", type=_folder, required=True, metavar="RUN")
    sub.add_argument("--preset", choices=("poster", "paper"), help="settings of the poster, or of the paper after it; options go over them")
    sub.add_argument("--model", choices=("baseline", "resnet50", "unet", "fcn"), help="default: fcn")
    sub.add_argument("--labels", choices=("presence", "majority", "shares", "points", "pixels"), help="kind of label (default: presence)")
    sub.add_argument("--presence-min-share", type=float, metavar="SHARE", help="a class is present above this share (default: the study's)")
    _label_options(sub)
    _training_options(sub)
    sub.add_argument("--batch-size", type=int, help="patches per step (default 32)")
    sub.add_argument("--lr", type=float, help="step size (default: fcn 0.01, of points and any pixel 0.003; unet 0.002; else 0.001)")
    _learning_options(sub)
    _machine_options(sub)
    sub.add_argument("--resume", action="store_true", help="go on where the run stopped")

    sub = command("evaluate", evaluate)
    sub.add_argument("run", type=_folder, metavar="RUN")
    sub.add_argument("--split", choices=("train", "validation", "test"), default="test")
    sub.add_argument(
        "--save", type=_folder, metavar="SEGMENTATION.zarr", help="keep activation maps and classes per patch, with coordinates"
    )
    sub.add_argument(
        "--baselines", action="store_true", help="also evaluate a random forest and a logistic regression on pixels (needs scikit-learn)"
    )
    sub.add_argument("--json", action="store_true")
    _store_option(sub)
    _device_option(sub)

    sub = command("compare", compare)
    sub.add_argument("runs", type=_folder, nargs="+", metavar="RUN", help="evaluated runs; gains are against the first")
    sub.add_argument("--out", type=Path, default=Path("comparison"), metavar="DIR", help="default: %(default)s")
    sub.add_argument("--json", action="store_true")

    sub = command("map", map_)
    sub.add_argument("run", type=_folder, metavar="RUN")
    _image_options(sub)
    sub.add_argument("--out", type=Path, required=True, metavar="MAP.tif")
    _device_option(sub)

    sub = command("export-model", export_model)
    sub.add_argument("run", type=_folder, metavar="RUN")
    sub.add_argument("--to", type=Path, required=True, metavar="FILE", help="FILE.onnx, or FILE.pt2 for torch.export.load")

    sub = command("report", report)
    sub.add_argument("run", type=_folder, metavar="RUN")
    _store_option(sub)


def _learning_options(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("how it learns")
    group.add_argument("--optimizer", choices=("adamw", "adam", "sgd"), help="default: adamw")
    group.add_argument(
        "--weight-decay", type=float, metavar="X", help="default: fcn and unet 0.01, fcn of points and any pixel 0.1; else 0.0001"
    )
    group.add_argument(
        "--schedule",
        choices=("constant", "cosine", "step"),
        help="of the step size; step: a tenth at 1/2 and at 3/4 (default: fcn and unet cosine; else constant)",
    )
    group.add_argument(
        "--warmup-epochs", type=float, metavar="N", help="epochs in which the step size rises (default: fcn and unet 1; else 0)"
    )
    group.add_argument(
        "--label-smoothing", type=float, metavar="S", help="share of each answer spread evenly (default: fcn of points 0.1; else 0)"
    )
    group.add_argument(
        "--class-weights",
        choices=("none", "balanced"),
        help="balanced: inverse class frequency (default: fcn of any pixel balanced; else none)",
    )
    group.add_argument(
        "--self-labels",
        type=float,
        metavar="W",
        help="weight of the labels that the running mean of its weights gives all pixels, with shares mended by them (default for fcn: 3; shares of single patches and presence of 1 %% or more: 1; majority and pixels: 0. Other networks: 0)",
    )
    group.add_argument("--clip-norm", type=float, metavar="X", help="longest gradient (default 0: no limit)")
    group.add_argument(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N epochs without a better one, own labels counted in and from their beginning (default 0: never)",
    )
    group.add_argument("--quarter-turns", action=argparse.BooleanOptionalAction, help="turn patches too, not only flip them")


def _machine_options(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("how it runs")
    group.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), help="auto: bf16 on a GPU or a CPU with AMX or AVX-512 BF16, else fp32"
    )
    group.add_argument("--channels-last", action=argparse.BooleanOptionalAction, help="memory order of the maps")
    group.add_argument("--compile", action=argparse.BooleanOptionalAction, help="torch.compile")
    group.add_argument("--cuda-graphs", action=argparse.BooleanOptionalAction, help="torch.compile with CUDA graphs")
    group.add_argument("--deterministic", action=argparse.BooleanOptionalAction, help="the same bits each time (default on a CPU)")
    group.add_argument("--feed", choices=("auto", "resident", "streamed"), help="auto: from memory where it fits half of what is free")
    group.add_argument("--tensorboard", action="store_true", help="also write RUN/tensorboard (needs cropcam[tensorboard])")


def _label_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--loss", help="how to learn from the labels: bce, lse, threshold (presence); default: the best measured for their kind"
    )
    sub.add_argument("--share-step", type=float, metavar="STEP", help="shares: rounded to multiples of this")
    sub.add_argument("--share-noise", type=float, metavar="SD", help="shares: standard deviation of noise added")
    sub.add_argument("--bag-size", type=int, metavar="N", help="shares: known only for groups of N neighbouring patches")
    sub.add_argument("--points-per-patch", type=int, metavar="N", help="points: labelled pixels per patch (default 1)")
    sub.add_argument("--points", metavar="FILE.csv", help="points: your own (lon, lat, class) instead of drawn ones")
    sub.add_argument("--areas", metavar="FILE.geojson", help="shares: your own areas of the classes per polygon instead of the store's")
    sub.add_argument("--label-noise", type=float, metavar="P", help="probability that a label is replaced by a wrong one")
    sub.add_argument(
        "--class-prior", type=_shares, metavar="S,S,...", help="the classes' shares of all pixels, where known, in the store's order"
    )


def _folder(text: str) -> Path:
    """A folder by a name of its own, also where it was called "." or "..": locks and unfinished work lie beside it, under names made of it."""
    path = Path(text)
    return path if path.name.strip(".") else path.resolve()


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give one number per class, with commas between") from None


def _training_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--epochs", type=int, help="passes over the training split (default 16)")
    sub.add_argument("--seed", type=int, help="of everything random (default 0)")
    _device_option(sub)


def _cell_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--cell-px", type=int, default=8192, help="side of one task's cell (default %(default)s)")
    sub.add_argument("--file-px", type=int, help="side of one task's files (default: a whole cell, if Earth Engine writes it as one)")


def _service_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--project", metavar="P", help="Google Cloud project registered for Earth Engine (default: the credentials' own)")
    sub.add_argument("--api-url", metavar="URL", help="another endpoint: the high-volume one, or an engine on loopback (cropcam emulate)")
    sub.set_defaults(archive=None)


def _endpoint_options(sub: argparse.ArgumentParser) -> None:
    _service_options(sub)
    sub.add_argument("--archive", type=Path, metavar="DIR", help="use the embedded engine over this archive; no account needed")


def _store_option(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--store", type=_folder, metavar="STORE", help="where the run's store lies now, if it was moved")


def _device_option(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU where there is one")


def _image_options(sub: argparse.ArgumentParser) -> None:
    given = sub.add_mutually_exclusive_group(required=True)
    given.add_argument("--from", dest="folder", type=Path, metavar="DIR", help="GeoTIFF shards of an export")
    given.add_argument("--image", type=Path, nargs="+", metavar="FILE", help="own rasters: single-band files or one multi-band file")
    sub.add_argument("--scale", type=float, help="reflectance = value x scale + offset, whatever the files' tags and type tell")
    sub.add_argument("--offset", type=float, help="as --scale; each stays what tags and type tell where only the other is given")
    sub.add_argument("--nodata", type=float, help="the image's nodata value, whatever its tags tell")


if __name__ == "__main__":
    sys.exit(main())
