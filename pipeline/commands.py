"""The commands of the data plane: parse, call, print. Imports of heavy modules stay inside the command that needs them.

Each command is a function of the parsed arguments; `add_commands` declares the options.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cropcam.pipeline.errors import ConfigError, DataError

Command = Callable[[argparse.Namespace], None]
AddCommand = Callable[[str, Command], argparse.ArgumentParser]


def describe(args: argparse.Namespace) -> None:
    """Grid, patches, bands, classes, bytes to expect; of a store: counts, shares, statistics."""
    from cropcam.pipeline import describe as about
    from cropcam.pipeline.study.study import presets

    is_store = args.what not in presets() and Path(args.what).is_dir()  # 'demo' is the preset, './demo' a folder
    facts = about.of_store(Path(args.what)) if is_store else about.of_study(args.what)
    print(json.dumps(facts, indent=2) if args.json else about.as_text(facts))


def simulate(args: argparse.Namespace) -> None:
    """Write a simulated archive of scenes and labels for the study's area and period."""
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

    serve_forever(args.archive, args.port, out=args.out, log=lambda url: print(url, flush=True))


def export(args: argparse.Namespace) -> None:
    """Bring composite and labels to Drive, Cloud Storage or, straight as pixels, a local folder."""
    from cropcam.pipeline.earthengine import delivery, exports
    from cropcam.pipeline.earthengine.destinations import parse_destination
    from cropcam.pipeline.earthengine.layers import layers_of
    from cropcam.pipeline.earthengine.manifest import manifest_path
    from cropcam.pipeline.earthengine.plan import plan
    from cropcam.pipeline.earthengine.task_status import summary
    from cropcam.pipeline.earthengine.task_view import TaskView
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    study, destination = load_study(args.study), parse_destination(args.to)
    if args.estimate and not args.dry_run:
        raise ConfigError("--estimate goes with --dry-run: it computes a few windows and exports nothing")
    if isinstance(destination, Path):
        if args.no_wait:
            raise ConfigError("--no-wait goes with drive: and gs://; pixels to a folder are fetched while you wait")
        if args.dry_run:
            print(delivery.plan_text(study, destination, window_px=args.window_px, shard_px=args.shard_px))
            _estimate(args, study, {layer.name: study.grid.width * study.grid.height for layer in layers_of(study)})
            return
        with _session(args, study, exports=False) as session, Stage("export") as stage:
            lattice = {"workers": args.workers, "window_px": args.window_px, "shard_px": args.shard_px}
            shards = delivery.deliver(study, session, destination, **lattice, progress=stage, log=stage.log)
        print("\n".join(map(str, shards)))
        return
    if args.no_wait and args.archive:
        raise ConfigError(
            "--no-wait needs an endpoint that outlives the command: run cropcam emulate --archive DIR, and give --api-url its URL"
        )
    tasks_planned = plan(study, destination, cell_px=args.cell_px, file_px=args.file_px, priority=args.priority)
    if args.dry_run:
        print(tasks_planned.text())
        _estimate(args, study, tasks_planned.layer_pixels())
        return
    with _session(args, study) as session, TaskView("export") as view:
        rows = exports.export(tasks_planned, session, manifest_path(args.study), exports.Options(not args.no_wait, view=view, log=view.log))
    print(summary(rows))


def _estimate(args: argparse.Namespace, study: Any, pixels: Mapping[str, int]) -> None:  # noqa: ANN401 - as `patches_line`
    """With --estimate, print below a plan what it will cost; `pixels` by the name of their layer."""
    if not args.estimate:
        return
    from cropcam.pipeline.earthengine.estimate import estimate
    from cropcam.pipeline.runtime.progress import Stage

    with _session(args, study, exports=False) as session, Stage("estimate") as stage:
        found = estimate(study, session, pixels, progress=stage)
    print(f"\n{found.text()}")


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
        raise ConfigError(f"--to {args.to}: pixels to a folder make no tasks; name the drive:FOLDER or gs://BUCKET/PREFIX of the export")
    with _session(args, study) as session:
        look = exports.cancel if args.cancel else exports.tasks
        rows = look(plan(study, destination, cell_px=args.cell_px, file_px=args.file_px), session, manifest_path(args.study))
    print(watch.lines(rows))
    print(watch.summary(rows))


