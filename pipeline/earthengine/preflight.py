"""Checks before an export: the service has scenes in every season, and the label asset if the study has one, with pixels of the known size.

Only sizes of collections and pixels and one pixel of the label graph are requested, so any service that can evaluate the study's
graphs can respond.
"""

from __future__ import annotations

import ee

from cropcam.pipeline.earthengine import answers
from cropcam.pipeline.earthengine.answers import understood
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.labels import label_images
from cropcam.pipeline.earthengine.pixel_sizes import check_pixel_sizes, pixel_sizes
from cropcam.pipeline.earthengine.scenes import scenes
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.grid import Window
from cropcam.pipeline.study.study import Study


def check_inputs(study: Study, session: Session) -> list[int]:
    """Number of scenes of each season.

    Raises:
        EarthEngineError: a season has no scene, a collection or the label asset does not exist.
        ConfigError: the pixels of scenes or labels have another size than the study counts on.
    """
    counts = []
    for season in study.image.seasons:
        where = f"{', '.join(study.image.collections)} from {season[0]} to {season[1]}"
        count = _count(session, scenes(study, season).size(), f"counting scenes of {where}")
        if not count:
            limit = study.image.cloud_cover_max_pct
            clouds = f" with at most {limit:g} % clouds" if limit < 100 else ""
            raise ServiceError(
                f"no scene of {where}{clouds} meets the area; check image.seasons, image.collections and area.bounds", "empty"
            )
        counts.append(count)
    if study.labels:
        _check_labels(study, session)
    asked = f"pixel sizes of {', '.join(study.image.collections)}"
    check_pixel_sizes(study, understood(lambda: answers.sizes(session.value(pixel_sizes(study), asked)), asked)())
    return counts


def _count(session: Session, computed: ee.Number, asked: str) -> int:
    return understood(lambda: answers.count(session.value(computed, asked)), asked)()


def _check_labels(study: Study, session: Session) -> None:
    about = study.labels_for("the layer of labels")
    if about.is_collection:
        asked = f"counting images of labels.asset {about.asset}"
        if not _count(session, label_images(study).size(), asked):
            raise ServiceError(
                f"no image of {about.asset} meets labels.filter, labels.dates and the area; check them in the study", "empty"
            )
    pixel = study.grid.window(Window(study.grid.height // 2, study.grid.width // 2, 1, 1))
    session.pixels(graph(study, "labels", pixel), pixel, f"labels.asset {about.asset}")
