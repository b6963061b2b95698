"""Accuracies and areas against published worked examples, an independent formula, laws, and the truth over many samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.accuracy import Figure, Sample, check_strata, estimate, ratio

# Olofsson et al. 2014, Remote Sensing of Environment 148, 42-57, table 8: deforestation, forest gain, stable forest, stable non-forest.
OLOFSSON = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
MAPPED_PX = np.array([200_000.0, 150_000.0, 3_200_000.0, 6_450_000.0])
PIXEL_HA = 0.09
# Stehman 2014, International Journal of Remote Sensing 35, 4923-4939, table 2: strata 1 to 4 of ten points each.
STRATUM = np.repeat(np.arange(4), 10)
MAP = np.array(["ABCD".index(each) for each in "AAAAAAABBB" + "A" + "B" * 9 + "BB" + "CCCCCC" + "BB" + "D" * 10])
TRUTH = np.array(["ABCD".index(each) for each in "AAAAACBABC" + "ABBBBBAABB" + "CCCCCDDBBA" + "DDDDDDDCCB"])
STEHMAN_PX = np.array([40_000.0, 30_000.0, 20_000.0, 10_000.0])


def of_matrix(matrix: npt.NDArray[np.int64], area: npt.NDArray[np.float64]) -> Sample:
    mapped, truth = (np.repeat(each.ravel(), matrix.ravel()) for each in np.indices(matrix.shape))
    return Sample(mapped, mapped, truth, np.ones(len(mapped)), area, np.zeros(len(area)))


def shown(figure: Figure, digits: int) -> tuple[float, float]:
    assert figure.value is not None
    assert figure.margin is not None
    return round(figure.value, digits), round(figure.margin, digits)


def test_olofsson_2014_to_the_printed_digits() -> None:
    found = estimate(of_matrix(OLOFSSON, MAPPED_PX), 4)
    assert shown(found.overall, 3) == (0.947, 0.018)
    assert shown(found.users[0], 2) == (0.88, 0.07)
    assert shown(found.producers[0], 2) == (0.75, 0.21)
    assert shown(found.shares[0].times(MAPPED_PX.sum() * PIXEL_HA), 0) == (21_158, 6_158)
    # the same in pixels of 0.09 ha
    assert shown(found.shares[0].times(MAPPED_PX.sum()), 0) == (235_086, 68_418)


def test_stehman_2014_to_the_printed_digits() -> None:
    sample = Sample(STRATUM, MAP, TRUTH, np.ones(40), STEHMAN_PX, 10 / STEHMAN_PX)
    found = estimate(sample, 4)

    def with_error(figure: Figure) -> tuple[float, float]:
        assert figure.value is not None
        assert figure.margin is not None
        return round(figure.value, 3), round(figure.margin / 1.96, 3)

    assert with_error(found.shares[0]) == (0.35, 0.082)
    assert with_error(found.shares[2]) == (0.2, 0.064)
    assert with_error(found.overall) == (0.63, 0.085)
    assert with_error(found.users[1]) == (0.574, 0.125)
    # The paper prints 0.114, having taken 0 for the variance of x in stratum 4, which its table 3 has as 0.1.
    assert with_error(found.producers[1]) == (0.794, 0.117)
    left_out = (STEHMAN_PX[3] * 27 / 34) ** 2 * (1 - 10 / STEHMAN_PX[3]) * 0.1 / 10 / 34_000**2
    assert round(np.sqrt((found.producers[1].margin or 0) ** 2 / 1.96**2 - left_out), 3) == 0.114
    cell = ratio(sample, (MAP == 1) & (TRUTH == 2), np.ones(40, bool))
    assert cell.value == pytest.approx(0.08)


def matrices() -> st.SearchStrategy[npt.NDArray[np.int64]]:
    row = st.lists(st.integers(0, 30), min_size=3, max_size=3).filter(lambda each: sum(each) >= 2)
    return st.lists(row, min_size=3, max_size=3).map(np.array)


areas = st.lists(st.floats(1.0, 1e6), min_size=3, max_size=3).map(np.array)


@settings(max_examples=60, deadline=None)
@given(matrix=matrices(), area=areas)
def test_strata_that_are_map_classes_give_olofssons_formulas(matrix: npt.NDArray[np.int64], area: npt.NDArray[np.float64]) -> None:
    found = estimate(of_matrix(matrix, area), 3)
    weight, count = area / area.sum(), matrix.sum(1)
    share = matrix / count[:, None]
    users = np.diag(share)
    assert found.overall.value == pytest.approx(weight @ users)
    assert found.overall.margin == pytest.approx(1.96 * np.sqrt((weight**2 * users * (1 - users) / (count - 1)).sum()), abs=1e-12)
    for k in range(3):
        total = weight @ share[:, k]
        error = np.sqrt((weight**2 * share[:, k] * (1 - share[:, k]) / (count - 1)).sum())
        assert found.shares[k].value == pytest.approx(total)
        assert found.shares[k].margin == pytest.approx(1.96 * error, abs=1e-12)
        assert found.users[k].value == pytest.approx(users[k])
        assert found.users[k].margin == pytest.approx(1.96 * np.sqrt(users[k] * (1 - users[k]) / (count[k] - 1)), abs=1e-12)
        if total == 0:
            assert found.producers[k] == Figure(None, None)
            continue
        right = weight[k] * users[k] / total  # equations 3 and 7
        others = np.arange(3) != k
        spread = (weight**2 * share[:, k] * (1 - share[:, k]) / (count - 1))[others].sum()
        variance = (weight[k] ** 2 * (1 - right) ** 2 * users[k] * (1 - users[k]) / (count[k] - 1) + right**2 * spread) / total**2
        assert found.producers[k].value == pytest.approx(right)
        assert found.producers[k].margin == pytest.approx(1.96 * np.sqrt(variance), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(matrix=matrices(), area=areas, seed=st.integers(0, 99))
def test_shares_sum_to_one_and_a_region_of_all_is_the_whole(
    matrix: npt.NDArray[np.int64], area: npt.NDArray[np.float64], seed: int
) -> None:
    plain = of_matrix(matrix, area)
    size = np.random.default_rng(seed).uniform(0.5, 2, len(plain.truth_P))
    sample = Sample(plain.stratum_P, plain.mapped_P, plain.truth_P, size, area, plain.fraction_H)
    found = estimate(sample, 3)
    assert sum(each.value or 0 for each in found.shares) == pytest.approx(1)
    assert estimate(sample, 3, np.ones(len(size), bool)) == found
    assert estimate(sample, 3, np.zeros(len(size), bool)).overall == Figure(None, None)


def test_a_stratum_sampled_whole_adds_no_variance() -> None:
    sample = of_matrix(np.array([[3, 2], [0, 4]]), np.array([5.0, 4.0]))
    whole = Sample(sample.stratum_P, sample.mapped_P, sample.truth_P, sample.size_P, sample.area_H, np.ones(2))
    assert shown(estimate(whole, 2).overall, 6) == (round(7 / 9, 6), 0)


def test_intervals_hold_the_truth_as_often_as_they_should() -> None:
    """Pixels of unequal area, strata that are not map classes, and a region: 95 % of the intervals hold the truth."""
    rng = np.random.default_rng(0)
    count = 6_000
    size = rng.uniform(0.5, 1.5, count)
    truth = (rng.random(count) < np.clip(size - 0.4, 0.1, 0.9)).astype(np.int64)  # classes go with the size of the pixels
    mapped = np.where(rng.random(count) < 0.8, truth, 1 - truth)
    stratum = np.where(rng.random(count) < 0.7, mapped, 2)
    region = rng.random(count) < 0.4
    area = np.bincount(stratum, size)
    draws = np.array([80, 80, 80])
    right, whole = mapped == truth, size.sum()
    correct, in_region = size[region & (truth == 1)].sum(), size[region].sum()
    wanted = [size[truth == 1].sum() / whole, size[right].sum() / whole, correct / in_region]
    held = np.zeros(3)
    for _ in range(600):
        chosen = np.concatenate([rng.choice(np.flatnonzero(stratum == h), draws[h], replace=False) for h in range(3)])
        sample = Sample(stratum[chosen], mapped[chosen], truth[chosen], size[chosen], area, draws / np.bincount(stratum))
        found, part = estimate(sample, 2), estimate(sample, 2, region[chosen])
        for index, figure in enumerate((found.shares[1], found.overall, part.shares[1])):
            assert figure.value is not None
            assert figure.margin is not None
            held[index] += abs(figure.value - wanted[index]) <= figure.margin
    assert (held / 600 > 0.92).all(), held / 600
    assert (held / 600 < 0.98).all(), held / 600


def test_too_few_points_in_a_stratum_are_refused_with_numbers() -> None:
    sample = of_matrix(np.array([[5, 0], [0, 1]]), np.array([75.0, 25.0]))
    with pytest.raises(DataError, match=r"p\.csv: too few points in corn \(1 points, 25\.00% of the area\); a variance needs 2 points"):
        check_strata(sample, ("background", "corn"), "p.csv")
    absent = of_matrix(np.array([[5, 0], [0, 0]]), np.array([75.0, 25.0]))
    no_design = Sample(
        *(absent.stratum_P, absent.mapped_P, absent.truth_P, absent.size_P, absent.area_H, absent.fraction_H), by_design=False
    )
    with pytest.raises(DataError, match=r"corn \(0 points, .*areas need a point in each mapped class"):
        check_strata(no_design, ("background", "corn"), "p.csv")
    check_strata(of_matrix(np.array([[5, 0], [0, 0]]), np.array([75.0, 0.0])), ("background", "corn"), "p.csv")
