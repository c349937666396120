"""Conformal limits: the textbook's rank, coverage by simulation with patients of many rows, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from m3h.core.errors import DataError, SettingError
from m3h.evaluation.conformal import LEVELS, Conformal, conformal, coverage
from m3h.evaluation.intervals import patient_draws


def named(rows, of_each=1):
    return np.array([f"p{row // of_each:05}" for row in range(rows)])


def classes(rows=600, count=3, seed=0):
    random = np.random.default_rng(seed)
    raw = random.gamma(0.6, size=(rows, count)) * np.linspace(1, 0.3, count)
    shares = raw / raw.sum(axis=1, keepdims=True)
    truth = (random.random((rows, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(max=count - 1)
    return truth.astype(float), shares


def values(rows=600, seed=0):
    random = np.random.default_rng(seed)
    predicted = random.normal(size=rows)
    return predicted + random.normal(size=rows), predicted


# --- the limit


@pytest.mark.parametrize("rows", [1, 3, 4, 8, 9, 10, 19, 99, 100, 257])
@pytest.mark.parametrize("level", [*LEVELS, 0.95])
def test_with_a_row_each_the_limit_is_the_textbooks_rank(rows, level):
    truth, predicted = values(rows)
    residuals = np.sort(np.abs(truth - predicted))
    rank = math.ceil(round((rows + 1) * level, 9))
    expected = residuals[rank - 1] if rank <= rows else math.inf
    found = conformal("regression", truth, predicted, named(rows), level=level)
    assert found.limits == (expected,) and found.patients == (rows,)


def test_hand_worked_limit_of_patients_with_several_rows():
    """Three patients weigh a quarter each: residuals 1 2 (first), 3 (second), 4 5 6 (third), up to 0.5: 1, 2, 3."""
    truth = np.array([1.0, 2, 3, 4, 5, 6])
    patients = np.array(["a", "a", "b", "c", "c", "c"])
    for level, limit in ((0.125, 1.0), (0.3, 3.0), (0.5, 3.0), (0.51, 4.0), (0.6, 5.0), (0.75, 6.0), (0.76, math.inf)):
        assert conformal("regression", truth, np.zeros(6), patients, level=level).limits == (limit,)


@pytest.mark.parametrize("level", LEVELS)
def test_copies_of_rows_within_patients_change_nothing(level):
    truth, predicted = values(90)
    once = conformal("regression", truth, predicted, named(90), level=level)
    times = np.random.default_rng(0).integers(1, 9, size=90)
    again = conformal("regression", truth.repeat(times), predicted.repeat(times), named(90).repeat(times), level=level)
    assert once == again


def test_order_of_rows_and_unlabelled_rows_change_nothing():
    truth, shares = classes()
    order = np.random.default_rng(0).permutation(600)
    for by_class in (False, True):
        straight = conformal("multiclass", truth, shares, named(600, 3), level=0.9, by_class=by_class)
        more = (
            np.r_[truth[order], [np.nan] * 3],
            np.r_[shares[order], shares[:3]],
            np.r_[named(600, 3)[order], ["x"] * 3],
        )
        assert conformal("multiclass", *more, level=0.9, by_class=by_class) == straight


# --- coverage


def hospital(random, count):
    """Residuals of patients with 1 or 40 rows: alike within a patient, and smaller where rows are many."""
    rows = np.where(random.random(count) < 0.5, 1, 40)
    owner = np.arange(count).repeat(rows)
    spread = np.exp(random.normal(size=count)) * np.where(rows > 1, 0.3, 1.0)
    return spread[owner] * random.normal(size=len(owner)), owner, rows


@pytest.mark.parametrize("level", LEVELS)
def test_a_row_of_a_new_patient_is_covered_as_often_as_promised(level):
    """Also with patients of many rows, where a quantile of all rows would cover fewer."""
    random = np.random.default_rng(12)
    ours, plain = [], []
    for _ in range(600):
        residuals, owner, rows = hospital(random, 60)
        first, seen = np.cumsum(rows) - rows, owner < 50
        limit = conformal(
            "regression", residuals[seen], np.zeros(seen.sum()), owner[seen].astype(str), level=level
        ).limits[0]
        one_of_each = np.abs(residuals[(first + random.integers(0, rows))[50:]])
        ours.append((one_of_each <= limit).mean())
        plain.append((one_of_each <= np.quantile(np.abs(residuals[seen]), level)).mean())
    error = np.std(ours) / np.sqrt(600)
    assert level - 3 * error < np.mean(ours) < level + 0.04
    assert np.mean(plain) < level - 0.05


def test_coverage_with_a_row_each_has_the_law_of_theory():
    """Of k = ceil((n + 1) level) the coverage of one calibration set is Beta(k, n + 1 - k): its mean is k / (n + 1)."""
    random = np.random.default_rng(5)
    limits = [
        conformal("regression", random.normal(size=49), np.zeros(49), named(49), level=0.9).limits[0]
        for _ in range(800)
    ]
    covered = 2 * stats.norm.cdf(limits) - 1
    assert stats.kstest(covered, stats.beta(45, 5).cdf).pvalue > 0.01
    assert np.mean(covered) == pytest.approx(0.9, abs=0.006)


@pytest.mark.parametrize("level", LEVELS)
def test_sets_hold_the_class_and_by_class_each_class(level):
    truth, shares = classes(6000)
    new, new_shares = classes(20_000, seed=1)
    of_all = conformal("multiclass", truth, shares, named(6000), level=level)
    inside = of_all.sets(new_shares)[np.arange(20_000), new.astype(int)]
    assert inside.mean() == pytest.approx(level, abs=0.02)
    assert min(inside[new == label].mean() for label in range(3)) < level - 0.05
    each = conformal("multiclass", truth, shares, named(6000), level=level, by_class=True)
    inside = each.sets(new_shares)[np.arange(20_000), new.astype(int)]
    for label in range(3):
        assert inside[new == label].mean() == pytest.approx(level, abs=0.03)


def test_sets_of_a_binary_task_are_those_of_its_two_classes():
    truth, shares = classes(400, count=2)
    one = conformal("binary", truth, shares[:, 1], named(400), level=0.8)
    two = conformal("multiclass", truth, shares, named(400), level=0.8)
    assert one.limits == pytest.approx(two.limits)
    np.testing.assert_array_equal(one.sets(shares[:, 1]), two.sets(shares))
    hand = Conformal("binary", 0.8, (0.4, 0.7), (5, 5), True, False)
    assert hand.sets(np.array([0.2, 0.35, 0.5])).tolist() == [[True, False], [True, True], [False, True]]


def test_scaled_intervals_are_wide_where_rows_are_uncertain():
    random = np.random.default_rng(0)
    scale = random.uniform(0.2, 3, size=6000)
    predicted = random.normal(size=6000)
    truth = predicted + scale * random.normal(size=6000)
    found = conformal("regression", truth, predicted, named(6000), level=0.9, scale=scale)
    low, high = found.intervals(np.zeros(2), np.array([1.0, 2.0]))
    np.testing.assert_allclose(high, stats.norm.ppf(0.95) * np.array([1, 2]), rtol=0.05)
    np.testing.assert_allclose(low, -high)
    certain, unsure = scale < 1, scale > 2
    low, high = found.intervals(predicted, scale)
    for rows in (certain, unsure):
        assert ((low <= truth) & (truth <= high))[rows].mean() == pytest.approx(0.9, abs=0.02)


def test_two_sides_of_a_skewed_value_are_covered_each():
    """Stays: most are short, some very long. Each side misses half of what both may, and the long one is longer."""
    random = np.random.default_rng(4)
    seen, new = (random.exponential(4.0, size=4000) for _ in range(2))
    found = conformal("regression", seen, np.full(4000, 4.0), named(4000), level=0.9, two_sided=True)
    low, high = found.intervals(np.full(4000, 4.0))
    assert (new < low).mean() == pytest.approx(0.05, abs=0.012) and (new > high).mean() == pytest.approx(
        0.05, abs=0.012
    )
    # quantiles of the exponential distribution
    assert (low[0], high[0]) == pytest.approx((-4 * np.log(0.95), -4 * np.log(0.05)), rel=0.1)
    (told,) = coverage(found, new, np.full(4000, 4.0), None)
    assert told.covered.value == np.mean((low <= new) & (new <= high)) and told.size == pytest.approx(high[0] - low[0])
    with pytest.raises(DataError, match="two sides of a binary"):
        conformal("binary", seen > 4, np.full(4000, 0.5), named(4000), level=0.9, two_sided=True)


def test_rows_at_the_limit_are_inside_also_in_single_precision():
    truth, shares = classes(199)
    single = shares.astype(np.float32)
    for kind, predicted in (("multiclass", single), ("binary", single[:, 1])):
        outcome = truth if kind == "multiclass" else np.minimum(truth, 1)
        fitted = conformal(kind, outcome, predicted, named(199), level=0.9)
        assert fitted.sets(predicted)[np.arange(199), outcome.astype(int)].sum() >= 180


def test_too_few_patients_promise_everything():
    truth, predicted = values(8)
    found = conformal("regression", truth, predicted, named(8), level=0.9)
    assert found.limits == (math.inf,)
    low, high = found.intervals(np.zeros(1))
    assert (low[0], high[0]) == (-math.inf, math.inf)
    rare = conformal("multiclass", np.zeros(50), classes(50)[1], named(50), level=0.9, by_class=True)
    assert np.isinf(rare.limits[1:]).all() and rare.patients == (50, 0, 0)
    assert rare.sets(np.array([[1.0, 0.0, 0.0]])).tolist() == [[True, True, True]]


# --- what was covered


def test_coverage_and_sizes_by_hand_and_by_subgroup():
    fitted = Conformal("regression", 0.8, (1.0,), (50,), False, False)
    truth = np.array([0.0, 0.5, 2.0, 3.0, np.nan, 1.0])
    ward = np.array(["b", "a", "a", "b", "c", ""])
    everyone, a, b = coverage(fitted, truth, np.zeros(6), None, subgroup=ward)
    assert (everyone.value, everyone.n, everyone.covered.value, everyone.size) == ("", 5, 3 / 5, 2.0)
    assert (a.value, a.n, a.covered.value) == ("a", 2, 0.5) and (b.value, b.n, b.covered.value) == ("b", 2, 0.5)
    sets = Conformal("multiclass", 0.8, (0.6, 0.6, 0.6), (50,) * 3, False, False)
    (found,) = coverage(sets, np.array([0.0, 2.0]), np.array([[0.5, 0.4, 0.1], [0.9, 0.05, 0.05]]), None)
    assert found.covered.value == 0.5 and found.size == 1.5


def test_coverage_interval_is_that_of_the_patients():
    truth, predicted = values(2000)
    patients, draws = named(2000, 4), patient_draws(named(2000, 4), 0, 300)
    fitted = conformal("regression", *values(2000, seed=9), patients, level=0.8)
    found = coverage(fitted, truth, predicted, draws)[0]
    inside = np.abs(truth - predicted) <= fitted.limits[0]
    drawn = [np.repeat(inside, draw).mean() for draw in draws]
    assert (found.covered.low, found.covered.high) == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))))
    # residuals are standard normal: the limit's own coverage, not the level, is what the interval is about
    assert found.covered.low < 2 * stats.norm.cdf(fitted.limits[0]) - 1 < found.covered.high
    assert found.size == pytest.approx(2 * fitted.limits[0])


def test_coverage_agrees_with_the_sets():
    truth, shares = classes(300)
    for by_class in (False, True):
        fitted = conformal("multiclass", *classes(300, seed=2), named(300), level=0.8, by_class=by_class)
        inside = fitted.sets(shares)
        (found,) = coverage(fitted, truth, shares, None)
        assert found.covered.value == pytest.approx(inside[np.arange(300), truth.astype(int)].mean())
        assert found.size == pytest.approx(inside.sum(axis=1).mean())
    assert np.isnan(coverage(fitted, np.full(300, np.nan), shares, None)[0].covered.value)


# --- keeping and refusing


def test_json_keeps_every_digit_and_infinity():
    truth, shares = classes()
    truth[truth == 2] = 0
    found = conformal("multiclass", truth, shares, named(600), level=0.9, by_class=True)
    assert math.isinf(found.limits[2])
    assert Conformal.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False))) == found


REGRESSION = conformal("regression", *values(), named(600), level=0.9)
SETS = conformal("multiclass", *classes(), named(600), level=0.9)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: conformal("regression", *values(), named(600), level=90), SettingError, "a level\n  got: 90"),
        (lambda: conformal("clustering", *values(), named(600), level=0.9), DataError, "limits of a clustering task"),
        (lambda: conformal("regression", *values(), named(9), level=0.9), DataError, r"patients of shape \(9,\)"),
        (lambda: conformal("regression", *values(), named(600), level=0.9, by_class=True), DataError, "by class of a"),
        (lambda: conformal("binary", *values(), named(600), level=0.9), DataError, "no probabilities"),
        (lambda: conformal("multiclass", *values(), named(600), level=0.9), DataError, r"\(rows, classes\)"),
        (
            lambda: conformal("multiclass", classes()[0] + 1, classes()[1], named(600), level=0.9),
            DataError,
            "class numbers do not fit the predictions\n  expected: 0 to 2",
        ),
        (
            lambda: conformal("regression", np.zeros(2), np.array([1.0, np.inf]), named(2), level=0.9),
            DataError,
            "a prediction is not finite",
        ),
        (
            lambda: conformal("regression", *values(), named(600), level=0.9, scale=np.zeros(600)),
            DataError,
            "finite numbers above 0",
        ),
        (lambda: REGRESSION.sets(np.zeros((2, 3))), DataError, "sets of a regression"),
        (lambda: REGRESSION.intervals(np.zeros(2), np.ones(2)), DataError, "a scale now as when fitted"),
        (lambda: SETS.intervals(np.zeros(2)), DataError, "intervals of a multiclass task"),
        (lambda: SETS.sets(np.zeros((2, 4))), DataError, r"shape \(2, 4\)\n  expected: \(rows, 3\)"),
        (
            lambda: coverage(REGRESSION, np.zeros(3), np.zeros(3), None, subgroup=named(2)),
            DataError,
            "subgroup of shape",
        ),
        (lambda: Conformal.from_dict({"level": 0.9}), DataError, "no conformal limits\n  got: level"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
