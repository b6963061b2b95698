"""Questions about exported files: their rows and columns, their names, the way home, the bill."""

from __future__ import annotations

from functools import partial

import numpy as np
import rasterio

from cropcam.pipeline.earthengine import exports
from cropcam.pipeline.earthengine.destinations import Destination
from cropcam.pipeline.earthengine.estimate import estimate
from cropcam.pipeline.earthengine.export_run import Options, Pace
from cropcam.pipeline.earthengine.layers import layers_of
from cropcam.pipeline.earthengine.manifest import load
from cropcam.pipeline.earthengine.plan import plan
from cropcam.pipeline.earthengine.task_status import is_active
from cropcam.pipeline.fetch.download import How, fetch_files
from cropcam.pipeline.fetch.exported import find_export
from cropcam.pipeline.fetch.home import bring_home
from cropcam.pipeline.fetch.places import open_remote
from cropcam.pipeline.fetch.remote import RemoteFile
from live.points import LEAST_SHARE, Answer, Point, Verdict, differences, same
from live.side import Side
from live.task_points import body_of, ended, listing_of, place_of, start


def _begin_whole(kind: str, side: Side) -> None:
    where = place_of(side, kind)
    if where is None:
        return
    started = start(side, kind, body_of(side, where, "whole"))
    if "listing" not in side.shared and started["name"]:
        side.shared["listing"] = listing_of(side, started["name"])


def _export(kind: str, side: Side) -> Answer:
    """A finished export, brought home: rows, columns, place, pixels."""
    where, started = place_of(side, kind), side.shared[kind]
    if where is None or not started["name"]:
        return {"state": "refused", "asked": started["asked"]}
    found = ended(side, started["name"])
    if found["state"] != "SUCCEEDED":
        return found
    files = _fetched(side, where, f"live-{side.stamp}-whole")
    found["files"] = [file.name.removeprefix(f"live-{side.stamp}-") for file in files]
    if len(files) == 1:
        with rasterio.open(side.folder / files[0].name) as file:
            grid, values = side.study.grid, file.read()
            found |= {
                "rows and columns": [file.height, file.width],
                "on the grid": bool(np.allclose(tuple(file.transform)[:6], grid.transform, rtol=0, atol=abs(grid.transform[0]) * 1e-6)),
                "nodata": file.nodata,
                "type": file.dtypes[0],
            }
        asked = side.shared.get("layers", {})
        names = [name for name in asked if name.startswith("image ")]
        if names and values.shape == (len(names), *asked[names[0]].shape):
            found["pixels as asked for directly"] = differences(values, np.stack([asked[name] for name in names]))["share equal"]
    return found


def _judge_export(service: Answer, embedded: Answer) -> Verdict:
    keys = ("state", "files", "rows and columns", "on the grid", "nodata", "type", "pixels as asked for directly")
    found = same(*keys)(service, embedded)
    if service["state"] not in ("SUCCEEDED", "FAILED", "refused"):
        return Verdict(None, None, {"not ended": service["state"]})
    exact = service.get("rows and columns") == embedded.get("rows and columns") and bool(service.get("on the grid"))
    return Verdict(found.equal, exact and service.get("pixels as asked for directly", 1.0) >= LEAST_SHARE, found.notes)


def _begin_home(side: Side) -> None:
    """Start the whole study's export as `cropcam export --no-wait` does."""
    made, manifest = plan(side.study, side.destinations[0]), side.folder / "live.exports.json"
    side.folder.mkdir(parents=True, exist_ok=True)
    side.shared["home"] = made, manifest
    for row in exports.export(made, side.session, manifest, Options(wait=False)):
        side.shared.setdefault("home tasks", []).append(row.task)
    for entry in load(manifest, made, side.session).entries.values():
        if entry.operation:
            side.tasks[entry.operation] = {}


