"""Beds: against stays whose law is known."""

from __future__ import annotations

import numpy as np
import pytest

from m3h.core.errors import DataError
from m3h.evaluation.beds import Known, forecast, validate

DAYS = (0, 1, 2, 3, 5, 7, 10, 14)


def _names(count: int, first: int = 0) -> np.ndarray:
    return np.array([f"p{number + first:05d}" for number in range(count)])


def _made(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    """Means of exponential stays, the stays, and who died: the sicker the likelier."""
    random = np.random.default_rng(seed)
    mean = np.exp(random.normal(1.2, 0.8, count))
    return mean, random.exponential(mean), (random.random(count) < mean / (mean + 20)).astype(float), random


def test_expected_beds_are_those_of_the_law() -> None:
    mean, stay, _, _ = _made(6000, 0)
    known = Known.of(mean, stay, None, _names(6000))
    new = np.exp(np.random.default_rng(1).normal(1.2, 0.8, 400))
    told = forecast(known, new, DAYS, draws=50)
    law = np.exp(-np.asarray(DAYS)[:, None] / new).sum(1)
    np.testing.assert_allclose(told.occupied, law, atol=0.03 * 400)
    assert told.occupied[0] == 400
    assert (np.diff(told.occupied) <= 0).all()
    assert np.isnan(told.died).all()


def test_intervals_hold_as_often_as_they_say_and_forecasts_beat_the_usual_stay() -> None:
    mean, stay, _, _ = _made(1500, 2)
    new, happened, _, _ = _made(600, 3)
    known = Known.of(mean, stay, None, _names(1500))
    found = validate(known, new, happened, _names(600, 9000), DAYS[1:], beds=25, wards=80)
    assert (found.coverage > 0.84).all()
    assert (found.error[:6] < found.plain[:6]).all()
    np.testing.assert_allclose(found.forecast, found.observed, atol=1.5)


def test_predictions_that_say_nothing_give_the_stays_of_all() -> None:
    _, stay, _, _ = _made(150, 4)
    known = Known.of(np.zeros(150), stay, None, _names(150))
    near = known.neighbours(np.zeros(3))
    assert near.shape == (3, 30)
    told = forecast(known, np.zeros(10), (2.0,), draws=400)
    assert told.low[0] < 10 * (stay > 2).mean() < told.high[0]


def test_who_leaves_dies_or_lives() -> None:
    mean, stay, died, _ = _made(3000, 5)
    known = Known.of(np.stack([mean, mean / (mean + 20)], 1), stay, died, _names(3000))
    new = np.array([[2.0, 2 / 22], [12.0, 12 / 32]]).repeat(50, 0)
    told = forecast(known, new, (1000.0,), draws=20)
    assert told.occupied[0] == 0
    assert told.died[0] + told.left[0] == pytest.approx(100)
    assert told.died[0] == pytest.approx(50 * (2 / 22 + 12 / 32), abs=6)


def test_the_order_of_the_known_changes_no_mean_and_units_change_nothing() -> None:
    mean, stay, died, random = _made(500, 6)
    new = mean[:40] * 1.01
    order = random.permutation(500)
    first = forecast(Known.of(mean, stay, died, _names(500)), new, DAYS, draws=20)
    mixed = forecast(Known.of(mean[order], stay[order], died[order], _names(500)[order]), new, DAYS, draws=20)
    np.testing.assert_allclose(first.occupied, mixed.occupied, atol=1e-9)
    scaled = forecast(Known.of(mean * 24, stay, died, _names(500)), new * 24, DAYS, draws=20)
    np.testing.assert_array_equal(first.occupied, scaled.occupied)
    np.testing.assert_array_equal(first.high, scaled.high)


def test_what_cannot_be_forecast_is_said() -> None:
    with pytest.raises(DataError, match="no stay is known"):
        Known.of(np.zeros(3), np.full(3, np.nan), None, _names(3))
    known = Known.of(np.zeros(3), np.arange(3.0), None, _names(3))
    with pytest.raises(DataError, match="other tasks"):
        forecast(known, np.zeros((2, 2)), DAYS)
    with pytest.raises(DataError, match="not a forecast"):
        forecast(known, np.zeros(2), (-1.0,))
    with pytest.raises(DataError, match="too few patients"):
        validate(known, np.zeros(2), np.ones(2), _names(2), DAYS)
