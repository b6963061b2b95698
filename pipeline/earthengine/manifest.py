"""The export manifest: a JSON file beside the study with the state of each task, written before and after each request.

One file holds the exports of one study, keyed by endpoint, project, destination and graph digest. It is
written atomically.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cropcam.pipeline import __version__
from cropcam.pipeline.earthengine.graphs import graph_digest
from cropcam.pipeline.earthengine.layers import layers_of
from cropcam.pipeline.earthengine.plan import DESCRIPTION_LENGTH, Plan, Task
from cropcam.pipeline.earthengine.session import Session, is_one_place
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import atomic_write, exclusive_lock
from cropcam.pipeline.runtime.hashing import json_sha256
from cropcam.pipeline.runtime.outputs import Output, always, check_outputs
from cropcam.pipeline.study.study import differences, presets
from cropcam.pipeline.text_files import read_json_object

SCHEMA_VERSION = 1
SUBMITTING = "SUBMITTING"  # written before the request; only the service knows whether it arrived
UNSUBMITTED = "UNSUBMITTED"
_DELETE = "a damaged export manifest; delete it: what was submitted is found again in the service's own list of tasks"


@dataclass
class Entry:
    """State of one task: of its latest attempt, counted from 0.

    Attributes:
        key: digest of pixels and place.
        attempt: number of the attempt.
        state: the service's, or UNSUBMITTED, SUBMITTING or FORGOTTEN.
        operation: the operation's full name; "" before the service has accepted the request.
        message: the service's error, redacted.
        eecu_s: compute time of this attempt in EECU-seconds, as the service reports it.
        earlier_eecu_s: that of the attempts before.
        progress: 0 to 1, as the service reports it.
        updated: when the service last changed the operation, by its clock, RFC 3339.
        seconds: from start to end, by the service's clock.
        uris: where the files are, as the service reports it.
        shard_px: side of the tiles of computation where memory did not suffice for the plan's; else 0.
        misses: requests in a row that the service answered with 404 although it had accepted the task.
        body: the request while its fate is unknown. It is sent again as it is: the same request id with another body is an error.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)
    key: str
    attempt: int = 0
    state: str = UNSUBMITTED
    operation: str = ""
    message: str = ""
    eecu_s: float | None = None
    earlier_eecu_s: float = 0.0
    progress: float | None = None
    updated: str = ""
    seconds: float | None = None
    uris: list[str] = field(default_factory=list)
    shard_px: int = 0
    misses: int = 0
    body: dict[str, Any] | None = None

    def renew(self) -> None:
        """Go on to the next attempt."""
        self.attempt += 1
        self.earlier_eecu_s += self.eecu_s or 0.0
        self.state, self.operation, self.eecu_s, self.seconds, self.uris = UNSUBMITTED, "", None, None, []
        self.progress, self.updated, self.misses, self.body = None, "", 0, None

    def description(self, task: Task) -> str:
        """The task's name in the service's list, with key and attempt."""
        text = f"{task.name}-{self.key[:12]}-a{self.attempt}"
        if len(text) > DESCRIPTION_LENGTH:
            raise DataError(f"{text}: {len(text)} characters; Earth Engine allows {DESCRIPTION_LENGTH}: give the study a shorter name")
        return text


@dataclass
class Manifest:
    """The entries of one export (one endpoint, project, destination and graph digest) in its file."""

    path: Path
    key: str
    about: dict[str, Any]
    entries: dict[str, Entry]
    replaced: tuple[str, ...] = ()  # keys of exports whose asset this one overwrites

    def save(self) -> None:
        """Write the file atomically."""
        content = read_exports(self.path, self.about["study"]["study"]["name"])
        for key in self.replaced:
            content["exports"].pop(key, None)
        content["exports"][self.key] = {**self.about, "tasks": {name: asdict(entry) for name, entry in self.entries.items()}}
        try:
            atomic_write(self.path, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be written ({error.strerror}); nothing further was submitted: free space and run again"
            ) from None

    def take_submitted(self) -> None:
        """Take from the file the tasks that another process has submitted since."""
        written = read_exports(self.path, self.about["study"]["study"]["name"])["exports"].get(self.key, {}).get("tasks", {})
        for name, entry in self.entries.items():
            there = Entry(**written[name]) if name in written else entry
            if there.operation and (not entry.operation or there.attempt > entry.attempt):
                self.entries[name] = there


def manifest_path(study_argument: str, changed_name: str = "") -> Path:
    """Where a study's manifest lies: beside the study file; for presets in the working directory. A study with a changed name has its own."""
    path = Path(f"{study_argument}.toml" if study_argument in presets() else study_argument)
    return path.with_name(f"{changed_name or path.stem}.exports.json")