def fetch(args: argparse.Namespace) -> None:
    """Bring a finished export home from Drive or Cloud Storage; --watch waits for its tasks."""
    import shlex

    from cropcam.pipeline.earthengine import exports
    from cropcam.pipeline.earthengine.destinations import CloudStorage, Drive, parse_destination
    from cropcam.pipeline.earthengine.manifest import manifest_path
    from cropcam.pipeline.earthengine.session import STANDARD_URL, open_session
    from cropcam.pipeline.fetch.download import How
    from cropcam.pipeline.fetch.exported import find_export
    from cropcam.pipeline.fetch.home import bring_home
    from cropcam.pipeline.fetch.places import open_remote
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    study, source, manifest = load_study(args.study), parse_destination(args.source, "--from"), manifest_path(args.study)
    if not isinstance(source, Drive | CloudStorage):
        raise ConfigError(f"--from {args.source}: name the drive:FOLDER or gs://BUCKET/PREFIX of the export; only files can be fetched")
    with _endpoint(args) as (url, name), Stage("fetch") as stage:
        exported = find_export(study, manifest, source, name or url or STANDARD_URL, args.project)
        look = None
        if args.watch:
            if exported is None:
                raise ConfigError(
                    f"--watch needs the export's manifest, and {manifest} records none to {source}; run it in the folder of the export"
                )
            session = open_session(args.project or exported.project, url, name=name)
            look = lambda: exports.tasks(exported.plan, session, manifest)  # noqa: E731 - one expression
        remote = open_remote(source, project=args.project, api_url=url)
        home = bring_home(study, remote, args.to, exported=exported, look=look, how=How(progress=stage, log=stage.log))
    print(home)
    print(f"next: cropcam patches {shlex.quote(args.study)} --from {shlex.quote(str(args.to))} --store {study.name}.zarr")


def preview(args: argparse.Namespace) -> None:
    """A geemap page of region, export cells, composite and labels."""
    from cropcam.pipeline.earthengine.preview import preview as draw
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    study = load_study(args.study)
    with _session(args, study, exports=False) as session, Stage("preview") as stage:
        draw(study, session, args.out, progress=stage)
    print(f"{args.out}: its tiles come from the endpoint when a browser opens it")


def patches(args: argparse.Namespace) -> None:
    """Build a patch store from rasters: own files (--image, --labels) or an export's shards (--from)."""
    from cropcam.pipeline.patches.build import from_rasters, from_shards
    from cropcam.pipeline.rasters.values import ValueEncoding
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    if args.folder and (args.labels or has_value_options(args)):
        raise ConfigError("--labels, --scale, --offset and --nodata go with --image; shards of an export carry their own meaning")
    study = load_study(args.study)
    with Stage("patches") as stage:
        common = {"seed": args.seed, "scheduler": args.scheduler, "progress": stage, "log": stage.log}
        if args.folder:
            built = from_shards(study, args.folder, args.store, **common)
        else:
            encoding = ValueEncoding(args.scale, args.offset, args.nodata)
            built = from_rasters(study, args.image, args.labels or [], args.store, encoding=encoding, **common)
    print(f"{args.store}: {patches_line(built)}")


def check(args: argparse.Namespace) -> None:
    """Look through a whole store: every chunk, labels, tables, splits; and draw where its patches lie."""
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.store.verify import check as look_through
    from cropcam.pipeline.store.verify import draw, picture_path

    picture = picture_path(args.store, args.out)
    with Stage("check") as stage:
        report = look_through(args.store, progress=stage)
    sound = f"{args.store}: sound: {report.patches:,} patches in {report.blocks:,} block{'s' if report.blocks != 1 else ''}"
    print("\n".join(report.problems) or sound)
    draw(args.store, picture)
    print(f"{picture}: shows where its patches lie")
    if report.problems:
        count = len(report.problems)
        raise DataError(f"{args.store}: {count} problem{'s' if count != 1 else ''}; delete it and build it again with 'cropcam patches'")


def add_commands(command: AddCommand) -> None:
    """Declare the commands of the data plane and their options."""
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
    sub.add_argument(
        "--window-px",
        type=int,
        help="side of one pixel request to a folder (default: 512 px of an image, 2048 of labels, or what fits the limits)",
    )
    sub.add_argument("--shard-px", type=int, default=8192, help="side of one file in a folder (default %(default)s)")
    sub.add_argument("--workers", type=int, default=40, help="pixel requests at once (default %(default)s)")
    sub.add_argument("--no-wait", action="store_true", help="return once the tasks are started")
    sub.add_argument("--dry-run", action="store_true", help="print the plan: tasks, pixels, bytes, files")
    sub.add_argument("--estimate", action="store_true", help="with --dry-run: compute a few windows and print EECU-hours below the plan")

    sub = command("tasks", tasks)
    sub.add_argument("study", metavar="STUDY")
    sub.add_argument("--to", required=True, metavar="WHERE", help="drive:FOLDER or gs://BUCKET/PREFIX, as exported")
    _endpoint_options(sub)
    _cell_options(sub)
    sub.add_argument("--cancel", action="store_true", help="cancel all that wait or run")

    sub = command("fetch", fetch)
    sub.add_argument("study", metavar="STUDY")
    sub.add_argument("--from", dest="source", required=True, metavar="WHERE", help="drive:FOLDER or gs://BUCKET/PREFIX, as exported")
    sub.add_argument("--to", type=folder_argument, required=True, metavar="DIR", help="a folder of its own")
    _endpoint_options(sub)
    sub.add_argument("--watch", action="store_true", help="wait for the tasks, fetch the files of each as it ends")

    sub = command("preview", preview)
    sub.add_argument("study", metavar="STUDY")
    sub.add_argument("--out", type=Path, required=True, metavar="PAGE.html")
    _service_options(sub)

    sub = command("patches", patches)
    sub.add_argument("study", metavar="STUDY")
    add_image_options(sub)
    sub.add_argument(
        "--labels", type=Path, nargs="+", metavar="FILE", help="label raster(s), any CRS and grid (default: a store without labels)"
    )
    sub.add_argument("--store", type=folder_argument, required=True, metavar="STORE")
    sub.add_argument("--seed", type=int, default=0, help="of the split (default %(default)s)")
    sub.add_argument("--scheduler", metavar="ADDRESS", help="build on a dask.distributed cluster (default: threads)")

    sub = command("check", check)
    sub.add_argument("store", type=folder_argument, metavar="STORE")
    sub.add_argument("--out", type=Path, metavar="PICTURE", help="PNG or SVG of the splits (default: NAME-splits.png beside NAME.zarr)")


