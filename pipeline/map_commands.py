"""The commands area and sample, of finished maps. Imports of heavy modules stay inside the command that needs them."""

from __future__ import annotations

import argparse
from pathlib import Path

from cropcam.pipeline.arguments import AddCommand, json_option, seed_argument
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.console import command_line, free_name, show


def area(args: argparse.Namespace) -> None:
    """Hectares of each class of a map.

    Points with classes (--reference) adjust them for the map's errors and give intervals.
    """
    from cropcam.pipeline.maps.area_report import as_text, map_areas
    from cropcam.pipeline.runtime.progress import Stage

    if args.label_column and not args.reference:
        raise ConfigError("--label-column names the column of classes in --reference POINTS; give that too, or leave it out")
    with Stage("area") as stage:
        found = map_areas(args.map, args.regions, args.reference, label_column=args.label_column, progress=stage)
    points = free_name(args.map.with_name(f"{args.map.stem}-points.csv"))
    show(found, as_text(found), then="" if args.reference else command_line("sample", args.map, "--out", points))


def sample(args: argparse.Namespace) -> None:
    """Random pixels of each class of a map, to be labelled."""
    from cropcam.pipeline.maps.sample_files import write_sample
    from cropcam.pipeline.runtime.progress import Stage

    with Stage("sample") as stage:
        options = {"seed": args.seed, "expected": dict(args.expected_accuracy), "standard_error": args.standard_error}
        drawn = write_sample(args.map, args.out, **options, progress=stage)
    counts = ", ".join(f"{count:,} {name}" for name, count in drawn.counts.items() if count)
    already = "already there, " if drawn.existed else ""
    total = sum(drawn.counts.values())
    show(
        {
            "csv": str(drawn.csv),
            "geopackage": str(drawn.geopackage),
            "points": total,
            "counts": dict(drawn.counts),
            "existed": drawn.existed,
            "seed": args.seed,
        },
        f"{drawn.csv} and {drawn.geopackage}: {already}{total:,} points ({counts})\nFill in the column class of one of them; then comes the next command",
        places=[drawn.csv, drawn.geopackage],
        then=command_line("area", args.map, "--reference", drawn.csv),
    )


def add_commands(command: AddCommand) -> None:
    """Declare the commands and their options."""
    sub = command("area", area)
    sub.add_argument("map", type=Path, metavar="MAP", help="a class map that cropcam map wrote")
    sub.add_argument("--regions", type=Path, metavar="FILE", help="polygons in any CRS: areas of each")
    sub.add_argument("--reference", type=Path, metavar="POINTS", help="points with classes: accuracies and adjusted areas")
    sub.add_argument(
        "--label-column", default="", metavar="NAME", help="of --reference: its column of classes (default: found by its name)"
    )
    json_option(sub)

    sub = command("sample", sample)
    sub.add_argument("map", type=Path, metavar="MAP", help="a class map that cropcam map wrote")
    sub.add_argument("--out", type=Path, required=True, metavar="POINTS.csv", help="a GeoPackage is written beside it")
    sub.add_argument("--seed", type=seed_argument, default=0, help="of the sample (default %(default)s)")
    sub.add_argument(
        "--expected-accuracy",
        type=_expected,
        nargs="+",
        default=[],
        metavar="CLASS=A",
        help="expected user's accuracies, for the size (default: 25 points a class, 100 in all)",
    )
    error = "wanted of the overall accuracy, with --expected-accuracy (default %(default)s)"
    sub.add_argument("--standard-error", type=float, default=0.01, metavar="SE", help=error)
    json_option(sub)


def _expected(text: str) -> tuple[str, float]:
    """A class and its accuracy, from CLASS=A."""
    name, _, value = text.rpartition("=")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write CLASS=ACCURACY, for example corn=0.9") from None
