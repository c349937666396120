"""The paper's search against a plain restatement of it, set by set and task by task."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from m3h.core import seeds
from m3h.experiments.asking import Ask
from m3h.experiments.search.settings import Settings
from m3h.experiments.search.start import bounds, search

Score = Callable[[str, tuple[str, ...]], float]
FOLDS, GRID = 2, 2


def scores_of(seed: int, missing: float, digits: int) -> Callable[[Sequence[Ask]], dict[Ask, dict[str, float]]]:
    """Random scores; a part of them is missing, and few digits make ties."""

    def one(ask: Ask) -> dict[str, float]:
        random = seeds.generator(seed, "+".join(ask.tasks), ask.fold, ask.setting)
        values = {name: round(float(random.random()), digits) for name in ask.tasks}
        lots = {name: float(random.random()) for name in ask.tasks}
        return {name: math.nan if lots[name] < missing else value for name, value in values.items()}

    return lambda asks: {ask: one(ask) for ask in asks}


def cv_score(answer: Callable[[Sequence[Ask]], dict[Ask, dict[str, float]]]) -> Score:
    """Score of a task in a set: the set's setting has the best mean over tasks of means over folds."""

    def of(task: str, tasks: tuple[str, ...]) -> float:
        tables = []
        for setting in range(GRID):
            asks = [Ask(tasks, fold=fold, setting=setting) for fold in range(FOLDS)]
            table = np.array([[found[name] for name in tasks] for found in answer(asks).values()])
            known = [column[~np.isnan(column)] for column in table.T]
            tables.append([column.mean() if len(column) else math.nan for column in known])
        totals = [np.nanmean(means) if not np.all(np.isnan(means)) else -math.inf for means in tables]
        return float(tables[int(np.argmax(totals))][tasks.index(task)])

    return of


def literal(names: Sequence[str], score: Score, width: int, largest: int) -> dict[str, tuple[str, ...]]:
    """For each task: from all sets of a size that hold a kept set, keep the best; stop when it is no better."""
    found = {}
    for task in names:
        best, reached = (task,), score(task, (task,))
        reached = -math.inf if math.isnan(reached) else reached
        kept = [(task,)]
        for size in range(2, largest + 1):
            level = [one for one in itertools.combinations(names, size) if any(set(k) < set(one) for k in kept)]
            known = {one: score(task, one) for one in level}
            known = {one: number for one, number in known.items() if not math.isnan(number)}
            if not known or max(known.values()) <= reached:
                break
            kept = sorted(known, key=lambda one: (-known[one], [names.index(name) for name in one]))[:width]
            best, reached = kept[0], known[kept[0]]
        found[task] = best
    return found


@pytest.mark.parametrize(("missing", "digits"), [(0.0, 6), (0.3, 6), (0.0, 1), (0.7, 1)])
@pytest.mark.parametrize("largest", [2, 4])
def test_it_is_the_beam_literally(missing: float, digits: int, largest: int) -> None:
    names = ("e", "b", "d", "a", "c", "f")
    for seed in range(6):
        answer = scores_of(seed, missing, digits)
        settings = Settings("paper", largest=largest, width=2, folds=FOLDS, settings=GRID)
        found = search(names, settings, 0, answer)
        score = cv_score(answer)
        expected = literal(names, score, 2, largest)
        assert {name: best.tasks for name, best in found.best.items()} == expected
        for name, best in found.best.items():
            assert best.score == pytest.approx(score(name, best.tasks), nan_ok=True)
            assert best.alone == pytest.approx(score(name, (name,)), nan_ok=True)


def test_random_games_hold_what_the_comparison_is_for() -> None:
    """Ties, missing singles and sets of every size are among the games above."""
    names, sizes, no_single = ("e", "b", "d", "a", "c", "f"), set(), 0
    for seed in range(6):
        for missing, digits in ((0.0, 1), (0.7, 1)):
            score = cv_score(scores_of(seed, missing, digits))
            sizes |= {len(one) for one in literal(names, score, 2, 4).values()}
            no_single += sum(math.isnan(score(name, (name,))) for name in names)
    assert sizes >= {1, 2, 3} and no_single > 0


def test_counts_at_the_papers_44_tasks() -> None:
    names = [f"t{number:02d}" for number in range(44)]
    steps = bounds(names, Settings("paper", folds=5, settings=4))
    assert [step.trainings for step in steps] == [44 * 20, 946 * 20, 44 * 123 * 20]
    assert [step.exact for step in steps] == [True, True, False]
    sets = sum(step.trainings for step in steps) // 20
    # the paper refits every set it tried; here the chosen ones alone are refitted
    assert sets == 6402 and sets * (20 + 1) == 134_442
    assert sum(step.trainings for step in bounds(names[:8], Settings("paper", folds=3))) == 92 * 3


@pytest.mark.parametrize("tasks", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("width", [1, 3, 20])
def test_the_bound_holds_and_fixed_steps_are_exact(tasks: int, width: int) -> None:
    names = [f"t{number:02d}" for number in range(tasks)]
    settings = Settings("paper", largest=4, width=width, folds=1)
    told: dict[str, int] = {}

    def answer(asks: Sequence[Ask]) -> dict[Ask, dict[str, float]]:
        """More tasks are always better, so that no task stops early."""
        return {
            ask: {name: len(ask.tasks) + number for name, number in zip(ask.tasks, noise(ask), strict=True)}
            for ask in asks
        }

    def noise(ask: Ask) -> list[float]:
        random = seeds.generator(1, "+".join(ask.tasks))
        return [float(number) for number in random.random(len(ask.tasks))]

    search(names, settings, 0, answer, say=told.__setitem__)
    steps = bounds(names, settings)
    assert list(told) == [step.step for step in steps]
    for step in steps:
        assert told[step.step] == step.trainings if step.exact else told[step.step] <= step.trainings
    if width == 20 and tasks > 4:  # wide enough for every set there is
        assert sum(told.values()) == sum(math.comb(tasks, size) for size in range(1, 5)) or tasks > 7


def test_search_csv_has_a_row_for_each_set_of_each_task() -> None:
    names = ("a", "b", "c", "d")
    found = search(names, Settings("paper", folds=1, width=1), 0, scores_of(3, 0.0, 6))
    table = found.table()
    assert table.columns == ["task", "step", "task_set", "cv_score", "tried", "chosen"]
    for name, best in found.best.items():
        own = table.filter(task=name).to_dicts()
        assert [row["task_set"] for row in own if row["chosen"]] == ["+".join(best.tasks)]
        assert all(name in row["task_set"].split("+") for row in own)
        assert [row["tried"] for row in own][:4] == [1, 4, 4, 4]
        assert own[-1]["tried"] == best.tried == len({row["task_set"] for row in own}) == len(own)
        assert max(row["cv_score"] for row in own) == best.score
