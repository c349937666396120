"""Scores: every kind gives every metric of its kind; unlabelled rows count nowhere."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score, silhouette_score

from m3h.core.errors import DataError
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.scores import Prediction, Score, score
from m3h.study.task import METRICS

ROWS = 120
PATIENTS = np.array([f"p{row // 2:03}" for row in range(ROWS)])
DRAWS = patient_draws(PATIENTS, 5, 200)


def example(kind):
    random = np.random.default_rng(7)
    noise = random.normal(size=ROWS)
    if kind == "binary":
        truth = (noise > 0.5).astype(float)
        return truth, Prediction(values=1 / (1 + np.exp(-noise - random.normal(size=ROWS))))
    if kind == "multiclass":
        truth = random.integers(0, 3, size=ROWS).astype(float)
        raw = random.random((ROWS, 3)) + 0.5 * np.eye(3)[truth.astype(int)]
        return truth, Prediction(values=raw / raw.sum(axis=1, keepdims=True))
    if kind == "regression":
        return noise, Prediction(values=noise + random.normal(size=ROWS))
    found = random.integers(0, 3, size=ROWS)
    latent = random.normal(size=(ROWS, 2)) + 3 * found[:, None]
    return np.zeros(ROWS), Prediction(
        clusters=found, latent=latent, fixed=latent + 2 * random.normal(size=(ROWS, 2)), reconstruction=noise**2
    )


@pytest.mark.parametrize("kind", sorted(METRICS))
def test_every_metric_of_the_kind_with_value_inside_its_interval(kind):
    truth, prediction = example(kind)
    scores = score(kind, truth, prediction, draws=DRAWS, seed=1)
    assert tuple(one.metric for one in scores) == METRICS[kind]
    for one in scores:
        assert one.low < one.value < one.high
        assert 0 < one.sd_paper < one.high - one.low
        assert one.n == ROWS


@pytest.mark.parametrize("kind", sorted(METRICS))
def test_unlabelled_rows_count_nowhere(kind):
    truth, prediction = example(kind)
    known = np.random.default_rng(0).random(ROWS) < 0.7
    holes = np.where(known, truth, np.nan)
    with_holes = score(kind, holes, prediction, draws=DRAWS, seed=1)
    without = score(kind, truth[known], prediction.at(known), draws=DRAWS[:, known], seed=1)
    assert with_holes == without
    assert with_holes[0].n == known.sum()


@pytest.mark.parametrize("kind", sorted(METRICS))
def test_nothing_labelled_is_nothing_scored(kind):
    _, prediction = example(kind)
    for one in score(kind, np.full(ROWS, np.nan), prediction, draws=DRAWS, seed=1):
        assert np.isnan([one.value, one.low, one.high, one.sd_paper]).all() and one.n == 0


def test_values_are_scikit_learns():
    truth, prediction = example("binary")
    assert score("binary", truth, prediction, draws=None, seed=1)[0].value == pytest.approx(
        roc_auc_score(truth, prediction.values)
    )
    truth, prediction = example("regression")
    assert score("regression", truth, prediction, draws=None, seed=1)[0].value == pytest.approx(
        r2_score(truth, prediction.values)
    )
    truth, prediction = example("clustering")
    learned, fixed, error = score("clustering", truth, prediction, draws=None, seed=1)
    assert learned.value == pytest.approx(silhouette_score(prediction.latent, prediction.clusters))
    assert fixed.value == pytest.approx(silhouette_score(prediction.fixed, prediction.clusters))
    assert error.value == pytest.approx(prediction.reconstruction.mean())
    assert np.isnan([learned.low, learned.high]).all() and learned.sd_paper > 0


def test_bootstrap_of_a_silhouette_averages_the_rows_silhouettes():
    truth, prediction = example("clustering")
    whole = score("clustering", truth, prediction, draws=DRAWS, seed=1)[0]
    same = np.ones((4, ROWS), dtype=np.uint16)
    once = score("clustering", truth, prediction, draws=same, seed=1)[0]
    twice = score("clustering", truth, prediction, draws=2 * same, seed=1)[0]
    assert once.low == once.high == twice.low == pytest.approx(whole.value)


def test_one_cluster_or_a_diverged_network_is_an_empty_score_beside_the_others():
    truth, prediction = example("clustering")
    alone = Prediction(np.zeros(ROWS), np.zeros(ROWS, dtype=int), prediction.latent, prediction.fixed, np.ones(ROWS))
    learned, fixed, error = score("clustering", truth, alone, draws=DRAWS, seed=1)
    assert np.isnan(learned.value) and np.isnan(fixed.value) and error.value == 1
    truth, _ = example("binary")
    diverged = score("binary", truth, Prediction(values=np.full(ROWS, np.nan)), draws=DRAWS, seed=1)
    assert all(np.isnan(one.value) for one in diverged)
    assert isinstance(diverged[0], Score)


def test_what_does_not_fit_is_refused():
    truth, prediction = example("binary")
    with pytest.raises(DataError, match="prediction values: 120 rows"):
        score("binary", truth[1:], prediction, draws=None, seed=1)
    with pytest.raises(DataError, match="draws of shape"):
        score("binary", truth, prediction, draws=DRAWS[:, 1:], seed=1)
    with pytest.raises(DataError, match="the prediction has no clusters"):
        score("clustering", truth, prediction, draws=None, seed=1)
