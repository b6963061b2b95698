"""Checks before an export: the service has scenes in every season, and the label asset if the study has one.

Only `Collection.size` and one pixel of the label graph are requested, so any service that can evaluate the study's
graphs can respond.
"""

from __future__ import annotations

from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.labels import label_images, labels
from cropcam.pipeline.earthengine.scenes import scenes
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.grid import Window
from cropcam.pipeline.study.study import Study


def check_inputs(study: Study, session: Session) -> list[int]:
    """Number of scenes of each season.

    Raises:
        EarthEngineError: a season has no scene, a collection or the label asset does not exist.
    """
    counts = []
    for season in study.image.seasons:
        where = f"{', '.join(study.image.collections)} from {season[0]} to {season[1]}"
        count = int(session.value(scenes(study, season).size(), f"counting scenes of {where}"))
        if not count:
            limit = study.image.cloud_cover_max_pct
            clouds = f" with at most {limit:g} % clouds" if limit < 100 else ""
            raise ServiceError(
                f"no scene of {where}{clouds} meets the area; check image.seasons, image.collections and area.bounds", "empty"
            )
        counts.append(count)
    if study.labels is None:
        return counts
    if study.labels.is_collection:
        asked = f"counting images of labels.asset {study.labels.asset}"
        if not int(session.value(label_images(study).size(), asked)):
            raise ServiceError(
                f"no image of {study.labels.asset} meets labels.filter, labels.dates and the area; check them in the study", "empty"
            )
    row, col = study.grid.height // 2, study.grid.width // 2
    session.pixels(labels(study), study.grid.window(Window(row, col, 1, 1)), f"labels.asset {study.labels.asset}")
    return counts
