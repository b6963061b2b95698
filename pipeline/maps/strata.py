"""Reference points as a sample: their strata, the area of each, and what allows an interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.accuracy import Floats, Indices, Sample, check_strata
from cropcam.pipeline.maps.areas import MapAreas
from cropcam.pipeline.maps.class_map import FinishedMap
from cropcam.pipeline.maps.pixel_areas import point_hectares
from cropcam.pipeline.maps.reference_points import DIGEST, PROBABILITY, STRATUM, ReferencePoints

NEARLY = 0.1  # by which the area of strata of another map may differ from the mapped area
MAP_CLASSES, OWN_STRATA = "map classes", "strata of the file"


class Stratified(NamedTuple):
    """A sample and its strata."""

    sample: Sample
    names: tuple[str, ...]
    kind: str  # MAP_CLASSES or OWN_STRATA
    reason: str  # why there are no intervals; empty where there are


def stratify(points: ReferencePoints, opened: FinishedMap, areas: MapAreas) -> Stratified:
    """The sample of these points.

    With inclusion probabilities and the map's classes as strata, the strata have the mapped areas. Other strata have the area that
    points and probabilities give them, scaled to the mapped area; a sample of `cropcam sample` has none. Without probabilities the mapped classes stand in for strata, and
    there are no intervals.

    Raises:
        DataError: the sample was drawn from another map, some of its points are missing, probabilities differ within a stratum, a
            stratum has too few points, or the strata cover another area than the map.
    """
    if points.digest and points.digest != areas.digest:
        raise DataError(
            f"{points.path}: drawn from another map (sha256 {points.digest[:12]}) than {opened.path} ({areas.digest[:12]}); give that map, or "
            f"remove the column {DIGEST} to score this map with the strata of the other one"
        )
    size_P = point_hectares(opened.grid, points.row_P, points.col_P)
    names = opened.legend.names
    pixels_K = areas.whole.pixels_K
    stratum_P, kind, reason = points.mapped_P, MAP_CLASSES, ""
    area_H, fraction_H = areas.whole.hectares_K, np.zeros(len(names))
    if not points.is_sample:
        lacking = int((~np.isfinite(points.probability_P) | (points.stratum_P == "")).sum())
        reason = (
            f"{lacking:,} of {len(points.row_P):,} points have no {STRATUM} and {PROBABILITY}: without a known design there is no interval; "
            "areas assume that the points of each mapped class were drawn from it at random"
        )
    elif not (unlike := _unlike_the_classes(points, names, pixels_K)):
        count_H = np.bincount(stratum_P, minlength=len(names))
        fraction_H = count_H / np.maximum(pixels_K, 1.0)
    elif points.digest:
        raise DataError(f"{points.path}: {unlike}; give all points that were drawn, as they were drawn")
    else:
        kind = OWN_STRATA
        found, stratum_P = np.unique(points.stratum_P, return_inverse=True)
        names = tuple(map(str, found))
        fraction_H = _fractions(points, stratum_P, names)
        area_H = np.bincount(stratum_P, size_P / points.probability_P).astype(np.float64)
        if abs(area_H.sum() / areas.whole.hectares_K.sum() - 1) > NEARLY:
            raise DataError(
                f"{points.path}: its points and probabilities stand for {area_H.sum():,.0f} ha, the map has {areas.whole.hectares_K.sum():,.0f} ha; "
                "the sample must be of the mapped area"
            )
        area_H = area_H * (areas.whole.hectares_K.sum() / area_H.sum())
    sample = Sample(stratum_P, points.mapped_P, points.truth_P, size_P, area_H, fraction_H, not reason)
    check_strata(sample, names, points.path)
    return Stratified(sample, tuple(names), kind, reason)


def _fractions(points: ReferencePoints, stratum_P: Indices, names: tuple[str, ...]) -> Floats:
    """The inclusion probability (H,) of each stratum, equal for its points."""
    low_H, high_H = np.full(len(names), np.inf), np.zeros(len(names))
    np.minimum.at(low_H, stratum_P, points.probability_P)
    np.maximum.at(high_H, stratum_P, points.probability_P)
    if (differing := np.flatnonzero(high_H > low_H * 1.0001)).size:
        h = int(differing[0])
        raise DataError(
            f"{points.path}: points of the stratum {names[h]} have inclusion probabilities from {low_H[h]:.6g} to {high_H[h]:.6g}; "
            "in a stratified random sample they are equal: give each probability a stratum of its own"
        )
    return high_H


def _unlike_the_classes(points: ReferencePoints, names: tuple[str, ...], pixels_K: Floats) -> str:
    """Why the strata are not the classes of this map, each with all its points; empty where they are."""
    other_P = points.stratum_P != np.array(names)[points.mapped_P]
    if other_P.any():
        return f"{other_P.sum():,} of its {len(other_P):,} points have another stratum than the mapped class"
    count_K = np.bincount(points.mapped_P, minlength=len(names))
    probability_K = _fractions(points, points.mapped_P, names)
    for k in np.flatnonzero(count_K):
        drawn = probability_K[k] * pixels_K[k]
        if abs(drawn - count_K[k]) > 0.01 * drawn + 1e-6:
            return (
                f"the stratum {names[k]} has {count_K[k]:,} points, but its inclusion probability {probability_K[k]:.6g} "
                f"and the map's {pixels_K[k]:,.0f} pixels make {drawn:,.1f}"
            )
    return ""
