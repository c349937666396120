"""Random task sets in which every pair of tasks meets about equally often."""

from __future__ import annotations

from math import comb

import numpy as np

from m3h.core import seeds


def draw_count(tasks: int, draws: int, size: int) -> int:
    """How many random sets are drawn: ``draws`` for each task, but not more than half of all sets of this size."""
    return min(draws * tasks, -(-comb(tasks, size) // 2))


def random_sets(tasks: int, count: int, size: int, seed: int) -> list[tuple[int, ...]]:
    """``count`` different sets of ``size`` of the numbers 0 to tasks - 1, each rising.

    Each set begins with a number that few sets hold, and goes on with those that have met its members least; lots
    decide between equals. Gives fewer sets only if there are not that many.
    """
    random = seeds.generator(seed, "search", "sets", tasks, count, size)
    met = np.zeros((tasks, tasks))
    used = np.zeros(tasks)
    found: dict[tuple[int, ...], None] = {}
    wanted = min(count, comb(tasks, size))
    while len(found) < wanted:
        members: list[int] = []
        for _ in range(size):
            burden = met[members].sum(0) * tasks * count + used + random.random(tasks)
            burden[members] = np.inf
            members.append(int(np.argmin(burden)))
        drawn = tuple(sorted(members))
        if drawn in found:  # few sets are left: meeting evenly would only repeat them
            drawn = tuple(sorted(random.choice(tasks, size, replace=False).tolist()))
        if drawn not in found:
            found[drawn] = None
            met[np.ix_(drawn, drawn)] += 1
            used[list(drawn)] += 1
    return list(found)
