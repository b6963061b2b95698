"""Reference points as samples: strata of the map, strata of another design, no design, and samples that do not fit the map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.accuracy import estimate
from cropcam.pipeline.maps.areas import MapAreas, measure
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.reference_points import ReferencePoints
from cropcam.pipeline.maps.strata import MAP_CLASSES, OWN_STRATA, stratify
from support.maps import write_map
from support.memory_source import LEGEND

CLASSES = np.repeat(np.array([0, 0, 0, 1], np.uint8), 20)[:, None] * np.ones(50, np.uint8)  # 3000 and 1000 pixels


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[FinishedMap, MapAreas]:
    opened = open_map(write_map(tmp_path_factory.mktemp("map") / "map.tif", CLASSES))
    return opened, measure(opened)


@pytest.fixture
def points(made: tuple[FinishedMap, MapAreas]) -> ReferencePoints:
    """15 of 3000 and 10 of 1000 pixels; every fifth point is wrong."""
    row, col = np.repeat([0, 65], [15, 10]), np.arange(25)
    mapped = CLASSES[row, col].astype(np.int64)
    truth = np.where(np.arange(25) % 5 == 0, 1 - mapped, mapped)
    stratum = np.array(LEGEND.names)[mapped]
    return ReferencePoints("p.csv", row, col, mapped, truth, stratum, np.array([0.005, 0.01])[mapped], made[1].digest)


def test_map_classes_have_the_mapped_area(made: tuple[FinishedMap, MapAreas], points: ReferencePoints) -> None:
    found = stratify(points, *made)
    assert (found.kind, found.reason) == (MAP_CLASSES, "")
    np.testing.assert_allclose(found.sample.fraction_H[:2], [0.005, 0.01])
    np.testing.assert_array_equal(found.sample.area_H, made[1].whole.hectares_K)


def test_strata_that_are_the_map_classes_equal_the_general_estimator(made: tuple[FinishedMap, MapAreas], points: ReferencePoints) -> None:
    renamed = replace(points, stratum_P=np.char.add("s-", points.stratum_P), digest="")
    own, general = stratify(points, *made), stratify(renamed, *made)
    assert (general.kind, general.names) == (OWN_STRATA, ("s-background", "s-corn"))
    first, second = (estimate(each.sample, len(LEGEND)) for each in (own, general))
    for one, other in zip((first.overall, *first.shares), (second.overall, *second.shares), strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-6)
        assert one.margin == pytest.approx(other.margin, rel=1e-6, abs=1e-12)


def test_strata_of_another_map_may_have_the_names_of_its_classes(made: tuple[FinishedMap, MapAreas], points: ReferencePoints) -> None:
    other = replace(points, digest="", probability_P=np.where(points.stratum_P == "corn", 0.009, 0.00517))  # of 1111 and 2901 pixels
    found = stratify(other, *made)
    assert (found.kind, found.names) == (OWN_STRATA, ("background", "corn"))
    assert found.sample.area_H.sum() == pytest.approx(made[1].whole.hectares_K.sum())
    assert found.sample.area_H[1] / found.sample.area_H[0] == pytest.approx(1111 / 2901, rel=1e-3)


def test_without_probabilities_there_is_no_interval_and_a_reason(made: tuple[FinishedMap, MapAreas], points: ReferencePoints) -> None:
    some = points.probability_P.copy()
    some[3] = np.nan
    found = stratify(replace(points, probability_P=some), *made)
    assert found.reason.startswith("1 of 25 points have no stratum and inclusion_probability: without a known design there is no interval")
    figure = estimate(found.sample, len(LEGEND)).overall
    assert (figure.value, figure.margin) == (pytest.approx(0.8), None)


def test_samples_that_do_not_fit_are_refused(made: tuple[FinishedMap, MapAreas], points: ReferencePoints) -> None:
    with pytest.raises(DataError, match=r"p\.csv: drawn from another map \(sha256 0000\) .* remove the column map_sha256"):
        stratify(replace(points, digest="0000"), *made)
    with pytest.raises(DataError, match=r"the stratum background has 12 points, but .* 3,000 pixels make 15\.0; give all points"):
        stratify(points.only(np.arange(25) > 2), *made)
    renamed = replace(points, stratum_P=np.where(np.arange(25) < 2, "corn", points.stratum_P))
    with pytest.raises(DataError, match=r"2 of its 25 points have another stratum than the mapped class; give all points that were drawn"):
        stratify(renamed, *made)
    unequal = points.probability_P.copy()
    unequal[0] = 0.5
    with pytest.raises(DataError, match=r"stratum background have inclusion probabilities from 0\.005 to 0\.5"):
        stratify(replace(points, probability_P=unequal), *made)
    other = replace(points, stratum_P=np.char.add("s-", points.stratum_P), digest="")
    with pytest.raises(DataError, match=r"stand for 721 ha, the map has 360 ha; the sample must be of the mapped area"):
        stratify(replace(other, probability_P=other.probability_P / 2), *made)
    few = points.stratum_P.copy().astype("<U20")
    few[0] = "alone"
    with pytest.raises(DataError, match=r"too few points in alone \(1 points, .* a variance needs 2 points in each stratum"):
        stratify(replace(points, stratum_P=few, digest=""), *made)


@pytest.mark.parametrize(("factor", "is_near"), [(1.09, True), (0.92, True), (1.12, False), (0.88, False)])
def test_strata_may_stand_for_a_tenth_more_or_less_than_the_map(
    made: tuple[FinishedMap, MapAreas], points: ReferencePoints, factor: float, is_near: bool
) -> None:
    other = replace(points, digest="", stratum_P=np.char.add("s-", points.stratum_P), probability_P=points.probability_P / factor)
    if is_near:
        assert stratify(other, *made).sample.area_H.sum() == pytest.approx(made[1].whole.hectares_K.sum())
    else:
        with pytest.raises(DataError, match="the sample must be of the mapped area"):
            stratify(other, *made)
