"""The commands that speak to Earth Engine, Drive or Cloud Storage: thin wrappers; heavy modules stay inside the command that needs them."""

from __future__ import annotations

import argparse
from pathlib import Path

from cropcam.pipeline.arguments import AddCommand, folder_argument, json_option, study_argument, study_words
from cropcam.pipeline.endpoints import endpoint_options, manifest_of, open_endpoint, same_endpoint, session_of
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.export_command import add_export, bring_home_to, cell_options, patches_after
from cropcam.pipeline.runtime.console import command_line, free_name, show

NOT_DONE, FAILED = 5, 4  # exit codes of tasks


def tasks(args: argparse.Namespace) -> int:
    """The state of a study's export tasks; --cancel stops them.

    Exit codes: 0 all have succeeded, 5 some wait, run or are not started, 4 one has failed, was cancelled or is forgotten. With --cancel 0.
    """
    from cropcam.pipeline.earthengine import exports
    from cropcam.pipeline.earthengine.cost import spent_text
    from cropcam.pipeline.earthengine.destinations import Asset, parse_destination
    from cropcam.pipeline.earthengine.plan import plan
    from cropcam.pipeline.earthengine.task_status import document, lines, places, progress_of, summary
    from cropcam.pipeline.study.study import load_study

    study, destination = load_study(args.study, args.changes), parse_destination(args.to)
    if isinstance(destination, Path):
        raise ConfigError(f"--to {args.to}: pixels to a folder make no tasks; name the drive:FOLDER or gs://BUCKET/PREFIX of the export")
    with session_of(args, study) as session:
        look = exports.cancel if args.cancel else exports.tasks
        rows = look(plan(study, destination, cell_px=args.cell_px, file_px=args.file_px), session, manifest_of(args))
    state = progress_of(rows)
    then = {
        "done": command_line("fetch", *study_words(args), "--from", args.to, "--to", free_name(Path("shards")), *same_endpoint(args)),
        "failed": (again := command_line("export", *study_words(args), "--to", args.to, *same_endpoint(args))),
        "cancelled": again,
    }.get(state, command_line("tasks", *study_words(args), "--to", args.to, *same_endpoint(args)))
    if isinstance(destination, Asset) and state == "done":
        then = command_line("export", *study_words(args), "--to", f"drive:{study.name}", *same_endpoint(args), "--dry-run")
    text = "\n".join(filter(None, [lines(rows), summary(rows), spent_text(rows), places(rows)]))
    show(document(study.name, args.to, rows), text, places=[args.to], then=then)
    return 0 if args.cancel else {"done": 0, "not done": NOT_DONE}.get(state, FAILED)


def fetch(args: argparse.Namespace) -> None:
    """A finished export home from Drive or a bucket.

    With --watch also one whose tasks still run.
    """
    from cropcam.pipeline.earthengine.destinations import Asset, parse_destination
    from cropcam.pipeline.study.study import load_study

    study, source = load_study(args.study, args.changes), parse_destination(args.source, "--from")
    if isinstance(source, Path | Asset):
        raise ConfigError(f"--from {args.source}: name the drive:FOLDER or gs://BUCKET/PREFIX of the export; nothing else can be fetched")
    with open_endpoint(args) as (url, name):
        home = bring_home_to(args, study, source, args.to, url, name, watch=args.watch)
    show({"study": study.name, **home.to_dict()}, str(home), places=[args.to], then=patches_after(args, study, args.to))


def preview(args: argparse.Namespace) -> None:
    """A geemap page of region, cells, composite and labels."""
    from cropcam.pipeline.earthengine.kept import is_recorded, pixels_of
    from cropcam.pipeline.earthengine.preview import check_page
    from cropcam.pipeline.earthengine.preview import preview as draw
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    study = load_study(args.study, args.changes)
    check_page(args.out)
    manifest = manifest_of(args)  # an embedded engine has the assets that it wrote where it writes
    with session_of(args, study, exports=is_recorded(study, manifest)) as session, Stage("preview") as stage:
        draw(
            study,
            session.with_log(stage.log),
            args.out,
            pixels=pixels_of(study, session, manifest, stage.log),
            inside=bool(args.archive),
            progress=stage,
        )
    to = ["--to", "shards", "--archive", str(args.archive)] if args.archive else ["--to", f"drive:{study.name}", "--dry-run"]
    show(
        {"study": study.name, "page": str(args.out)},
        f"{args.out}: {'everything is inside' if args.archive else 'its tiles come from the endpoint when a browser opens it'}",
        places=[args.out],
        then=command_line("export", *study_words(args), *to),
    )


def add_commands(command: AddCommand) -> None:
    """Declare these commands and their options."""
    add_export(command)

    sub = command("tasks", tasks)
    study_argument(sub)
    sub.add_argument("--to", required=True, metavar="WHERE", help="drive:FOLDER, gs://BUCKET/PREFIX or asset:PATH, as exported")
    endpoint_options(sub)
    cell_options(sub)
    sub.add_argument("--cancel", action="store_true", help="cancel all that wait or run")
    json_option(sub)

    sub = command("fetch", fetch)
    study_argument(sub)
    sub.add_argument("--from", dest="source", required=True, metavar="WHERE", help="drive:FOLDER or gs://BUCKET/PREFIX, as exported")
    sub.add_argument("--to", type=folder_argument, required=True, metavar="DIR", help="a folder of its own")
    endpoint_options(sub)
    sub.add_argument("--watch", action="store_true", help="wait for the tasks, fetch the files of each as it ends")
    json_option(sub)

    sub = command("preview", preview)
    study_argument(sub)
    sub.add_argument("--out", type=Path, required=True, metavar="PAGE.html", help="the page")
    json_option(sub)
    endpoint_options(sub)
