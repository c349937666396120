from __future__ import annotations

import numpy as np

from m3h.experiments.asking import Ask
from m3h.experiments.tim.games import Game, random_game


def test_a_game_by_hand() -> None:
    # the score of a: 1 with b, 2 with c, and 4 more with both
    pull = np.array([[0, 1.0, 2.0], [0, 0, 0], [0.5, 0, 0]])
    bend = np.zeros((3, 3, 3))
    bend[0, 1, 2] = 4
    game = Game(("a", "b", "c"), pull, bend)
    asks = [Ask(("a",)), Ask(("a", "b")), Ask(("a", "c")), Ask(("a", "b", "c"))]
    found = game.answer(asks)
    assert [found[ask]["a"] for ask in asks] == [0, 1, 2, 7]
    assert found[asks[3]] == {"a": 7, "b": 0, "c": 0.5}
    # adding b: 1 without c, 5 with c
    np.testing.assert_array_equal(game.value(0.5)[0], [np.nan, 3, 4])
    np.testing.assert_array_equal(game.value(0.0)[0], [np.nan, 1, 2])
    np.testing.assert_array_equal(game.value(1.0)[0], [np.nan, 5, 6])


def test_noise_belongs_to_the_ask() -> None:
    game = random_game(4, 3, training=1.0, level=1.0, replicate=1.0)
    asks = [Ask(game.tasks[:2], fold, replicate) for fold in (0, 1) for replicate in (0, 1)]
    found = game.answer(asks)
    assert game.answer(asks[::-1]) == found
    assert len({tuple(scores.values()) for scores in found.values()}) == 4


def test_noise_of_a_replicate_is_shared_by_its_trainings() -> None:
    level = random_game(3, 3, spread=0.0, common=0.0, level=2.0)
    found = level.answer([Ask(level.tasks[:2]), Ask(level.tasks), Ask(level.tasks, 0, 1)])
    one, two, other = (scores["task 0"] for scores in found.values())
    assert one == two != other
    pulls = random_game(3, 3, spread=0.0, common=0.0, replicate=2.0)
    found = pulls.answer([Ask(pulls.tasks[:2]), Ask(pulls.tasks), Ask(("task 0", "task 2"))])
    first, both, second = (scores["task 0"] for scores in found.values())
    assert abs(first + second - both) < 1e-12
    assert first != 0
