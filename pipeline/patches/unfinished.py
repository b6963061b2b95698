"""The folder of a store that is being built: begun with a specification, gone on with, thrown away, or published.

.build/spec.json     study, options, seed, digests of all input files: another specification starts over
       ready         all arrays are made
       moments, histogram, counts: sums per patch, for the statistics
zarr.json.partial    the root of a store whose work is done
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cropcam.pipeline.patches.measure import bin_edges, counted_type
from cropcam.pipeline.runtime.atomic import atomic_write, remove
from cropcam.pipeline.runtime.outputs import Output, check_outputs, json_object
from cropcam.pipeline.store.create import create_arrays, create_sums
from cropcam.pipeline.store.schema import BUILD, PENDING, ROOT, StoreInfo
from cropcam.pipeline.study.study import differences

SPEC = "spec.json"
_ARRAYS = (
    "image",
    "label",
    "weight",
    "valid",
    "split",
    "reason",
    "share",
    "x",
    "y",
    "band",
    "season",
    "scale",
    "offset",
    "nodata",
    "spatial_ref",
)


def specification(info: StoreInfo) -> str:
    """Everything that the bytes of a store depend on, as text."""
    return json.dumps(info.attrs(), indent=1, sort_keys=True)


def check_place(store: Path, inputs: Iterable[Path] = ()) -> None:
    """Check that nothing is there but a store, unfinished work of ours, or an empty folder.

    Raises:
        ConfigError: a name that no folder should have.
        DataError: something else lies there, or in the way; it is left alone.
    """
    check_outputs([Output(store, "--store", "patch store", _may_hold_a_store, is_folder=True)], inputs)


def _may_hold_a_store(folder: Path) -> bool:
    """Whether a folder is a store (by its root), empty, or holds unfinished work of ours."""
    names = {path.name for path in folder.iterdir()}
    if ROOT in names or not names:
        return True
    if (folder / BUILD).is_symlink() or not (folder / BUILD).is_dir():
        return _is_ours(folder / PENDING, "attributes")  # killed between the last two steps of `publish`
    return names <= {BUILD, *_ARRAYS} or _is_ours(folder / BUILD / SPEC)


def _is_ours(path: Path, *keys: str) -> bool:
    """Whether a JSON file has the attributes of a store of any version."""
    return {"schema_version", "digests"} <= json_object(path, *keys).keys()


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
