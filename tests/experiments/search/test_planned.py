"""The planned search on games whose best sets are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from m3h.core.errors import SettingError
from m3h.experiments.asking import Ask
from m3h.experiments.search.found import Found
from m3h.experiments.search.games import Planted, clustered
from m3h.experiments.search.settings import Settings
from m3h.experiments.search.start import bounds, search


def additive(count: int, seed: int, noise: float = 0.0) -> Planted:
    game = clustered(count, seed, noise=noise)
    return replace(game, synergies=np.zeros_like(game.synergies))


def true_gain(game: Planted, found: Found) -> float:
    return float(np.mean([game.gain(best.tasks, name) for name, best in found.best.items()]))


@pytest.mark.parametrize(("count", "seed"), [(8, 0), (8, 1), (12, 0), (44, 0)])
def test_without_noise_it_finds_the_best_set_of_every_task(count: int, seed: int) -> None:
    game = additive(count, seed)
    found = search(game.tasks, Settings(folds=2), 5, game.answer)
    sizes = set()
    for name, best in found.best.items():
        tasks, gain = game.best(name, 3)
        assert best.tasks == tasks
        assert best.score - best.alone == pytest.approx(gain, abs=1e-9)
        sizes.add(len(tasks))
    assert sizes == {1, 2, 3} or count < 12


def test_with_noise_it_gains_what_the_paper_does_with_a_fraction_of_the_trainings() -> None:
    gains, trainings = {}, {}
    for method in ("planned", "paper"):
        games = [clustered(16, seed) for seed in range(4)]
        found = [search(game.tasks, Settings(method, folds=3), 0, game.answer) for game in games]
        gains[method] = np.mean([true_gain(game, one) for game, one in zip(games, found, strict=True)])
        trainings[method] = sum(one.trainings for one in found)
    assert gains["planned"] >= gains["paper"] > 0
    assert trainings["planned"] < trainings["paper"] / 3


@pytest.mark.parametrize("count", [2, 5, 8, 13])
@pytest.mark.parametrize(("folds", "grid"), [(1, 1), (2, 1), (3, 4), (5, 1)])
def test_the_bound_holds_and_fixed_steps_are_exact(count: int, folds: int, grid: int) -> None:
    game = clustered(count, count, settings=grid)
    settings = Settings(folds=folds, settings=grid)
    told: dict[str, int] = {}
    found = search(game.tasks, settings, 1, game.answer, say=told.__setitem__)
    steps = {step.step: step for step in bounds(game.tasks, settings)}
    assert told and told.keys() <= steps.keys()
    for name, step in steps.items():
        assert told.get(name, 0) == step.trainings if step.exact else told.get(name, 0) <= step.trainings
    assert sum(told.values()) == sum(game.asked) == found.trainings
    assert len(game.asked) == len(told)  # one call a step


def test_budgets() -> None:
    def most(count: int, settings: Settings) -> int:
        return sum(step.trainings for step in bounds([f"t{number}" for number in range(count)], settings))

    paper, planned = Settings("paper", folds=3), Settings(folds=3)
    assert most(44, paper) == 19_206 and most(44, planned) <= 1_920
    assert most(8, paper) == 276 and most(8, planned) <= 200
    assert most(88, planned) == 2 * most(44, planned)
    assert all(most(count, planned) <= most(count, paper) for count in range(1, 60))


def test_the_order_of_the_tasks_changes_nothing() -> None:
    game = clustered(9, 4)
    settings = Settings(folds=3)
    one = search(game.tasks, settings, 2, game.answer)
    shuffled = tuple(np.random.default_rng(0).permutation(game.tasks).tolist())
    other = search(shuffled, settings, 2, game.answer)
    assert one.trainings == other.trainings
    assert {name: frozenset(best.tasks) for name, best in one.best.items()} == {
        name: frozenset(best.tasks) for name, best in other.best.items()
    }
    for best in other.best.values():
        assert best.tasks == tuple(sorted(best.tasks, key=shuffled.index))


def test_the_same_scores_give_the_same_search() -> None:
    game = clustered(9, 4)

    def reversed_answer(asks: Sequence[Ask]) -> dict[Ask, dict[str, float]]:
        answers = game.answer(asks)
        return {ask: dict(reversed(answers[ask].items())) for ask in reversed(asks)}

    one = search(game.tasks, Settings(folds=3), 2, game.answer)
    assert one == search(game.tasks, Settings(folds=3), 2, reversed_answer)
    assert one != search(game.tasks, Settings(folds=3), 3, game.answer)


@pytest.mark.parametrize("method", ["planned", "paper"])
def test_where_joint_learning_only_hurts_every_task_stays_alone(method: str) -> None:
    game = clustered(10, 0, noise=0.001)
    worse = replace(game, effects=-np.abs(game.effects), synergies=np.zeros_like(game.synergies), dilution=0.01)
    found = search(game.tasks, Settings(method, folds=3), 0, worse.answer)  # type: ignore[arg-type]
    assert all(best.tasks == (name,) and best.score == best.alone for name, best in found.best.items())


@pytest.mark.parametrize("method", ["planned", "paper"])
def test_sets_that_fail_lose(method: str) -> None:
    game = clustered(10, 2)
    bad, mute = game.tasks[3], game.tasks[6]

    def answer(asks: Sequence[Ask]) -> dict[Ask, dict[str, float]]:
        """Whoever trains with one task gets nothing, and another task is never scored."""
        found = {}
        for ask, scores in game.answer(asks).items():
            failed = bad in ask.tasks and len(ask.tasks) > 1
            found[ask] = {} if failed else {name: math.nan if name == mute else s for name, s in scores.items()}
        return found

    found = search(game.tasks, Settings(method, folds=3), 0, answer)  # type: ignore[arg-type]
    assert found.best[bad].tasks == (bad,) and found.best[mute].tasks == (mute,)
    assert math.isnan(found.best[mute].score) and not math.isnan(found.best[bad].score)
    assert all(bad not in best.tasks for name, best in found.best.items() if name != bad)
    assert any(len(best.tasks) > 1 for best in found.best.values())
    table = found.table()
    assert table.filter(task=mute).get_column("cv_score").null_count() == table.filter(task=mute).height


@pytest.mark.parametrize("method", ["planned", "paper"])
def test_if_everything_fails_every_task_stays_alone(method: str) -> None:
    names = [f"t{number}" for number in range(9)]
    found = search(names, Settings(method, folds=3, settings=2), 0, lambda asks: {ask: {} for ask in asks})  # type: ignore[arg-type]
    assert all(best.tasks == (name,) and math.isnan(best.score) for name, best in found.best.items())


def test_a_fold_without_scores_of_a_task_does_not_stop_its_search() -> None:
    game = additive(8, 0)
    first = game.tasks[0]

    def answer(asks: Sequence[Ask]) -> dict[Ask, dict[str, float]]:
        return {
            ask: {name: s for name, s in scores.items() if name != first or ask.fold}
            for ask, scores in game.answer(asks).items()
        }

    found = search(game.tasks, Settings(folds=3), 0, answer)
    assert all(best.tasks == game.best(name, 3)[0] for name, best in found.best.items() if name != first)
    assert found.best[first].score >= found.best[first].alone


def test_the_winner_and_the_task_alone_are_compared_in_their_best_settings() -> None:
    game = replace(clustered(8, 1, noise=0.002, settings=3), setting_cost=-0.01)  # the first setting is the best
    found = search(game.tasks, Settings(folds=2, settings=3), 0, game.answer)
    assert {best.setting for best in found.best.values()} == {0}
    table = found.table()
    for name, best in found.best.items():
        own = table.filter(task=name, step="choice").to_dicts()
        assert {row["task_set"] for row in own} == {
            name,
            *(row["task_set"] for row in own if row["chosen"]),
        } or not any(row["task_set"] != name and row["chosen"] for row in own)
        assert [row["cv_score"] for row in own if row["chosen"]] == [best.score]
        assert [row["cv_score"] for row in own if row["task_set"] == name] == [best.alone]


def test_rows_tell_what_was_tried() -> None:
    game = clustered(9, 3)
    found = search(game.tasks, Settings(folds=3), 0, game.answer)
    assert sum(row.chosen for row in found.rows) == len(game.tasks)
    for name, best in found.best.items():
        own = [row for row in found.rows if row.task == name]
        assert [row.tasks for row in own if row.chosen] == [best.tasks]
        assert [row.tried for row in own] == sorted(row.tried for row in own)
        assert own[-1].tried == best.tried == len({row.tasks for row in own})
        assert own[0].step == "alone" and own[0].tasks == (name,)


def test_a_floor_holds_for_wild_scores() -> None:
    game = additive(8, 0)
    first = game.tasks[0]

    def answer(asks: Sequence[Ask]) -> dict[Ask, dict[str, float]]:
        """The first task's own training goes wild in one fold: without a floor anything would be better."""
        answers = game.answer(asks)
        return {ask: s | ({first: -1e6} if ask.fold == 0 and first in ask.tasks else {}) for ask, s in answers.items()}

    with_floor = search(game.tasks, Settings(folds=3), 0, answer, floor={first: -1.0})
    assert with_floor.best[first].score > -1.0 and with_floor.best[first].alone > -1.0
    assert search(game.tasks, Settings(folds=3), 0, answer).best[first].alone < -1e5


def test_mistakes_are_named() -> None:
    with pytest.raises(SettingError, match="no tasks"):
        search((), Settings(), 0, lambda asks: {})
    with pytest.raises(SettingError, match="named twice"):
        bounds(("a", "b", "a"), Settings())
    with pytest.raises(SettingError, match="folds of a search"):
        Settings(folds=0)
    with pytest.raises(SettingError, match='unknown search method "beam"'):
        Settings(method="beam")  # type: ignore[arg-type]
