"""Decision curves: hand-worked and closed-form net benefits, and the laws they obey."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from m3h.core.errors import DataError, SettingError
from m3h.evaluation.decision import GRID, decision_curve
from m3h.evaluation.intervals import patient_draws

RANDOM = np.random.default_rng(6)
PREDICTED = RANDOM.beta(1, 3, size=400)
TRUTH = (RANDOM.random(400) < PREDICTED).astype(float)
DRAWS = patient_draws(np.array([f"p{row // 2:03}" for row in range(400)]), 5, 60)


def by_counts(truth, predicted, threshold, weights=None):
    _, false, _, hit = confusion_matrix(truth, predicted >= threshold, sample_weight=weights, labels=[0, 1]).ravel()
    rows = len(truth) if weights is None else weights.sum()
    return hit / rows - false / rows * threshold / (1 - threshold)


def test_hand_worked_net_benefit():
    truth, predicted = np.array([1.0, 0, 1, 0]), np.array([0.9, 0.6, 0.3, 0.1])
    half, fifth = decision_curve(truth, predicted, None, thresholds=(0.5, 0.2))
    assert half.model.value == 1 / 4 - 1 / 4 and half.treat_all.value == 1 / 2 - 1 / 2 and half.gain.value == 0
    assert fifth.model.value == pytest.approx(2 / 4 - 1 / 4 / 4) and fifth.treat_all.value == pytest.approx(
        1 / 2 - 1 / 8
    )
    assert fifth.gain.value == pytest.approx(1 / 16) and np.isnan(fifth.gain.low)


def test_every_threshold_and_draw_is_that_of_the_counts():
    found = decision_curve(TRUTH, PREDICTED, DRAWS)
    assert tuple(one.threshold for one in found) == GRID and GRID[0] == 0.01 and GRID[-1] == 0.5 and len(GRID) == 50
    for one in found[::12]:
        assert one.model.value == pytest.approx(by_counts(TRUTH, PREDICTED, one.threshold))
        assert one.treat_all.value == pytest.approx(by_counts(TRUTH, np.ones(400), one.threshold))
        drawn = np.array([by_counts(TRUTH, PREDICTED, one.threshold, draw) for draw in DRAWS])
        assert (one.model.low, one.model.high) == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))))
        if one.treat_all.value > 0:
            drawn -= [by_counts(TRUTH, np.ones(400), one.threshold, draw) for draw in DRAWS]
        assert (one.gain.low, one.gain.high) == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))))
        assert one.gain.value == pytest.approx(one.model.value - max(one.treat_all.value, 0))


def test_closed_form_of_uniform_risks():
    """Risks uniform on 0 to 1 and true: benefit is the integral of (r - t) / (1 - t) over r > t, (1 - t) / 2."""
    risks = (np.arange(20_000) + 0.5) / 20_000
    truth = (np.random.default_rng(0).random(20_000) < risks).astype(float)
    for one in decision_curve(truth, risks, None, thresholds=(0.1, 0.3, 0.6)):
        assert one.model.value == pytest.approx((1 - one.threshold) / 2, abs=0.01)
        assert one.treat_all.value == pytest.approx((0.5 - one.threshold) / (1 - one.threshold), abs=0.01)


def test_a_perfect_model_gains_the_prevalence_and_a_useless_one_nothing():
    for one in decision_curve(TRUTH, TRUTH, DRAWS):
        assert one.model.value == pytest.approx(TRUTH.mean()) and one.gain.low > 0
    constant = np.full(400, TRUTH.mean())
    for one in decision_curve(TRUTH, constant, DRAWS):
        assert one.gain.value == pytest.approx(0, abs=1e-12)


def test_treating_all_is_worth_nothing_at_the_prevalence():
    (one,) = decision_curve(TRUTH, PREDICTED, None, thresholds=(float(TRUTH.mean()),))
    assert one.treat_all.value == pytest.approx(0, abs=1e-12)


def test_copies_of_patients_and_the_order_of_rows_change_nothing():
    order = RANDOM.permutation(400)
    straight = decision_curve(TRUTH, PREDICTED, DRAWS)
    for other in (
        decision_curve(TRUTH[order], PREDICTED[order], DRAWS[:, order]),
        decision_curve(np.tile(TRUTH, 2), np.tile(PREDICTED, 2), np.tile(DRAWS, 2)),
    ):
        for one, same in zip(straight, other, strict=True):
            assert (one.gain.value, one.gain.low, one.gain.high) == pytest.approx(
                (same.gain.value, same.gain.low, same.gain.high), abs=1e-12
            )


def test_unlabelled_rows_count_nowhere():
    known = np.arange(400) % 3 > 0
    holes = decision_curve(np.where(known, TRUTH, np.nan), PREDICTED, DRAWS)
    assert holes == decision_curve(TRUTH[known], PREDICTED[known], DRAWS[:, known])
    assert decision_curve(np.full(400, np.nan), PREDICTED, DRAWS) == ()


def test_a_diverged_network_has_no_benefit():
    found = decision_curve(TRUTH, np.where(np.arange(400) == 3, np.nan, PREDICTED), DRAWS)
    assert np.isnan([[one.model.value, one.gain.value, one.gain.low] for one in found]).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: decision_curve(TRUTH, PREDICTED, None, thresholds=(0.5, 1.0)), SettingError, "each between 0 and 1"),
        (lambda: decision_curve(TRUTH, PREDICTED, None, thresholds=(0.5,) * 51), SettingError, "51 thresholds"),
        (lambda: decision_curve(TRUTH + 1, PREDICTED, None), DataError, "neither 0 nor 1"),
        (lambda: decision_curve(TRUTH, PREDICTED * 9, None), DataError, "no probabilities"),
        (lambda: decision_curve(TRUTH, PREDICTED, DRAWS[:, 1:]), DataError, r"draws of shape \(60, 399\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
