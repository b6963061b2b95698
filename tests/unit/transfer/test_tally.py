"""Counts of pixels against plain numpy over all of them at once."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.transfer.class_distance import ClassDistance
from cropcam.model.transfer.pixels import Pixels
from cropcam.model.transfer.tally import BINS, QUANTILES, Limits, Tally, histogram_quantiles, rounded

BANDS, CLASSES = 3, 4


def drawn(seed: int, pixels: int = 300) -> Pixels:
    rng = np.random.default_rng(seed)
    x_PC = np.clip(rng.normal(0, 2, (pixels, BANDS)), -6, 6).astype(np.float32)
    feature_PD = rng.normal(size=(pixels, 2)).astype(np.float32)
    class_P, confidence_P = rng.integers(CLASSES, size=pixels), rng.random(pixels).astype(np.float32)
    return Pixels(np.sort(rng.integers(4, size=pixels)), x_PC, feature_PD, class_P, confidence_P)


def limits() -> Limits:
    rng = np.random.default_rng(9)
    distance = ClassDistance.fit(rng.normal(size=(200, 2)).astype(np.float32), np.zeros(200, np.int64))
    low_KC, high_KC = rng.uniform(-3, -1, (CLASSES, BANDS)), rng.uniform(1, 3, (CLASSES, BANDS))
    return Limits(np.full(BANDS, -2.0), np.full(BANDS, 2.5), low_KC, high_KC, distance, 1.5, 0.4)


def test_shares_are_those_of_all_pixels() -> None:
    tally, batches, lim = Tally(limits(), BANDS, CLASSES), [drawn(0), drawn(1)], limits()
    for batch in batches:
        tally.add(batch)
    found, p = tally.figures(), Pixels.joined(batches)
    assert found.pixels == 600
    np.testing.assert_allclose(found.below_C, (p.x_PC < -2).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.above_C, (p.x_PC > 2.5).mean(axis=0), rtol=1e-5)
    assert found.outside == ((p.x_PC < -2) | (p.x_PC > 2.5)).any(axis=1).mean()
    assert found.outside_class == ((p.x_PC < lim.low_KC[p.class_P]) | (p.x_PC > lim.high_KC[p.class_P])).any(axis=1).mean()
    assert found.far == (lim.distance(torch.from_numpy(p.feature_PD)).numpy() > 1.5).mean()
    assert found.unsure == (p.confidence_P < 0.4).mean()
    np.testing.assert_allclose(found.confidence, p.confidence_P.mean(), atol=1e-3)
    np.testing.assert_allclose(found.class_shares_K, np.bincount(p.class_P, minlength=CLASSES) / 600, rtol=1e-5)


@settings(max_examples=15)
@given(st.permutations(range(5)))
def test_the_order_of_batches_leaves_no_trace(order: list[int]) -> None:
    tallies = [Tally(limits(), BANDS, CLASSES) for _ in range(2)]
    for tally, seeds in zip(tallies, (range(5), order), strict=True):
        for seed in seeds:
            tally.add(drawn(seed), [(0, patch % 2) for patch in range(4)])
    assert tallies[0].figures() == tallies[1].figures()
    assert {key: tuple(value) for key, value in tallies[0].block_counts.items()} == {
        key: tuple(value) for key, value in tallies[1].block_counts.items()
    }


def test_blocks_add_up_to_the_image() -> None:
    tally, batch = Tally(limits(), BANDS, CLASSES), drawn(3)
    tally.add(batch, [(0, 0), (0, 1), (0, 0), (2, 5)])
    total_3 = np.sum(list(tally.block_counts.values()), axis=0)
    np.testing.assert_array_equal(total_3, [tally.pixels, tally.outside, tally.far])
    assert tally.block_counts[2, 5][0] == (batch.patch_P == 3).sum()


@settings(max_examples=30)
@given(st.integers(0, 999), st.floats(0.05, 2), st.integers(1, 2000))
def test_quantiles_of_histograms_are_near_those_of_the_values(seed: int, width: float, pixels: int) -> None:
    values_P = np.clip(np.random.default_rng(seed).normal(0, width, pixels), -6, 5.999)
    counts_E, _ = np.histogram(values_P, BINS, (-6, 6))
    expected = np.quantile(values_P, QUANTILES, method="inverted_cdf")
    np.testing.assert_allclose(histogram_quantiles(counts_E), expected, rtol=0, atol=0.0101)


def test_nothing_counted_is_nothing() -> None:
    tally = Tally(limits(), BANDS, CLASSES)
    tally.add(Pixels(*(array[:0] for array in drawn(0))))
    assert tally.pixels == 0


def test_numbers_are_written_with_six_digits() -> None:
    assert rounded([1 / 3, 123456789.0]) == (0.333333, 123457000.0)
