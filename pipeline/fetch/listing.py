"""The files of a study at a place: found by name, placed on the study's grid by the header of each, all others named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cropcam.pipeline.earthengine.layers import layers_of
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.fetch.download import How
from cropcam.pipeline.fetch.headers import Header, place_of, read_header
from cropcam.pipeline.fetch.media import ChangedError
from cropcam.pipeline.fetch.remote import Remote, RemoteFile
from cropcam.pipeline.fetch.sets import Shard
from cropcam.pipeline.study.study import Study

_LOOKS = 3  # at a place whose files are replaced meanwhile
_NAMED = 5


class Listing:
    """Looks through one place, as often as asked; the header of a file is read once.

    Attributes:
        layers: of the study, by name.
        pattern: of the names of its files: the task's name first, then the layer's.
    """

    def __init__(self, study: Study, remote: Remote, how: How) -> None:
        self._study, self._remote, self._how = study, remote, how
        self.layers = {layer.name: layer for layer in layers_of(study)}
        self.pattern = re.compile(
            rf"({re.escape(study.name)}-({'|'.join(self.layers)})(?:-r\d{{2,}}c\d{{2,}})?)(?:-\d{{10}}-\d{{10}})?\.tiff?", re.IGNORECASE
        )
        self._headers: dict[tuple[str, str], Header] = {}
        self._noted: set[str] = set()

    def note(self, text: str) -> None:
        """Log a line, each once."""
        if text not in self._noted:
            self._noted.add(text)
            self._how.log(text)

    def shards(self, uris: Sequence[str], *, is_optional: bool = False) -> list[Shard]:
        """The study's files at the place, each with its place on the grid; others are named once.

        Args:
            uris: destination URIs of the tasks, whose folders are looked through too.
            is_optional: the place may be empty yet.

        Raises:
            DataError: there is no file of the study, unless `is_optional`.
        """
        for _ in range(_LOOKS):
            files = self._remote.files(uris)
            named = [(file, found) for file in files if (found := self.pattern.fullmatch(file.name))]
            try:
                self._read_headers([file for file, _ in named])
                break
            except ChangedError as error:
                self.note(f"{error} was replaced meanwhile; looking again")
        else:
            raise DataError("files are replaced all the time; wait for the export that writes them, then run the same command again")
        strange = {file.name: "" for file in files if not self.pattern.fullmatch(file.name)}
        shards = []
        for file, found in named:
            layer = self.layers[found.group(2).lower()]
            try:
                place = place_of(self._headers[file.key, file.version], file, self._study.grid, layer)
            except DataError as error:
                strange[file.name] = str(error)
            else:
                shards.append(Shard(file, layer.name, found.group(1), place))
        if not is_optional or shards:
            self._judge(shards, strange)
        return shards

    def _judge(self, shards: Sequence[Shard], strange: dict[str, str]) -> None:
        names = ", ".join(reason or name for name, reason in list(strange.items())[:_NAMED]) + (
            f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        )
        if not shards:
            pattern = f"{self._study.name}-image*.tif"
            if strange:
                raise DataError(f"no file of study {self._study.name} ({pattern}) there, but others: {names}; check STUDY and --from")
            raise DataError(f"no file of study {self._study.name} ({pattern}) there; {self._remote.nothing_found()}")
        if strange:
            self.note(f"files that are not of study {self._study.name} stay where they are: {names}")

    def _read_headers(self, files: Sequence[RemoteFile]) -> None:
        unread = [file for file in files if (file.key, file.version) not in self._headers]
        with ThreadPoolExecutor(self._how.workers) as pool:
            for file, header in zip(unread, pool.map(lambda file: read_header(self._remote, file, self._how.backoff), unread), strict=True):
                self._headers[file.key, file.version] = header
