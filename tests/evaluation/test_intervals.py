"""Bootstraps: patients stay whole, draws are the same for all, and the numbers are the textbook's."""

from __future__ import annotations

import numpy as np
import pytest

from m3h.core import seeds
from m3h.evaluation import intervals, metrics
from m3h.evaluation.intervals import interval, paper_sd, patient_draws

PATIENTS = np.array(["ann", "bob", "ann", "cyd", "dan", "bob", "bob"])


def test_rows_of_one_patient_come_together():
    draws = patient_draws(PATIENTS, seed=3, draws=200)
    assert draws.shape == (200, 7) and draws.dtype == np.uint16
    np.testing.assert_array_equal(draws[:, 0], draws[:, 2])
    np.testing.assert_array_equal(draws[:, 1], draws[:, 6])
    first_rows = draws[:, [0, 1, 3, 4]]
    assert (first_rows.sum(axis=1) == 4).all()  # as many patients as there are


def test_a_patient_comes_as_often_as_chance_says():
    draws = patient_draws(np.array([f"p{number:02}" for number in range(30)]), seed=0, draws=4000)
    # binomial(30, 1/30): mean 1, variance 29/30; four standard errors of 120,000 draws
    assert draws.mean() == 1.0
    assert draws.astype(float).var() == pytest.approx(29 / 30, abs=0.03)
    assert np.abs(draws.mean(axis=0) - 1).max() < 4 * np.sqrt(29 / 30 / 4000)


def test_draws_follow_the_patient_not_the_row_and_the_seed():
    order = np.array([6, 2, 0, 5, 1, 3, 4])
    np.testing.assert_array_equal(patient_draws(PATIENTS[order], 3, 50), patient_draws(PATIENTS, 3, 50)[:, order])
    assert (patient_draws(PATIENTS, 3, 50) != patient_draws(PATIENTS, 4, 50)).any()
    np.testing.assert_array_equal(patient_draws(PATIENTS, 3, 50), patient_draws(PATIENTS, 3, 80)[:50])
    assert patient_draws(PATIENTS[:0], 3, 5).shape == (5, 0)


def test_interval_is_the_middle_95_percent_of_what_could_be_scored():
    assert interval(np.arange(1001.0)) == (25.0, 975.0)
    assert interval(np.append(np.arange(1001.0), np.full(1000, np.nan))) == (25.0, 975.0)
    assert np.isnan(interval(np.append(np.arange(10.0), np.full(11, np.nan)))).all()
    assert np.isnan(interval(np.zeros(0))).all()


def test_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(0).normal(size=900)
    draws = patient_draws(np.array([f"{row:04}" for row in range(900)]), seed=1, draws=2000)
    low, high = interval(metrics.mean(values, draws))
    error = values.std() / 30
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_paper_sd_is_the_spread_of_five_draws_of_nine_tenths_of_the_rows():
    seen = []
    values = np.arange(50.0)

    def score(draws):
        seen.append(draws)
        return metrics.mean(values, draws)

    found = paper_sd(score, 50, seed=1)
    (draws,) = seen
    assert draws.shape == (5, 50) and (draws.sum(axis=1) == 45).all() and draws.max() > 1
    by_hand = [values.repeat(draw).mean() for draw in draws]
    assert found == pytest.approx(np.sqrt(np.mean((by_hand - np.mean(by_hand)) ** 2)))
    assert found == paper_sd(score, 50, seed=1) != paper_sd(score, 50, seed=2)


def test_paper_sd_without_replacement_copies_no_row():
    seen = []

    def score(draws):
        seen.append(draws)
        return draws[:, 0].astype(float)

    paper_sd(score, 20, seed=1, replacement=False)
    assert seen[0].max() == 1 and (seen[0].sum(axis=1) == 18).all()


def test_paper_sd_draws_again_where_a_class_is_missing_but_not_for_ever():
    truth, score = np.zeros(10), np.arange(10.0)
    truth[3] = 1  # 39 % of the draws lack the only positive row
    random = seeds.generator(0, "bootstrap", "paper")
    kept = []
    while len(kept) < 5:
        rows = random.integers(0, 10, size=9)
        kept += [metrics.auroc(truth[rows], score[rows])[0]] if 3 in rows else []
    assert paper_sd(lambda draws: metrics.auroc(truth, score, draws), 10, seed=0) == pytest.approx(np.std(kept))
    assert np.isnan(paper_sd(lambda draws: np.full(len(draws), np.nan), 10, seed=0))
    assert np.isnan(paper_sd(lambda draws: np.zeros(len(draws)), 0, seed=0))
    assert intervals.PAPER_DRAWS == 5
