"""The command map."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cropcam.model.options import proportions
from cropcam.pipeline.arguments import AddCommand, folder_argument, json_option, overwrite_option
from cropcam.pipeline.commands import add_image_options, has_value_options
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.console import command_line, free_name, show

SMOOTHNESS = 10.0  # of --smooth without a number


def map_(args: argparse.Namespace) -> None:
    """Map of whole rasters as Cloud Optimized GeoTIFFs.

    Classes, and if asked for probabilities, uncertainty and outlines.
    """
    from cropcam.model.inference.known_areas import KnownAreas
    from cropcam.model.inference.wall_to_wall import Outputs, map_raster
    from cropcam.model.runs.config import load_config
    from cropcam.pipeline.runtime.progress import Stage

    _check(args)
    config = load_config(args.run)
    source, legend, known = _source(args, config), config.store.classes, None
    if args.class_prior:
        known = KnownAreas.of_prior(args.class_prior, legend)
    elif args.areas:
        known = KnownAreas.of_file(args.areas, legend, source.grid)
    outputs = Outputs(args.probabilities, args.uncertainty, shift=args.shift, polygons=args.polygons, simplify_m=args.simplify)
    options = {name: getattr(args, name) for name in ("method", "region", "device", "scheduler", "overwrite")}
    with Stage("map") as stage:
        summary = map_raster(
            args.run,
            source,
            args.out,
            outputs=outputs,
            known=known,
            sieve_ha=args.sieve,
            smoothness=args.smooth,
            **options,
            progress=stage,
            log=stage.log,
        )
    show(summary.to_dict(), str(summary), places=[summary.path], then=command_line("area", summary.path))


def _check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if args.folder and has_value_options(args):
        raise ConfigError("--scale, --offset and --nodata go with --image; shards of an export have their own values")
    if args.store and has_value_options(args):
        raise ConfigError("--scale, --offset and --nodata go with --image; a store has its own values")
    if args.simplify and not args.polygons:
        raise ConfigError(f"--simplify {args.simplify:g} goes with --polygons FILE")


def _source(args: argparse.Namespace, config: Any) -> Any:  # noqa: ANN401 - a run's configuration; a raster or a store
    from cropcam.pipeline.rasters.export_shards import open_image_shards
    from cropcam.pipeline.rasters.own_image import open_own_image
    from cropcam.pipeline.rasters.values import ValueEncoding
    from cropcam.pipeline.store.patch_store import open_store
    from cropcam.pipeline.study.study import parse_study

    if args.store:
        return open_store(args.store)
    study = parse_study(config.store.attrs["study"], f"{args.run}/config.json")
    encoding = ValueEncoding(args.scale, args.offset, args.nodata)
    if args.folder:
        return open_image_shards(args.folder.absolute(), study)  # workers of a cluster may run elsewhere
    return open_own_image([path.absolute() for path in args.image], study.image, encoding)


def map_line(run: Path, store: Path | None) -> str:
    """The command that maps the first store of a run, or the store `store`."""
    from cropcam.model.runs.config import load_config

    source = store or load_config(run).store_paths(run)[0]
    return command_line("map", run, "--store", source, "--out", free_name(run.with_name(f"{run.name}.tif")))


def add_map(command: AddCommand) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    sub = command("map", map_)
    sub.add_argument("run", type=folder_argument, metavar="RUN", help="a run folder")
    add_image_options(sub).add_argument("--store", type=folder_argument, metavar="STORE", help="a patch store")
    sub.add_argument("--out", type=Path, required=True, metavar="MAP.tif", help="the class map")
    sub.add_argument("--probabilities", type=Path, metavar="FILE.tif", help="also write each class's probability in 1/250")
    sub.add_argument("--uncertainty", type=Path, metavar="FILE.tif", help="also write the entropy of the probabilities, 0 to 250")
    sub.add_argument("--polygons", type=Path, metavar="FILE", help="also write outlines: FILE.parquet or FILE.gpkg")
    sub.add_argument("--simplify", type=_positive, default=0.0, metavar="M", help="with --polygons: drop corners smaller than M metres")
    sub.add_argument(
        "--shift", type=Path, metavar="FILE.tif", help="also write how unlike the training data each pixel is; above 1 = unlike"
    )
    sub.add_argument("--region", type=Path, metavar="FILE", help="map inside these polygons alone: GeoJSON, GeoPackage or GeoParquet")
    sub.add_argument("--method", metavar="NAME", help="segmentation method of the run (docs/numbers.md); default: the run's own")
    known = sub.add_mutually_exclusive_group()
    known.add_argument("--class-prior", type=proportions, metavar="P,P,...", help="shift probabilities to these shares of the mapped area")
    known.add_argument("--areas", type=Path, metavar="FILE", help="shift probabilities to the class areas of polygons (docs/labels.md)")
    sub.add_argument("--sieve", type=_positive, default=0.0, metavar="HA", help="remove smaller patches from the class map")
    sub.add_argument(
        "--smooth",
        type=_positive,
        nargs="?",
        const=SMOOTHNESS,
        default=0.0,
        metavar="S",
        help=f"Bayesian smoothing by 7 x 7 neighbours; a larger number smooths more (without one: {SMOOTHNESS:g})",
    )
    sub.add_argument("--scheduler", metavar="ADDRESS", help="predict on the workers of a dask.distributed cluster, tcp://HOST:8786")
    overwrite_option(sub)
    json_option(sub)
    return sub


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: give a number above 0")
    return value
