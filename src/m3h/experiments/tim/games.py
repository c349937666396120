"""Games with known values, which answer asks in place of trainings: what methods are tested and compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.experiments.asking import Ask, Scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Game:
    """A task's score is a sum over the tasks beside it, and over pairs of them, plus noise.

    f_i(S) = sum of ``pull[i, j]`` over j in S + sum of ``bend[i, j, k]`` over j < k in S, S without i. ``pull``
    (task, task), ``bend`` (task, task, task) of which the part j < k counts. Noise, in standard deviations:
    ``training`` of each score by itself; ``level`` of a source in one fold and replicate; ``replicate`` of the pull of
    each target there. The same ask always has the same scores.
    """

    tasks: tuple[str, ...]
    pull: Floats
    bend: Floats
    training: float = 0.0
    level: float = 0.0
    replicate: float = 0.0
    seed: int = 0

    def value(self, chance: float = 0.5) -> Floats:
        """The true interactions (source, target), NaN on the diagonal, where each task is in S with this chance: 0.5
        for Banzhaf values, 0 for pairs against singles."""
        upper = np.triu(np.ones(self.pull.shape), 1)
        bend = self.bend * upper
        own = np.arange(len(self.tasks))
        bend[own, own, :] = bend[own, :, own] = 0.0
        true = np.array(self.pull + chance * (bend + bend.transpose(0, 2, 1)).sum(2))
        np.fill_diagonal(true, np.nan)
        return true

    def answer(self, asks: Sequence[Ask]) -> dict[Ask, Scores]:
        """The scores of every ask, as :data:`m3h.experiments.asking.Answer`."""
        return {ask: self._scores(ask) for ask in dict.fromkeys(asks)}

    def _scores(self, ask: Ask) -> Scores:
        place = [self.tasks.index(name) for name in ask.tasks]
        shared = seeds.generator(self.seed, "replicate", ask.fold, ask.replicate)
        level = self.level * shared.standard_normal(len(self.tasks))
        pull = self.pull + self.replicate * shared.standard_normal(self.pull.shape)
        own = seeds.generator(self.seed, "training", ask.fold, ask.replicate, "+".join(ask.tasks))
        noise = self.training * own.standard_normal(len(place))
        scores = {}
        for number, i in enumerate(place):
            others = [j for j in place if j != i]
            bend = np.triu(self.bend[i][np.ix_(others, others)], 1).sum()
            scores[self.tasks[i]] = float(pull[i, others].sum() + bend + level[i] + noise[number])
        return scores


def random_game(
    count: int,
    seed: int,
    *,
    common: float = 0.3,
    spread: float = 1.0,
    bend: float = 0.0,
    saturation: float = 0.0,
    training: float = 0.0,
    level: float = 0.0,
    replicate: float = 0.0,
) -> Game:
    """A game of ``count`` tasks whose pulls are normal about ``common``, whose bends are normal about -``saturation``
    divided by count - 1: with saturation, tasks help less the more there are."""
    rng = seeds.generator(seed, "random game")
    return Game(
        tasks=tuple(f"task {number}" for number in range(count)),
        pull=common + spread * rng.standard_normal((count, count)),
        bend=bend * rng.standard_normal((count, count, count)) - saturation / (count - 1),
        training=training,
        level=level,
        replicate=replicate,
        seed=seed,
    )
