"""Metrics: scikit-learn's numbers on the resampled rows, hand-worked cases, laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)

from m3h.core.errors import DataError
from m3h.evaluation import metrics

HAND_TRUTH, HAND_SCORE = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8])


def tied_rows(rows=300, seed=0):
    random = np.random.default_rng(seed)
    truth = (random.random(rows) < 0.3).astype(float)
    score = np.round(np.clip(random.normal(0.4 + 0.2 * truth, 0.2), 0, 1), 1)  # eleven values: nearly all tied
    return truth, score, random.integers(0, 4, size=(25, rows)).astype(np.uint16)


def test_hand_worked_values():
    assert metrics.auroc(HAND_TRUTH, HAND_SCORE).tolist() == [0.75]
    assert metrics.auprc(HAND_TRUTH, HAND_SCORE)[0] == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert metrics.brier(HAND_TRUTH, HAND_SCORE)[0] == pytest.approx((0.01 + 0.16 + 0.65**2 + 0.04) / 4)
    # mean of the truths 2, squared deviations 2, squared errors 0.25 + 1
    assert metrics.r2(np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 4.0]))[0] == pytest.approx(1 - 1.25 / 2)
    assert metrics.mae(np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 4.0]))[0] == pytest.approx(0.5)
    assert metrics.mean(np.array([1.0, 5.0]), np.array([[3, 1]])).tolist() == [2.0]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.auroc, roc_auc_score),
        (metrics.auprc, average_precision_score),
        (metrics.brier, brier_score_loss),
        (metrics.r2, r2_score),
        (metrics.mae, mean_absolute_error),
    ],
)
def test_weights_are_repeated_rows_as_scikit_learn_scores_them(ours, theirs, monkeypatch):
    truth, score, weights = tied_rows()
    monkeypatch.setattr(metrics, "CELLS", 700)  # several chunks, the last not full
    repeated = [theirs(truth.repeat(times), score.repeat(times)) for times in weights]
    np.testing.assert_allclose(ours(truth, score, weights), repeated, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours(truth, score), [theirs(truth, score)], rtol=0, atol=1e-12)


def test_macro_auroc_is_scikit_learns_one_versus_rest():
    random = np.random.default_rng(1)
    truth = random.integers(0, 4, size=400).astype(float)
    raw = random.random((400, 4)) + np.eye(4)[truth.astype(int)]
    shares = np.round(raw / raw.sum(axis=1, keepdims=True), 2)
    shares[:, 3] = 1 - shares[:, :3].sum(axis=1)
    weights = random.integers(0, 3, size=(10, 400))
    expected = [
        roc_auc_score(truth.repeat(times), shares.repeat(times, axis=0), multi_class="ovr", average="macro")
        for times in weights
    ]
    np.testing.assert_allclose(metrics.macro_auroc(truth, shares, weights), expected, atol=1e-12)


def test_macro_auroc_leaves_out_classes_that_no_row_has():
    truth = np.array([0.0, 0, 2, 2, 2])
    shares = np.array([[0.6, 0.1, 0.3], [0.2, 0.1, 0.7], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8], [0.0, 0.2, 0.8]])
    # class 0: 5 of 6 pairs in order; class 2: (0.3 and 0.7) against (0.4, 0.8, 0.8): 5 of 6
    assert metrics.macro_auroc(truth, shares)[0] == pytest.approx(5 / 6)
    assert metrics.classes_left_out(truth, 3) == (1,)
    assert metrics.classes_left_out(np.zeros(4), 3) == (0, 1, 2)
    assert np.isnan(metrics.macro_auroc(np.zeros(5), shares)).all()


def test_macro_auroc_of_a_draw_without_one_of_the_classes_is_nan():
    truth, shares = np.array([0.0, 1, 2]), np.eye(3)
    weights = np.array([[1, 1, 1], [2, 1, 0], [3, 0, 0]])
    np.testing.assert_array_equal(metrics.macro_auroc(truth, shares, weights), [1.0, np.nan, np.nan])


def test_a_draw_that_lacks_a_class_is_nan():
    weights = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]])
    for metric in (metrics.auroc, metrics.auprc):
        values = metric(HAND_TRUTH, HAND_SCORE, weights)
        assert np.isnan(values).tolist() == [True, True, True, False]
    assert np.isnan(metrics.brier(HAND_TRUTH, HAND_SCORE, weights)).tolist() == [False, False, True, False]


def test_r2_of_equal_truths_is_nan_even_after_rounding():
    truth = np.array([0.1, 0.1, 0.1, 7.3, 1e6])
    weights = np.array([[3, 2, 7, 0, 0], [0, 0, 0, 5, 0], [0, 0, 0, 0, 0], [1, 0, 0, 1, 0]])
    values = metrics.r2(truth, truth + 0.5, weights)
    assert np.isnan(values[:3]).all()
    assert values[3] == pytest.approx(1 - 0.5 / (2 * 3.6**2), rel=1e-3)


def test_no_rows_and_predictions_that_diverged_are_nan():
    empty, weights = np.zeros(0), np.zeros((3, 0), dtype=np.uint16)
    for metric in (metrics.auroc, metrics.auprc, metrics.brier, metrics.r2, metrics.mae):
        assert np.isnan(metric(empty, empty)).tolist() == [True]
        assert np.isnan(metric(empty, empty, weights)).tolist() == [True] * 3
        diverged = np.array([0.1, np.nan, 0.2, 0.3])
        assert np.isnan(metric(HAND_TRUTH, diverged, np.ones((2, 4)))).tolist() == [True, True]


@given(st.lists(st.tuples(st.booleans(), st.integers(-20, 20), st.integers(0, 3)), min_size=2, max_size=40))
@settings(max_examples=100, deadline=None)
def test_rising_transforms_change_nothing_and_a_flip_of_labels_turns_auroc_round(rows):
    truth = np.array([float(row[0]) for row in rows])
    score = np.array([float(row[1]) for row in rows])
    weights = np.array([[row[2] for row in rows]])
    straight = metrics.auroc(truth, score, weights)
    np.testing.assert_array_equal(straight, metrics.auroc(truth, np.exp(score / 3) + 5, weights))
    np.testing.assert_allclose(straight, 1 - metrics.auroc(1 - truth, score, weights), atol=1e-12)
    np.testing.assert_array_equal(
        metrics.auprc(truth, score, weights), metrics.auprc(truth, np.exp(score / 3) + 5, weights)
    )


def test_order_of_rows_changes_no_digit_of_auroc():
    truth, score, weights = tied_rows()
    order = np.random.default_rng(3).permutation(len(truth))
    np.testing.assert_array_equal(
        metrics.auroc(truth, score, weights), metrics.auroc(truth[order], score[order], weights[:, order])
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: metrics.auroc(np.array([0.0, 2.0]), np.zeros(2)), "neither 0 nor 1"),
        (lambda: metrics.brier(np.array([0.0, 1.0]), np.array([0.2, 1.7])), "1.7"),
        (lambda: metrics.r2(np.array([0.0, np.nan]), np.zeros(2)), "1 rows have no label"),
        (lambda: metrics.mae(np.zeros(3), np.zeros(2)), r"shape \(2,\)"),
        (lambda: metrics.macro_auroc(np.zeros(3), np.zeros(3)), r"\(rows, classes\)"),
        (lambda: metrics.auroc(HAND_TRUTH, HAND_SCORE, np.ones((2, 5))), r"\(draws, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(DataError, match=words):
        call()
