"""The entry of the command line and its exit codes. The commands are in `pipeline.commands` and `model.commands`.

Exit codes: 0 done; 2 usage or configuration; 3 data; 4 Earth Engine; 1 a bug; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from cropcam.model import commands as model_commands
from cropcam.model import view_command
from cropcam.model.options import declared, flag
from cropcam.pipeline import commands as pipeline_commands
from cropcam.pipeline.arguments import empty_argument
from cropcam.pipeline.commands import patches_line
from cropcam.pipeline.errors import CropcamError, CropcamWarning, DataError
from cropcam.pipeline.runtime.machine import denial, flush_stdout, say, signals_as_interrupt
from cropcam.pipeline.runtime.terminal import one_line, prepare_streams, quoted

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
    """All stages on simulated scenes: archive, export, patches, train, evaluate, map, report."""
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
    print(patches_line(built))
    with Stage("train") as stage:
        passed = {name: value for name, value in (("epochs", args.epochs), ("seed", args.seed)) if value is not None}
        settings = Settings(model="baseline", **passed)
        train(store, run, settings, device=args.device, resume=True, progress=stage, log=stage.log)
    with Stage("evaluate") as stage:
        metrics = evaluate(run, device=args.device, progress=stage)
    print(headline(metrics.to_dict()))
    with Stage("map") as stage:
        beside = Outputs(out / "probabilities.tif", out / "uncertainty.tif", polygons=out / "outlines.gpkg")
        map_raster(run, open_store(store), out / "map.tif", outputs=beside, device=args.device, progress=stage)
    with Stage("report") as stage:
        report = write_report(run, map_path=out / "map.tif", progress=stage)
    print(f"All on simulated data. Open {report} in a browser and {out / 'map.tif'} in QGIS, or see it all: cropcam view {quoted(run)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    prepare_streams()
    warnings.showwarning = _show_warning
    words = list(sys.argv[1:] if argv is None else argv)
    for refused in (removed_option(words), empty_argument(words)):
        if refused is not None:
            say(f"cropcam: {refused}\n")
            return 2
    args = _parser().parse_args(words)
    # waiting threads sleep: spinning ones made training three times slower on a busy machine (torch reads it on import)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GDAL_CACHEMAX", "256")  # MB; the default is a twentieth of the machine's memory
    try:
        with signals_as_interrupt():
            args.call(args)
            flush_stdout()
    except KeyboardInterrupt:
        again = "run the same command again with --resume" if "resume" in vars(args) else "run the same command again"
        say(f"interrupted; nothing is half-written: {again} to go on\n")
        return 130
    except Exception as error:  # noqa: BLE001 - one line, or the traceback of a bug
        return _explain(error, args)
    return 0


def removed_option(words: Sequence[str]) -> str | None:
    """One line about the first removed option in a command line; None without one."""
    removed = next((_REMOVED[word] for word in words if word in _REMOVED), {})
    for option in (word.split("=")[0] for word in words):
        if hint := removed.get(option.replace("--no-", "--", 1)):
            return f"{option} was removed: {hint}"
    return None


def _explain(error: Exception, args: argparse.Namespace) -> int:
    import traceback

    from cropcam.pipeline.earthengine.error_texts import without_secrets

    known = isinstance(error, CropcamError)
    lines = error.lines if isinstance(error, CropcamError) else (denial(error, batches="batch_size" in vars(args)),)
    line = lines[0]
    if args.debug or line is None:
        say(without_secrets("".join(traceback.format_exception(error))))
    if line is None:
        say("cropcam: this is a bug; please report the lines above\n")
        return 1
    say("".join([f"cropcam: {one_line(line)}\n", *(f"  {one_line(more)}\n" for more in lines[1:] if more)]))
    if known and args.debug:
        say("\n".join(_raw_answers(error)))
    return error.exit_code if isinstance(error, CropcamError) else DataError.exit_code


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    """Ours are for users, one line each; those of libraries are for developers and look as Python writes them."""
    if issubclass(category, CropcamWarning):
        text = f"cropcam: warning: {one_line(str(message))}\n"
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
    if file:
        file.write(text)
    else:
        say(text)


def _raw_answers(error: BaseException | None) -> Iterator[str]:
    """The whole answers of Earth Engine behind an error, each with a heading, without secrets."""
    while error is not None:
        if raw := getattr(error, "raw", ""):
            yield f"Earth Engine's answer, whole:\n{raw}\n"
        error = error.__cause__ or error.__context__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cropcam", description="From satellite rasters and weak labels to a crop map with honest numbers."
    )
    parser.add_argument("--debug", action="store_true", help="show an error's traceback and Earth Engine's whole answer")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, call: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        text = (call.__doc__ or "").splitlines()[0]
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        sub.set_defaults(call=call)
        return sub

    sub = command("demo", demo)
    sub.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: %(default)s")
    for name in ("epochs", "seed"):
        model_commands.add_setting(sub, name)
    model_commands.add_device_option(sub)
    pipeline_commands.add_commands(command)
    model_commands.add_commands(command)
    view_command.add_commands(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
