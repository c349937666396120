"""Operating points: scikit-learn's counts, hand-worked thresholds, ties."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score, roc_curve

from m3h.core.errors import DataError, SettingError
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.operating import WANTED, at, thresholds

RANDOM = np.random.default_rng(4)
TRUTH = (RANDOM.random(500) < 0.3).astype(float)
PREDICTED = np.round(np.clip(RANDOM.normal(0.3 + 0.2 * TRUTH, 0.2), 0, 1), 2)  # many ties
DRAWS = patient_draws(np.array([f"p{row // 2:03}" for row in range(500)]), 5, 60)
SHARES = ("sensitivity", "specificity", "ppv", "npv", "flagged")


def test_hand_worked_thresholds():
    truth = np.array([1.0, 1, 1, 1, 0, 0])
    predicted = np.array([0.9, 0.7, 0.7, 0.2, 0.8, 0.1])
    assert thresholds(truth, predicted, (0.25, 0.5, 0.75, 0.76, 1)) == (0.9, 0.7, 0.7, 0.2, 0.2)
    found = at(truth, predicted, 0.7, None)
    assert [getattr(found, name).value for name in SHARES] == pytest.approx([3 / 4, 1 / 2, 3 / 4, 1 / 2, 4 / 6])
    assert np.isnan([found.ppv.low, found.ppv.high]).all() and found.n == 6


def test_a_threshold_is_the_highest_of_the_curve_that_is_sensitive_enough():
    _, sensitivity, cuts = roc_curve(TRUTH, PREDICTED, drop_intermediate=False)
    for wanted, threshold in zip(WANTED, thresholds(TRUTH, PREDICTED), strict=True):
        assert threshold == cuts[sensitivity >= wanted].max()
        assert at(TRUTH, PREDICTED, threshold, None).sensitivity.value >= wanted


def test_wanted_shares_that_binary_numbers_miss_ask_for_no_row_more():
    for rows in range(1, 60):
        predicted = np.arange(rows)[::-1] / rows
        for part in range(1, rows + 1):
            assert thresholds(np.ones(rows), predicted, (part / rows,)) == (predicted[part - 1],)


@pytest.mark.parametrize("threshold", [0.15, 0.3, 0.62])
def test_shares_are_scikit_learns_in_every_draw(threshold):
    found = at(TRUTH, PREDICTED, threshold, DRAWS)
    flag = threshold <= PREDICTED
    negative, false, missed, hit = confusion_matrix(TRUTH, flag).ravel()
    assert found.specificity.value == pytest.approx(negative / (negative + false))
    assert found.npv.value == pytest.approx(negative / (negative + missed))
    assert found.flagged.value == pytest.approx((hit + false) / 500)
    for name, theirs in (("sensitivity", recall_score), ("ppv", precision_score)):
        ours = getattr(found, name)
        assert ours.value == pytest.approx(theirs(TRUTH, flag))
        drawn = [theirs(TRUTH, flag, sample_weight=draw) for draw in DRAWS]
        assert (ours.low, ours.high) == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))))


def test_a_threshold_for_all_or_for_none():
    everyone, nobody = at(TRUTH, PREDICTED, 0.0, DRAWS), at(TRUTH, PREDICTED, 1.1, DRAWS)
    assert (everyone.sensitivity.value, everyone.specificity.value, everyone.flagged.value) == (1, 0, 1)
    assert everyone.ppv.value == pytest.approx(TRUTH.mean()) and np.isnan([everyone.npv.value, everyone.npv.low]).all()
    assert nobody.flagged.value == 0 and np.isnan(nobody.ppv.value)


def test_rising_transforms_and_the_order_of_rows_change_nothing():
    order = RANDOM.permutation(500)
    (cut,) = thresholds(TRUTH, PREDICTED, (0.8,))
    assert thresholds(TRUTH[order], np.exp(PREDICTED[order]), (0.8,)) == (np.exp(cut),)
    straight = at(TRUTH, PREDICTED, cut, DRAWS)
    other = at(TRUTH[order], np.exp(PREDICTED[order]), float(np.exp(cut)), DRAWS[:, order])
    assert [getattr(straight, name) for name in SHARES] == [getattr(other, name) for name in SHARES]


def test_unlabelled_rows_count_nowhere():
    known = np.arange(500) % 3 > 0
    holes = np.where(known, TRUTH, np.nan)
    assert thresholds(holes, PREDICTED) == thresholds(TRUTH[known], PREDICTED[known])
    assert at(holes, PREDICTED, 0.3, DRAWS) == at(TRUTH[known], PREDICTED[known], 0.3, DRAWS[:, known])


def test_what_cannot_be_told_is_nan():
    assert np.isnan(thresholds(np.zeros(4), np.arange(4.0))).all()
    assert np.isnan(thresholds(np.ones(2), np.array([0.1, np.nan]))).all()
    for found in (
        at(TRUTH, PREDICTED, float("nan"), DRAWS),
        at(np.ones(2), np.array([0.1, np.nan]), 0.5, None),
        at(np.full(500, np.nan), PREDICTED, 0.5, DRAWS),
    ):
        assert np.isnan([getattr(found, name).value for name in SHARES]).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: thresholds(TRUTH, PREDICTED, (0.8, 1.2)), SettingError, "a wanted sensitivity\n  got: 1.2"),
        (lambda: thresholds(TRUTH + 1, PREDICTED), DataError, "neither 0 nor 1"),
        (lambda: at(TRUTH, PREDICTED[1:], 0.5, None), DataError, r"predictions of shape \(499,\)"),
        (lambda: at(TRUTH, PREDICTED, 0.5, DRAWS[:, 1:]), DataError, r"draws of shape \(60, 499\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
