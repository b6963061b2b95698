"""An export as its manifest records it: its plan, its tasks' states, and where the service put the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cropcam.pipeline.earthengine.destinations import CloudStorage, Drive
from cropcam.pipeline.earthengine.manifest import read_exports
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.earthengine.session import is_one_place
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.study.study import Study, differences

_SECTIONS = ("area", "image", "labels")  # of a study: they decide the pixels


@dataclass(frozen=True)
class Exported:
    """One export in a manifest: its project, its plan, and the entry of each task as last seen."""

    project: str
    plan: Plan
    tasks: Mapping[str, Mapping[str, Any]]

    @property
    def uris(self) -> list[str]:
        """Destination URIs of all tasks, each once."""
        return list(dict.fromkeys(str(uri) for entry in self.tasks.values() for uri in entry.get("uris", [])))

    @property
    def retried(self) -> frozenset[str]:
        """Names of the tasks that were tried more than once."""
        return frozenset(name for name, entry in self.tasks.items() if entry.get("attempt", 0) > 0)

    @property
    def unfinished(self) -> dict[str, str]:
        """State, in small letters, of each task that had not succeeded when last seen."""
        states = {task.name: str(self.tasks.get(task.name, {}).get("state", "UNSUBMITTED")) for task in self.plan.tasks}
        return {name: state.lower() for name, state in states.items() if state != "SUCCEEDED"}


def find_export(study: Study, manifest: Path, source: Drive | CloudStorage, endpoint: str, project: str | None = None) -> Exported | None:
    """The export of a study to a place that a manifest records; None where it records none.

    Args:
        study: the study.
        manifest: its file, from `manifest_path`; may be absent.
        source: the place.
        endpoint: URL or name of the service, as `Session.endpoint`.
        project: the one that was named; else the manifest's own.

    Raises:
        DataError: the manifest is damaged or another study's; or the place holds an export of a changed study.
        ConfigError: the export is another project's.
    """
    exports = read_exports(manifest, study.name)["exports"].values()
    here = [one for one in exports if one["destination"] == str(source) and is_one_place(one["endpoint"], endpoint)]
    own = [one for one in here if project in {None, one["project"]}]
    if here and not own:
        raise ConfigError(
            f"{manifest}: the export to {source} is of project {here[-1]['project']}, not {project}; give --project {here[-1]['project']}"
        )
    changed: list[str] = []
    for one in reversed(own):
        changed = [line for line in differences(one["study"], study.to_dict()) if line.split(".")[0] in _SECTIONS]
        if not changed:
            return Exported(str(one["project"]), _plan(study, source, one, manifest), one["tasks"])
    if changed:
        raise DataError(
            f"{manifest}: {source} holds an export of a changed study ({'; '.join(changed)}); fetch it with the study it was exported for"
        )
    return None


def _plan(study: Study, source: Drive | CloudStorage, export: Mapping[str, Any], manifest: Path) -> Plan:
    """The plan as it was exported: by its cells and files."""
    sides = export["file_px"]
    for file_px in (None, *set(sides.values())):
        made = plan(study, source, cell_px=export["cell_px"], file_px=file_px)
        if made.geometry()["file_px"] == sides:
            return made
    raise DataError(
        f"{manifest}: {source} was exported with files of {sides} px by another cropcam; fetch it with that one, or move the manifest away"
    )
