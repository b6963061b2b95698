"""Design-based accuracies and areas of a map from a stratified random sample of reference points.

One estimator serves all figures: the ratio of two totals, each a sum over strata of known area times the mean in the stratum. Overall
accuracy and area shares have the whole area below the line, the user's accuracy the mapped class, the producer's accuracy the reference
class. Its variance is that of the linearised residuals (Stehman 2014, International Journal of Remote Sensing 35, 4923-4939, equations
2 and 25 to 28). Where the strata are the map's classes these are the estimators of Olofsson et al. 2014, Remote Sensing of Environment
148, 42-57, equations 1 to 11. Pure functions of arrays. Axis suffixes: P point, H stratum, K class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import DataError

Z_95 = 1.96  # as in the cited papers
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Figure:
    """An estimate with the half width of its 95 % interval.

    Attributes:
        value: None where it is undefined: the denominator is 0.
        margin: half width; None where the points allow no interval.
    """

    value: float | None
    margin: float | None

    def times(self, factor: float) -> Figure:
        """Both numbers times a factor."""
        return Figure(*(None if number is None else number * factor for number in (self.value, self.margin)))


@dataclass(frozen=True)
class Accuracy:
    """The figures of a map, or of one region of it.

    Attributes:
        overall: share of the area whose mapped class is the reference class.
        users: per class, share of the mapped area that has the reference class.
        producers: per class, share of the reference class's area that is mapped as such.
        shares: per class, share of the area that has the reference class.
        points: used.
    """

    overall: Figure
    users: tuple[Figure, ...]
    producers: tuple[Figure, ...]
    shares: tuple[Figure, ...]
    points: int


@dataclass(frozen=True)
class Sample:
    """Reference points with their strata.

    Attributes:
        stratum_P: index of the stratum.
        mapped_P: class index on the map.
        truth_P: class index of the reference.
        size_P: area that a point stands for in its stratum, relative to the others: that of its pixel.
        area_H: area of each stratum.
        fraction_H: share of each stratum's pixels that is in the sample.
        by_design: whether the inclusion probabilities are known; without them there are no intervals.
    """

    stratum_P: Indices
    mapped_P: Indices
    truth_P: Indices
    size_P: Floats
    area_H: Floats
    fraction_H: Floats
    by_design: bool = True


def check_strata(sample: Sample, names: Sequence[str], where: str) -> None:
    """Refuse a sample with too few points in a stratum: none, or one of several pixels, which has no variance.

    Raises:
        DataError: names the strata, their points and areas.
    """
    count_H = np.bincount(sample.stratum_P, minlength=len(names))
    least = 2 if sample.by_design else 1
    few = [h for h in range(len(names)) if sample.area_H[h] > 0 and count_H[h] < least and not (count_H[h] and sample.fraction_H[h] >= 1)]
    if few:
        shown = ", ".join(f"{names[h]} ({count_H[h]} points, {sample.area_H[h] / sample.area_H.sum():.2%} of the area)" for h in few)
        need = "a variance needs 2 points in each stratum" if sample.by_design else "areas need a point in each mapped class"
        raise DataError(f"{where}: too few points in {shown}; {need}: draw a sample with cropcam sample MAP --out POINTS.csv")


def estimate(sample: Sample, classes: int, inside_P: Mask | None = None) -> Accuracy:
    """The accuracies and area shares, of the whole area or of a region.

    A region is a domain: all points keep their strata, those outside it count as zero, and its shares are ratios to its own estimated area.

    Args:
        sample: points in strata, each stratum with an area having a point.
        classes: number of classes.
        inside_P: which points lie in the region; all by default.
    """
    inside_P = np.ones(len(sample.stratum_P), bool) if inside_P is None else inside_P
    right_P = sample.mapped_P == sample.truth_P
    users, producers, shares = [], [], []
    for k in range(classes):
        mapped_P, truth_P = inside_P & (sample.mapped_P == k), inside_P & (sample.truth_P == k)
        users.append(ratio(sample, mapped_P & right_P, mapped_P))
        producers.append(ratio(sample, truth_P & right_P, truth_P))
        shares.append(ratio(sample, truth_P, inside_P))
    return Accuracy(ratio(sample, inside_P & right_P, inside_P), tuple(users), tuple(producers), tuple(shares), int(inside_P.sum()))


def ratio(sample: Sample, above_P: Mask, below_P: Mask) -> Figure:
    """The area where `above_P` holds over that where `below_P` holds, with the margin of its 95 % interval.

    In each stratum the mean is weighted by the size of the points' pixels, so that pixels of unequal area count by it.
    """
    strata = len(sample.area_H)
    count_H = np.bincount(sample.stratum_P, minlength=strata).astype(np.float64)
    total_H = np.bincount(sample.stratum_P, sample.size_P, strata)
    known_H = count_H > 0

    def mean_H(values_P: Floats) -> Floats:
        return np.divide(np.bincount(sample.stratum_P, sample.size_P * values_P, strata), total_H, out=np.zeros(strata), where=known_H)

    above_H, below_H = mean_H(above_P.astype(np.float64)), mean_H(below_P.astype(np.float64))
    below = float(sample.area_H @ below_H)
    if below <= 0:
        return Figure(None, None)
    value = float(sample.area_H @ above_H) / below
    if not sample.by_design:
        return Figure(value, None)
    weight_P = sample.size_P * (count_H / np.where(known_H, total_H, 1.0))[sample.stratum_P]
    deviation_P = above_P - above_H[sample.stratum_P] - value * (below_P - below_H[sample.stratum_P])
    squares_H = np.bincount(sample.stratum_P, (weight_P * deviation_P) ** 2, strata)
    # s2 / n with s2 = squares / (n - 1); a stratum of which every pixel is in the sample adds nothing
    variance_H = np.divide(squares_H, count_H * (count_H - 1), out=np.zeros(strata), where=count_H > 1)
    variance = float((sample.area_H**2 * np.clip(1 - sample.fraction_H, 0, 1)) @ variance_H) / below**2
    return Figure(value, Z_95 * float(np.sqrt(variance)))
