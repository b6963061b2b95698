"""The request of one export task, as `ee.batch.Export` makes it.

Source: Earth Engine API reference, "Export.image.toDrive", "Export.image.toCloudStorage", "Export.image.toAsset".
"""

from __future__ import annotations

from typing import Any

import ee

from cropcam.pipeline.earthengine.crs_texts import service_crs
from cropcam.pipeline.earthengine.destinations import Asset, Drive
from cropcam.pipeline.earthengine.plan import MAX_PIXELS, TILE_PX, Plan, Task


def request_of(plan: Plan, task: Task, image: ee.Image, description: str, *, project: str = "", shard_px: int = 0) -> dict[str, Any]:
    """The ExportImageRequest of a task as JSON values, less the request id, with the client's workload tag.

    The grid is named: CRS, transform and size of the cell, and no region, which the service would round outward to whole pixels.
    "The combination reprojection and clipping will result in the exact desired rectangle" (earthengine-api,
    `Image._apply_crs_and_affine`).

    Args:
        plan: the plan.
        task: one of its tasks.
        image: its pixels.
        description: the task's name in the service's list.
        project: whose assets an asset without a project belongs to.
        shard_px: side of the tiles in which the service computes; the plan's by default.
    """
    cell, where = plan.study.grid.window(task.cell), plan.destination
    common: dict[str, Any] = {
        "image": image, "description": description, "crs": service_crs(cell.crs), "crsTransform": list(cell.transform),
        "dimensions": f"{cell.width}x{cell.height}", "maxPixels": MAX_PIXELS, "priority": plan.priority,
    }  # fmt: skip
    if (side := shard_px or plan.shard_px) != TILE_PX:
        common["shardSize"] = side
    if isinstance(where, Asset):
        # samples: a mean would mix nodata and numbers that stand for classes into values that no pixel has
        made = ee.batch.Export.image.toAsset(
            assetId=where.name(project), pyramidingPolicy={".default": "sample"}, overwrite=plan.overwrite, **common
        )
    else:
        options = {"noData": task.layer.nodata} | ({"cloudOptimized": True} if plan.cog else {})
        common |= {"fileDimensions": (task.file_px, task.file_px), "fileFormat": "GeoTIFF", "formatOptions": options}
        if isinstance(where, Drive):
            made = ee.batch.Export.image.toDrive(folder=where.folder, fileNamePrefix=task.name, **common)
        else:
            made = ee.batch.Export.image.toCloudStorage(bucket=where.bucket, fileNamePrefix=where.object_prefix(task.name), **common)
    body = dict(made.config or {})
    body["expression"] = ee.serializer.encode(body["expression"], for_cloud_api=True)
    if tag := ee.data.getWorkloadTag():  # the client would add it when it sends; what is kept is what is sent
        body["workloadTag"] = str(tag)
    return body
