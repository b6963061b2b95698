"""The engine as a server on loopback: its parts put together, from its creation to its end."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import rasterio

from cropcam.pipeline.emulator.access import Access
from cropcam.pipeline.emulator.block_reader import Reader
from cropcam.pipeline.emulator.connections import listen
from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.exports import PARTIAL, Exporter
from cropcam.pipeline.emulator.fault_injection import Faults
from cropcam.pipeline.emulator.file_routes import Files
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.operations import Operations
from cropcam.pipeline.emulator.own_assets import OwnAssets
from cropcam.pipeline.emulator.quotas import RequestRate, Usage
from cropcam.pipeline.emulator.routes import Service
from cropcam.pipeline.runtime.atomic import exclusive_lock, remove

_CACHE_BYTES = 256 * 2**20  # of GDAL, in all threads; its default is 5 % of the memory


class Server:
    """The embedded Earth Engine, serving from its creation to `stop`; a context manager."""

    def __init__(
        self,
        archive: Path,
        port: int,
        out: Path | None,
        faults: Faults,
        limits: Limits,
        access: Access | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        with ExitStack() as opening:
            self._http = opening.enter_context(listen(port))
            self._out = out or Path(tempfile.mkdtemp(prefix="cropcam-earth-engine-"))
            if out is None:
                opening.callback(shutil.rmtree, self._out, ignore_errors=True)
            self._out.mkdir(parents=True, exist_ok=True)
            opening.enter_context(exclusive_lock(self._out / "operations"))
            remove(self._out / PARTIAL)
            assets = OwnAssets(self._out / "assets")
            engine, reader = Engine(archive, assets.folder), Reader()
            opening.callback(reader.close)
            files = Files(self._out, limits)
            exporter = Exporter(engine.image, reader, limits, self._out, files.drive, files.storage, faults, assets)
            usage = Usage(limits.eecu_day_s, limits.eecu_month_s)
            operations = Operations(self._out / "operations", exporter.run, limits, faults, usage)
            opening.callback(operations.close)
            service = Service(engine, reader, operations, limits, files, assets)
            self._http.open_for(service, faults, limits, access or Access(), usage, RequestRate(limits.requests_per_s, clock))
            self._open = opening.pop_all()
        self._thread = threading.Thread(target=self._serve, name="emulator", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens: "http://127.0.0.1:PORT"."""
        return self._http.url

    @property
    def out(self) -> Path:
        """Where exports land: drive/FOLDER, gs/BUCKET and assets/projects/P/assets."""
        return self._out

    def stop(self) -> None:
        """End every connection and task; a temporary folder of exports goes too."""
        self._http.shutdown()
        self._thread.join()
        self._http.hang_up()
        self._open.close()

    def wait(self) -> None:
        """Serve until interrupted."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def _serve(self) -> None:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
            self._http.serve_forever(poll_interval=0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
