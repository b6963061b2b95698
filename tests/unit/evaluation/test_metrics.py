"""Figures of merit against scikit-learn, and the laws that let them be computed in pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as oracle

from cropcam.model.evaluation import metrics
from cropcam.model.evaluation.metrics import RankHistogram

CLASSES = 4
pairs = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        arrays(np.uint8, n, elements=st.integers(0, CLASSES - 1)), arrays(np.uint8, n, elements=st.integers(0, CLASSES - 1))
    )
)
# few distinct scores, so that most of them tie; negative, zero and tiny ones among them
tied = st.sampled_from([-3.5, -1.0, -1e-30, -0.0, 0.0, 1e-30, 0.25, 2.0, 1e20])
ranked = st.integers(1, 50).flatmap(lambda n: st.tuples(arrays(np.bool_, n), arrays(np.float32, n, elements=tied)))


def _both(positive: np.ndarray[Any, Any]) -> bool:
    return bool(positive.any() and not positive.all())


@settings(deadline=None)
@given(pairs)
def test_a_confusion_matrix_has_truth_in_rows(pair: Any) -> None:
    truth, prediction = pair
    expected = oracle.confusion_matrix(truth, prediction, labels=range(CLASSES))
    np.testing.assert_array_equal(metrics.confusion(truth, prediction, CLASSES), expected)


@settings(deadline=None)
@given(pairs)
def test_figures_of_a_confusion_matrix_are_those_of_scikit_learn(pair: Any) -> None:
    truth, prediction = pair
    found = metrics.confusion(truth, prediction, CLASSES)
    seen = sorted(set(truth))  # not those only predicted, which scikit-learn would take by itself: they have no positives
    figures = metrics.summary(found)
    assert figures["pixel_accuracy"] == pytest.approx(oracle.accuracy_score(truth, prediction))
    assert figures["macro_f1"] == pytest.approx(oracle.f1_score(truth, prediction, labels=seen, average="macro", zero_division=0))
    assert figures["mean_iou"] == pytest.approx(oracle.jaccard_score(truth, prediction, labels=seen, average="macro", zero_division=0))
    recalls = oracle.recall_score(truth, prediction, labels=sorted(set(truth)), average="macro")
    assert figures["mean_class_accuracy"] == pytest.approx(recalls)


@settings(deadline=None)
@given(pairs)
def test_each_class_has_its_own_figures_or_none(pair: Any) -> None:
    truth, prediction = pair
    found = metrics.confusion(truth, prediction, CLASSES)
    is_true = np.isin(range(CLASSES), truth)
    for ours, theirs in {
        metrics.recall: oracle.recall_score,
        metrics.precision: oracle.precision_score,
        metrics.f1: oracle.f1_score,
        metrics.iou: oracle.jaccard_score,
    }.items():
        undefined = 0 if theirs is oracle.jaccard_score else np.nan  # which knows no other
        expected = theirs(truth, prediction, labels=range(CLASSES), average=None, zero_division=undefined)
        # a class that is predicted but never true is 0 in scikit-learn; here it has no figure
        np.testing.assert_allclose(ours(found), np.where(is_true, expected, np.nan))


@settings(deadline=None)
@given(pairs, pairs)
def test_confusion_matrices_of_parts_add_up(first: Any, second: Any) -> None:
    whole = metrics.confusion(np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]]), CLASSES)
    np.testing.assert_array_equal(metrics.confusion(*first, CLASSES) + metrics.confusion(*second, CLASSES), whole)


def test_a_class_neither_true_nor_predicted_has_no_figure_and_is_left_out_of_means() -> None:
    found = metrics.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    assert all(np.isnan(figures(found)[2]) for figures in (metrics.recall, metrics.precision, metrics.f1, metrics.iou))
    assert metrics.summary(found)["mean_iou"] == 0.5


def test_a_class_predicted_but_never_true_has_no_figure_and_costs_the_classes_it_was_taken_for() -> None:
    found = metrics.confusion(np.array([0, 0]), np.array([0, 1]), 2)
    for figures, expected in ((metrics.recall, 0.5), (metrics.precision, 1.0), (metrics.f1, 2 / 3), (metrics.iou, 0.5)):
        np.testing.assert_allclose(figures(found), [expected, np.nan])
    summary = metrics.summary(found)
    assert (summary["mean_class_accuracy"], summary["macro_f1"], summary["mean_iou"]) == (0.5, pytest.approx(2 / 3), 0.5)


def test_a_class_true_but_never_predicted_is_0_in_the_means() -> None:
    found = metrics.confusion(np.array([0, 1]), np.array([0, 0]), 2)
    np.testing.assert_allclose(metrics.f1(found), [2 / 3, 0.0])
    np.testing.assert_array_equal(metrics.precision(found), [0.5, np.nan])
    assert metrics.summary(found)["mean_iou"] == 0.25


@settings(deadline=None)
@given(st.lists(pairs, min_size=1, max_size=4))
def test_many_matrices_at_once_give_the_figures_of_each(samples: Any) -> None:
    group = np.repeat(np.arange(len(samples)), [len(truth) for truth, _ in samples])
    found = metrics.confusions(group, *(np.concatenate(part) for part in zip(*samples, strict=True)), len(samples), CLASSES)
    single = [metrics.confusion(*sample, CLASSES) for sample in samples]
    np.testing.assert_array_equal(found, single)
    for figures in (metrics.recall, metrics.precision, metrics.f1, metrics.iou, metrics.base_rate, metrics.majority):
        np.testing.assert_array_equal(figures(found), [figures(one) for one in single])
    for name, values in metrics.summary(found.astype(np.float64)).items():
        np.testing.assert_array_equal(values, [metrics.summary(one)[name] for one in single])
    constant = metrics.constant_confusion(found, metrics.majority(found))
    np.testing.assert_array_equal(constant, [metrics.constant_confusion(one, metrics.majority(one)) for one in single])


def test_no_sample_gives_no_figure() -> None:
    empty = metrics.confusion(np.zeros(0, np.uint8), np.zeros(0, np.uint8), 2)
    assert {metrics.figure(value) for value in metrics.summary(empty).values()} == {None}
    assert metrics.majority_label_accuracy(np.zeros((0, 3), bool)) is None


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="class index 255 with 5 classes"):
        metrics.confusion(np.array([255], np.uint8), np.array([0], np.uint8), 5)
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.confusion(np.zeros(2, np.uint8), np.zeros(3, np.uint8), 5)
    with pytest.raises(ValueError, match="NaN score has no rank"):
        RankHistogram().add(np.array([True]), np.array([np.nan], np.float32))


def test_the_majority_guess_is_the_best_constant() -> None:
    found = np.array([[1, 4], [2, 9]])
    guess = metrics.constant_confusion(found, metrics.majority(found))
    assert guess.tolist() == [[0, 5], [0, 11]]
    assert metrics.accuracy(guess) == 11 / 16
    present = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], bool)
    assert metrics.majority_label_accuracy(present) == 0.75


@settings(deadline=None)
@given(ranked)
def test_auc_and_average_precision_with_ties_are_those_of_scikit_learn(sample: Any) -> None:
    positive, score = sample
    auc, precision = metrics.roc_auc(positive, score), metrics.average_precision(positive, score)
    assert np.isnan(auc) == np.isnan(precision) == (not _both(positive))
    if _both(positive):
        assert auc == pytest.approx(oracle.roc_auc_score(positive, score))
        assert precision == pytest.approx(oracle.average_precision_score(positive, score))


@settings(deadline=None, max_examples=30)
@given(ranked)
def test_the_rank_histogram_is_exact_where_scores_are_apart(sample: Any) -> None:
    positive, score = sample
    ranks = RankHistogram()
    ranks.add(positive, score)
    np.testing.assert_equal(ranks.auc(), metrics.roc_auc(positive, score))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_rank_histogram_is_close_on_continuous_scores_of_any_magnitude(scale: float) -> None:
    random = np.random.default_rng(3)
    positive = random.random(200_000) < 0.1
    score = ((random.normal(size=positive.size) + 0.7 * positive) * scale).astype(np.float32)
    ranks = RankHistogram()
    for part in np.array_split(np.arange(positive.size), 7):
        ranks.add(positive[part], score[part])
    assert ranks.auc() == pytest.approx(oracle.roc_auc_score(positive, score), abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(ranked, ranked, ranked)
def test_rank_histograms_merge_in_any_order(first: Any, second: Any, third: Any) -> None:
    one, two, three = (_ranks(*sample) for sample in (first, second, third))
    whole = _ranks(*(np.concatenate(parts) for parts in zip(first, second, third, strict=True)))
    for merged in ((one + two) + three, one + (two + three), three + one + two):
        np.testing.assert_array_equal(merged.counts, whole.counts)


def _ranks(positive: np.ndarray[Any, Any], score: np.ndarray[Any, Any]) -> RankHistogram:
    ranks = RankHistogram()
    ranks.add(positive, score)
    return ranks


@settings(deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=40))
def test_bins_keep_the_order_of_all_floats(values: list[float]) -> None:
    score = np.sort(np.array(values, np.float32))
    assert (np.diff(metrics._bins(score)) >= 0).all()


def test_counts_beyond_32_bit_do_not_overflow() -> None:
    ranks = RankHistogram()
    ranks.counts[:, 5], ranks.counts[1, 9] = 400_000_000, 400_000_000
    assert ranks.auc() == 0.75
