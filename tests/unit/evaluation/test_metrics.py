"""Metrics against scikit-learn, and the laws by which they are computed in pieces."""

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


def confusion(truth: Any, prediction: Any, classes: int = CLASSES) -> Any:
    return metrics.confusions(np.zeros(len(truth), np.int64), truth, prediction, 1, classes)[0]


def both_present(positive: np.ndarray[Any, Any]) -> bool:
    return bool(positive.any() and not positive.all())


@settings(deadline=None)
@given(pairs)
def test_a_confusion_matrix_has_truth_in_rows(pair: Any) -> None:
    np.testing.assert_array_equal(confusion(*pair), oracle.confusion_matrix(*pair, labels=range(CLASSES)))


@settings(deadline=None)
@given(pairs)
def test_the_summary_of_a_confusion_matrix_is_that_of_scikit_learn(pair: Any) -> None:
    truth, prediction = pair
    present = sorted(set(truth))  # not classes that are only predicted, which scikit-learn would take by itself
    values = metrics.summary(confusion(truth, prediction))
    assert values["pixel_accuracy"] == pytest.approx(oracle.accuracy_score(truth, prediction))
    assert values["macro_f1"] == pytest.approx(oracle.f1_score(truth, prediction, labels=present, average="macro", zero_division=0))
    assert values["mean_iou"] == pytest.approx(oracle.jaccard_score(truth, prediction, labels=present, average="macro", zero_division=0))
    assert values["mean_class_accuracy"] == pytest.approx(oracle.recall_score(truth, prediction, labels=present, average="macro"))


@settings(deadline=None)
@given(pairs)
def test_each_class_has_its_own_metrics_or_none(pair: Any) -> None:
    truth, prediction = pair
    values = metrics.class_metrics(confusion(truth, prediction))
    for name, score in {
        "recall": oracle.recall_score,
        "precision": oracle.precision_score,
        "f1": oracle.f1_score,
        "iou": oracle.jaccard_score,
    }.items():
        undefined = 0 if score is oracle.jaccard_score else np.nan  # the only value that it accepts
        expected = score(truth, prediction, labels=range(CLASSES), average=None, zero_division=undefined)
        # a class that is predicted but never true is 0 in scikit-learn; here it is undefined
        np.testing.assert_allclose(values[name], np.where(np.isin(range(CLASSES), truth), expected, np.nan))
    np.testing.assert_allclose(values["base_rate"], np.bincount(truth, minlength=CLASSES) / len(truth))


def test_a_class_neither_true_nor_predicted_is_undefined_and_left_out_of_means() -> None:
    found = confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    assert all(np.isnan(metrics.class_metrics(found)[name][2]) for name in ("recall", "precision", "f1", "iou"))
    assert metrics.summary(found)["mean_iou"] == 0.5


def test_a_class_predicted_but_never_true_is_undefined_and_lowers_the_others() -> None:
    found = confusion(np.array([0, 0]), np.array([0, 1]), 2)
    for name, expected in {"recall": 0.5, "precision": 1.0, "f1": 2 / 3, "iou": 0.5}.items():
        np.testing.assert_allclose(metrics.class_metrics(found)[name], [expected, np.nan])
    summary = metrics.summary(found)
    assert (summary["mean_class_accuracy"], summary["macro_f1"], summary["mean_iou"]) == (0.5, pytest.approx(2 / 3), 0.5)


def test_a_class_true_but_never_predicted_is_0_in_the_means() -> None:
    found = confusion(np.array([0, 1]), np.array([0, 0]), 2)
    np.testing.assert_allclose(metrics.class_metrics(found)["f1"], [2 / 3, 0.0])
    np.testing.assert_array_equal(metrics.class_metrics(found)["precision"], [0.5, np.nan])
    assert metrics.summary(found)["mean_iou"] == 0.25


@settings(deadline=None)
@given(st.lists(pairs, min_size=1, max_size=4))
def test_many_matrices_at_once_have_the_metrics_of_each(samples: Any) -> None:
    group = np.repeat(np.arange(len(samples)), [len(truth) for truth, _ in samples])
    found = metrics.confusions(group, *(np.concatenate(part) for part in zip(*samples, strict=True)), len(samples), CLASSES)
    single = [confusion(*sample) for sample in samples]
    np.testing.assert_array_equal(found, single)
    for function in (metrics.class_metrics, metrics.summary):
        for name, values in function(found.astype(np.float64)).items():
            np.testing.assert_array_equal(values, [function(matrix)[name] for matrix in single])
    np.testing.assert_array_equal(metrics.majority(found), [metrics.majority(matrix) for matrix in single])
    constant = metrics.constant_confusion(found, metrics.majority(found))
    np.testing.assert_array_equal(constant, [metrics.constant_confusion(matrix, metrics.majority(matrix)) for matrix in single])


