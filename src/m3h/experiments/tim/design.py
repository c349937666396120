"""Which sets are trained: a pure function of the tasks, the settings and the seed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from m3h.core import seeds
from m3h.experiments.asking import Ask
from m3h.experiments.tim.balanced import orthogonal_signs
from m3h.experiments.tim.settings import (
    Settings,
    binomials,
    check,
    largest,
    set_weights,
    sets_wanted,
    size_law,
)

#: Places of tasks, rising.
Places = tuple[int, ...]


def design(tasks: Sequence[str], settings: Settings, seed: int) -> list[Ask]:
    """All trainings of a measurement, each once, by fold, replicate, size and place; their number is what it costs.

    Errors: SettingError for fewer than two tasks, more than ten with the method ``exact``, or settings out of range.
    """
    return [ask for ask, _ in weighted(tasks, settings, seed)]


def weighted(tasks: Sequence[str], settings: Settings, seed: int) -> Iterator[tuple[Ask, float]]:
    """The design with the weight of each training in a regression: how often its set was drawn.

    Where ``shared`` would draw as many sets as there are, all are taken, weighing what their chance would have been.
    """
    check(len(tasks), settings)
    for fold, replicate in itertools.product(range(settings.folds), range(settings.replicates)):
        chosen = _sets(len(tasks), settings, seed, fold, replicate)
        for places in sorted(chosen, key=lambda one: (len(one), one)):
            yield Ask(tuple(tasks[place] for place in places), fold, replicate), chosen[places]


def _sets(count: int, settings: Settings, seed: int, fold: int, replicate: int) -> Mapping[Places, float]:
    upto = largest(count, settings)
    if settings.method != "shared":
        return dict.fromkeys(_all_sets(count, upto), 1.0)
    wanted = sets_wanted(count, settings)
    if wanted >= binomials(count)[1 : upto + 1].sum():
        weights = set_weights(count, settings)
        return {places: float(weights[len(places) - 1] / weights.max()) for places in _all_sets(count, upto)}
    # drawn anew for every replicate: more different sets at the same cost, and in simulations 0.7 to 0.9 of the error
    # of repeating the same sets
    rng = seeds.generator(seed, "tim sets", fold, replicate)
    draw = _balanced_pairs if settings.inclusion == 0.5 and upto == count else _opposite_pairs
    return Counter(places for places in draw(count, wanted // 2, settings, rng) if places)


def _all_sets(count: int, upto: int) -> Iterator[Places]:
    return (places for size in range(1, upto + 1) for places in itertools.combinations(range(count), size))


def _balanced_pairs(count: int, pairs: int, settings: Settings, rng: np.random.Generator) -> Iterator[Places]:
    """Pairs of a set and its complement, every task in or out of each by a fair coin, yet balanced over the pairs.

    Rows and columns of an orthogonal sign table in random order, each column turned at random: any one row is a
    uniformly random set, and two tasks are together about as often as apart. Exactly one set of a pair holds a source,
    so every source has as many scores as there are pairs, and the same balance among its targets; independent random
    sets have 1.06 to 1.2 times the error. An empty set, whose opposite is the set of all tasks, is not trained.
    """
    table = orthogonal_signs(count)
    while pairs > 0:
        rows = rng.permutation(len(table))[:pairs]
        columns = rng.permutation(len(table))[:count]
        signs = table[np.ix_(rows, columns)] * rng.choice([-1, 1], count)
        for row in signs:
            yield tuple(np.flatnonzero(row > 0).tolist())
            yield tuple(np.flatnonzero(row < 0).tolist())
        pairs -= len(rows)


def _opposite_pairs(count: int, pairs: int, settings: Settings, rng: np.random.Generator) -> Iterator[Places]:
    """Pairs from the two ends of one random order, a small set going with a large one; each by itself is a set drawn
    by its chance (m3h.experiments.tim.settings.set_weights)."""
    upto = np.cumsum(size_law(count, settings))
    for _ in range(pairs):
        order, level = rng.permutation(count), rng.random()
        first, last = (1 + min(int(np.searchsorted(upto, u, "right")), count - 1) for u in (level, 1 - level))
        yield tuple(sorted(order[:first].tolist()))
        yield tuple(sorted(order[count - last :].tolist()))
