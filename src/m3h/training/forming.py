"""Cutting trials into fleets: by shape, memory and work, from the plan alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset
from m3h.network.network import Shape, Slot
from m3h.training.batches import input_widths
from m3h.training.cost import default_memory as default_memory
from m3h.training.cost import fleet_bytes, member_flops, most_members
from m3h.training.trial import Trial

Member = TypeVar("Member")
#: On a CPU trials of one shape are spread over so many fleets, whatever the number of cores, but not of fewer members.
SPREAD, SMALLEST = 4, 2


def form_fleets(dataset: Dataset, trials: Sequence[Trial], memory: int | None = None) -> list[tuple[Trial, ...]]:
    """Cut the trials into fleets: equal in all but task names, loss weights and learning rate, and not too large.

    A fleet takes at most ``memory`` bytes beside the data set (None: m3h.training.cost.default_memory of its
    device; a single network is a fleet however large), and lasts about a minute, on a CPU in one thread. There
    several cores share the trials of one group. Fleets of one group are of equal size, give or take one member.
    Depends on the trials as a set, the data set's size and ``memory`` only.
    """
    place = {name: number for number, name in enumerate(dataset.labels)}
    groups: dict[tuple[Shape, str], list[Trial]] = {}
    for trial in dict.fromkeys(trials):
        if trial.dataset != dataset.fingerprint:
            raise TrainingError(
                "this trial belongs to another dataset", got=trial.dataset, expected=dataset.fingerprint
            )
        rest = replace(trial, tasks=(), weights=(), learning_rate=0.0)
        key = (trial_shape(dataset, trial), rest.id)
        groups.setdefault(key, []).append(trial)
    fleets = []
    for (shape, _), members in groups.items():
        members.sort(key=lambda trial: (trial.learning_rate, [place[name] for name in trial.tasks], trial.weights))
        limit = default_memory(members[0].device) if memory is None else memory
        most = fleet_size(dataset, shape, members[0], limit)
        if members[0].device == "cpu":
            most = min(most, max(SMALLEST, -(-len(members) // SPREAD)))
        fleets += evenly(members, most)

    def order(fleet: Sequence[Trial]) -> tuple[object, ...]:
        # fleets of one fold follow each other: they share the scaled inputs; the longest first, so that several workers
        # end together
        first = fleet[0]
        fold = -1 if first.fold is None else first.fold
        work = len(fleet) * member_flops(trial_shape(dataset, first), first, training_rows(dataset, first))
        return (first.sources, fold, -work, [place[name] for name in first.tasks], first.learning_rate, first.id)

    return sorted(fleets, key=order)


def fleet_size(dataset: Dataset, shape: Shape, trial: Trial, memory: int) -> int:
    """The most members of a fleet of trials like this one: at least 1."""
    low, high = 1, most_members(shape, trial, training_rows(dataset, trial))
    while low < high:
        middle = (low + high + 1) // 2
        if fleet_bytes(shape, trial, dataset.samples, middle) <= memory:
            low = middle
        else:
            high = middle - 1
    return low


def evenly(members: Sequence[Member], most: int) -> list[tuple[Member, ...]]:
    """The members in as few parts as hold at most ``most`` each, of equal size or one more."""
    parts = -(-len(members) // most)
    size, more = divmod(len(members), parts)
    ends = [size * (number + 1) + min(number + 1, more) for number in range(parts)]
    return [tuple(members[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]


def training_rows(dataset: Dataset, trial: Trial) -> int:
    """About how many rows a trial trains on: of k folds all but one are k - 1 of k parts."""
    rows = len(dataset.train_rows)
    return rows if trial.fold is None else rows * (trial.folds - 1) // trial.folds


def trial_shape(dataset: Dataset, trial: Trial) -> Shape:
    """The shape of a trial's network."""
    slots = tuple(Slot(dataset.labels[name].task.kind, dataset.labels[name].width) for name in trial.tasks)
    return Shape(input_widths(dataset, trial.sources), slots, trial.preset)
