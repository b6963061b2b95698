"""The entry of the command line and its exit codes. The commands are in `pipeline.commands` and `model.commands`.

Exit codes: 0 done; 2 usage or configuration; 3 data; 4 Earth Engine; 5 tasks that are not done yet; 1 a bug; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from cropcam.model import commands as model_commands
from cropcam.model import presets_command, view_command
from cropcam.model.options import declared, flag
from cropcam.pipeline import __version__
from cropcam.pipeline import commands as pipeline_commands
from cropcam.pipeline.arguments import (
    COMMON,
    Command,
    Parser,
    UsageError,
    common_first,
    common_options,
    empty_argument,
    json_option,
    parsers_of,
)
from cropcam.pipeline.commands import patches_line
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.extras import need_of
from cropcam.pipeline.refusals import explain, interrupted, refuse, show_warning
from cropcam.pipeline.runtime.console import Verbosity, command_line, console, detail, event, note, seconds, show, show_error
from cropcam.pipeline.runtime.log_file import LogFile
from cropcam.pipeline.runtime.machine import flush_stdout, peak_memory_mb, signals_as_interrupt
from cropcam.pipeline.runtime.terminal import prepare_streams
from cropcam.pipeline.user_settings import SETTINGS, Setting, leave_open, settle, user_settings

_USAGE = "cropcam [OPTIONS] COMMAND ..."
_ENDS = {0: "done", 5: "not done yet", 130: "interrupted"}

# Options of unreleased versions, by command: the replacement, or that there is none. Settings without a flag are found by their name.
_REMOVED = {
    "train": {
        "--self-labels": "use --pseudo-label-weight",
        "--group-patches": "use --bag-size",
        "--feed": "use cropcam.Settings(data_loading=...) in Python",
        "--quarter-turns": "use cropcam.Settings(rot90=...) in Python",
        "--clip-norm": "use cropcam.Settings(grad_clip_norm=...) in Python",
        **{
            f"--{name}": "nothing replaced it"
            for name in ["unlabelled", "border-spectra", "border-levels", "symmetric", "whiten", "prior-bias", "cuda-graphs"]
        },
        **{flag(name): f"use cropcam.Settings({name}=...) in Python" for name, option in declared().items() if not option.flag},
    },
    "evaluate": dict.fromkeys(("--baselines", "--references"), "train a run with --model trees and use cropcam compare"),
}


def demo(args: argparse.Namespace) -> None:
    """The whole way on simulated scenes, no account needed.

    Stages: archive, export, patches, train, evaluate, map, report.
    """
    from cropcam.model.evaluate_command import with_warnings
    from cropcam.model.evaluation.evaluate import evaluate
    from cropcam.model.inference.wall_to_wall import Outputs, map_raster
    from cropcam.model.options import Settings
    from cropcam.model.report.run_report import write_report
    from cropcam.model.report.terminal import headline
    from cropcam.model.runs.checkpoint import check_run_folder
    from cropcam.model.training.train import train
    from cropcam.pipeline.earthengine.delivery import deliver
    from cropcam.pipeline.earthengine.session import open_session
    from cropcam.pipeline.emulator import serve
    from cropcam.pipeline.landscape import simulate
    from cropcam.pipeline.patches.build import from_shards
    from cropcam.pipeline.patches.unfinished import check_place
    from cropcam.pipeline.runtime.outputs import Output, always, check_outputs
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.store.patch_store import open_store
    from cropcam.pipeline.study.study import load_study

    out: Path = args.out
    study, run, store = load_study("demo"), out / "run", out / "patches.zarr"
    check_outputs([Output(folder, "--out", "folder", always, is_folder=True) for folder in (out, out / "archive", out / "shards")])
    check_run_folder(run)
    check_place(store)
    with Stage("simulate") as stage:
        simulate(study, out / "archive", seed=args.seed or 0, progress=stage)
    with serve(out / "archive") as server, Stage("export") as stage:
        deliver(study, open_session(None, server.url), out / "shards", progress=stage, log=stage.log)
    with Stage("patches") as stage:
        built = from_shards(study, out / "shards", store, seed=args.seed or 0, progress=stage)
    note(patches_line(built))
    with Stage("train") as stage:
        passed = {name: value for name, value in (("epochs", args.epochs), ("seed", args.seed)) if value is not None}
        settings = Settings(model="baseline", **passed)
        train(store, run, settings, device=args.device, resume=True, progress=stage, log=stage.log)
    with Stage("evaluate") as stage:
        metrics = evaluate(run, device=args.device, progress=stage)
    with Stage("map") as stage:
        beside = Outputs(out / "probabilities.tif", out / "uncertainty.tif", polygons=out / "outlines.gpkg")
        map_raster(run, open_store(store), out / "map.tif", outputs=beside, device=args.device, progress=stage)
    with Stage("report") as stage:
        report = write_report(run, map_path=out / "map.tif", progress=stage)
    map_path = out / "map.tif"
    show(
        {
            "folder": str(out),
            "store": str(store),
            "run": str(run),
            "map": str(map_path),
            "report": str(report),
            "metrics": with_warnings(run, metrics.to_dict()),
        },
        f"{headline(metrics.to_dict())}\nAll on simulated data. Open {report} in a browser and {map_path} in QGIS",
        places=[report, map_path],
        then=command_line("view", run),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    if "_ARGCOMPLETE" in os.environ:
        from cropcam.pipeline.completion import answer

        answer(_parser(), presets_command.networks())
    prepare_streams()
    warnings.showwarning = show_warning
    words = list(sys.argv[1:] if argv is None else argv)
    is_json = "--json" in words
    try:
        for refused in (removed_option(words), empty_argument(words)):
            if refused is not None:
                raise ConfigError(refused)
        args, used = _parse(words)
        verbosity = Verbosity.QUIET if args.quiet else Verbosity.VERBOSE if args.verbose else Verbosity.NORMAL
        log = LogFile(args.log_file, args.name) if args.log_file else None
    except UsageError as error:
        with console(is_json=is_json):
            show_error(error.message, 2)
        raise
    except ConfigError as error:
        with console(is_json=is_json):
            refuse(str(error), error.exit_code)
        return error.exit_code
    with console(verbosity, is_json=getattr(args, "json", False), log=log):
        if log:
            from cropcam.pipeline.earthengine.error_texts import without_secrets

            words = [without_secrets(word) for word in words]
        event("start", message=f"cropcam {args.name}", version=__version__, arguments=words)
        for line in used:
            detail(line, "setting")
        code = _run(args)
        detail(f"{args.name}: exit code {code} after {seconds():.1f} s, at most {peak_memory_mb():,.0f} MB of memory")
        event("end", message=_ENDS.get(code, "failed"), exit_code=code, seconds=round(seconds(), 3))
    return code


def _run(args: argparse.Namespace) -> int:
    # waiting threads sleep: spinning ones made training three times slower on a busy machine (torch reads it on import)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GDAL_CACHEMAX", "256")  # MB; the default is a twentieth of the machine's memory
    try:
        with signals_as_interrupt():
            need_of(args.name)
            code = args.call(args) or 0
            flush_stdout()
    except KeyboardInterrupt:
        return interrupted(args)
    except Exception as error:  # noqa: BLE001 - one line, or the traceback of a bug
        return explain(error, args)
    return code


def _parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Arguments, with the settings that a user says once; a line about each of those that was used."""
    common, others = common_first(words)
    early = Parser(prog="cropcam", usage=_USAGE, add_help=False)
    common_options(early)
    config = early.parse_args(common).config
    settings: dict[str, Setting] = {}
    problem: Exception | None = None
    try:  # before the command line is read, which may lack what is set elsewhere; told after it, so that --help works
        settings = user_settings(os.environ, Path.cwd(), config, home=Path.home())
    except (ConfigError, OSError, RuntimeError) as error:  # also no working folder, no home
        problem = error
    parser = _parser()
    leave_open([parser, *parsers_of(parser).values()], SETTINGS if problem else settings)
    args = parser.parse_args([*common, *others])
    if args.quiet and args.verbose:
        raise ConfigError("-q and -v do not go together; leave one out")
    if isinstance(problem, ConfigError):
        raise problem
    args.words = others
    return args, settle(args, settings)


