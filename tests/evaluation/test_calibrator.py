"""Calibrators: scikit-learn's fits, what they promise about rankings and extremes, and when they leave things alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from m3h.core.errors import DataError
from m3h.evaluation.calibration import Calibrator, calibration, calibrator
from m3h.evaluation.calibration.line import fit_line
from m3h.evaluation.calibration.logistic import logits, recalibration, slope_error
from m3h.evaluation.calibration.temperature import fit_temperature


def named(rows, of_each=1):
    return np.array([f"p{row // of_each:05}" for row in range(rows)])


def binary(rows=2000, slope=0.5, shift=0.7, seed=0):
    random = np.random.default_rng(seed)
    logit = random.normal(-1, 2, size=rows)
    truth = (random.random(rows) < 1 / (1 + np.exp(-shift - slope * logit))).astype(float)
    return truth, 1 / (1 + np.exp(-logit))


def several(rows=3000, classes=4, slope=0.5, seed=0):
    random = np.random.default_rng(seed)
    logs = log_softmax(random.normal(0, 2, size=(rows, classes)), axis=1)
    biases = np.linspace(-0.6, 0.6, classes)
    shares = softmax(slope * logs + biases, axis=1)
    truth = (random.random((rows, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(max=classes - 1)
    return truth.astype(float), np.exp(logs)


def values(rows=400, slope=1.5, shift=2.0, noise=1.0, seed=0):
    random = np.random.default_rng(seed)
    predicted = random.normal(10, 2, size=rows)
    return shift + slope * predicted + noise * random.normal(size=rows), predicted


# --- binary


def test_binary_is_logistic_recalibration_and_mends_new_rows():
    truth, predicted = binary()
    found = calibrator("binary", truth, predicted, named(2000, 2))
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(logits(predicted)[:, None], truth)
    assert (found.intercepts[0], found.slope) == pytest.approx((theirs.intercept_[0], theirs.coef_[0, 0]), abs=1e-5)
    assert found.fitted == "slope and intercept" and found.reason == ""
    np.testing.assert_allclose(
        found.apply(predicted), theirs.predict_proba(logits(predicted)[:, None])[:, 1], atol=1e-5
    )
    other, raw = binary(20_000, seed=1)
    mended = calibration(other, found.apply(raw), None)
    assert mended.slope.value == pytest.approx(1, abs=0.1) and mended.intercept.value == pytest.approx(0, abs=0.1)
    assert log_loss(other, found.apply(raw)) < log_loss(other, raw) - 0.05


def test_ranking_of_rows_stays_to_the_last_digit():
    truth, predicted = binary()
    found = calibrator("binary", truth, predicted, named(2000))
    edges = np.array([0.0, 1e-30, 1e-12, 1e-7, 0.5, 1 - 1e-7, 1 - 1e-12, 1.0])
    assert (np.diff(found.apply(edges)) > 0).all()
    assert roc_auc_score(truth, found.apply(predicted)) == roc_auc_score(truth, predicted)


@pytest.mark.parametrize(
    ("events", "fitted", "words"),
    [
        (9, "nothing", "9 patients of one outcome, fewer than 10"),
        (20, "intercept", "20 patients"),
        (31, "slope and", ""),
    ],
)
def test_few_events_fit_little(events, fitted, words):
    random = np.random.default_rng(0)
    truth = np.r_[np.ones(events), np.zeros(400)]
    predicted = 1 / (1 + np.exp(-(1.5 * truth - 1 + random.normal(size=len(truth)))))
    found = calibrator("binary", truth, predicted, named(len(truth)))
    assert found.fitted.startswith(fitted) and words in found.reason
    if fitted == "intercept":
        assert found.slope == 1 and found.apply(predicted).sum() == pytest.approx(events)
    if fitted == "nothing":
        np.testing.assert_array_equal(found.apply(predicted), predicted)


def test_patients_count_not_their_rows():
    """Forty positive rows of four patients are four."""
    truth = np.r_[np.ones(40), np.zeros(400)]
    patients = np.r_[named(40, 10), np.array([f"q{row}" for row in range(400)])]
    assert calibrator("binary", truth, np.linspace(0.9, 0.1, 440), patients).fitted == "nothing"


def test_a_slope_that_cannot_be_told_is_left_alone():
    random = np.random.default_rng(3)
    truth = (random.random(300) < 0.3).astype(float)
    chance = calibrator("binary", truth, random.random(300), named(300))
    assert chance.fitted == "intercept" and chance.reason == "the slope cannot be told from 0"
    upside_down = calibrator("binary", truth, 0.6 - 0.3 * truth + 0.1 * random.random(300), named(300))
    assert upside_down.fitted == "intercept" and upside_down.slope == 1
    constant = calibrator("binary", truth, np.full(300, 0.9), named(300))
    assert constant.fitted == "intercept" and constant.apply(np.full(2, 0.9)) == pytest.approx([truth.mean()] * 2)
    separated = calibrator("binary", truth, 0.2 + 0.5 * truth, named(300))
    assert separated.fitted == "intercept" and "separate" in separated.reason


def test_error_of_the_slope_is_that_of_theory_and_grows_with_copies_within_patients():
    truth, predicted = binary(4000, slope=1, shift=0)
    logit = logits(predicted)
    intercept, slope = (float(one[0]) for one in recalibration(truth, logit))
    shares = 1 / (1 + np.exp(-intercept - slope * logit))
    design = np.column_stack([np.ones(4000), logit])
    fisher = np.sqrt(np.linalg.inv(design.T @ (design * (shares * (1 - shares))[:, None]))[1, 1])
    alone = slope_error(truth, logit, intercept, slope, np.arange(4000))
    assert alone == pytest.approx(fisher, rel=0.05)
    # each row four times within its patient is no more evidence than once
    same = slope_error(truth.repeat(4), logit.repeat(4), intercept, slope, np.arange(4000).repeat(4))
    assert same == pytest.approx(alone)


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_certain_predictions_stay_finite(extreme):
    truth, predicted = binary()
    predicted[:50] = extreme
    found = calibrator("binary", truth, predicted, named(2000))
    applied = found.apply(np.array([0.0, 1.0, 0.3]))
    assert np.isfinite(applied).all() and ((applied >= 0) & (applied <= 1)).all()
    everything = calibrator("binary", truth, np.full(2000, extreme), named(2000))
    assert everything.fitted == "intercept" and np.isfinite(everything.apply(np.array([0.0, 1.0]))).all()


# --- several classes


def test_temperature_and_biases_come_out_and_mend_new_rows():
    truth, predicted = several()
    found = calibrator("multiclass", truth, predicted, named(3000))
    assert found.fitted == "slope and intercept" and found.slope == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(found.intercepts, np.linspace(-0.6, 0.6, 4), atol=0.2)
    other, raw = several(seed=1)
    mended = found.apply(raw)
    np.testing.assert_allclose(mended.sum(axis=1), 1)
    assert log_loss(other, mended) < log_loss(other, raw) - 0.1


def test_two_classes_are_logistic_recalibration_but_for_the_weak_prior():
    truth, predicted = binary(8000)
    as_binary = calibrator("binary", truth, predicted, named(8000))
    both = np.column_stack([1 - predicted, predicted])
    as_classes = calibrator("multiclass", truth, both, named(8000))
    assert as_classes.slope == pytest.approx(as_binary.slope, abs=2e-3)
    np.testing.assert_allclose(as_classes.apply(both)[:, 1], as_binary.apply(predicted), atol=2e-3)
    error = fit_temperature(truth.astype(int), np.log(both), np.arange(8000), with_slope=True)[2]
    theirs = slope_error(truth, logits(predicted), as_binary.intercepts[0], as_binary.slope, np.arange(8000))
    assert error == pytest.approx(theirs, rel=0.01)


def test_classes_without_rows_or_chance_stay_finite():
    truth, predicted = several()
    truth[truth == 3] = 0
    found = calibrator("multiclass", truth, predicted, named(3000))
    assert np.isfinite(found.intercepts).all() and found.intercepts[3] < min(found.intercepts[:3])
    certain = np.eye(4)[np.random.default_rng(0).permutation(truth.astype(int))]
    guessed = calibrator("multiclass", truth, certain, named(3000))
    assert guessed.fitted == "intercept" and guessed.slope == 1
    assert np.isfinite(guessed.apply(certain)).all() and np.isfinite(found.apply(certain)).all()
    # perfect and certain: the prior keeps the slope finite
    perfect = calibrator("multiclass", truth, np.eye(4)[truth.astype(int)], named(3000))
    assert np.isfinite([perfect.slope, *perfect.intercepts]).all()


def test_few_patients_beside_one_class_fit_little():
    _, predicted = several(300)
    for count, fitted in ((9, "nothing"), (20, "intercept")):
        rare = np.where(np.arange(300) < count, 1 + np.arange(300) % 3, 0).astype(float)
        found = calibrator("multiclass", rare, predicted, named(300))
        assert found.fitted == fitted and f"{count} patients beside one class" in found.reason


# --- regressions


def test_a_better_line_is_scikit_learns():
    truth, predicted = values()
    found = calibrator("regression", truth, predicted, named(400))
    theirs = LinearRegression().fit(predicted[:, None], truth)
    assert (found.slope, found.intercepts[0]) == pytest.approx((theirs.coef_[0], theirs.intercept_))
    np.testing.assert_allclose(found.apply(predicted), theirs.predict(predicted[:, None]))


@pytest.mark.parametrize(("slope", "shift"), [(1.5, 2), (1.1, -0.8), (1, 0), (1, 1), (0.97, 0.5)])
@pytest.mark.parametrize("seed", range(4))
def test_patients_left_out_are_left_out(slope, shift, seed):
    """The choice that sums lead to is that of fitting again without each patient."""
    truth, predicted = values(60, slope=slope, shift=shift, seed=seed)
    patients = np.arange(60) // 3
    gains = np.zeros((2, 60))
    for left in range(20):
        kept, own = patients != left, patients == left
        fitted = LinearRegression().fit(predicted[kept, None], truth[kept])
        before = (truth - predicted)[own] ** 2
        gains[0, own] = before - (truth[own] - fitted.predict(predicted[own, None])) ** 2
        gains[1, own] = before - (truth[own] - predicted[own] - (truth - predicted)[kept].mean()) ** 2
    sums = [np.bincount(patients, weights=gain - gain.mean()) for gain in gains]
    sure = [gain.mean() > 2 * np.sqrt((one**2).sum() * 20 / 19) / 60 for gain, one in zip(gains, sums, strict=True)]
    found = fit_line(truth, predicted, patients)
    best = None if not any(sure) else max((gains[kind].mean(), kind == 0) for kind in (0, 1) if sure[kind])[1]
    assert (None if found is None else found[2]) == best


def test_right_predictions_are_left_alone_mostly():
    """Two standard errors: of 200 regressions that need nothing, a few get a line."""
    left = sum(
        calibrator("regression", *values(120, slope=1, shift=0, seed=seed), named(120)).fitted == "nothing"
        for seed in range(200)
    )
    assert left >= 185
    truth, _ = values()
    assert calibrator("regression", truth, truth, named(400)).fitted == "nothing"


def test_a_shift_alone_where_a_slope_makes_it_no_better():
    truth, predicted = values(400, slope=1, shift=5)
    shifted = [calibrator("regression", *values(400, slope=1, shift=5, seed=s), named(400)) for s in range(20)]
    assert sum(one.fitted == "intercept" for one in shifted) > 10
    assert all(one.slope == pytest.approx(1, abs=0.1) for one in shifted)
    constant = calibrator("regression", truth, np.full(400, 3.0), named(400))
    assert constant.fitted == "intercept" and constant.apply(np.full(1, 3.0))[0] == pytest.approx(truth.mean())
    downwards = calibrator("regression", truth, 40 - predicted, named(400))
    assert downwards.slope == 1
    assert calibrator("regression", truth[:20], predicted[:20], named(20)).reason == "20 patients, fewer than 30"


# --- all kinds

EXAMPLES = {"binary": binary(), "multiclass": several(), "regression": values()}


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_json_keeps_every_digit(kind):
    truth, predicted = EXAMPLES[kind]
    found = calibrator(kind, truth, predicted, named(len(truth)))
    again = Calibrator.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False)))
    assert again == found
    np.testing.assert_array_equal(again.apply(predicted), found.apply(predicted))


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_order_of_rows_and_unlabelled_rows_change_nothing(kind):
    truth, predicted = EXAMPLES[kind]
    patients, order = named(len(truth), 3), np.random.default_rng(0).permutation(len(truth))
    straight = calibrator(kind, truth, predicted, patients)
    more = np.r_[truth[order], np.full(5, np.nan)], np.r_[predicted[order], predicted[:5]]
    other = calibrator(kind, *more, np.r_[patients[order], np.array(["x"] * 5)])
    np.testing.assert_allclose([other.slope, *other.intercepts], [straight.slope, *straight.intercepts], atol=1e-6)
    assert other.fitted == straight.fitted


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_nothing_is_fitted_to_nothing_or_to_a_diverged_network(kind):
    truth, predicted = EXAMPLES[kind]
    patients = named(len(truth))
    assert calibrator(kind, np.full(len(truth), np.nan), predicted, patients).reason == "no row has a label"
    broken = np.where(np.isin(np.arange(len(truth)), [3]).reshape(-1, *[1] * (predicted.ndim - 1)), np.nan, predicted)
    found = calibrator(kind, truth, broken, patients)
    assert found.fitted == "nothing" and found.reason == "a prediction is not finite"
    np.testing.assert_array_equal(found.apply(predicted), predicted)


FITTED = calibrator("multiclass", *several(), named(3000))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: calibrator("clustering", np.zeros(3), np.zeros(3), named(3)), "a calibrator of a clustering task"),
        (lambda: calibrator("binary", np.zeros(3), np.zeros(3), named(2)), r"patients of shape \(2,\)"),
        (lambda: calibrator("binary", np.full(3, 2.0), np.zeros(3), named(3)), "neither 0 nor 1"),
        (
            lambda: calibrator("multiclass", np.full(3, 2.0), np.zeros((3, 2)), named(3)),
            "expected: whole numbers from 0 to 1",
        ),
        (lambda: FITTED.apply(np.zeros((5, 3))), r"shape \(5, 3\)\n  expected: \(rows, 4\)"),
        (lambda: calibrator("binary", *binary(), named(2000)).apply(np.array([1.2])), "no probabilities"),
        (lambda: Calibrator.from_dict({"slope": 1}), "no calibrator\n  got: slope"),
        (lambda: Calibrator.from_dict(FITTED.as_dict() | {"slope": -1.0}), "slope above 0"),
        (lambda: Calibrator.from_dict(FITTED.as_dict() | {"kind": "clustering"}), "a known kind"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(DataError, match=words):
        call()
