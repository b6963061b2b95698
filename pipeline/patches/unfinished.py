"""The folder of a store that is being built: begun with a specification, gone on with, thrown away, or published.

.build/spec.json     study, options, seed, digests of all input files: another specification starts over
       ready         all arrays are made
       moments, histogram, counts: sums per patch, for the statistics
zarr.json.partial    the root of a store whose work is done
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches.measure import bin_edges, counted_type
from cropcam.pipeline.runtime.atomic import atomic_write, remove
from cropcam.pipeline.store.create import create_arrays, create_sums
from cropcam.pipeline.store.schema import BUILD, PENDING, ROOT, StoreInfo
from cropcam.pipeline.study.study import differences

SPEC = "spec.json"


def specification(info: StoreInfo) -> str:
    """Everything that the bytes of a store depend on, as text."""
    return json.dumps(info.attrs(), indent=1, sort_keys=True)


def check_place(store: Path) -> None:
    """Check that nothing is there but unfinished work of ours, or an empty folder.

    Raises:
        DataError: something else lies there; it is left alone.
    """
    if store.exists() and not (store / BUILD).is_dir() and (not store.is_dir() or any(store.iterdir())):
        raise DataError(f"{store}: exists and is no patch store; choose another --store, or delete it")


def begin(store: Path, info: StoreInfo, log: Callable[[str], object]) -> None:
    """Make the folder and its arrays; the work found there is kept where its specification is the same, else thrown away with a line to `log`."""
    path, spec = store / BUILD / SPEC, specification(info)
    try:
        before = json.loads(path.read_bytes())
    except (OSError, ValueError):
        before = None
    if before != (now := json.loads(spec)):
        if before is not None:
            changed = [line.partition(": ")[0] for line in differences(_sections(before), _sections(now))]
            log(f"starting over: the unfinished store found here was begun with another {', another '.join(changed[:3])}")
        discard(store)
        atomic_write(path, spec)
    if not (store / BUILD / "ready").exists():
        create_arrays(store, info)
        create_sums(store / BUILD, info, len(bin_edges(info.encoding.dtype)) - 1, counted_type(info.patch_size_px))
        atomic_write(store / BUILD / "ready", "")


def discard(store: Path) -> None:
    """Remove unfinished work; .build last: as long as it is there, what a kill left of the rest is known as unfinished work."""
    for path in store.glob("*"):
        if path.name != BUILD:
            remove(path)
    remove(store)


def publish(store: Path) -> bool:
    """Remove what belongs to the work alone, then give the root its name; False where the store is not ready for it."""
    if not (store / PENDING).exists():
        return False
    remove(store / BUILD)
    for left in (*store.rglob("*.__lock"), *(path for path in store.rglob("*.partial") if path.name != PENDING)):
        remove(left)
    os.replace(store / PENDING, store / ROOT)  # noqa: PTH105 - atomic, on every system
    return True


def _sections(attrs: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Attributes as sections of keys, so that a message names the key that differs."""
    study = attrs["study"]
    sections = dict(study) if isinstance(study, dict) else {}
    digests = attrs["digests"] if isinstance(attrs["digests"], dict) else {}
    rest = {key: value for key, value in attrs.items() if key not in ("study", "digests")}
    return {**sections, "input": {key: value for key, value in digests.items() if key != "study"}, "store": rest}
