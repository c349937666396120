"""The planted games: gains by hand, and noise as it is said to be."""

from __future__ import annotations

import numpy as np
import pytest

from m3h.experiments.asking import Ask
from m3h.experiments.search.games import Planted, clustered


def three(**more: float) -> Planted:
    effects = np.array([[0.0, 0.02, -0.01], [0.0, 0.0, 0.0], [0.01, 0.01, 0.0]])
    synergies = np.zeros((3, 3, 3))
    synergies[2, 0, 1] = 0.005
    return Planted(("a", "b", "c"), np.array([0.7, 0.8, 0.9]), effects, synergies, **more)  # type: ignore[arg-type]


def test_gains_by_hand() -> None:
    game = three(room=0.04, dilution=0.002)
    assert game.gain(("a",), "a") == 0
    assert game.gain(("a", "b"), "a") == pytest.approx(0.04 * (1 - np.exp(-0.5)) - 0.002)
    assert game.gain(("a", "c"), "a") == pytest.approx(-0.012)
    assert game.gain(("a", "b", "c"), "c") == pytest.approx(0.04 * (1 - np.exp(-0.025 / 0.04)) - 0.004)
    assert game.best("a", 3) == (("a", "b"), game.gain(("a", "b"), "a"))
    assert game.best("b", 3) == (("b",), 0.0)


def test_noise_has_its_size_and_is_shared_in_part() -> None:
    game = three(noise=0.01, shared=0.25, fold_spread=0.0)
    asks = [Ask(tasks, replicate=number) for number in range(1500) for tasks in (("a", "b"), ("a", "c"))]
    scores = np.array([found["a"] for found in game.answer(asks).values()]).reshape(1500, 2)
    truth = [0.7 + game.gain(tasks, "a") for tasks in (("a", "b"), ("a", "c"))]
    np.testing.assert_allclose(scores.mean(0), truth, atol=4 * 0.01 / 1500**0.5)
    np.testing.assert_allclose(scores.std(0), 0.01, rtol=0.1)
    assert np.corrcoef(scores.T)[0, 1] == pytest.approx(0.25, abs=0.08)


def test_the_same_ask_gets_the_same_answer_whatever_its_order() -> None:
    game = clustered(8, 0)
    first, second = Ask(("task01", "task04")), Ask(("task04", "task01"))
    assert game.answer([first])[first] == game.answer([second])[second] != game.answer([Ask(("task01",))])
