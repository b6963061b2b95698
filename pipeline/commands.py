"""The commands of the data plane: parse, call, print. Imports of heavy modules stay inside the command that needs them.

Each command is a function of the parsed arguments; `add_commands` declares the options.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from cropcam.pipeline import map_commands, service_commands
from cropcam.pipeline.arguments import AddCommand, folder_argument, json_option, seed_argument, study_argument, study_words
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.extras import COMMANDS, absence
from cropcam.pipeline.runtime.console import WARNING, command_line, free_name, note, show


def describe(args: argparse.Namespace) -> None:
    """What a study plans, or what a store holds.

    Of a study: grid, patches, bands, classes, bytes to expect. Of a store: counts, shares, statistics.
    """
    from cropcam.pipeline import describe as about
    from cropcam.pipeline.study.study import presets

    is_store = args.what not in presets() and Path(args.what).is_dir()  # 'demo' is the preset, './demo' a folder
    if is_store and args.changes:
        raise ConfigError(f"--set changes keys of a study, and {args.what} is a store; leave it out, or name a study")
    facts = about.of_store(Path(args.what)) if is_store else about.of_study(args.what, args.changes, date.today())
    then = _export_line(*study_words(args, "what"), "--to", f"drive:{facts['study']}", "--dry-run")
    show(facts, about.as_text(facts), then=training_line(Path(args.what), labels="class_share" in facts) if is_store else then)


def _export_line(*words: object) -> str:
    """The command that exports a study; empty where its extra is not installed."""
    return "" if absence("export", *COMMANDS["export"]) else command_line("export", *words)


def simulate(args: argparse.Namespace) -> None:
    """Write a simulated archive of scenes and labels."""
    from cropcam.pipeline.landscape import simulate as write_archive
    from cropcam.pipeline.runtime.outputs import Output, always, check_outputs
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.study.study import load_study

    study = load_study(args.study, args.changes)
    check_outputs([Output(args.archive, "--archive", "archive", always, is_folder=True)])
    with Stage("simulate") as stage:
        write_archive(study, args.archive, seed=args.seed, progress=stage)
    show(
        {"archive": str(args.archive), "study": study.name, "seed": args.seed},
        f"{args.archive}: simulated {study.name}, seed {args.seed}",
        places=[args.archive],
        then=_export_line(*study_words(args), "--to", free_name(Path("shards")), "--archive", args.archive),
    )


def emulate(args: argparse.Namespace) -> None:
    """Serve an archive as an Earth Engine endpoint on loopback."""
    from cropcam.pipeline.emulator import serve_forever
    from cropcam.pipeline.runtime.outputs import Output, always, check_outputs

    if args.out:
        check_outputs([Output(args.out, "--out", "folder", always, is_folder=True)])
    serve_forever(args.archive, args.port, out=args.out, log=lambda url: print(url, flush=True))


def patches(args: argparse.Namespace) -> None:
    """Build a patch store from own rasters or an export."""
    from cropcam.pipeline.patches.build import from_rasters, from_shards
    from cropcam.pipeline.rasters.values import ValueEncoding
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.store.cautions import cautions
    from cropcam.pipeline.store.patch_store import open_store
    from cropcam.pipeline.study.study import load_study

    if args.folder and (args.labels or has_value_options(args)):
        raise ConfigError("--labels, --scale, --offset and --nodata go with --image; shards of an export carry their own meaning")
    study = load_study(args.study, args.changes)
    with Stage("patches") as stage:
        common = {"seed": args.seed, "scheduler": args.scheduler, "progress": stage, "log": stage.log}
        if args.folder:
            built = from_shards(study, args.folder, args.store, **common)
        else:
            encoding = ValueEncoding(args.scale, args.offset, args.nodata)
            built = from_rasters(study, args.image, args.labels or [], args.store, encoding=encoding, **common)
    found = cautions(open_store(args.store))
    for text in found:
        note(f"{WARNING}{text}")
    counts = {"kept": built.count, "count": built.info.patch_grid.count, "splits": built.split_counts, "dropped": built.info.dropped}
    show(
        {
            "store": str(args.store),
            "study": study.name,
            "existed": built.existed,
            "patches": counts,
            "has_labels": built.info.has_labels,
            "digest": built.info.digest,
            "warnings": found,
        },
        f"{args.store}: {patches_line(built)}",
        places=[args.store],
        then=training_line(args.store, labels=built.info.has_labels),
    )


def training_line(store: Path, *, labels: bool) -> str:
    """The command that trains on a store; of one without labels the one that describes it."""
    if not labels:
        return command_line("describe", store)
    return command_line("train", store, "--run", free_name(Path("runs", store.stem)))


def check(args: argparse.Namespace) -> None:
    """Look through a whole store; draw where its patches lie."""
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.store.verify import check as look_through
    from cropcam.pipeline.store.verify import draw, picture_path

    picture, no_picture = picture_path(args.store, args.out), absence("the picture of the splits", "report")
    if args.out and no_picture:
        raise ConfigError(f"--out {args.out}: {no_picture}")
    with Stage("check") as stage:
        report = look_through(args.store, progress=stage)
    sound = f"{args.store}: sound: {report.patches:,} patches in {report.blocks:,} zarr shard{'s' if report.blocks != 1 else ''}"
    if no_picture:
        note(f"note: {no_picture}")
    else:
        draw(args.store, picture)
    found = {
        "store": str(args.store),
        "sound": not report.problems,
        **asdict(report),
        "problems": list(report.problems),
        "picture": None if no_picture else str(picture),
    }
    drawn = [] if no_picture else [f"{picture}: shows where its patches lie"]
    then = "" if report.problems else command_line("describe", args.store)
    show(found, "\n".join([*(report.problems or [sound]), *drawn]), places=[] if no_picture else [picture], then=then)
    if report.problems:
        count = len(report.problems)
        raise DataError(f"{args.store}: {count} problem{'s' if count != 1 else ''}; delete it and build it again with 'cropcam patches'")


def add_commands(command: AddCommand) -> None:
    """Declare the commands of the data plane and their options."""
    sub = command("describe", describe)
    study_argument(sub, "what", "STUDY|STORE", "a preset, a TOML file or a patch store")
    json_option(sub)

    sub = command("simulate", simulate)
    study_argument(sub)
    sub.add_argument("--archive", type=Path, required=True, metavar="DIR", help="the archive to be written (CROPCAM_ARCHIVE)")
    sub.add_argument("--seed", type=seed_argument, default=0, help="of the landscape (default %(default)s)")
    json_option(sub)

    sub = command("emulate", emulate)
    sub.add_argument("--archive", type=Path, required=True, metavar="DIR", help="the archive to be served (CROPCAM_ARCHIVE)")
    sub.add_argument("--port", type=int, default=0, help="default: any that is free")
    sub.add_argument("--out", type=Path, metavar="DIR", help="where exports land (default: beside the archive)")

    service_commands.add_commands(command)

    sub = command("patches", patches)
    study_argument(sub)
    add_image_options(sub)
    sub.add_argument(
        "--labels", type=Path, nargs="+", metavar="FILE", help="label raster(s), any CRS and grid (default: a store without labels)"
    )
    sub.add_argument("--store", type=folder_argument, required=True, metavar="STORE", help="the store to be made")
    sub.add_argument("--seed", type=seed_argument, default=0, help="of the split (default %(default)s)")
    sub.add_argument("--scheduler", metavar="ADDRESS", help="build on a dask.distributed cluster (default: threads)")
    json_option(sub)

    sub = command("check", check)
    sub.add_argument("store", type=folder_argument, metavar="STORE", help="a patch store")
    sub.add_argument("--out", type=Path, metavar="PICTURE", help="PNG or SVG of the splits (default: NAME-splits.png beside NAME.zarr)")
    json_option(sub)

    map_commands.add_commands(command)


def add_image_options(sub: argparse.ArgumentParser) -> Any:  # noqa: ANN401 - argparse does not export the type
    """Options that name rasters: shards of an export or own files, with the meaning of their values; the group of them."""
    given = sub.add_mutually_exclusive_group(required=True)
    given.add_argument("--from", dest="folder", type=Path, metavar="DIR", help="GeoTIFF shards of an export")
    given.add_argument("--image", type=Path, nargs="+", metavar="FILE", help="own rasters: single-band files or one multi-band file")
    scale = "physical value = value x scale + offset, before tags, sensor and type; or S,S,... by band"
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


def patches_line(built: Any) -> str:  # noqa: ANN401 - cropcam.pipeline.patches.build.Summary, not imported for --help's sake
    """One line about a store that was built: patches kept, by split, and dropped."""
    from cropcam.pipeline.store.schema import format_dropped

    splits = ", ".join(f"{count:,} {name}" for name, count in built.split_counts.items())
    already = "already there, " if built.existed else ""
    return f"{already}{built.count:,} patches kept of {built.info.patch_grid.count:,} ({splits}); dropped: {format_dropped(built.info.dropped)}"


def has_value_options(args: argparse.Namespace) -> bool:
    """Whether --scale, --offset or --nodata was passed."""
    return (args.scale, args.offset, args.nodata) != (None, None, None)
