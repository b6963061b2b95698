"""Files into a folder: pieces of many files at once, each file whole and verified before it appears there."""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError
from cropcam.pipeline.errors import DataError, WorkStoppedError
from cropcam.pipeline.fetch.digests import Running, is_whole
from cropcam.pipeline.fetch.media import ChangedError, read_range
from cropcam.pipeline.fetch.partial import FOLDER, Partial, Piece
from cropcam.pipeline.fetch.remote import Remote, RemoteFile
from cropcam.pipeline.fetch.service_errors import explain
from cropcam.pipeline.runtime.progress import Progress, silent

WORKERS = 8
ROUNDS = 4  # a file is fetched so often before it is given up: replaced again and again, or damaged on its way
_LOOK_S, _STOP_S = 0.2, 5.0
_MB = 1_000_000


@dataclass(frozen=True)
class How:
    """How files are fetched: requests at once, the backoff with a busy place, where events and progress (in MB) go."""

    workers: int = WORKERS
    backoff: Backoff = field(default_factory=Backoff)
    progress: Progress = silent
    log: Callable[[str], object] = silent


class _StoppedError(Exception):
    """Another piece failed, or the user interrupted."""


@dataclass
class _Job:
    """A file that is fetched: the pieces that nobody works on yet, how many are worked on, and a reason to begin anew."""

    partial: Partial
    todo: deque[Piece]
    running: Running
    active: int = 0
    trouble: str = ""
    rounds: int = 1
    is_home: bool = False


def fetch_files(remote: Remote, files: Sequence[RemoteFile], out: Path, how: How) -> int:
    """Bring files into a folder; the number of those that were not there yet. The caller holds the folder's lock.

    A file that is there with the right digest stays. Pieces of an earlier run are kept, if the file is still the same.

    Raises:
        DataError: a file of the name is there with other bytes; or a file arrives damaged, or is replaced, again and again.
        WorkStoppedError: the disk is full.
        EarthEngineError: the place refuses.
    """
    there = [file for file in files if (out / file.name).exists()]
    with ThreadPoolExecutor(how.workers) as pool:
        for file, is_right in zip(there, pool.map(lambda file: is_whole(out / file.name, file.size, file.digest), there), strict=True):
            if not is_right:
                raise DataError(
                    f"{out / file.name}: is there already, with other bytes than the file in {file.folder}; move it away, or choose another folder"
                )
    wanted = [file for file in files if file not in there]
    if wanted:
        (out / FOLDER).mkdir(parents=True, exist_ok=True)
        _Download(remote, wanted, out, how).run()
    return len(wanted)


def _running(file: RemoteFile) -> Running:
    return Running(file.digest.partition(":")[0])


