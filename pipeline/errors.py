"""The errors a user can act on. The command line prints one line and exits with `exit_code`.

    CropcamError
     +-- ConfigError          2   a study file, an option, a command line
     +-- DataError            3   rasters, stores, checkpoints, disks
     |    +-- WorkStoppedError    a cluster went away; what is done is kept
     +-- EarthEngineError     4   the service, real or embedded

A message says what happened, where, with the numbers, then the next step. Anything else that escapes is a bug (exit 1).
"""


class CropcamError(Exception):
    """Base of everything a user can act on."""

    exit_code = 1


class ConfigError(CropcamError):
    """A study file or an option asks for something that cannot be."""

    exit_code = 2


class DataError(CropcamError):
    """A raster, a store, a run folder or a disk is not what it should be."""

    exit_code = 3


class WorkStoppedError(DataError):
    """Work that could not go on through no fault of its input; run again, it goes on where it stopped."""


class EarthEngineError(CropcamError):
    """Earth Engine refused, failed or could not be reached."""

    exit_code = 4
