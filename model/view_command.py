"""The command `view`: a page on loopback of a run, a map or a store. Imports of heavy modules stay inside the functions that need them."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from cropcam.pipeline.arguments import AddCommand, folder_argument
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.console import note

if TYPE_CHECKING:
    from cropcam.pipeline.maps.view.layers import Scene

_CONFIG, _ROOT = "config.json", "zarr.json"  # the files by which a run folder and a patch store are known


def view(args: argparse.Namespace) -> None:
    """A page of a run, a map or a store, served on loopback."""
    from http.server import BaseHTTPRequestHandler

    from cropcam.pipeline.maps.view.cache import cache_folder
    from cropcam.pipeline.maps.view.server import show
    from cropcam.pipeline.runtime.loopback import LoopbackServer, listen
    from cropcam.pipeline.runtime.outputs import Output, always, check_outputs

    kind = kind_of(args.what)
    if kind == "store" and args.store:
        raise ConfigError(f"--store goes with a run or a map; {args.what} is a store itself")

    if args.cache:
        check_outputs([Output(args.cache, "--cache", "folder", always, is_folder=True)])
    with listen(LoopbackServer, BaseHTTPRequestHandler, args.port):
        pass  # a port in use is refused before the work, not after it

    def opened(url: str) -> None:
        print(url, flush=True)
        note("Open it in a browser on this machine; Ctrl-C ends it.")
        if args.browser:
            webbrowser.open(url)

    with cache_folder(args.cache, note) as cache:
        show(_scene(kind, args, cache), args.port, opened=opened)


def kind_of(what: Path) -> str:
    """Whether a path is a "run", a "map" or a "store".

    Raises:
        DataError: it is none of them.
    """
    if what.is_file():
        return "map"
    if (what / _CONFIG).is_file():
        return "run"
    if what.is_dir() and ((what / _ROOT).exists() or what.suffix == ".zarr"):
        return "store"
    problem = "is neither a run folder nor a patch store" if what.is_dir() else "no such run, map or store"
    raise DataError(f"{what}: {problem}; name a folder that cropcam train or cropcam patches wrote, or a map of cropcam map")


def _scene(kind: str, args: argparse.Namespace, cache: Path) -> Scene:
    from cropcam.pipeline.maps.view.scenes import of_map, of_store, with_store
    from cropcam.pipeline.runtime.progress import Stage
    from cropcam.pipeline.store.patch_store import open_store

    if kind == "run":
        from cropcam.model.run_scene import maps_of_run, scene_of_run, store_of_run

        store = store_of_run(args.what, args.store)
        with Stage("map") as stage:
            folder = maps_of_run(args.what, store, cache, device=args.device, progress=stage, log=stage.log)
        with Stage("pictures") as stage:
            return scene_of_run(args.what, folder, store, cache, progress=stage)
    if kind == "store":
        with Stage("pictures") as stage:
            return of_store(open_store(args.what), cache, progress=stage)
    scene = of_map(args.what)
    if not args.store:
        return scene
    with Stage("pictures") as stage:
        return with_store(scene, open_store(args.store), cache, progress=stage)


def add_commands(command: AddCommand) -> None:
    """Declare the command and its options."""
    from cropcam.model.commands import add_device_option

    sub = command("view", view)
    sub.add_argument("what", type=Path, metavar="RUN|MAP|STORE", help="a run folder, a map that cropcam map wrote, or a patch store")
    help_ = "a store whose image and labels are shown with the map or the run (default: the run's own)"
    sub.add_argument("--store", type=folder_argument, metavar="STORE", help=help_)
    sub.add_argument("--port", type=int, default=0, help="default: any that is free")
    sub.add_argument("--browser", action="store_true", help="also open the page in the default browser")
    sub.add_argument("--cache", type=Path, metavar="DIR", help="where pictures are kept for the next call (default: ~/.cache/cropcam/view)")
    add_device_option(sub)
