"""Scores of task sets: means over folds, the setting of a set, and asking once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from m3h.experiments.asking import Ask
from m3h.experiments.search.asked import Asked, value

NAN = float("nan")
PAIR = ("a", "b")


def asked(scores: dict[tuple[int, int], dict[str, float]], floor: dict[str, float] | None = None) -> Asked:
    """The pair a+b with these scores by (fold, setting)."""

    def answer(asks: Sequence[Ask]) -> dict[Ask, dict[str, float]]:
        return {ask: scores[ask.fold, ask.setting] for ask in asks}

    made = Asked(("a", "b"), answer, floor or {}, None)
    made.ask("step", [Ask(PAIR, fold=fold, setting=setting) for fold, setting in scores])
    return made


def test_a_fold_without_a_score_is_left_out() -> None:
    made = asked({(0, 0): {"a": 0.7, "b": NAN}, (1, 0): {"a": 0.9}, (2, 0): {}})
    assert math.isclose(made.score(PAIR, "a"), 0.8)
    assert math.isnan(made.score(PAIR, "b")) and value(made.score(PAIR, "b")) == -math.inf
    assert made.folds(PAIR, 0) == {0, 1, 2} and set(made.by_fold(PAIR, "a", 0)) == {0, 1}


def test_a_score_counts_no_less_than_its_floor_and_only_where_there_is_one() -> None:
    scores = {(0, 0): {"a": -9.0, "b": -9.0}, (1, 0): {"a": 0.5, "b": 0.5}}
    made = asked(scores, {"a": -1.0})
    assert made.score(PAIR, "a") == -0.25 and made.score(PAIR, "b") == -4.25


def test_the_setting_is_the_sets_and_the_score_the_tasks() -> None:
    # by hand: setting 0 has a 0.8, b 0.6, mean 0.70; setting 1 has a 0.7, b 0.9, mean 0.80
    scores = {
        (0, 0): {"a": 0.9, "b": 0.6},
        (1, 0): {"a": 0.7, "b": 0.6},
        (0, 1): {"a": 0.7, "b": 1.0},
        (1, 1): {"a": 0.7, "b": 0.8},
    }
    made = asked(scores)
    assert made.setting(PAIR) == 1
    assert math.isclose(made.score(PAIR, "a"), 0.7) and math.isclose(made.mean(PAIR, "a", 0), 0.8)


def test_of_equal_settings_the_first_and_a_setting_that_failed_loses() -> None:
    assert asked({(0, 0): {"a": 0.5}, (0, 1): {"a": 0.5}}).setting(PAIR) == 0
    assert asked({(0, 0): {}, (0, 1): {"a": -3.0}}).setting(PAIR) == 1
    assert asked({(0, 0): {}, (0, 1): {}}).setting(PAIR) == 0


def test_nothing_is_asked_twice() -> None:
    calls: list[list[Ask]] = []

    def answer(asks: Sequence[Ask]) -> dict[Ask, dict[str, float]]:
        calls.append(list(asks))
        return {ask: {"a": 1.0} for ask in asks}

    made = Asked(("a", "b"), answer, {}, None)
    assert made.ask("one", [Ask(("a",)), Ask(("a",)), Ask(PAIR)]) == {("a",), PAIR}
    assert made.ask("two", [Ask(("a",)), Ask(("a",), fold=1)]) == {("a",)}
    assert made.ask("three", [Ask(PAIR)]) == set()
    assert calls == [[Ask(("a",)), Ask(PAIR)], [Ask(("a",), fold=1)]] and made.trainings == 3


def test_ties_go_to_the_smaller_set_and_then_the_order_of_the_study() -> None:
    made = Asked(("z", "y", "x"), lambda asks: {}, {}, None)
    sets = [("y", "x"), ("z", "x"), ("z", "y", "x"), ("y",), ("z", "y")]
    assert sorted(sets, key=made.order) == [("y",), ("z", "y"), ("z", "x"), ("y", "x"), ("z", "y", "x")]
    assert made.ordered({"x", "z"}) == ("z", "x")
