"""The errors a user can act on. The command line prints one line and exits with `exit_code`.

    CropcamError
     +-- ConfigError          2   a study file, an option, a command line
     +-- DataError            3   rasters, stores, checkpoints, disks
     |    +-- WorkStoppedError    the cluster or the disk failed; finished work is kept
     +-- EarthEngineError     4   the service, real or embedded

    CropcamWarning             what is left out of a file, where there is no log; shown as one line

A message has the problem, its place, the numbers, then the next step. Any other exception is a bug (exit 1).
"""

from collections.abc import Sequence


class CropcamError(Exception):
    """Base of everything a user can act on."""

    exit_code = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """The message as the command line prints it: a line, or a heading and a line for each problem."""
        return (str(self),)


class ConfigError(CropcamError):
    """A study file or an option is invalid.

    With `problems`, each a line of its own, the message is their heading; `str` has them all in one line.
    """

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(f"{message}: {'; '.join(problems)}" if problems else message)
        self._lines = (message, *problems)

    @property
    def lines(self) -> tuple[str, ...]:
        """As of any error."""
        return self._lines


class DataError(CropcamError):
    """A raster, a store, a run folder or a disk is unusable."""

    exit_code = 3


class WorkStoppedError(DataError):
    """Work stopped although its input is sound; the same command resumes it."""


class EarthEngineError(CropcamError):
    """Earth Engine refused, failed or could not be reached."""

    exit_code = 4


class CropcamWarning(UserWarning):
    """A user should know, and the work goes on."""
