"""Planted games: scores of task sets whose truth is known, to try a search on without training anything."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.experiments.asking import Ask
from m3h.experiments.search.asked import TaskSet

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Planted:
    """A game whose gain of every set is known in closed form.

    The gain of task i in a set is ``room_i * (1 - exp(-h / room_i))`` of the help h that it gets, less what hurts it
    and less ``dilution`` for each other task. Help and hurt are sums of ``effects[i, j]`` over the other tasks j, with
    ``synergies[i, j, k]`` for each pair of them. All in units of the score.

    A training adds noise of standard deviation ``noise``, of whose variance the part ``shared`` is common to all
    trainings of a fold and replicate; a fold moves all scores of a task by about ``fold_spread``. Setting s of n
    lowers scores by ``setting_cost`` for each step to the last, and by some noise of its own.
    """

    tasks: tuple[str, ...]
    base: Floats
    effects: Floats
    synergies: Floats
    room: float = 0.04
    dilution: float = 0.002
    noise: float = 0.005
    shared: float = 0.2
    fold_spread: float = 0.01
    settings: int = 1
    setting_cost: float = 0.002
    seed: int = 0
    asked: list[int] = field(default_factory=list, compare=False)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Task -> row of the arrays."""
        return {name: number for number, name in enumerate(self.tasks)}

    def gain(self, tasks: TaskSet, task: str) -> float:
        """What a task truly gains by a set that holds it, over the task alone."""
        i = self.place[task]
        others = [self.place[name] for name in tasks if name != task]
        parts = [self.effects[i, j] for j in others]
        parts += [self.synergies[i, j, k] for j, k in itertools.combinations(sorted(others), 2)]
        helped = sum(part for part in parts if part > 0)
        hurt = sum(part for part in parts if part < 0)
        return float(self.room * -np.expm1(-helped / self.room) + hurt - self.dilution * len(others))

    def best(self, task: str, largest: int) -> tuple[TaskSet, float]:
        """The set of up to ``largest`` tasks that truly helps a task most, and its gain; ties go to the smaller."""
        others = [name for name in self.tasks if name != task]
        sets = (
            tuple(sorted((task, *more), key=self.place.__getitem__))
            for size in range(largest)
            for more in itertools.combinations(others, size)
        )
        return max(((tasks, self.gain(tasks, task)) for tasks in sets), key=lambda pair: pair[1])

    def answer(self, asks: Sequence[Ask]) -> dict[Ask, dict[str, float]]:
        """Answer as trainings would, with noise; ``asked`` keeps how many different asks came in each call."""
        unique = list(dict.fromkeys(asks))
        self.asked.append(len(unique))
        return {ask: self._scores(ask) for ask in unique}

    def _scores(self, ask: Ask) -> dict[str, float]:
        own = seeds.generator(self.seed, "training", "+".join(sorted(ask.tasks)), ask.fold, ask.replicate, ask.setting)
        common = self._common(ask.fold, ask.replicate)
        deviation = self.noise * np.sqrt(1 - self.shared)
        cost = self.setting_cost * (self.settings - 1 - ask.setting)
        draws = dict(zip(sorted(ask.tasks), own.normal(0, 1, len(ask.tasks)), strict=True))
        return {
            name: float(
                self.base[self.place[name]]
                + self.gain(ask.tasks, name)
                + common[self.place[name]]
                + deviation * draws[name]
                - cost
            )
            for name in ask.tasks
        }

    def _common(self, fold: int, replicate: int) -> Floats:
        """What all trainings of a fold and replicate share, by task (task,)."""
        of_fold = seeds.generator(self.seed, "fold", fold).normal(0, self.fold_spread, len(self.tasks))
        spread = self.noise * np.sqrt(self.shared)
        both: Floats = of_fold + seeds.generator(self.seed, "common", fold, replicate).normal(
            0, spread, len(self.tasks)
        )
        return both


def clustered(
    count: int, seed: int, *, size: int = 5, noise: float = 0.005, synergy: float = 0.004, settings: int = 1
) -> Planted:
    """A game like a hospital's tasks: related ones help each other, of the others most do nothing and some hurt.

    Two thirds of the ``count`` tasks stand in clusters of ``size``. Within a cluster a task helps another by 0.002 to
    0.02 with three chances in four; outside, a fifth of the pairs hurt by 0.002 to 0.012 and a twentieth help by up to
    0.006. Of the pairs of helpers a third work together better or worse than their sum, by about ``synergy``.
    """
    random = seeds.generator(seed, "game", count)
    names = tuple(f"task{number:02d}" for number in range(count))
    cluster = np.arange(count) // size
    cluster[np.arange(count) >= (2 * count) // 3] = -1
    cluster = random.permutation(cluster)
    together = (cluster[:, None] == cluster[None, :]) & (cluster[:, None] >= 0)
    shape = (count, count)
    helps = random.uniform(0.002, 0.02, shape) * (random.random(shape) < 0.75)
    lot = random.random(shape)
    outside = np.where(lot < 0.2, -random.uniform(0.002, 0.012, shape), 0.0)
    outside = np.where(lot > 0.95, random.uniform(0, 0.006, shape), outside)
    effects = np.where(together, helps, outside)
    np.fill_diagonal(effects, 0.0)
    synergies = random.normal(0, synergy, (count, count, count)) * (random.random((count, count, count)) < 1 / 3)
    helpers = effects > 0
    synergies *= helpers[:, :, None] & helpers[:, None, :]
    return Planted(
        tasks=names,
        base=random.uniform(0.65, 0.9, count),
        effects=effects,
        synergies=synergies,
        noise=noise,
        settings=settings,
        seed=seeds.number(seed, "noise"),
    )
