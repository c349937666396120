"""The methods against definitions, closed forms and each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.experiments.asking import Ask, Scores
from m3h.experiments.tim.design import design
from m3h.experiments.tim.games import Game, random_game
from m3h.experiments.tim.measure import estimate, measure
from m3h.experiments.tim.settings import Settings, set_weights

Floats = NDArray[np.float64]
METHODS = (Settings("exact"), Settings("pairs"), Settings("shared"), Settings("shared", estimator="means"))


def wild(asks: Sequence[Ask]) -> dict[Ask, Scores]:
    """Scores without any structure: one number for every set and task."""
    found = {}
    for ask in asks:
        own = seeds.generator(7, "wild", "+".join(ask.tasks)).standard_normal(len(ask.tasks))
        found[ask] = dict(zip(ask.tasks, (own + 0.3 * len(ask.tasks) ** 2).tolist(), strict=True))
    return found


def by_definition(
    tasks: Sequence[str], answer: Callable[[Sequence[Ask]], dict[Ask, Scores]], p: float, limit: int
) -> Floats:
    """The mean over S of f_i(S + i + j) - f_i(S + i), S weighing p^|S| (1 - p)^(M - 2 - |S|), |S| up to limit - 2."""

    def score(chosen: set[str], source: str) -> float:
        ask = Ask(tuple(name for name in tasks if name in chosen))
        return answer([ask])[ask][source]

    true = np.full((len(tasks), len(tasks)), np.nan)
    for (i, source), (j, target) in itertools.permutations(enumerate(tasks), 2):
        rest = [name for name in tasks if name not in (source, target)]
        total = weights = 0.0
        for size in range(min(limit - 2, len(rest)) + 1):
            for chosen in itertools.combinations(rest, size):
                weight = p**size * (1 - p) ** (len(rest) - size)
                step = score({*chosen, source, target}, source) - score({*chosen, source}, source)
                total, weights = total + weight * step, weights + weight
        true[i, j] = total / weights
    return true


@pytest.mark.parametrize(("inclusion", "limit"), [(0.5, None), (0.5, 4), (0.3, None), (0.3, 4), (0.5, 2)])
def test_exact_is_the_definition(inclusion: float, limit: int | None) -> None:
    tasks = ("a", "b", "c", "d", "e", "f")
    found = measure(tasks, Settings("exact", inclusion=inclusion, limit=limit), 0, wild)
    np.testing.assert_allclose(found.tim, by_definition(tasks, wild, inclusion, limit or 6), atol=1e-12)


def test_pairs_are_the_definition_with_nobody_else() -> None:
    tasks = ("a", "b", "c", "d")
    found = measure(tasks, Settings("pairs"), 0, wild)
    np.testing.assert_allclose(found.tim, by_definition(tasks, wild, 0.5, 2), atol=1e-12)


@pytest.mark.parametrize(("inclusion", "limit"), [(0.5, None), (0.5, 4), (0.3, None), (0.3, 4), (0.5, 2)])
def test_means_of_all_sets_are_the_definition(inclusion: float, limit: int | None) -> None:
    tasks = ("a", "b", "c", "d", "e", "f", "g")
    settings = Settings(estimator="means", inclusion=inclusion, limit=limit, sets=128, replicates=1)
    found = measure(tasks, settings, 0, wild)
    np.testing.assert_allclose(found.tim, by_definition(tasks, wild, inclusion, limit or 7), atol=1e-9)


@pytest.mark.parametrize(("inclusion", "limit"), [(0.5, None), (0.5, 4), (0.3, None), (0.3, 4)])
def test_least_squares_under_the_drawing_law_is_the_definition(inclusion: float, limit: int | None) -> None:
    # the claim that the ridge rests on, by numpy's least squares and without any penalty
    tasks = ("a", "b", "c", "d", "e", "f", "g")
    upto = limit or 7
    settings = Settings(inclusion=inclusion, limit=limit)
    weights = set_weights(7, settings)
    chosen = [one for size in range(upto) for one in itertools.combinations(tasks[1:], size)]
    asks = [Ask((tasks[0], *one)) for one in chosen]
    score = np.array([scores["a"] for scores in wild(asks).values()])
    root = np.sqrt([weights[len(one)] for one in chosen])
    inside = np.array([[float(name in one) for name in tasks[1:]] for one in chosen])
    sizes = np.array([[float(len(one) == size) for size in range(upto)] for one in chosen])
    fixed = sizes if limit else np.ones((len(chosen), 1))
    beta = np.linalg.lstsq(root[:, None] * np.hstack([fixed, inside]), root * score, rcond=None)[0]
    level, slope = beta[: fixed.shape[1]], beta[fixed.shape[1] :]
    true = by_definition(tasks, wild, inclusion, upto)[0, 1:]
    if limit:
        masses = np.array(
            [inclusion**s * (1 - inclusion) ** (5 - s) * [1, 5, 10, 10, 5, 1][s] for s in range(limit - 1)]
        )
        slope = slope + (masses / masses.sum()) @ np.diff(level)
    np.testing.assert_allclose(slope, true, atol=1e-10)


@pytest.mark.parametrize(("inclusion", "limit"), [(0.5, None), (0.5, 4), (0.3, None), (0.5, 3)])
def test_the_ridge_comes_close_to_the_definition(inclusion: float, limit: int | None) -> None:
    game = random_game(7, 2, bend=0.3, saturation=2.0)
    settings = Settings(inclusion=inclusion, limit=limit, replicates=3, sets=60)
    found = measure(game.tasks, settings, 0, game.answer)
    true = by_definition(game.tasks, game.answer, inclusion, limit or 7)
    off = ~np.eye(7, dtype=bool)
    assert np.sqrt(np.mean((found.tim - true)[off] ** 2)) < 0.15 * true[off].std()


@pytest.mark.parametrize("settings", METHODS)
def test_additive_games_are_measured_as_planted(settings: Settings) -> None:
    game = random_game(6, 1)
    found = measure(game.tasks, replace(settings, sets=32), 0, game.answer)
    # the means of random sets leave the other tasks' imbalance in; all others are exact
    np.testing.assert_allclose(found.tim, game.value(), atol=0.8 if settings.estimator == "means" else 1e-5)
    assert (found.method, found.tasks) == (settings.method, game.tasks)


def test_games_of_pairs_have_their_closed_forms() -> None:
    game = random_game(7, 4, bend=0.5)
    assert np.allclose(measure(game.tasks, Settings("exact"), 0, game.answer).tim, game.value(0.5), equal_nan=True)
    assert np.allclose(measure(game.tasks, Settings("pairs"), 0, game.answer).tim, game.value(0.0), equal_nan=True)
    shared = measure(game.tasks, Settings(sets=64), 0, game.answer)
    off = ~np.eye(7, dtype=bool)
    assert np.corrcoef(shared.tim[off], game.value()[off])[0, 1] > 0.98


def test_a_threshold_game_by_hand() -> None:
    # the score of a is 1 as soon as two others are there. Of the 8 S among c, d, e adding b matters for the three of
    # one task: 3/8; with pairs never. With at most three tasks a set: S of up to one, 3 of 4.
    tasks = ("a", "b", "c", "d", "e")

    def answer(asks: Sequence[Ask]) -> dict[Ask, Scores]:
        return {ask: {name: float(name == "a" and len(ask.tasks) > 2) for name in ask.tasks} for ask in asks}

    for settings, expected in (
        (Settings("exact"), 3 / 8),
        (Settings("exact", limit=3), 3 / 4),
        (Settings("exact", inclusion=0.25), 27 / 64),
        (Settings("pairs"), 0.0),
        (Settings(sets=32, estimator="means"), 3 / 8),
        (Settings(sets=32), 3 / 8),
        (Settings(sets=32, limit=3, estimator="means"), 3 / 4),
    ):
        found = measure(tasks, settings, 0, answer)
        np.testing.assert_allclose(found.tim[0, 1:], expected, atol=1e-5)
        np.testing.assert_allclose(found.tim[1:][~np.eye(5, dtype=bool)[1:]], 0.0, atol=1e-9)


def test_forty_four_tasks_without_noise_are_exact() -> None:
    game = random_game(44, 1)
    found = measure(game.tasks, Settings(draws=50), 0, game.answer)
    np.testing.assert_allclose(found.tim, game.value(), atol=1e-5)
    pairs = measure(game.tasks, Settings("pairs", replicates=1), 0, game.answer)
    np.testing.assert_allclose(pairs.tim, game.value(), atol=1e-12)


@pytest.mark.parametrize("settings", METHODS)
def test_missing_scores_are_left_out_and_not_counted(settings: Settings) -> None:
    game = random_game(5, 1, training=0.1, level=1.0)
    asks = design(game.tasks, settings, 0)
    whole = estimate(game.tasks, settings, 0, game.answer(asks))
    scores = dict(game.answer(asks))
    failed = next(ask for ask in asks if len(ask.tasks) == 2)
    del scores[failed]
    half = [ask for ask in asks if game.tasks[4] in ask.tasks][-1]
    scores[half] = {**scores[half], game.tasks[4]: float("nan")}
    found = estimate(game.tasks, settings, 0, scores)
    lost = whole.trials - found.trials
    off = ~np.eye(5, dtype=bool)
    assert lost[off].min() == 0
    assert lost[off].max() > 0
    touched = {*(game.tasks.index(name) for name in failed.tasks), 4}
    for source in set(range(5)) - touched:
        assert found.tim[source, off[source]].tobytes() == whole.tim[source, off[source]].tobytes()
    assert np.isfinite(found.tim[off]).all()
    np.testing.assert_allclose(found.tim[off], whole.tim[off], atol=2.0)


@pytest.mark.parametrize("settings", METHODS)
def test_a_task_that_is_never_scored_has_no_values(settings: Settings) -> None:
    game = random_game(4, 1, training=0.1)

    def answer(asks: Sequence[Ask]) -> dict[Ask, Scores]:
        found = game.answer(asks)
        return {ask: {name: found[ask][name] for name in ask.tasks if name != "task 2"} for ask in asks}

    found = measure(game.tasks, settings, 0, answer)
    assert np.isnan([found.tim[2], found.low[2], found.high[2], found.q[2]]).all()
    assert np.nansum(found.trials[2]) == 0
    assert np.isfinite(found.tim[0, 1:]).all()


@pytest.mark.parametrize("settings", METHODS)
def test_a_target_whose_trainings_all_failed_has_no_values(settings: Settings) -> None:
    game = random_game(4, 1, training=0.1)

    def answer(asks: Sequence[Ask]) -> dict[Ask, Scores]:
        return {ask: scores for ask, scores in game.answer(asks).items() if "task 3" not in ask.tasks}

    found = measure(game.tasks, settings, 0, answer)
    assert np.isnan([*found.tim[:, 3], *found.tim[3], *found.q[:, 3]]).all()
    measured = found.tim[:3, :3][~np.eye(3, dtype=bool)]
    assert np.isfinite(measured).all() or settings.method == "shared"


@pytest.mark.parametrize("settings", METHODS)
def test_no_scores_at_all(settings: Settings) -> None:
    found = measure(("a", "b", "c"), settings, 0, lambda asks: {ask: {} for ask in asks})
    assert np.isnan([found.tim, found.low, found.high, found.q]).all()
    assert np.nansum(found.trials) == 0


def test_scores_that_never_change_are_no_effect() -> None:
    for settings in METHODS:
        found = measure(
            ("a", "b", "c", "d"), settings, 0, lambda asks: {ask: dict.fromkeys(ask.tasks, 0.7) for ask in asks}
        )
        off = ~np.eye(4, dtype=bool)
        np.testing.assert_allclose(found.tim[off], 0.0, atol=1e-12)
        assert (found.q[off] > 0.05).all()


def test_one_replicate_of_pairs_says_nothing_of_its_error() -> None:
    game = random_game(4, 1, training=1.0)
    found = measure(game.tasks, Settings("pairs", replicates=1), 0, game.answer)
    off = ~np.eye(4, dtype=bool)
    assert np.isfinite(found.tim[off]).all()
    assert np.isnan([found.low, found.high, found.q]).all()
    exact = measure(game.tasks, Settings("exact", replicates=1), 0, game.answer)
    assert np.isfinite([exact.low[off], exact.high[off], exact.q[off]]).all()


def test_trials_are_the_trainings_that_count() -> None:
    game = random_game(4, 1)
    off = ~np.eye(4, dtype=bool)
    for settings, expected in (
        (Settings("pairs", replicates=3), 6),
        (Settings("exact", replicates=3), 24),
        (Settings(sets=6, replicates=3), 9),
    ):
        assert (measure(game.tasks, settings, 0, game.answer).trials[off] == expected).all()


@pytest.mark.parametrize("settings", METHODS)
def test_names_do_not_matter_and_answers_repeat(settings: Settings) -> None:
    game = random_game(5, 1, training=1.0, replicate=0.5)
    other = {name: f"other {name}" for name in game.tasks}

    def renamed(asks: Sequence[Ask]) -> dict[Ask, Scores]:
        back = {ask: replace(ask, tasks=tuple(name[6:] for name in ask.tasks)) for ask in asks}
        found = game.answer(list(back.values()))
        return {ask: {other[name]: value for name, value in found[back[ask]].items()} for ask in asks}

    one = measure(game.tasks, settings, 3, game.answer)
    two = measure(tuple(other.values()), settings, 3, renamed)
    for field in ("tim", "low", "high", "q", "trials"):
        assert getattr(one, field).tobytes() == getattr(two, field).tobytes()


@pytest.mark.parametrize("settings", [*METHODS[:2], Settings(sets=64, replicates=1)])
def test_the_order_of_tasks_does_not_matter(settings: Settings) -> None:
    # 64 sets are all there are at 5 tasks, so that both orders train the same ones
    def answer(asks: Sequence[Ask]) -> dict[Ask, Scores]:
        back = {ask: replace(ask, tasks=tuple(sorted(ask.tasks))) for ask in asks}
        found = game.answer(list(back.values()))
        return {ask: found[back[ask]] for ask in asks}

    game = random_game(5, 1, training=1.0, replicate=0.5)
    turn = [3, 0, 4, 1, 2]
    one = measure(game.tasks, settings, 3, answer)
    two = measure([game.tasks[place] for place in turn], settings, 3, answer)
    for field in ("tim", "trials"):
        np.testing.assert_allclose(getattr(two, field), getattr(one, field)[np.ix_(turn, turn)], atol=1e-9)
    # the bootstrap draws trainings by their place
    np.testing.assert_allclose(two.high, one.high[np.ix_(turn, turn)], atol=0.1)


def test_the_seed_changes_sets_but_not_what_is_measured() -> None:
    game = random_game(6, 5, bend=0.2, training=0.2)
    first, second = (measure(game.tasks, Settings(sets=32), seed, game.answer) for seed in (0, 1))
    off = ~np.eye(6, dtype=bool)
    assert (first.tim[off] != second.tim[off]).all()
    assert np.corrcoef(first.tim[off], second.tim[off])[0, 1] > 0.95


def test_other_scores_in_the_answer_are_not_looked_at() -> None:
    game: Game = random_game(4, 1, training=1.0)
    settings = Settings()
    scores = dict(game.answer(design(game.tasks, settings, 0)))
    whole = estimate(game.tasks, settings, 0, scores)
    more = scores | {Ask(game.tasks[:3], 4, 9): dict.fromkeys(game.tasks[:3], 100.0)}
    assert estimate(game.tasks, settings, 0, more).tim.tobytes() == whole.tim.tobytes()


def test_another_design_may_be_given() -> None:
    game = random_game(4, 1)
    every = [(ask, 1.0) for ask in design(game.tasks, Settings("exact", replicates=1), 0)]
    scores = game.answer([ask for ask, _ in every])
    found = estimate(game.tasks, Settings(replicates=1), 0, scores, drawn=every)
    np.testing.assert_allclose(found.tim, game.value(), atol=1e-5)
