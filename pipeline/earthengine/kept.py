"""A composite kept as an Earth Engine asset: when an export may write it, and how later exports and previews of the study read it.

Reading a pixel of an asset costs next to nothing, computing a median of scenes does not. The manifest names the asset; the asset's
own properties decide whether it holds the pixels of the study.

Source: Earth Engine API reference, "Export.image.toAsset"; guide "Best practices" ("Export intermediate results").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ee

from cropcam.pipeline.earthengine.destinations import Asset, parse_destination
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.graphs import graph, graph_digest
from cropcam.pipeline.earthengine.layers import layers_of
from cropcam.pipeline.earthengine.manifest import UNSUBMITTED, Manifest, read_exports
from cropcam.pipeline.earthengine.plan import Plan
from cropcam.pipeline.earthengine.scenes import whole_number
from cropcam.pipeline.earthengine.session import Session, is_one_place
from cropcam.pipeline.earthengine.task_status import SUCCEEDED
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.study.study import Study

Pixels = Callable[[str, PixelGrid | None], ee.Image]
GRAPH_PROPERTY = "cropcam_graph"  # of an asset: the digest of the graph and grid that made it


def pixels_of(study: Study, session: Session, manifest_file: Path, log: Callable[[str], object] = lambda _: None) -> Pixels:
    """Where the pixels of a study's layers come from, by layer and grid: its graphs, or for the image an asset that holds them.

    Args:
        study: the study.
        session: an open session.
        manifest_file: of the study.
        log: called with a line where an asset is read, or no longer is what the manifest records.
    """
    computed = partial(graph, study)
    name, digest = _recorded(study, session, manifest_file)
    if not name:
        return computed
    found = session.asset(name)
    if not _holds(found, digest):
        log(f"{name}: {'deleted' if found is None else 'replaced by another image'} since its export; the composite is computed again")
        return computed
    log(f"the composite is read from {name}")
    image = layers_of(study)[0]
    stored: ee.Image = (
        ee.Image(name).select(list(image.bands)).unmask(ee.Image.constant([whole_number(value) for value in image.empty]), False)
    )

    def read(layer: str, grid: PixelGrid | None = None) -> ee.Image:
        return stored if layer == image.name else computed(layer, grid)

    return read


def check_target(plan: Plan, session: Session, manifest: Manifest, log: Callable[[str], object]) -> None:
    """Refuse to write over an asset without `overwrite`; renew the task of one that was deleted, or replaced by another image, since.

    An asset that has the pixels of this very study is done: the task that wrote it may be forgotten, or have failed in a second
    attempt because the first had written it. Exports to other destinations pass.

    Args:
        plan: of the export.
        session: an open session.
        manifest: of the export; the entry of the task is changed.
        log: called with a line where an asset is written again.

    Raises:
        EarthEngineError: the asset exists, or its folder does not.
    """
    if not isinstance(plan.destination, Asset):
        return
    (entry,) = manifest.entries.values()
    if entry.state not in (SUCCEEDED, UNSUBMITTED):
        return
    name = plan.destination.name(session.project)
    found = session.asset(name)
    holds = _holds(found, str(manifest.about["graphs"]["image"]))
    if entry.state == SUCCEEDED and not holds:
        log(f"{name}: the asset was {'deleted' if found is None else 'replaced by another image'}; once more")
        entry.renew()
    elif entry.state == UNSUBMITTED and holds and not plan.overwrite:
        log(f"{name}: the asset is there already, with the pixels of this study")
        entry.state, entry.message = SUCCEEDED, ""
    if entry.state == UNSUBMITTED and found is not None and not plan.overwrite:
        raise ServiceError(f"{name}: this asset exists; choose another name, or give --overwrite", "asset_exists")
    folder = name.rpartition("/")[0]
    if "/" in plan.destination.path and found is None and session.asset(folder) is None:
        raise ServiceError(f"{folder}: no such folder; make it first: earthengine create folder {folder}", "asset")


def is_recorded(study: Study, manifest_file: Path) -> bool:
    """Whether a manifest records an export of a study to an asset."""
    return bool(_to_assets(study, manifest_file))


def _to_assets(study: Study, manifest_file: Path) -> list[Mapping[str, Any]]:
    """The exports of a manifest that went to assets."""
    exports = read_exports(manifest_file, study.name)["exports"].values()
    return [exported for exported in exports if str(exported["destination"]).startswith("asset:")]


def _recorded(study: Study, session: Session, manifest_file: Path) -> tuple[str, str]:
    """The full name of the asset that holds a study's composite by the manifest, and the digest of its graph; ("", "") where there is none."""
    assets = [
        (exported["project"], str(exported["destination"]), exported.get("graphs", {}).get("image"))
        for exported in _to_assets(study, manifest_file)
        if is_one_place(exported["endpoint"], session.endpoint) and all(task["state"] == SUCCEEDED for task in exported["tasks"].values())
    ]
    digest = graph_digest(study, "image") if assets else ""
    for project, text, made_from in assets:
        where = parse_destination(text)
        if made_from == digest and isinstance(where, Asset):
            return where.name(project), digest
    return "", ""


def _holds(found: Mapping[str, Any] | None, digest: str) -> bool:
    """Whether a described asset holds the pixels of the graph of a digest; `found` is None where there is no asset."""
    return found is not None and found.get("properties", {}).get(GRAPH_PROPERTY) == digest
