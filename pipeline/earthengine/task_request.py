"""The request of one export task, as `ee.batch.Export` makes it.

Source: Earth Engine API reference, "Export.image.toDrive", "Export.image.toCloudStorage".
"""

from __future__ import annotations

from typing import Any

import ee

from cropcam.pipeline.earthengine.destinations import Drive
from cropcam.pipeline.earthengine.plan import Plan, Task
from cropcam.pipeline.earthengine.region import rectangle


def request_of(plan: Plan, task: Task, image: ee.Image) -> dict[str, Any]:
    """The ExportImageRequest of a task, less description and request id.

    The grid is given as crs and crsTransform of the cell, with the cell's planar rectangle as region: image and
    labels share it to the pixel.
    """
    cell = plan.study.grid.window(task.cell)
    common: dict[str, Any] = {
        "image": image, "description": task.name, "region": rectangle(cell), "crs": cell.crs, "crsTransform": list(cell.transform),
        "maxPixels": task.max_pixels, "fileDimensions": (task.file_px, task.file_px), "fileFormat": "GeoTIFF",
        "formatOptions": {"noData": task.layer.nodata}, "priority": plan.priority,
    }  # fmt: skip
    where = plan.destination
    if isinstance(where, Drive):
        made = ee.batch.Export.image.toDrive(folder=where.folder, fileNamePrefix=task.name, **common)
    else:
        made = ee.batch.Export.image.toCloudStorage(bucket=where.bucket, fileNamePrefix=where.object_prefix(task.name), **common)
    return {key: value for key, value in (made.config or {}).items() if key != "description"}
