"""Patch stores of the simulated region, exported from the embedded engine as the demo does it."""

from __future__ import annotations

from pathlib import Path

from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.session import open_session
from cropcam.pipeline.emulator import serve
from cropcam.pipeline.patches.build import from_shards
from cropcam.pipeline.study.study import Study


def store_of(study: Study, archive: Path, place: Path, seed: int = 0) -> Path:
    """The store of a study in `place`, exported from the archive and built where it is missing."""
    store = place / "patches.zarr"
    if not store.exists():
        with serve(archive) as server:
            deliver(study, open_session(None, server.url), place / "shards")
        from_shards(study, place / "shards", store, seed=seed)
    return store