def _home(side: Side) -> Answer:
    """The whole study brought home as `cropcam fetch --watch` does: every pixel once, all digests right."""
    made, manifest = side.shared["home"]
    where = side.destinations[0]
    for name in [entry.operation for entry in load(manifest, made, side.session).entries.values() if entry.operation]:
        side.wait(name)
    rows = exports.tasks(made, side.session, manifest)
    if any(is_active(row.state) for row in rows):
        return {"states": sorted(row.state for row in rows), "files": 0}
    remote = open_remote(where, project=side.session.project, api_url=side.session.api_url)
    known = find_export(side.study, manifest, where, side.session.endpoint, side.session.project)
    pace = Pace(side.poll_s, side.poll_s, side.sleep)
    home = bring_home(
        side.study, remote, side.folder / "home", exported=known, look=lambda: exports.tasks(made, side.session, manifest), pace=pace
    )
    return {
        "states": sorted(row.state for row in exports.tasks(made, side.session, manifest)),
        "files": home.files,
        "Drive folders": len(
            {uri for one in side.tasks.values() for uri in one.get("metadata", {}).get("destinationUris", []) if "drive" in uri}
        ),
        "fetch": {"seconds": round(home.seconds, 2), "bytes": home.bytes},
    }


def _begin_shards(side: Side) -> None:
    where = side.destinations[0]
    start(side, "shards", body_of(side, where, "shards", file_px=256))


def _shards(side: Side) -> Answer:
    """The names of a task's several files, and the first row and column of each."""
    started = side.shared["shards"]
    if not started["name"]:
        return {"state": "refused", "asked": started["asked"]}
    found = ended(side, started["name"])
    if found["state"] == "SUCCEEDED":
        prefix, (a, _, c, _, e, f) = f"live-{side.stamp}-shards", side.study.grid.transform
        found["files"] = {}
        for entry in _fetched(side, side.destinations[0], prefix):
            with rasterio.open(side.folder / entry.name) as file:
                row, col = (file.transform.f - f) / e, (file.transform.c - c) / a
                found["files"][entry.name.removeprefix(prefix)] = [round(row), round(col), file.height, file.width]
    return found


def _named_by_place(found: Answer) -> bool:
    files: dict[str, list[int]] = found.get("files", {})
    return bool(files) and (len(files) == 1 or all(name == f"-{place[0]:010d}-{place[1]:010d}.tif" for name, place in files.items()))


def _bill(side: Side) -> Answer:
    """EECU-hours of the first export: estimated as `export --dry-run --estimate` does, and billed."""
    name = next((side.shared[kind]["name"] for kind in ("drive", "gs") if kind in side.shared), "")
    study = side.study
    made = estimate(study, side.session, {layer.name: study.grid.width * study.grid.height for layer in layers_of(study)})
    side.eecu_s = made.own_eecu_s
    side.budget.used_eecu_s += made.own_eecu_s
    estimated_s = made.layers[0].hours * 3600
    billed_s = side.tasks.get(name, {}).get("metadata", {}).get("batchEecuUsageSeconds")
    return {
        "estimated EECU-s": estimated_s,
        "billed EECU-s": billed_s,
        "bill by estimate": billed_s / estimated_s if billed_s and estimated_s else None,
    }


def _fetched(side: Side, where: Destination, prefix: str) -> list[RemoteFile]:
    """The files of a prefix, brought into the side's folder and checked by their digests."""
    remote = open_remote(where, project=side.session.project, api_url=side.session.api_url)
    files = [file for file in remote.files() if file.name.startswith(prefix)]
    fetch_files(remote, files, side.folder, How())
    return sorted(files, key=lambda file: file.name)


EXPORTS = (
    Point("drive", "Has an export to Drive exactly the grid's rows and columns?", partial(_export, "drive"), _judge_export, partial(_begin_whole, "drive"), "drive", 240, 100),
    Point("bucket", "Has an export to Cloud Storage exactly the grid's rows and columns?", partial(_export, "gs"), _judge_export, partial(_begin_whole, "gs"), "gs", 240, 100),
    Point("shards", "How are the files of one task numbered?", _shards, same("state", "files", needed=_named_by_place), _begin_shards, "any", 240, 100),
    Point("home", "Does a whole study come home by export and fetch?", _home, same("states", "files", needed=lambda found: found["files"] > 0), _begin_home, "any", 240, 200),
    Point("bill", "Is the bill as estimated from one window?", _bill, lambda *_: Verdict(None, None, {}), None, "any", 90, 150),
)  # fmt: skip
