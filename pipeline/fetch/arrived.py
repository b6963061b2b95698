"""Whether the files of a task are at its destination: the question about a task that the service no longer knows."""

from __future__ import annotations

import re

from cropcam.pipeline.earthengine.destinations import Asset, Destination
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.export_run import Arrived
from cropcam.pipeline.earthengine.manifest import Entry
from cropcam.pipeline.earthengine.plan import Task
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.fetch.places import open_remote


def arrived_at(destination: Destination, session: Session) -> Arrived:
    """A function that looks into a place for the files of a task: True, False, or None where it cannot look.

    The place is listed at each question, for files may appear meanwhile, with the same credentials as the export. Files count by name
    alone; `fetch` judges them by their content.

    Args:
        destination: of the export.
        session: an open session.
    """

    def look(task: Task, entry: Entry) -> bool | None:
        try:
            if isinstance(destination, Asset):
                return session.asset(destination.name(session.project)) is not None
            files = open_remote(destination, project=session.project, api_url=session.api_url).files(entry.uris)
        except ServiceError:
            return None
        own = re.compile(rf"{re.escape(task.name)}(-\d{{10}}-\d{{10}})?\.tif")
        return len({file.name for file in files if own.fullmatch(file.name)}) >= task.files

    return look
