"""The log file of a command (`--log-file`): one JSON object a line, appended, for cron jobs and their watchers.

Each line has `time` (ISO 8601 with the zone), `level` (debug, info, warning, error), `command`, `pid` and `event`; most have a `message`.
The events: `start` (with version and arguments), `stage` (with `stage`, `state`, `done`, `total`, `seconds`), `message`, `setting`, `result`
(with `places` and `next`), `warning`, `error`, and last `end` with `exit_code` and `seconds`. A process that is killed writes no `end`.
"""

from __future__ import annotations

import datetime
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.outputs import LOG, Output, check_kind

_KEYS = frozenset({"time", "level", "command", "event"})
_READ_BYTES = 2**16
_STEP = "name another file with --log-file, or make its folder"


class LogFile:
    """An open log file. Lines are appended by one write each, so that commands that run side by side may share a file.

    Args:
        path: made if absent; its folder must be there.
        command: the command's name, for each line.

    Raises:
        ConfigError: it cannot be written, or it is a file that is no log of cropcam's.
    """

    def __init__(self, path: Path, command: str) -> None:
        self._command = command
        check_kind(Output(path, "--log-file", LOG))
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
        except OSError as error:
            if path.is_char_device():  # /dev/null, /dev/stderr of some systems
                fd = os.open(path, os.O_WRONLY | os.O_APPEND)
            else:
                raise ConfigError(f"--log-file {path}: {error.strerror or error}; {_STEP}") from None
        kind = os.fstat(fd).st_mode
        if stat.S_ISREG(kind) and not _is_log(fd):
            os.close(fd)
            raise ConfigError(f"--log-file {path}: is there already and is no log of cropcam's; name another file")
        if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
            os.close(fd)
            raise ConfigError(f"--log-file {path}: is no ordinary file; name another one")
        self._fd = fd
        self.is_whole = True

    def write(self, level: str, event: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
        """Append one line. Where the disk refuses, `is_whole` becomes False and the work goes on."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = {"time": now, "level": level, "command": self._command, "pid": os.getpid(), "event": event, **fields}
        text = json.dumps(line, ensure_ascii=False, default=str) + "\n"
        try:
            os.write(self._fd, text.encode("utf-8", "backslashreplace"))
        except OSError:
            self.is_whole = False

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            os.close(self._fd)


def _is_log(fd: int) -> bool:
    """Whether an open file is empty, or begins with a line of such a log."""
    first = os.pread(fd, _READ_BYTES, 0)
    if not first:
        return True
    try:
        values = json.loads(first.split(b"\n", 1)[0])
    except ValueError:  # also of bytes that are no UTF-8
        return False
    return isinstance(values, dict) and set(values) >= _KEYS
