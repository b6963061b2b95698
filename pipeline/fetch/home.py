"""An export comes home: found by the manifest and by listing, judged by place, fetched, verified.

Source: Earth Engine API reference, "Export.image.toDrive", "Export.image.toCloudStorage"; REST reference, "OperationMetadata".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.export_run import Pace
from cropcam.pipeline.earthengine.layers import Layer
from cropcam.pipeline.earthengine.task_status import ENDED, SUCCEEDED, Row, is_active, missing, summary
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.fetch.download import How, fetch_files
from cropcam.pipeline.fetch.exported import Exported
from cropcam.pipeline.fetch.listing import Listing
from cropcam.pipeline.fetch.partial import FOLDER
from cropcam.pipeline.fetch.remote import Remote, RemoteFile
from cropcam.pipeline.fetch.sets import Choice, Shard, choose
from cropcam.pipeline.grid import Window
from cropcam.pipeline.rasters.export_shards import open_shards
from cropcam.pipeline.runtime.atomic import exclusive_lock, kept_if_filled, remove
from cropcam.pipeline.study.polygons import meets
from cropcam.pipeline.study.study import Study

LATE_LOOKS = 6  # a list may lack files for some time after their task has ended
_NAMED = 5
IDLE_LOOKS = 6  # without a task that waits or runs: over two minutes, in which an export in another process submits the next


@dataclass(frozen=True)
class Home:
    """A whole export in a folder: its files and bytes, how many files this run fetched, and the seconds it took."""

    folder: Path
    files: int
    bytes: int
    fetched: int
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """JSON values."""
        return {**asdict(self), "folder": str(self.folder)}

    def __str__(self) -> str:
        return f"{self.folder}: {self.files} file{'s' * (self.files != 1)}, {self.bytes:,} bytes, {self.fetched} of them fetched now, in {self.seconds:.1f} s"


def bring_home(
    study: Study,
    remote: Remote,
    out: Path,
    *,
    exported: Exported | None = None,
    look: Callable[[], Sequence[Row]] | None = None,
    how: How | None = None,
    pace: Pace | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Home:
    """Fetch a whole export of a study into a folder, and verify that every pixel of its grid lies in exactly one file.

    Args:
        study: the study.
        remote: from `open_remote`.
        out: the folder; the files that are there already are not fetched again.
        exported: what the manifest knows; the list of the place alone serves, too.
        look: returns the tasks' rows; with it the files of each task are fetched as it ends, until all have ended.
        how: workers, backoff, progress, log.
        pace: of the looks.
        clock: seconds, for the end line.

    Raises:
        DataError: a part is missing, files of several exports contradict, other files lie in `out`, or another process fetches.
            What was fetched stays.
        EarthEngineError: the place refuses; or, once all other files are there, a task has failed.
        WorkStoppedError: the disk is full.
    """
    run = _Run(study, remote, out, exported, how or How(), pace or Pace())
    begun = clock()
    with kept_if_filled(out), exclusive_lock(out, "another process fetches into it; wait for that one, or choose another folder"):
        others = run.watch(look) if look else []
        files = run.finish(others)
    return Home(out, len(files), sum(file.size for file in files), run.fetched, clock() - begun)


class _Run:
    """One run of `bring_home`, over a locked folder."""

    def __init__(self, study: Study, remote: Remote, out: Path, exported: Exported | None, how: How, pace: Pace) -> None:
        self._study, self._remote, self._out, self._exported, self._how, self._pace = study, remote, out, exported, how, pace
        self._listing = Listing(study, remote, self._how)
        self._rows: Sequence[Row] = ()  # of the latest look
        self._is_watched = False
        self.fetched = 0

    def watch(self, look: Callable[[], Sequence[Row]]) -> list[Row]:
        """Fetch the files of each task once it has ended well, until all have ended; the rows of the others.

        Tasks that nobody submits while none runs are not waited for.
        """
        self._is_watched = True
        self._check_strangers([])
        done, before, idle, wait_s = set[str](), "", 0, self._pace.poll_s
        while True:
            rows = self._rows = look()
            if (text := summary(rows)) != before:
                self._how.log(text)
                before, wait_s = text, self._pace.poll_s
            ended = {row.task for row in rows if row.state == SUCCEEDED}
            if ended - done:
                done |= self._fetch_tasks(ended - done)
            idle = 0 if any(is_active(row.state) for row in rows) else idle + 1
            if all(row.state in ENDED for row in rows) or idle == IDLE_LOOKS:
                return [row for row in rows if row.state != SUCCEEDED]
            self._pace.sleep(wait_s)
            wait_s = min(wait_s * 1.5, self._pace.longest_s)

    def _fetch_tasks(self, tasks: set[str]) -> set[str]:
        """Fetch the files of tasks that lie there whole and but once; the names of these tasks. The others wait for the end."""
        if self._exported is None:
            return set()
        by_task: dict[str, list[Shard]] = {}
        for shard in self._listing.shards(self._uris(), is_optional=True):
            by_task.setdefault(shard.task, []).append(shard)
        whole = [task for task in self._exported.plan.tasks if task.name in tasks and _covers(by_task.get(task.name, []), task.pixels)]
        self._fetch([shard.file for task in whole for shard in by_task[task.name]])
        return {task.name for task in whole}

    def finish(self, others: Sequence[Row] = ()) -> list[RemoteFile]:
        """Fetch what is left, verify the whole; its files.

        Args:
            others: the tasks that did not succeed.
        """
        is_done = not others if self._is_watched else self._exported is not None and not self._exported.unfinished
        for left in reversed(range(LATE_LOOKS + 1 if is_done else 1)):
            choices = self._choices(self._listing.shards(self._uris(), is_optional=bool(others or left)))
            lacking = [choice.missing for choice in choices if choice.missing]
            late = lacking + [f"{choice.newer} of a newer export" for choice in choices if choice.newer]
            if not late or not left:
                break
            self._listing.note(f"{'; '.join(late)}: all tasks have ended well, so the list may be late; looking again")
            self._pace.sleep(self._pace.poll_s)
        for choice in choices:
            for note in choice.notes:
                self._listing.note(note)
        files = [shard.file for choice in choices for shard in choice.shards]
        self._check_strangers(files)
        self._fetch(files)
        if lacking and others:
            raise ServiceError(
                f"{self._out}: {len(files)} files are there and stay; missing: {missing(others)}. Export again with the command of before, then fetch the rest",
                "export",
            )
        if lacking:
            raise DataError(self._incomplete(choices))
        open_shards(self._out, self._study)
        remove(self._out / FOLDER)
        return files

    def _incomplete(self, choices: Sequence[Choice]) -> str:
        conflicts = [choice.conflict for choice in choices if choice.conflict]
        if conflicts:
            return f"{'; '.join(conflicts)}. Delete the files of one export, or move them to another folder, and run the same command again"
        unfinished = self._exported.unfinished if self._exported else {}
        tasks = ", ".join(f"{name} {state}" for name, state in list(unfinished.items())[:_NAMED])
        remedy = (
            "--watch waits for them" if any(is_active(state.upper()) for state in unfinished.values()) else "run the export again first"
        )
        next_step = (
            f"tasks as last seen: {tasks}; {remedy}"
            if unfinished
            else "run the same command again in some minutes; files that were deleted come back by an export to another place (--to)"
        )
        lacking = "; ".join(choice.missing for choice in choices if choice.missing)
        count = sum(len(choice.shards) for choice in choices)
        return f"{self._out}: not whole: {lacking}; {count} files are fetched and stay; {next_step}"

    def _uris(self) -> list[str]:
        return list(dict.fromkeys([*(self._exported.uris if self._exported else []), *(uri for row in self._rows for uri in row.uris)]))

    def _choices(self, shards: Sequence[Shard]) -> list[Choice]:
        retried = {*(self._exported.retried if self._exported else ()), *(row.task for row in self._rows if row.attempt)}
        return [self._choice(layer, shards, retried) for layer in self._listing.layers.values()]

    def _choice(self, layer: Layer, shards: Sequence[Shard], retried: Collection[str]) -> Choice:
        own = [shard for shard in shards if shard.layer == layer.name]
        return choose(layer.name, own, self._study.grid.shape_yx, retried, self._is_needed)

    def _is_needed(self, gap: Window) -> bool:
        """Whether a window without a file is missing: outside `area.region` nothing is exported."""
        return meets(self._study.area.region, self._study.grid, gap)

    def _check_strangers(self, files: Sequence[RemoteFile]) -> None:
        """Refuse a folder with other GeoTIFFs: `patches` would take them for parts of the export. Without `files` the names decide."""
        own = {file.name for file in files}
        there = sorted(
            path.name for path in self._out.iterdir() if path.suffix.lower() in (".tif", ".tiff") and not path.name.startswith(".")
        )
        others = [name for name in there if name not in own and (own or not self._listing.pattern.fullmatch(name))]
        if others:
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            raise DataError(
                f"{self._out}: holds {', '.join(others[:3])}{more}, no part of this export; choose a folder of its own, or move them away"
            )

    def _fetch(self, files: Sequence[RemoteFile]) -> None:
        self.fetched += fetch_files(self._remote, files, self._out, self._how)


def _covers(shards: Sequence[Shard], pixels: int) -> bool:
    """Whether files of one task, each name once, hold as many pixels as the task."""
    is_once = len({shard.file.name for shard in shards}) == len(shards)
    return is_once and sum(shard.place.height * shard.place.width for shard in shards) == pixels
