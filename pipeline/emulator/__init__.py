"""The embedded Earth Engine: REST routes, graph evaluation, operations and exports over an archive of GeoTIFF scenes.

It serves the unmodified client on loopback. Every header, operation and file marks it as an embedded engine, not the service.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from cropcam.pipeline.emulator.access import Access, Account
from cropcam.pipeline.emulator.fault_injection import Fault, Faults
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.server import Server
from cropcam.pipeline.errors import ConfigError, EarthEngineError
from cropcam.pipeline.runtime.machine import signals_as_interrupt
from cropcam.pipeline.runtime.terminal import quoted

__all__ = ["Access", "Account", "Fault", "Faults", "Limits", "Server", "serve", "serve_forever"]
FAULTS_VARIABLE = "CROPCAM_FAULTS"  # a JSON list of faults; opens POST /faults too


def serve(
    archive: Path,
    port: int = 0,
    *,
    out: Path | None = None,
    faults: Faults | None = None,
    limits: Limits | None = None,
    access: Access | None = None,
) -> Server:
    """Serve an archive as an Earth Engine endpoint on 127.0.0.1, in the background.

    Args:
        archive: folder of assets, as `cropcam simulate` writes it.
        port: 0 for any free port.
        out: where exports land and the operations' journal lies; one server at a time. None: a temporary folder that goes
            with the server.
        faults: injected faults.
        limits: of one project; the service's by default.
        access: the tokens that are let in; anyone by default.

    Raises:
        EarthEngineError: the archive is not there or empty, or the port is taken.
        DataError: another server uses `out`.

    Example: `with serve(Path("archive")) as server: print(server.url)`
    """
    if not archive.is_dir():
        raise EarthEngineError(f"{archive}: no such folder; make an archive with: cropcam simulate STUDY --archive {quoted(archive)}")
    if next(archive.rglob("asset.json"), None) is None:
        raise EarthEngineError(f"{archive}: holds no asset.json; make an archive with: cropcam simulate STUDY --archive {quoted(archive)}")
    return Server(archive, port, out, faults or Faults(), limits or Limits(), access)


def serve_forever(archive: Path, port: int = 0, *, out: Path | None = None, log: Callable[[str], None] = print) -> None:
    """Serve until Ctrl-C or SIGTERM; `log` is called with the URL once it accepts requests.

    Exports land in `out`, by default the sibling ARCHIVE-exports.

    Raises:
        EarthEngineError: as `serve`.
        DataError: as `serve`.
    """
    folder = out or archive.resolve().with_name(f"{archive.resolve().name}-exports")
    with signals_as_interrupt(), serve(archive, port, out=folder, faults=_ordered_faults()) as server:
        log(server.url)
        try:
            server.wait()
        except KeyboardInterrupt:
            return


def _ordered_faults() -> Faults:
    text = os.environ.get(FAULTS_VARIABLE)
    faults = Faults(is_open=text is not None)
    if text:
        try:
            faults.order(json.loads(text))
        except ValueError:
            raise ConfigError(f"{FAULTS_VARIABLE} is no JSON list of faults: {text[:60]!r}") from None
    return faults
