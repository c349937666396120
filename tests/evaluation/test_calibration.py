"""Calibration: scikit-learn's curve and fits, SciPy's intervals, closed forms, and what happens at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import brier_score_loss

from m3h.core.errors import DataError
from m3h.evaluation.calibration import calibration, curve, regression_calibration
from m3h.evaluation.calibration.curve import quantile_bins
from m3h.evaluation.calibration.logistic import in_the_large, logits, recalibration
from m3h.evaluation.intervals import patient_draws


def outcomes(rows=600, slope=1.0, shift=0.0, seed=0):
    """Outcomes that come with probability expit(shift + slope * logit of the prediction)."""
    random = np.random.default_rng(seed)
    logit = random.normal(-1, 1.2, size=rows)
    truth = (random.random(rows) < 1 / (1 + np.exp(-shift - slope * logit))).astype(float)
    return truth, 1 / (1 + np.exp(-logit))


TRUTH, PREDICTED = outcomes()
PATIENTS = np.array([f"p{row // 2:03}" for row in range(len(TRUTH))])
DRAWS = patient_draws(PATIENTS, 3, 200)


def unpenalised(truth, predicted, weights=None):
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(logits(predicted)[:, None], truth, sample_weight=weights)
    return fitted.intercept_[0], fitted.coef_[0, 0]


# --- curves


def test_curve_is_scikit_learns():
    found = curve("binary", TRUTH, PREDICTED)
    observed, predicted = calibration_curve(TRUTH, PREDICTED, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([one.observed for one in found.bins], observed)
    np.testing.assert_allclose([one.predicted for one in found.bins], predicted)
    assert [one.n for one in found.bins] == [60] * 10


@pytest.mark.parametrize(("events", "rows"), [(0, 10), (3, 10), (10, 10), (17, 60)])
def test_share_interval_is_wilsons(events, rows):
    truth = (np.arange(rows) < events).astype(float)
    (only,) = curve("binary", truth, np.full(rows, 0.3)).bins
    theirs = stats.binomtest(events, rows).proportion_ci(method="wilson")
    assert (only.low, only.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_curve_of_a_regression_has_students_interval_and_is_on_the_diagonal_when_right():
    random = np.random.default_rng(0)
    predicted = random.normal(50, 10, size=400)
    truth = predicted + random.normal(size=400)
    found = curve("regression", truth, predicted, bins=4).bins
    first = truth[np.argsort(predicted)[:100]]
    theirs = stats.ttest_1samp(first, 0).confidence_interval()
    assert (found[0].low, found[0].high) == pytest.approx((theirs.low, theirs.high))
    assert all(abs(one.observed - one.predicted) < 0.5 for one in found)


@pytest.mark.parametrize(("rows", "bins"), [(5, 1), (19, 1), (20, 2), (57, 5), (1000, 10)])
def test_few_rows_make_few_bins(rows, bins):
    predicted = np.random.default_rng(0).random(rows)
    assert np.bincount(quantile_bins(predicted)).tolist() == pytest.approx([rows / bins] * bins, abs=1)


def test_equal_predictions_stay_together():
    predicted = np.round(np.random.default_rng(0).random(500) ** 3, 1)
    member = quantile_bins(predicted)
    for value in np.unique(predicted):
        assert len(np.unique(member[predicted == value])) == 1
    assert (np.diff(member[np.argsort(predicted)]) >= 0).all() and set(member) == set(range(member.max() + 1))
    assert quantile_bins(np.full(500, 0.2)).tolist() == [0] * 500


def test_an_empty_or_diverged_curve_has_no_bins():
    assert curve("binary", np.full(3, np.nan), np.full(3, 0.5)).bins == ()
    assert curve("binary", np.array([0.0, 1.0]), np.array([0.1, np.nan])).bins == ()
    assert np.isnan(curve("regression", np.array([3.0]), np.array([2.0])).bins[0].low)


# --- measures of a binary outcome


def test_slope_and_intercept_are_those_of_scikit_learns_logistic_regression():
    intercept, slope = recalibration(TRUTH, logits(PREDICTED))
    assert (intercept[0], slope[0]) == pytest.approx(unpenalised(TRUTH, PREDICTED), abs=1e-5)
    found = calibration(TRUTH, PREDICTED, None)
    assert found.slope.value == slope[0] and found.n == 600 and found.events == TRUTH.sum()
    assert found.brier.value == pytest.approx(brier_score_loss(TRUTH, PREDICTED))
    assert found.ratio.value == pytest.approx(TRUTH.mean() / PREDICTED.mean())


def test_calibration_in_the_large_makes_expected_events_observed():
    for drawn in (None, DRAWS):
        weights = np.ones((1, 600)) if drawn is None else drawn.astype(float)
        shift = in_the_large(TRUTH, logits(PREDICTED), drawn)
        expected = 1 / (1 + np.exp(-shift[:, None] - logits(PREDICTED)))
        np.testing.assert_allclose(
            (weights * expected).sum(axis=1), weights @ TRUTH, rtol=1e-9 if drawn is None else 1e-5
        )


def test_every_draw_is_fitted_as_if_alone():
    intercepts, slopes = recalibration(TRUTH, logits(PREDICTED), DRAWS)
    for draw in range(0, 200, 40):
        alone = unpenalised(TRUTH, PREDICTED, DRAWS[draw])
        assert (intercepts[draw], slopes[draw]) == pytest.approx(alone, abs=1e-5)
    found = calibration(TRUTH, PREDICTED, DRAWS)
    assert (found.slope.low, found.slope.high) == pytest.approx(tuple(np.percentile(slopes, (2.5, 97.5))))


def test_what_was_put_in_comes_out():
    truth, predicted = outcomes(200_000, slope=0.6, shift=0.4)
    intercept, slope = recalibration(truth, logits(predicted))
    assert (intercept[0], slope[0]) == pytest.approx((0.4, 0.6), abs=0.03)


def test_intervals_of_right_predictions_hold_what_is_right():
    """Slope 1, intercept 0 and ratio 1 lie in about 95 of 100 intervals; chance makes it fewer than 88 once in 680."""
    inside = np.zeros(3)
    patients = np.array([f"p{row:03}" for row in range(300)])
    draws = patient_draws(patients, 0, 300)
    for seed in range(100):
        found = calibration(*outcomes(300, seed=seed), draws)
        inside += [
            one.low <= right <= one.high for one, right in ((found.slope, 1), (found.intercept, 0), (found.ratio, 1))
        ]
    assert (inside >= 88).all()


def test_expected_error_is_the_mean_gap_of_the_curve_and_its_interval_holds_it():
    found = calibration(TRUTH, PREDICTED, DRAWS)
    gaps = [one.n * abs(one.observed - one.predicted) for one in curve("binary", TRUTH, PREDICTED).bins]
    assert found.ece.value == pytest.approx(sum(gaps) / 600)
    assert 0 <= found.ece.low <= found.ece.value <= found.ece.high
    poor = calibration(*outcomes(shift=1.0), DRAWS)
    assert poor.ece.low > 0.1 and poor.ratio.low > 1 and poor.intercept.low > 0.5


def test_hand_worked_error_and_ratio():
    truth, predicted = np.array([0.0, 0.0, 1.0]), np.full(3, 0.2)
    found = calibration(truth, predicted, None)
    assert found.ece.value == pytest.approx(1 / 3 - 0.2) and found.ratio.value == pytest.approx(1 / 0.6)
    # one third is wanted where one fifth was predicted
    assert found.intercept.value == pytest.approx(np.log(1 / 2) - np.log(1 / 4))
    assert np.isnan(found.slope.value)


# --- measures of a regression


def test_line_is_scikit_learns_also_far_from_zero():
    random = np.random.default_rng(1)
    predicted = 1e6 + random.normal(size=300)
    truth = 2 + 1.3 * (predicted - 1e6) + random.normal(size=300)
    draws = patient_draws(PATIENTS[:300], 0, 100)
    found = regression_calibration(truth, predicted, draws)
    theirs = LinearRegression().fit(predicted[:, None], truth)
    assert found.slope.value == pytest.approx(theirs.coef_[0])
    assert found.intercept.value == pytest.approx(theirs.intercept_)
    assert found.bias.value == pytest.approx((truth - predicted).mean())
    slopes = [LinearRegression().fit(predicted[:, None], truth, sample_weight=draw).coef_[0] for draw in draws]
    assert (found.slope.low, found.slope.high) == pytest.approx(tuple(np.percentile(slopes, (2.5, 97.5))))


def test_hand_worked_line():
    found = regression_calibration(np.array([1.0, 3.0, 5.0]), np.array([1.0, 2.0, 3.0]), None)
    assert (found.slope.value, found.intercept.value, found.bias.value) == pytest.approx((2, -1, 1))
    assert np.isnan([found.slope.low, found.slope.high]).all()


def test_a_line_through_one_prediction_is_none():
    for rows in range(2, 200):
        constant = regression_calibration(np.arange(rows) / 7, np.full(rows, rows / 10), None)
        assert np.isnan([constant.slope.value, constant.intercept.value]).all()
    found = regression_calibration(np.array([1.0, 2.0, 6.0]), np.full(3, 0.1), None)
    assert np.isnan([found.slope.value, found.intercept.value]).all() and found.bias.value == pytest.approx(2.9)
    assert np.isnan(regression_calibration(np.array([1.0]), np.array([np.inf]), None).bias.value)


# --- laws and edges


def test_order_of_rows_and_copies_of_patients_change_nothing():
    order = np.random.default_rng(2).permutation(600)
    straight = calibration(TRUTH, PREDICTED, DRAWS)
    shuffled = calibration(TRUTH[order], PREDICTED[order], DRAWS[:, order])
    twice = calibration(np.tile(TRUTH, 2), np.tile(PREDICTED, 2), np.tile(DRAWS, 2))
    for name in ("slope", "intercept", "ece", "ratio", "brier"):
        values = [(one.value, one.low, one.high) for one in (getattr(a, name) for a in (straight, shuffled, twice))]
        np.testing.assert_allclose(values[1], values[0], atol=1e-6)
        np.testing.assert_allclose(values[2], values[0], atol=1e-6)


def test_unlabelled_rows_count_nowhere():
    known = np.arange(600) % 3 > 0
    holes = calibration(np.where(known, TRUTH, np.nan), PREDICTED, DRAWS)
    assert holes == calibration(TRUTH[known], PREDICTED[known], DRAWS[:, known])
    assert np.isnan(calibration(np.full(600, np.nan), PREDICTED, DRAWS).brier.value)


def test_certain_predictions_are_finite_where_they_can_be():
    truth = np.tile([0.0, 1.0, 1.0, 0.0], 50)
    predicted = np.tile([0.0, 1.0, 0.0, 1.0], 50)
    found = calibration(truth, predicted, DRAWS[:, :200])
    assert np.isfinite([found.slope.value, found.slope.low, found.intercept.value, found.ece.value]).all()
    assert found.slope.value == pytest.approx(0, abs=1e-9)


def test_what_cannot_be_told_is_nan():
    separated = calibration(np.repeat([0.0, 1.0], 50), np.linspace(0.1, 0.9, 100), DRAWS[:, :100])
    assert np.isnan([separated.slope.value, separated.slope.low]).all()
    assert np.isfinite([separated.intercept.value, separated.intercept.low]).all()
    alone = calibration(np.zeros(100), np.linspace(0.1, 0.9, 100), DRAWS[:, :100])
    assert np.isnan([alone.slope.value, alone.intercept.value, alone.intercept.low]).all()
    assert alone.ratio.value == 0 and alone.ece.value == pytest.approx(0.5)
    assert np.isnan(calibration(np.zeros(100), np.zeros(100), None).ratio.value)
    diverged = calibration(TRUTH, np.where(TRUTH == 1, np.nan, PREDICTED), DRAWS)
    assert np.isnan([diverged.brier.value, diverged.ece.value, diverged.slope.value]).all()


def test_draws_without_an_event_have_no_slope_and_spoil_no_other():
    truth = np.zeros(60)
    truth[[5, 40]] = 1
    predicted = np.linspace(0.1, 0.6, 60)[::-1].copy()
    draws = np.ones((3, 60), dtype=np.uint16)
    draws[1, [5, 40]] = 0
    intercepts, slopes = recalibration(truth, logits(predicted), draws)
    assert np.isnan(slopes).tolist() == [False, True, False] and np.isnan(intercepts).tolist() == [False, True, False]
    assert np.isnan(in_the_large(truth, logits(predicted), draws)).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: calibration(np.array([0.0, 2.0]), np.zeros(2), None), "neither 0 nor 1"),
        (lambda: calibration(np.array([0.0, 1.0]), np.array([0.2, 1.7]), None), r"no probabilities\n  got: 1.7"),
        (
            lambda: calibration(TRUTH, PREDICTED, DRAWS[:, 1:]),
            r"draws of shape \(200, 599\)\n  expected: \(draws, 600\)",
        ),
        (lambda: regression_calibration(np.zeros(3), np.zeros(2), None), r"predictions of shape \(2,\)"),
        (lambda: curve("clustering", np.zeros(3), np.zeros(3)), "a reliability curve of a clustering task"),
        (lambda: curve("binary", np.zeros(3), np.zeros((3, 2))), r"expected: truth \(rows,\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(DataError, match=words):
        call()
