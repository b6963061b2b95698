"""The command export, and how an export comes home. Heavy modules are imported inside the functions that need them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cropcam.pipeline.arguments import AddCommand, folder_argument, json_option, study_argument, study_words
from cropcam.pipeline.endpoints import check_feasible_at, endpoint_options, manifest_of, same_endpoint, session_of
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.console import command_line, free_name, show


def export(args: argparse.Namespace) -> None:
    """Composite and labels to Drive, a bucket, asset or folder."""
    from cropcam.pipeline.earthengine import exports
    from cropcam.pipeline.earthengine.cost import spent_text
    from cropcam.pipeline.earthengine.destinations import Asset, parse_destination
    from cropcam.pipeline.earthengine.export_run import Options, pace_at
    from cropcam.pipeline.earthengine.plan import plan
    from cropcam.pipeline.earthengine.task_status import document, places, summary
    from cropcam.pipeline.earthengine.task_view import TaskView
    from cropcam.pipeline.fetch.arrived import arrived_at
    from cropcam.pipeline.study.study import load_study

    study, destination = load_study(args.study, args.changes), parse_destination(args.to)
    if args.estimate and not args.dry_run:
        raise ConfigError("--estimate goes with --dry-run: it computes a few windows and exports nothing")
    check_feasible_at(args, study)
    if isinstance(destination, Path):
        _deliver(args, study, destination)
        return
    if args.fetch:
        check_folder(args.fetch, "--fetch")
    if not args.wait and args.archive:
        raise ConfigError(
            "--no-wait needs an endpoint that outlives the command: run cropcam emulate --archive DIR, and give --api-url its URL"
        )
    if args.fetch and not args.wait:
        raise ConfigError("--fetch waits for the tasks: leave out --no-wait, or run cropcam fetch --watch later")
    if args.fetch and isinstance(destination, Asset):
        raise ConfigError("--fetch goes with drive: and gs://; an asset stays at Earth Engine: export it again to one of them")
    planned = plan(
        study, destination, cell_px=args.cell_px, file_px=args.file_px, priority=args.priority, shard_px=args.shard_size, cog=args.cog,
        overwrite=args.overwrite,
    )  # fmt: skip
    if args.dry_run:
        found = _estimate(args, study, planned.layer_pixels(), reads_asset=not isinstance(destination, Asset))
        _show_plan(args, study, planned.text(), found, planned.facts())
        return
    with session_of(args, study) as session:
        with TaskView("export") as view:
            arrived, pace = arrived_at(destination, session), pace_at(session.api_url)
            options = Options(args.wait, args.again, args.max_eecu_hours, arrived, view, view.log, pace)
            rows = exports.export(planned, session.with_log(view.log), manifest_of(args), options)
        text, found = "\n".join(filter(None, [summary(rows), spent_text(rows), places(rows)])), document(study.name, args.to, rows)
        endpoint, where, then = same_endpoint(args), [args.to], ""
        if args.fetch:
            home = bring_home_to(args, study, destination, args.fetch, session.api_url, session.name)
            text, found["fetched"], where = f"{text}\n{home}", home.to_dict(), [str(args.fetch)]
            then = patches_after(args, study, args.fetch)
        elif isinstance(destination, Asset):
            text += f"\nexport and preview of {study.name} read the composite from {destination.name(session.project)} from now on"
            then = command_line("export", *study_words(args), "--to", f"drive:{study.name}", *endpoint, "--dry-run")
        elif args.wait:
            then = command_line("fetch", *study_words(args), "--from", args.to, "--to", free_name(Path("shards")), *endpoint)
        else:
            then = command_line("tasks", *study_words(args), "--to", args.to, *endpoint)
        show(found, text, places=where, then=then)


def _deliver(args: argparse.Namespace, study: Any, folder: Path) -> None:  # noqa: ANN401 - a Study
    """An export into a local folder."""
    from cropcam.pipeline.earthengine import delivery, delivery_plan
    from cropcam.pipeline.earthengine.kept import is_recorded, pixels_of
    from cropcam.pipeline.earthengine.plan import CELL_PX, PRIORITY, TILE_PX
    from cropcam.pipeline.runtime.progress import Stage

    for option, given in (
        ("--no-wait", not args.wait), ("--fetch", args.fetch), ("--overwrite", args.overwrite), ("--again", args.again), ("--cog", args.cog),
        ("--max-eecu-hours", args.max_eecu_hours is not None), ("--priority", args.priority != PRIORITY), ("--file-px", args.file_px),
        ("--shard-size", args.shard_size != TILE_PX), ("--cell-px", args.cell_px != CELL_PX),
    ):  # fmt: skip
        if given:
            raise ConfigError(f"{option} goes with drive:, gs:// and asset:; pixels to a folder are fetched while you wait")
    check_folder(folder)
    lattice = {"window_px": args.window_px, "shard_px": args.shard_px}
    if args.dry_run:
        found = _estimate(args, study, delivery_plan.layer_pixels(study, **lattice))
        _show_plan(args, study, delivery_plan.plan_text(study, folder, **lattice), found, delivery_plan.plan_facts(study, **lattice))
        return
    manifest = manifest_of(args)  # an embedded engine has the assets that it wrote where it writes
    with session_of(args, study, exports=is_recorded(study, manifest)) as session, Stage("export") as stage:
        pixels = pixels_of(study, session, manifest, stage.log)
        shards = delivery.deliver(
            study, session.with_log(stage.log), folder, workers=args.workers, **lattice, pixels=pixels, progress=stage, log=stage.log
        )
    files = [str(path) for path in shards]
    show({"study": study.name, "to": args.to, "files": files}, "\n".join(files), places=[folder], then=patches_after(args, study, folder))


def _show_plan(args: argparse.Namespace, study: Any, text: str, found: Any, facts: Mapping[str, Any]) -> None:  # noqa: ANN401 - a Study, an Estimate or None
    """The end of --dry-run: the plan, its estimate, and the export itself as the next command."""
    document = {"study": study.name, "to": args.to, **facts, "estimate": found.to_dict() if found else None}
    then = command_line(
        *(
            word
            for word in getattr(args, "words", ("export", args.study, "--to", args.to))
            if word not in ("--dry-run", "--estimate", "--json")
        )
    )
    show(document, f"{text}\n\n{found.text()}" if found else text, then=then)


def _estimate(args: argparse.Namespace, study: Any, pixels: Mapping[str, int], *, reads_asset: bool = True) -> Any:  # noqa: ANN401 - a Study; an Estimate
    """With --estimate, what a plan will cost; `pixels` by the name of their layer. None without.

    With `reads_asset` a composite that is kept as an asset is read, as the export will.
    """
    if not args.estimate:
        return None
    from cropcam.pipeline.earthengine.estimate import estimate
    from cropcam.pipeline.earthengine.kept import is_recorded, pixels_of
    from cropcam.pipeline.runtime.progress import Stage

    manifest = manifest_of(args)
    with session_of(args, study, exports=reads_asset and is_recorded(study, manifest)) as session, Stage("estimate") as stage:
        images = pixels_of(study, session, manifest, stage.log) if reads_asset else None
        return estimate(study, session.with_log(stage.log), pixels, images=images, progress=stage)


def bring_home_to(
    args: argparse.Namespace, study: Any, source: Any, out: Path, url: str | None, name: str, *, watch: bool = False  # noqa: ANN401 - a Study, a Destination
) -> Any:  # noqa: ANN401 - a Home  # fmt: skip
    """Fetch an export into a folder."""
    from cropcam.pipeline.earthengine import exports
    from cropcam.pipeline.earthengine.error_messages import Backoff
    from cropcam.pipeline.earthengine.export_run import pace_at
    from cropcam.pipeline.earthengine.session import open_session, url_of
    from cropcam.pipeline.fetch.download import How
    from cropcam.pipeline.fetch.exported import find_export
    from cropcam.pipeline.fetch.home import bring_home
    from cropcam.pipeline.fetch.places import open_remote
    from cropcam.pipeline.runtime.progress import Stage

    check_folder(out)
    manifest, url = manifest_of(args), url_of(url)
    with Stage("fetch") as stage:
        exported = find_export(study, manifest, source, name or url, args.project)
        look = None
        if watch:
            if exported is None:
                raise ConfigError(
                    f"--watch needs the export's manifest, and {manifest} records none to {source}; run it in the folder of the export"
                )
            session = open_session(args.project or exported.project, url, name=name).with_log(stage.log)
            look = exports.follow(exported.plan, session, manifest)
        backoff = Backoff(log=stage.log)
        remote = open_remote(source, project=args.project, api_url=url, backoff=backoff)
        how = How(backoff=backoff, progress=stage, log=stage.log)
        return bring_home(study, remote, out, exported=exported, look=look, how=how, pace=pace_at(url))


def patches_after(args: argparse.Namespace, study: Any, folder: Path) -> str:  # noqa: ANN401 - a Study
    """The command that cuts an export into patches."""
    return command_line("patches", *study_words(args), "--from", folder, "--store", free_name(Path(f"{study.name}.zarr")))


def check_folder(folder: Path, option: str = "--to") -> None:
    """The files inside are looked at by those who write them."""
    from cropcam.pipeline.runtime.outputs import Output, always, check_outputs

    check_outputs([Output(folder, option, "folder", always, is_folder=True)])


def cell_options(sub: argparse.ArgumentParser) -> None:
    """Options of the cells of tasks."""
    sub.add_argument("--cell-px", type=int, default=8192, help="side of one task's cell (default %(default)s)")
    sub.add_argument("--file-px", type=int, help="side of one task's files (default: a whole cell, if Earth Engine writes it as one)")


def add_export(command: AddCommand) -> None:
    """Declare the command and its options."""
    sub = command("export", export)
    study_argument(sub)
    sub.add_argument("--to", required=True, metavar="WHERE", help="drive:FOLDER, gs://BUCKET/PREFIX, asset:PATH or a local folder")
    endpoint_options(sub)
    cell_options(sub)
    sub.add_argument("--priority", type=int, default=100, help="of tasks, 0 to 9999 (default %(default)s)")
    sub.add_argument(
        "--shard-size", type=int, default=256, metavar="PX",
        help="side of the tiles that the service computes: 128 or 64 if memory lacks (default %(default)s)",
    )  # fmt: skip
    sub.add_argument("--cog", action="store_true", help="tasks write Cloud Optimized GeoTIFFs")
    sub.add_argument("--overwrite", action="store_true", help="replace the asset of asset:PATH if it exists")
    sub.add_argument("--again", action="store_true", help="start tasks once more that the service no longer knows")
    sub.add_argument(
        "--max-eecu-hours", type=float, metavar="H", help="start no task that would bring the export's compute above H EECU-hours"
    )
    sub.add_argument("--window-px", type=int, help="side of one pixel request to a folder (default: by layer, as the limits allow)")
    sub.add_argument("--shard-px", type=int, default=8192, help="side of one file in a folder (default %(default)s)")
    sub.add_argument("--workers", type=int, default=40, help="pixel requests at once (CROPCAM_WORKERS; default %(default)s)")
    sub.add_argument("--no-wait", "--no-watch", dest="wait", action="store_false", help="return once the tasks are started")
    sub.add_argument("--fetch", type=folder_argument, metavar="DIR", help="fetch the files into this folder once the tasks have ended")
    sub.add_argument("--dry-run", action="store_true", help="print the plan: tasks, pixels, bytes, files")
    sub.add_argument("--estimate", action="store_true", help="with --dry-run: compute a few windows and print EECU-hours below the plan")
    json_option(sub)
