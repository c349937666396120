"""Comparing two models on the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from m3h.core.errors import DataError
from m3h.evaluation.compare import difference
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.scores import Prediction, score

ROWS = 400
RANDOM = np.random.default_rng(11)
TRUTH = (RANDOM.random(ROWS) < 0.4).astype(float)
SIGNAL = TRUTH + RANDOM.normal(size=ROWS)
DRAWS = patient_draws(np.array([f"p{row // 2:03}" for row in range(ROWS)]), 5, 300)


def probabilities(noise, seed=0):
    logits = SIGNAL + noise * np.random.default_rng(seed).normal(size=ROWS)
    return Prediction(values=1 / (1 + np.exp(-logits)))


def test_difference_is_a_minus_b_in_points_and_in_percent_of_b():
    a, b = probabilities(0.1), probabilities(2.0)
    found = difference("binary", TRUTH, a, b, draws=DRAWS)
    of_a, of_b = roc_auc_score(TRUTH, a.values), roc_auc_score(TRUTH, b.values)
    assert found.metric == "auroc"
    assert found.difference == pytest.approx(of_a - of_b)
    assert found.relative == pytest.approx((of_a - of_b) / of_b * 100)
    assert 0 < found.low < found.difference < found.high


def test_interval_is_that_of_the_draws_scored_one_by_one():
    a, b = probabilities(0.5), probabilities(1.0, seed=1)
    found = difference("binary", TRUTH, a, b, draws=DRAWS)
    gaps = [
        roc_auc_score(TRUTH.repeat(draw), a.values.repeat(draw))
        - roc_auc_score(TRUTH.repeat(draw), b.values.repeat(draw))
        for draw in DRAWS
    ]
    np.testing.assert_allclose([found.low, found.high], np.percentile(gaps, (2.5, 97.5)), atol=1e-12)


def test_pairing_narrows_the_interval_of_models_that_agree():
    a, b = probabilities(0.10), probabilities(0.15)
    found = difference("binary", TRUTH, a, b, draws=DRAWS)
    own = score("binary", TRUTH, a, draws=DRAWS, seed=0)[0]
    assert found.high - found.low < 0.5 * (own.high - own.low)


def test_a_model_against_itself_is_nothing_and_swapping_turns_the_sign():
    a, b = probabilities(0.1), probabilities(2.0)
    same = difference("binary", TRUTH, a, a, draws=DRAWS)
    assert (same.difference, same.relative, same.low, same.high) == (0, 0, 0, 0)
    forth, back = difference("binary", TRUTH, a, b, draws=DRAWS), difference("binary", TRUTH, b, a, draws=DRAWS)
    assert (forth.difference, forth.low, forth.high) == pytest.approx((-back.difference, -back.high, -back.low))


def test_percent_of_a_negative_score_keeps_the_sign_of_the_gain_and_of_zero_is_nan():
    truth = np.array([1.0, 2.0, 3.0])
    worse = Prediction(values=np.array([3.0, 2.0, 1.0]))  # R2 = 1 - 8/2 = -3
    mean = Prediction(values=np.full(3, 2.0))  # R2 = 0
    perfect = Prediction(values=truth)
    assert difference("regression", truth, perfect, worse, draws=None).relative == pytest.approx(400 / 3)
    against_zero = difference("regression", truth, perfect, mean, draws=None)
    assert against_zero.difference == 1 and np.isnan(against_zero.relative)


@pytest.mark.parametrize("score", [-0.06, -0.04, 0.001, 0.049, 0.051, 0.4])
def test_nothing_is_told_in_percent_of_next_to_nothing(score):
    """R2 of 0.001 would make a gain of 0.1 one of 10,000 %."""
    truth = np.tile([1.0, -1.0], 50)
    a, b = (Prediction(values=truth * (1 - np.sqrt(1 - r2))) for r2 in (score + 0.1, score))
    found = difference("regression", truth, a, b, draws=None)
    assert found.difference == pytest.approx(0.1)
    expected = 100 * 0.1 / abs(score) if abs(score) >= 0.05 else np.nan
    assert found.relative == pytest.approx(expected, nan_ok=True)


def test_an_auroc_has_a_percentage_however_small():
    truth = np.array([1.0] + [0.0] * 50)
    low = Prediction(values=np.r_[0.5, np.full(49, 0.6), 0.4])  # above one of fifty: 0.02
    found = difference("binary", truth, Prediction(values=np.r_[0.9, np.full(50, 0.1)]), low, draws=None)
    assert found.relative == pytest.approx(100 * 0.98 / 0.02)


def test_differences_without_draws_have_no_interval():
    truth = np.array([1.0, 2.0, 3.0])
    mean = Prediction(values=np.full(3, 2.0))
    against_zero = difference("regression", truth, Prediction(values=truth), mean, draws=None)
    assert np.isnan([against_zero.low, against_zero.high]).all()


def test_unlabelled_rows_count_nowhere():
    known = np.arange(ROWS) % 3 > 0
    a, b = probabilities(0.1), probabilities(2.0)
    holes = difference("binary", np.where(known, TRUTH, np.nan), a, b, draws=DRAWS)
    assert holes == difference("binary", TRUTH[known], a.at(known), b.at(known), draws=DRAWS[:, known])
    nothing = difference("binary", np.full(ROWS, np.nan), a, b, draws=DRAWS)
    assert np.isnan([nothing.difference, nothing.relative, nothing.low, nothing.high]).all()


def test_clusterings_meet_in_the_space_that_none_learned():
    random = np.random.default_rng(0)
    fixed = np.array([[0.0], [1.0], [5.0], [6.0]])
    latent = random.normal(size=(4, 2))
    good = Prediction(clusters=np.array([0, 0, 1, 1]), latent=latent, fixed=fixed, reconstruction=np.ones(4))
    poor = Prediction(clusters=np.array([0, 1, 0, 1]), latent=fixed, fixed=fixed, reconstruction=np.zeros(4))
    found = difference("clustering", np.zeros(4), good, poor, draws=None)
    assert found.metric == "silhouette_fixed"
    # rows 0 and 6 of the poor one: a = 5, b = (1 + 6) / 2, (3.5 - 5) / 5; rows 1 and 5: a = 5, b = (1 + 4) / 2
    of_good, of_poor = (4.5 / 5.5 + 3.5 / 4.5) / 2, (-1.5 / 5 - 2.5 / 5) / 2
    assert found.difference == pytest.approx(of_good - of_poor)


def test_draws_of_other_rows_are_refused():
    with pytest.raises(DataError, match="draws of shape"):
        difference("binary", TRUTH, probabilities(1), probabilities(2), draws=DRAWS[:, 1:])
