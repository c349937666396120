"""What intervals, flags and costs promise, on games with noise whose values are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from m3h.experiments.tim.design import design
from m3h.experiments.tim.games import random_game
from m3h.experiments.tim.interactions import Interactions
from m3h.experiments.tim.measure import measure
from m3h.experiments.tim.settings import Settings

Floats = NDArray[np.float64]


def coverage(found: Sequence[Interactions], true: Sequence[Floats]) -> float:
    inside = [
        ((one.low <= value) & (value <= one.high))[~np.isnan(value)] for one, value in zip(found, true, strict=True)
    ]
    return float(np.mean(np.concatenate(inside)))


def test_forty_four_tasks_with_noise() -> None:
    game = random_game(44, 2, training=1.0, level=1.0, replicate=0.3)
    found = measure(game.tasks, Settings(draws=200), 0, game.answer)
    off = ~np.eye(44, dtype=bool)
    assert np.corrcoef(found.tim[off], game.value()[off])[0, 1] > 0.93
    flagged = found.q[off] <= 0.05
    assert flagged.mean() > 0.2
    assert (np.sign(found.tim[off]) != np.sign(game.value()[off]))[flagged].mean() < 0.02
    assert 0.9 < coverage([found], [game.value()]) < 0.98


@pytest.mark.parametrize(
    ("settings", "noise"),
    [
        (Settings(), {}),
        (Settings(), {"bend": 0.4, "replicate": 0.4}),
        (Settings(), {"spread": 0.7, "saturation": 3.0, "replicate": 1.0}),
        (Settings(replicates=2, folds=2), {"replicate": 0.4}),
        (Settings(estimator="means"), {"spread": 0.3, "replicate": 0.5}),
        (Settings("pairs"), {}),
        (Settings("pairs"), {"replicate": 1.0}),
        (Settings("pairs", replicates=5), {"replicate": 0.5}),
    ],
)
def test_intervals_cover_and_flags_hold(settings: Settings, noise: dict[str, float]) -> None:
    games = [random_game(8, seed, training=1.0, level=1.0, **noise) for seed in range(8)]
    found = [measure(game.tasks, settings, game.seed, game.answer) for game in games]
    true = [game.value(0.0 if settings.method == "pairs" else 0.5) for game in games]
    assert 0.9 <= coverage(found, true) <= 0.985
    wrong = [(one.q <= 0.05) & (one.tim * value <= 0) for one, value in zip(found, true, strict=True)]
    assert np.mean(wrong) < 0.01


def test_intervals_of_exact_cover() -> None:
    games = [random_game(5, seed, bend=0.3, training=1.0, level=1.0, replicate=0.5) for seed in range(12)]
    found = [measure(game.tasks, Settings("exact"), 0, game.answer) for game in games]
    assert 0.9 <= coverage(found, [game.value() for game in games]) <= 0.985


def test_trainings_alone_do_not_show_what_replicates_do() -> None:
    # with effects that differ between replicates, one replicate's interval is about that replicate only
    games = [random_game(8, seed, training=0.3, replicate=1.0) for seed in range(6)]
    alone = [measure(game.tasks, Settings(replicates=1), 0, game.answer) for game in games]
    three = [measure(game.tasks, Settings(), 0, game.answer) for game in games]
    assert coverage(alone, [game.value() for game in games]) < 0.6
    assert coverage(three, [game.value() for game in games]) > 0.9


def test_flags_are_rare_where_nothing_is() -> None:
    games = [random_game(8, seed, common=0.0, spread=0.0, training=1.0, level=1.0, replicate=0.3) for seed in range(10)]
    for settings in (Settings(), Settings("pairs")):
        found = [measure(game.tasks, settings, game.seed, game.answer) for game in games]
        assert np.mean([(one.q <= 0.05).any() for one in found]) <= 0.1


def test_half_the_trainings_of_pairs_agree_better_with_the_banzhaf_value() -> None:
    def agreement(settings: Settings) -> float:
        every = []
        for game in games:
            found = measure(game.tasks, settings, game.seed, game.answer)
            rows = [spearmanr(np.delete(found.tim[i], i), np.delete(game.value()[i], i))[0] for i in range(8)]
            every.append(np.mean(rows))
        return float(np.mean(every))

    games = [random_game(8, seed, bend=0.3, training=1.0, level=1.0, replicate=0.3) for seed in range(8)]
    cost = [len(design(games[0].tasks, settings, 0)) for settings in (Settings(), Settings("pairs"))]
    assert cost[0] * 1.3 <= cost[1] / 2
    assert agreement(Settings(draws=10)) > agreement(Settings("pairs"))
