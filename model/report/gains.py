"""Differences in pixel accuracy between two evaluations, each with an interval: of two runs at one place, of one run away and at home.

Axis suffixes: N patch, B block, S the sample itself followed by its resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cropcam.model.evaluation.bootstrap import SEED, SUFFIX, Bootstrap, Interval, block_of, interval
from cropcam.model.evaluation.metrics import Floats, ratio
from cropcam.model.report.runs import EvaluatedRun

Difference = tuple[float, Interval]


def gain(first: EvaluatedRun, other: EvaluatedRun) -> Difference | None:
    """Pixel accuracy above the first run's, and its interval; None where the two were not evaluated on the same pixels.

    Without a patches.csv there is no interval. Source: a paired bootstrap (Efron and Tibshirani 1993, chapter 16): each
    resample of blocks serves both runs.
    """
    if other is first or first.digest != other.digest:
        return None
    if first.patches.empty or other.patches.empty:
        same = all(first.metrics[key] == other.metrics[key] for key in ("split", "patches"))
        same = same and first.metrics["segmentation"]["pixels"] == other.metrics["segmentation"]["pixels"]
        return _plain(first, other) if same else None
    keys = ["row", "col", "labelled_pixels"]  # of a store held out the indices are others than of the store alone
    if not first.patches[keys].equals(other.patches[keys]):
        return None
    (correct_B, labelled_B), (other_B, _) = _sums(first), _sums(other)
    drawn = Bootstrap.of(len(labelled_B))
    gain_S = ratio(drawn.sums(other_B - correct_B), drawn.sums(labelled_B))
    return float(gain_S[0]), interval(float(gain_S[0]), gain_S[1:])


def from_home(home: EvaluatedRun, away: EvaluatedRun) -> Difference | None:
    """Pixel accuracy away minus that at home, and its interval; None where one of the two is undefined.

    Without a patches.csv there is no interval. Source: the two-sample bootstrap (Efron and Tibshirani 1993, chapter 8): the
    blocks of each place are drawn on their own.
    """
    plain = _plain(home, away)
    if plain is None or home.patches.empty or away.patches.empty:
        return plain
    home_S, away_S = (
        ratio(drawn.sums(correct_B), drawn.sums(labelled_B))
        for seed, (correct_B, labelled_B) in enumerate((_sums(home), _sums(away)), SEED)
        for drawn in [Bootstrap.of(len(labelled_B), seed=seed)]
    )
    if min(len(home_S), len(away_S)) == 1:  # a place of one block
        return plain
    return plain[0], interval(plain[0], away_S[1:] - home_S[1:])


def difference_columns(name: str, difference: Difference | None) -> dict[str, float | None]:
    """A difference as columns of a table: NAME, NAME_low and NAME_high."""
    value, limits = difference or (None, None)
    return metric_columns({name: "value"}, {"value": value, "value" + SUFFIX: limits})


def metric_columns(keys: Mapping[str, str], part: Mapping[str, Any]) -> dict[str, float | None]:
    """Metrics of metrics.json as columns NAME, NAME_low and NAME_high, from each NAME to its key."""
    columns: dict[str, float | None] = {}
    for name, key in keys.items():
        low, high = part.get(key + SUFFIX) or (None, None)
        columns |= {name: part[key], f"{name}_low": low, f"{name}_high": high}
    return columns


def _plain(first: EvaluatedRun, other: EvaluatedRun) -> Difference | None:
    values = [each.segmentation["pixel_accuracy"] for each in (first, other)]
    return None if None in values else (values[1] - values[0], None)


def _sums(run: EvaluatedRun) -> tuple[Floats, Floats]:
    """Correct and labelled pixels (B,) of each block."""
    labelled_N = run.patches["labelled_pixels"].to_numpy(np.float64)
    correct_N = np.nan_to_num(np.rint(run.patches["pixel_accuracy"].to_numpy() * labelled_N))
    columns, rows = run.metrics["intervals"]["block_patches"]
    block_N = block_of(run.patches["row"].to_numpy(), run.patches["col"].to_numpy(), (columns, rows))
    if "store" in run.patches:  # a block lies in one store
        _, store_N = np.unique(run.patches["store"].to_numpy(str), return_inverse=True)
        block_N = np.unique(store_N * (block_N.max(initial=0) + 1) + block_N, return_inverse=True)[1]
    correct_B, labelled_B = (np.bincount(block_N, values).astype(np.float64) for values in (correct_N, labelled_N))
    return correct_B, labelled_B