def test_without_a_sample_nothing_is_defined() -> None:
    empty = confusion(np.zeros(0, np.uint8), np.zeros(0, np.uint8), 2)
    assert np.isnan(list(metrics.summary(empty).values())).all()
    assert metrics.majority_label_accuracy(np.zeros((0, 3), bool)) is None


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="class index 255 with 5 classes"):
        confusion(np.array([255], np.uint8), np.array([0], np.uint8), 5)
    with pytest.raises(ValueError, match="differ in shape"):
        confusion(np.zeros(2, np.uint8), np.zeros(3, np.uint8), 5)
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
@given(st.lists(ranked, min_size=1, max_size=3))
def test_auc_and_average_precision_with_ties_are_those_of_scikit_learn(labels: Any) -> None:
    count = min(len(positive) for positive, _ in labels)
    present, score = (np.stack([label[part][:count] for label in labels], axis=1) for part in (0, 1))
    values = metrics.ranking_metrics(present, score)
    for k in range(len(labels)):
        auc, precision = values["auc"][k], values["average_precision"][k]
        assert np.isnan(auc) == np.isnan(precision) == (not both_present(present[:, k]))
        if both_present(present[:, k]):
            assert auc == pytest.approx(oracle.roc_auc_score(present[:, k], score[:, k]))
            assert precision == pytest.approx(oracle.average_precision_score(present[:, k], score[:, k]))


def test_large_logits_do_not_tie() -> None:
    """The sigmoid of 40 and of 50 is 1 in float32."""
    present, score = np.array([[False], [True], [False]]), np.array([[40.0], [50.0], [-1.0]], np.float32)
    assert metrics.ranking_metrics(present, score)["auc"].tolist() == [1.0]


@settings(deadline=None)
@given(ranked)
def test_metrics_of_counts_of_distinct_scores_are_exact(sample: Any) -> None:
    positive, score = sample
    values, place = np.unique(score, return_inverse=True)
    counts = np.stack([np.bincount(place[positive == sign], minlength=values.size) for sign in (False, True)])
    expected = metrics.ranking_metrics(positive[:, None], score[:, None])
    np.testing.assert_allclose(metrics.auc_of_counts(counts), expected["auc"][0], rtol=1e-6)
    np.testing.assert_allclose(metrics.average_precision_of_counts(counts), expected["average_precision"][0], rtol=1e-6)


def rank_histogram(positive: np.ndarray[Any, Any], score: np.ndarray[Any, Any]) -> RankHistogram:
    ranks = RankHistogram()
    ranks.add(positive, score)
    return ranks


@settings(deadline=None, max_examples=20)
@given(ranked)
def test_the_rank_histogram_is_exact_where_scores_are_apart(sample: Any) -> None:
    positive, score = sample
    expected = oracle.roc_auc_score(positive, score) if both_present(positive) else np.nan
    assert rank_histogram(positive, score).auc() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_rank_histogram_is_close_on_continuous_scores_of_any_magnitude(scale: float) -> None:
    random = np.random.default_rng(3)
    positive = random.random(100_000) < 0.1
    score = ((random.normal(size=positive.size) + 0.7 * positive) * scale).astype(np.float32)
    ranks = RankHistogram()
    for part in np.array_split(np.arange(positive.size), 7):
        ranks.add(positive[part], score[part])
    assert ranks.auc() == pytest.approx(oracle.roc_auc_score(positive, score), abs=1e-5)


@settings(deadline=None, max_examples=10)
@given(ranked, ranked)
def test_rank_histograms_add_up(first: Any, second: Any) -> None:
    whole = rank_histogram(*(np.concatenate(parts) for parts in zip(first, second, strict=True)))
    np.testing.assert_array_equal(rank_histogram(*first).counts + rank_histogram(*second).counts, whole.counts)


@settings(deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=40))
def test_bins_keep_the_order_of_all_floats(values: list[float]) -> None:
    score = np.sort(np.array(values, np.float32))
    assert (np.diff(metrics.score_bins(score)) >= 0).all()


def test_counts_beyond_32_bit_do_not_overflow() -> None:
    ranks = RankHistogram()
    ranks.counts[:, 5], ranks.counts[1, 9] = 400_000_000, 400_000_000
    assert ranks.auc() == 0.75