def removed_option(words: Sequence[str]) -> str | None:
    """One line about the first removed option in a command line; None without one."""
    removed = next((_REMOVED[word] for word in words if word in _REMOVED), {})
    for option in (word.split("=")[0] for word in words):
        if hint := removed.get(option.replace("--no-", "--", 1)):
            return f"{option} was removed: {hint}"
    return None


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command by its name, and under "" that of the program; nothing is run or read."""
    parser = _parser()
    return {"": parser, **parsers_of(parser)}


def _parser() -> argparse.ArgumentParser:
    about = "From satellite rasters and weak labels to a crop map with honest numbers."
    parser = Parser(prog="cropcam", usage=_USAGE, description=about)
    common_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="name", prog="cropcam")

    def command(name: str, call: Command) -> argparse.ArgumentParser:
        text, _, more = (call.__doc__ or "").partition("\n")
        sub = commands.add_parser(name, help=text, description=" ".join([text, *more.split()]), epilog=COMMON)
        sub.set_defaults(call=call)
        return sub

    sub = command("demo", demo)
    sub.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: %(default)s")
    json_option(sub)
    for name in ("epochs", "seed"):
        model_commands.add_setting(sub, name)
    model_commands.add_device_option(sub)
    pipeline_commands.add_commands(command)
    model_commands.add_commands(command)
    view_command.add_commands(command)
    presets_command.add_commands(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
