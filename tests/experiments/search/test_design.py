"""Random sets in which all pairs of tasks meet about equally often."""

from __future__ import annotations

import itertools
from collections import Counter
from math import comb

import pytest

from m3h.experiments.search.design import draw_count, random_sets


def test_pairs_meet_evenly_and_no_set_comes_twice() -> None:
    sets = random_sets(44, 352, 3, seed=1)
    assert len(sets) == len(set(sets)) == 352 and all(one == tuple(sorted(set(one))) for one in sets)
    met = Counter(pair for one in sets for pair in itertools.combinations(one, 2))
    used = Counter(member for one in sets for member in one)
    # 1,056 meetings of 946 pairs: plain lots would leave e^-1.1, a third of the pairs, without any
    assert len(met) > 0.9 * comb(44, 2) and max(met.values()) <= 3
    assert set(used.values()) <= {23, 24, 25}


@pytest.mark.parametrize(("tasks", "size", "count"), [(5, 3, 10), (6, 2, 15), (3, 3, 1), (4, 3, 9)])
def test_all_sets_if_that_many_are_asked_for(tasks: int, size: int, count: int) -> None:
    sets = random_sets(tasks, count, size, seed=2)
    assert len(set(sets)) == len(sets) == min(count, comb(tasks, size))


def test_the_seed_decides() -> None:
    assert random_sets(9, 20, 3, seed=1) == random_sets(9, 20, 3, seed=1) != random_sets(9, 20, 3, seed=2)


def test_the_number_of_sets_grows_with_the_tasks_up_to_half_of_all() -> None:
    assert draw_count(44, 8, 3) == 352 and draw_count(88, 8, 3) == 704
    assert draw_count(8, 8, 3) == 28 and draw_count(3, 8, 3) == 1