def add_image_options(sub: argparse.ArgumentParser) -> Any:  # noqa: ANN401 - argparse does not export the type
    """Options that name rasters: shards of an export or own files, with the meaning of their values; the group of them."""
    given = sub.add_mutually_exclusive_group(required=True)
    given.add_argument("--from", dest="folder", type=Path, metavar="DIR", help="GeoTIFF shards of an export")
    given.add_argument("--image", type=Path, nargs="+", metavar="FILE", help="own rasters: single-band files or one multi-band file")
    scale = "physical value = value x scale + offset, whatever tags, sensor and type say; one number, or one for each band: S,S,..."
    sub.add_argument("--scale", type=_numbers, metavar="S", help=scale)
    sub.add_argument("--offset", type=_numbers, metavar="O", help="as --scale; write --offset=O,O,... where the first is negative")
    sub.add_argument("--nodata", type=_numbers, metavar="N", help="the image's nodata value, whatever its tags are; also one for each band")
    return given


def _numbers(text: str) -> float | tuple[float, ...]:
    """One number, or several with commas between them."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give one number, or one for each band: N,N,...") from None
    return values if len(values) > 1 else values[0]


def _cell_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--cell-px", type=int, default=8192, help="side of one task's cell (default %(default)s)")
    sub.add_argument("--file-px", type=int, help="side of one task's files (default: a whole cell, if Earth Engine writes it as one)")


def _service_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--project", metavar="P", help="Google Cloud project registered for Earth Engine (default: the credentials' own)")
    sub.add_argument("--api-url", metavar="URL", help="high-volume, or the URL of another endpoint, such as cropcam emulate's")
    sub.set_defaults(archive=None)


def _endpoint_options(sub: argparse.ArgumentParser) -> None:
    _service_options(sub)
    sub.add_argument("--archive", type=Path, metavar="DIR", help="use the embedded engine over this archive; no account needed")


def folder_argument(text: str) -> Path:
    """A folder by a name of its own, also where it was called "." or "..": locks and unfinished work lie beside it, under names made of it."""
    path = Path(text)
    return path if path.name.strip(".") else path.resolve()


def patches_line(built: Any) -> str:  # noqa: ANN401 - cropcam.pipeline.patches.build.Summary, not imported for --help's sake
    """One line about a store that was built: patches kept, by split, and dropped."""
    from cropcam.pipeline.store.schema import format_dropped

    splits = ", ".join(f"{count:,} {name}" for name, count in built.split_counts.items())
    already = "already there, " if built.existed else ""
    return f"{already}{built.count:,} patches kept of {built.info.patch_grid.count:,} ({splits}); dropped: {format_dropped(built.info.dropped)}"


def has_value_options(args: argparse.Namespace) -> bool:
    """Whether --scale, --offset or --nodata was passed."""
    return (args.scale, args.offset, args.nodata) != (None, None, None)


@contextmanager
def _session(args: argparse.Namespace, study: Any, *, exports: bool = True) -> Iterator[Any]:  # noqa: ANN401 - a Study
    """An open session for a study with the endpoint of `_endpoint`."""
    from cropcam.pipeline.earthengine.cost import workload_tag
    from cropcam.pipeline.earthengine.session import open_session

    with _endpoint(args, exports=exports) as (url, name):
        yield open_session(args.project, url, name=name, workload_tag=workload_tag(study.name))


@contextmanager
def _endpoint(args: argparse.Namespace, *, exports: bool = True) -> Iterator[tuple[str | None, str]]:
    """URL and name of the endpoint: the service's (None), --api-url, or an embedded engine over --archive that ends with the command.

    Only with `exports` does that engine write: beside the archive, where one engine at a time may.
    """
    from cropcam.pipeline.earthengine.session import EMBEDDED

    if not args.archive:
        yield args.api_url, ""
        return
    if args.api_url is not None:
        raise ConfigError("--archive starts an endpoint of its own; leave out --api-url")
    from cropcam.pipeline.emulator import serve

    folder: Path = args.archive.resolve()
    with serve(folder, out=folder.with_name(f"{folder.name}-exports") if exports else None) as server:
        yield server.url, f"{EMBEDDED}{folder}"
