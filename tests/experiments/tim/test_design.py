from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from m3h.experiments.asking import Ask
from m3h.experiments.tim.design import design, weighted
from m3h.experiments.tim.settings import Settings, size_law

TASKS = tuple("abcdefgh")


def sets(tasks: tuple[str, ...], settings: Settings, seed: int = 0) -> list[tuple[str, ...]]:
    return [ask.tasks for ask in design(tasks, settings, seed) if (ask.fold, ask.replicate) == (0, 0)]


def test_exact_trains_every_set_once_per_fold_and_replicate() -> None:
    asks = design(TASKS, Settings("exact", folds=2, replicates=5), 0)
    assert len(asks) == len(set(asks)) == 255 * 10
    assert Counter(len(ask.tasks) for ask in asks) == {k: math.comb(8, k) * 10 for k in range(1, 9)}


def test_exact_with_a_limit_leaves_larger_sets_out() -> None:
    assert len(design(TASKS, Settings("exact", replicates=1, limit=3), 0)) == 8 + 28 + 56


def test_pairs_trains_the_papers_sets() -> None:
    tasks = tuple(f"t{k}" for k in range(44))
    asks = design(tasks, Settings("pairs", replicates=1), 0)
    assert [len(ask.tasks) for ask in asks] == [1] * 44 + [2] * 946
    assert asks[44] == Ask(("t0", "t1"))


def test_tasks_stand_in_the_order_given() -> None:
    for ask in design(TASKS[::-1], Settings(), 3):
        assert list(ask.tasks) == sorted(ask.tasks, reverse=True)


def test_shared_sets_come_with_their_complements_and_no_set_is_empty() -> None:
    for seed in range(40):
        chosen = set(sets(TASKS, Settings(), seed))
        assert () not in chosen
        for one in chosen - {TASKS}:
            assert tuple(name for name in TASKS if name not in one) in chosen
        assert len(chosen) == 12 - (TASKS in chosen)


def test_every_task_is_scored_by_one_set_of_every_pair() -> None:
    counts = Counter(name for one in sets(TASKS, Settings(sets=14)) for name in one)
    assert set(counts.values()) == {7}


def test_complete_designs_have_every_two_tasks_together_as_often_as_apart() -> None:
    for seed in range(5):
        own = [one for one in sets(TASKS, Settings(sets=16), seed) if len(one) < 8]
        full = len(sets(TASKS, Settings(sets=16), seed)) - len(own)  # the opposite of the full set is not trained
        for a, b in itertools.combinations(TASKS, 2):
            assert sum(a in one and b in one for one in own) + full == 4


def test_what_is_drawn_follows_its_law() -> None:
    # over many seeds every set of four tasks, the empty one aside, is drawn as often as any other
    tasks = TASKS[:4]
    drawn = Counter(one for seed in range(600) for one in sets(tasks, Settings(sets=4), seed))
    assert len(drawn) == 15
    expected = 600 * 4 / 16
    assert max(abs(n - expected) for n in drawn.values()) < 4.5 * math.sqrt(expected)


@pytest.mark.parametrize(("inclusion", "limit"), [(0.2, None), (0.7, None), (0.5, 3), (0.3, 4)])
def test_other_laws_are_kept_by_both_sets_of_a_pair(inclusion: float, limit: int | None) -> None:
    settings = Settings(inclusion=inclusion, limit=limit, replicates=1, sets=10)
    counts: Counter[int] = Counter()
    for seed in range(300):
        for ask, weight in weighted(TASKS, settings, seed):
            counts[len(ask.tasks)] += int(weight)
    law = size_law(8, settings)
    total = sum(counts.values())
    assert total == 3000
    for size, chance in enumerate(law, 1):
        assert abs(counts[size] - total * chance) <= 4.5 * math.sqrt(total * chance) + 1e-9


def test_all_sets_are_taken_where_as_many_would_be_drawn() -> None:
    assert sets(("a", "b"), Settings()) == [("a",), ("b",), ("a", "b")]
    assert len(sets(TASKS[:3], Settings(sets=50))) == 7
    chosen = dict(weighted(TASKS[:3], Settings(sets=50, inclusion=0.25, replicates=1), 0))
    assert {len(ask.tasks): weight for ask, weight in chosen.items()} == pytest.approx({1: 1, 2: 1 / 3, 3: 1 / 9})


def test_default_costs() -> None:
    def cost(count: int, settings: Settings) -> int:
        # a full set drawn beside an untrained empty one costs one training less
        tasks = tuple(f"t{k}" for k in range(count))
        return max(len(design(tasks, settings, seed)) for seed in range(5))

    assert cost(8, Settings()) == 36
    assert cost(44, Settings()) == 198
    assert cost(8, Settings(replicates=1)) == 36
    assert cost(8, Settings(replicates=5)) == 60
    assert cost(8, Settings(sets=13)) == 42


def test_sets_are_drawn_anew_for_every_fold_and_replicate_and_seed() -> None:
    asks = design(TASKS, Settings(folds=2), 0)
    groups = [{ask.tasks for ask in asks if (ask.fold, ask.replicate) == key} for key in [(0, 0), (0, 1), (1, 0)]]
    assert groups[0] != groups[1] != groups[2] != groups[0]
    assert sets(TASKS, Settings(), 0) != sets(TASKS, Settings(), 1)
    assert design(TASKS, Settings(), 5) == design(TASKS, Settings(), 5)