@contextmanager
def open_manifest(path: Path, plan: Plan, session: Session) -> Iterator[Manifest]:
    """The manifest of a plan, locked while the block runs.

    Raises:
        DataError: another process holds it, it is damaged, or of another study; or an export of a changed study went
            to the same destination, so that files of both would lie side by side.
        ConfigError: another project has exported the study there.
    """
    check_outputs([Output(path, "", "manifest", always)])  # its content is looked at below
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(path, "another process is writing it, an export of this study; wait for it, or stop it with Ctrl-C"):
        yield load(path, plan, session)


def load(path: Path, plan: Plan, session: Session) -> Manifest:
    """As `open_manifest`, without the lock."""
    study, where = plan.study, str(plan.destination)
    digests = {layer.name: graph_digest(study, layer.name) for layer in layers_of(study)}
    digest = json_sha256([digests, plan.geometry()])
    about = {
        "endpoint": session.endpoint, "project": session.project, "destination": where, "graph_digest": digest,
        "cropcam": __version__, "study": study.to_dict(), "graphs": digests, **plan.geometry(),
    }  # fmt: skip
    content = read_exports(path, study.name)
    key = json_sha256([session.endpoint, session.project, where, digest])[:16]
    replaced = []
    for other_key, other in content["exports"].items():
        is_here = is_one_place(other["endpoint"], session.endpoint) and other["destination"] == where
        if is_here and other["project"] != session.project:
            _check_project(path, where, other, session.project)
            continue
        if other_key != key and is_here and other["graph_digest"] != digest:
            if not plan.overwrite:
                raise DataError(_conflict(path, where, other, about))
            replaced.append(other_key)
    known = content["exports"].get(key, {}).get("tasks", {})
    entries = {}
    for task in plan.tasks:
        identity = json_sha256([digests[task.layer.name], session.project, where, list(task.cell), task.file_px])[:32]
        entries[task.name] = Entry(**known[task.name]) if task.name in known else Entry(identity)
    return Manifest(path, key, about, entries, tuple(replaced))


def _check_project(path: Path, where: str, other: dict[str, Any], project: str) -> None:
    """Refuse to export once more to a bucket or Drive folder what tasks of another project brought there or will bring.

    An asset's path belongs to its project.
    """
    is_begun = any(entry["state"] not in (UNSUBMITTED, "FAILED", "CANCELLED") for entry in other["tasks"].values())
    if is_begun and not where.startswith("asset:"):
        raise ConfigError(
            f"{path}: the export to {where} is of project {other['project']}, not {project}; give --project {other['project']}, or choose another destination"
        )


def _conflict(path: Path, where: str, other: dict[str, Any], about: dict[str, Any]) -> str:
    fields = [line for line in differences(other["study"], about["study"]) if line.split(".")[0] in ("area", "image", "labels")]
    fields += [f"{key}: {other[key]} against {about[key]}" for key in ("cell_px", "file_px") if other[key] != about[key]]
    remedy = (
        "choose another one, or give --overwrite"
        if where.startswith("asset:")
        else "choose another destination, delete both, or give the --cell-px and --file-px it was made with"
    )
    return f"{path}: {where} already holds an export of a changed study or of other cells ({'; '.join(fields) or 'other graph'}); {remedy}"


def read_exports(path: Path, study_name: str) -> dict[str, Any]:
    """The content of a manifest file: `{"schema_version", "study", "exports": {KEY: {"endpoint", "project", "destination", "tasks", ...}}}`.

    A file that does not exist has no exports.

    Raises:
        DataError: it is damaged, of another version, or another study's.
    """
    if not os.path.lexists(path):
        return {"schema_version": SCHEMA_VERSION, "study": study_name, "exports": {}}
    content = read_json_object(path, "an export manifest", step=_DELETE)
    version, name, exports = content.get("schema_version"), content.get("study"), content.get("exports")
    if version != SCHEMA_VERSION:
        raise DataError(f"{path}: manifest version {version}, this cropcam reads {SCHEMA_VERSION}; move it away")
    if name != study_name:
        raise DataError(f"{path}: the manifest of another study (study.name: {name!r} against {study_name!r}); move it away")
    try:
        _EXPORTS.validate_json(json.dumps(exports), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{path}: {'.'.join(map(str, ('exports', *first['loc'])))}: {first['msg']}; {_DELETE}") from None
    return content


class _Export(BaseModel):
    """What other modules take from an export of a manifest file."""

    model_config = ConfigDict(extra="allow")
    endpoint: str
    project: str
    destination: str
    graph_digest: str
    study: dict[str, Any]
    cell_px: int
    file_px: dict[str, int]
    tasks: dict[str, Entry]


_EXPORTS = TypeAdapter(dict[str, _Export])