class _Download:
    """One run of `fetch_files`."""

    def __init__(self, remote: Remote, files: Sequence[RemoteFile], out: Path, how: How) -> None:
        self._remote, self._out, self._how = remote, out, how
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._is_stopped = False
        self._jobs = [self._job(file) for file in files]
        missing = sum(job.partial.file.size - job.partial.have_bytes for job in self._jobs)
        free = shutil.disk_usage(out).free
        if missing > free:
            raise WorkStoppedError(
                f"{out}: {missing:,} bytes are to be fetched, {free:,} are free; what is there stays: free space and run the same command again"
            )

    def _job(self, file: RemoteFile) -> _Job:
        partial = Partial(self._out, file)
        if partial.is_anew:
            self._how.log(f"{file.name}: was replaced in {file.folder} since an earlier run began it; it starts anew")
        return _Job(partial, deque(partial.pieces()), _running(file))

    def run(self) -> None:
        """Fetch everything; a failure stops the rest."""
        threads = [threading.Thread(target=self._work, name=f"fetch-{number}", daemon=True) for number in range(self._how.workers)]
        for thread in threads:
            thread.start()
        try:
            with self._changed:
                while self._error is None and not all(job.is_home for job in self._jobs):
                    self._changed.wait(_LOOK_S)
                    self._show()
        finally:
            with self._changed:
                self._is_stopped = True
                self._changed.notify_all()
            for thread in threads:  # daemons: one that waits for the network ends with the process
                thread.join(_STOP_S / self._how.workers)
            for job in self._jobs:
                job.partial.close()
        if self._error is not None:
            raise self._error

    def _show(self) -> None:
        done = sum(job.partial.file.size if job.is_home else job.partial.have_bytes for job in self._jobs)
        total = sum(job.partial.file.size for job in self._jobs)
        self._how.progress(done // _MB, max(total // _MB, 1), f"MB, {sum(job.is_home for job in self._jobs)} of {len(self._jobs)} files")

    def _work(self) -> None:
        """One thread: piece after piece, until none is left."""
        try:
            while (taken := self._take()) is not None:
                job, piece = taken
                try:
                    if piece is not None:
                        self._fetch(job, piece)
                except ChangedError as error:
                    job.trouble = str(error)
                except ServiceError as error:
                    if error.kind not in ("absent", "changed"):
                        raise
                    job.trouble = str(error)
                with self._changed:
                    is_last = job.active == 1 and (bool(job.trouble) or not job.todo)
                    job.active -= not is_last
                if is_last:
                    self._end(job)
                    with self._changed:
                        job.active -= 1
                        self._changed.notify_all()
        except _StoppedError:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            with self._changed:
                self._error = self._error or error
                self._is_stopped = True
                self._changed.notify_all()

    def _take(self) -> tuple[_Job, Piece | None] | None:
        """The next piece; of a job without any, None once. None at the end."""
        with self._changed:
            while not self._is_stopped:
                for job in self._jobs:
                    if job.todo and not job.trouble:
                        job.active += 1
                        job.partial.open()
                        return job, job.todo.popleft()
                    if not job.todo and not job.active and not job.is_home:  # empty, or whole since an earlier run
                        job.active += 1
                        job.partial.open()
                        return job, None
                self._changed.wait()
            return None

    def _fetch(self, job: _Job, piece: Piece) -> None:
        """Fetch the rest of a piece. An answer that brought some bytes before it broke is followed by the next at once."""
        file, have = job.partial.file, piece.have

        def write(content: bytes, offset: int) -> None:
            nonlocal have
            if self._is_stopped or job.trouble:
                raise _StoppedError
            job.partial.write(piece, content, offset)
            job.running.add(content, offset)
            have = offset + len(content)

        def send() -> None:
            start = have
            try:
                read_range(self._remote, file, start, piece.end, write)
            except (ConnectionError, TimeoutError):
                if have == start:
                    raise

        while have < piece.end:
            if self._is_stopped:
                raise _StoppedError
            try:
                self._how.backoff.call(send, file.name, lambda error: explain(error, self._remote.service))
            except _StoppedError:
                if self._is_stopped:
                    raise
                return  # another piece of the file found it replaced

    def _end(self, job: _Job) -> None:
        """Publish a file whose pieces are there, or begin it anew."""
        partial, file = job.partial, job.partial.file
        partial.close()
        if not job.trouble and is_whole(partial.path, file.size, file.digest, job.running):
            partial.publish()
            job.is_home = True
            return
        found = self._remote.again(file)
        if found is None:
            raise DataError(f"{file.name}: is not in {file.folder} any more; run the same command again")
        if job.rounds == ROUNDS:
            reason = job.trouble or f"its bytes differ from {file.digest}"
            raise DataError(f"{file.name}: fetched {ROUNDS} times from {file.folder}, and {reason}; run the same command again later")
        is_replaced = found.version != file.version
        self._how.log(f"{file.name}: {'was replaced while it was fetched' if is_replaced else 'arrived damaged'}; it starts anew")
        partial.discard()
        anew = Partial(self._out, replace(found, name=file.name))
        with self._changed:
            job.partial, job.todo, job.running = anew, deque(anew.pieces()), _running(anew.file)
            job.trouble, job.rounds = "", job.rounds + 1


__all__ = ["ROUNDS", "WORKERS", "How", "fetch_files"]
