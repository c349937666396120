"""The surrogate against ridge regression on written-out columns, and against SciPy's normal density."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from sklearn.linear_model import Ridge

from m3h.experiments.search.surrogate import (
    FOLDS,
    Observed,
    TaskSurrogate,
    Widths,
    fit_widths,
    promising,
)

Floats = NDArray[np.float64]
TASKS, WIDTHS = 6, Widths(effect=0.5, pair=0.2, size=0.1, noise=0.3)


def columns(others: NDArray[np.bool_], widths: Widths) -> Floats:
    """One column per task, per pair and for the size, each as wide as its prior's deviation."""
    single = others.astype(float)
    pairs = [single[:, a] * single[:, b] for a, b in itertools.combinations(range(others.shape[1]), 2)]
    parts = [single * widths.effect**0.5, np.stack(pairs, 1) * widths.pair**0.5]
    return np.hstack([*parts, single.sum(1, keepdims=True) * widths.size**0.5])


def some(seed: int = 0, rows: int = 30) -> Observed:
    random = np.random.default_rng(seed)
    others = random.random((rows, TASKS)) < 0.4
    others[:, 0] = False  # the task itself
    folds = random.integers(0, 3, rows)
    scores = 0.7 + 0.01 * random.normal(size=rows) + 0.02 * others[:, 1] + 0.05 * folds
    return Observed(others, folds, scores)


def standard(observed: Observed) -> tuple[Floats, float]:
    """Scores less their fold's median, over 1.4826 times the median distance from 0; and that spread."""
    medians = {fold: np.median(observed.scores[observed.folds == fold]) for fold in set(observed.folds.tolist())}
    centred = observed.scores - np.array([medians[fold] for fold in observed.folds.tolist()])
    spread = 1.4826 * float(np.median(np.abs(centred)))
    return np.clip(centred / spread, -5, 5), spread


def test_the_gains_are_those_of_a_ridge_regression() -> None:
    observed = some()
    y, spread = standard(observed)
    folds = np.eye(3)[observed.folds] * FOLDS**0.5
    ridge = Ridge(alpha=WIDTHS.noise, fit_intercept=False).fit(np.hstack([columns(observed.others, WIDTHS), folds]), y)
    new = np.array(list(itertools.product((False,), *[(False, True)] * (TASKS - 1))))
    expected = columns(new, WIDTHS) @ ridge.coef_[:-3] * spread
    mean, _ = TaskSurrogate(observed).gains(new, WIDTHS)
    np.testing.assert_allclose(mean, expected, atol=1e-9)
    assert mean[0] == 0  # the task alone gains nothing over itself


def test_the_deviations_are_those_of_the_normal_weights() -> None:
    observed = some(1)
    _, spread = standard(observed)
    design = np.hstack([columns(observed.others, WIDTHS), np.eye(3)[observed.folds] * FOLDS**0.5])
    posterior = np.linalg.inv(np.eye(design.shape[1]) + design.T @ design / WIDTHS.noise)
    new = np.array([[False, True, False, True, False, False], [False] * 6, [False, True, True, True, True, True]])
    wide = np.hstack([columns(new, WIDTHS), np.zeros((3, 3))])
    expected = np.sqrt(np.einsum("ij,jk,ik->i", wide, posterior, wide)) * spread
    _, deviation = TaskSurrogate(observed).gains(new, WIDTHS)
    np.testing.assert_allclose(deviation, expected, atol=1e-9)


def test_the_evidence_is_the_normal_density() -> None:
    observed = some(2)
    y, _ = standard(observed)
    widths = [WIDTHS, Widths(0.03, 0.0, 0.3, 1.0), Widths(3.0, 1.2, 0.03, 0.1)]
    expected = []
    for one in widths:
        design = np.hstack([columns(observed.others, one), np.eye(3)[observed.folds] * FOLDS**0.5])
        covariance = design @ design.T + one.noise * np.eye(len(y))
        expected.append(multivariate_normal(np.zeros(len(y)), covariance).logpdf(y))
    found = TaskSurrogate(observed).evidence(widths)
    np.testing.assert_allclose(found - found[0], np.array(expected) - expected[0], atol=1e-6)


def test_the_widths_follow_the_scores() -> None:
    random = np.random.default_rng(3)
    others = random.random((60, TASKS)) < 0.4
    others[:, 0] = False
    folds = np.zeros(60, dtype=np.int64)
    exact = 0.7 + others @ np.array([0, 0.01, -0.02, 0.03, 0.0, 0.01])
    noisy = 0.7 + 0.02 * random.normal(size=60)
    assert fit_widths([TaskSurrogate(Observed(others, folds, exact))]).noise == 1e-6
    of_noise = fit_widths([TaskSurrogate(Observed(others, folds, noisy))])
    assert of_noise.noise == 1.0 and of_noise.effect == 0.03


def test_one_wild_score_moves_little() -> None:
    observed = some(4)
    wild = Observed(observed.others, observed.folds, observed.scores.copy())
    wild.scores[0] = -1000.0
    calm, _ = TaskSurrogate(observed).gains(observed.others, WIDTHS)
    moved, _ = TaskSurrogate(wild).gains(observed.others, WIDTHS)
    assert np.abs(moved - calm).max() < 5 * 0.02


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.5, 0.5]])
def test_scores_that_do_not_differ_promise_nothing(scores: list[float]) -> None:
    others = np.eye(4, dtype=np.bool_)[1 : 1 + len(scores)]
    fit = TaskSurrogate(Observed(others, np.zeros(len(scores), dtype=np.int64), np.array(scores)))
    mean, deviation = fit.gains(np.ones((1, 4), dtype=np.bool_), WIDTHS)
    assert mean[0] == 0 and np.isfinite(deviation[0]) and deviation[0] > 0


def test_promising_sets_come_in_the_order_of_what_they_promise() -> None:
    observed = some(5)
    fit = TaskSurrogate(observed)
    found = promising(fit, 0, WIDTHS, largest=3, optimism=0.7)
    every = [(0, *more) for size in (1, 2) for more in itertools.combinations(range(1, TASKS), size)]
    assert sorted(found) == sorted(every)
    rows = np.array([[place != 0 and place in one for place in range(TASKS)] for one in found])
    mean, deviation = fit.gains(rows, WIDTHS)
    assert np.all(np.diff(mean + 0.7 * deviation) <= 1e-6 * fit.scale)
    narrow = promising(fit, 0, WIDTHS, largest=3, optimism=0.7, breadth=1)
    pairs = [one for one in narrow if len(one) == 2]
    assert all(set(pairs[0]) < set(one) for one in narrow if len(one) == 3) and len(narrow) == 5 + 4
