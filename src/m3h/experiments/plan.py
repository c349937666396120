"""The plan of a command: how many trainings each of its steps needs, how many are done, and what the rest will take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.experiments.asking import Answer, Ask, Scores
from m3h.experiments.calibrate import BUDGET, Fleet, Speed, calibrate
from m3h.experiments.memory import largest_bytes, resident_bytes
from m3h.training.fleet import Progress
from m3h.training.forming import form_fleets
from m3h.training.trial import Trial

#: Those of the trials that are finished, by id; m3h.experiments.ledger.Ledger.found is one.
Found = Callable[[Sequence[Trial]], Mapping[str, object]]


@dataclass(frozen=True)
class Step:
    """A step of a command.

    ``trials`` are the trainings known to be asked for. A step that chooses as it goes may ask for more, at ``most`` so
    many in all (None: for no more than ``trials``); ``typical`` are trials that stand for those, to tell their time.
    Errors: SettingError if ``most`` is less than what is known, or more without anything typical.
    """

    name: str
    trials: tuple[Trial, ...] = ()
    most: int | None = None
    typical: tuple[Trial, ...] = ()

    def __post_init__(self) -> None:
        known = len({trial.id for trial in self.trials})
        if self.most is not None and (self.most < known or (self.most > known and not self.typical)):
            raise SettingError(
                f"a step of at most {self.most} trainings",
                where=self.name,
                got=f"{known} known and {len(self.typical)} typical trials",
                expected="no fewer than are known, and something typical for the others",
            )


@dataclass(frozen=True)
class Counted:
    """A step counted: ``trainings`` in all (exactly, or at most), of which ``done`` are in the ledger, ``shared`` are
    asked for by an earlier step too, and ``left`` are still to do; ``todo`` are those of the latter that are known."""

    name: str
    trainings: int
    exact: bool
    done: int
    shared: int
    left: int
    todo: tuple[Trial, ...]


@dataclass(frozen=True)
class Planned:
    """A step of the plan. Counts as in :class:`Counted`; ``seconds`` that what is left will take, at most if not
    ``exact``."""

    step: str
    trainings: int
    exact: bool
    done: int
    shared: int
    left: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """All steps, and in all: ``seconds`` on ``workers`` workers, and the bytes of ``memory`` that this process and they
    take: what is resident now, with the dataset and the libraries, and what fleets as large as the largest take.
    ``settings`` are those planned for, in one line; ``notes`` is what else to know, a sentence each."""

    steps: tuple[Planned, ...]
    seconds: float
    memory: int
    workers: int = 1
    settings: str = ""
    notes: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether all counts are exact, not upper bounds."""
        return all(step.exact for step in self.steps)


def count(steps: Sequence[Step], found: Found) -> list[Counted]:
    """Count the steps in their order; a training that two steps ask for is left to the first."""
    seen: set[str] = set()
    counted = []
    for step in steps:
        trials = {trial.id: trial for trial in step.trials}
        done = set(found(list(trials.values())))
        shared = (trials.keys() - done) & seen
        todo = tuple(trial for one, trial in trials.items() if one not in done and one not in shared)
        most = len(trials) if step.most is None else step.most
        counted.append(
            Counted(
                name=step.name,
                trainings=most,
                exact=most == len(trials),
                done=len(done),
                shared=len(shared),
                left=most - len(done) - len(shared),
                todo=todo,
            )
        )
        seen |= trials.keys()
    return counted


def estimate(
    dataset: Dataset,
    steps: Sequence[Step],
    found: Found,
    *,
    memory: int | None,
    workers: int = 1,
    threads: int | None = None,
    together: bool = False,
    budget: float = BUDGET,
    progress: Progress | None = None,
) -> Plan:
    """Count the steps, and tell from a calibration on this machine what is left of them.

    ``memory`` in bytes caps a fleet, and if ``together`` all that are trained at once, as in training; ``workers``
    fleets are trained at once, each on ``threads`` threads (default: all that training uses here). The calibration
    trains a few steps of fleets that are left, for about ``budget`` seconds. Changes nothing.
    """
    before = resident_bytes()  # the calibration's own peak is no part of it
    work = [_work(dataset, step, one, memory) for step, one in zip(steps, count(steps, found), strict=True)]
    fleets = [fleet for one in work for fleet in (*one.fixed, *one.typical)]
    speed = calibrate(dataset, fleets, threads=threads, budget=budget, progress=progress)
    planned = tuple(_planned(one, speed, workers) for one in work)
    one = largest_bytes(dataset, fleets)
    all_at_once = workers * one
    if together and memory is not None:
        all_at_once = min(all_at_once, max(one, memory))
    return Plan(
        steps=planned,
        seconds=math.fsum(step.seconds for step in planned),
        memory=before + all_at_once,
        workers=workers,
    )


@dataclass(frozen=True)
class _Work:
    """What is left of a step: the fleets of the trainings that are known, and fleets like those of the others."""

    counted: Counted
    fixed: list[Fleet]
    typical: list[Fleet]


def _work(dataset: Dataset, step: Step, counted: Counted, memory: int | None) -> _Work:
    """The fleets are those of all the step's trials, without the members that are done."""
    left = {trial.id for trial in counted.todo}
    fleets = form_fleets(dataset, step.trials, memory) if left else []
    fixed = [tuple(trial for trial in fleet if trial.id in left) for fleet in fleets]
    more = counted.left > len(counted.todo)
    return _Work(
        counted, [fleet for fleet in fixed if fleet], form_fleets(dataset, step.typical, memory) if more else []
    )


def _planned(work: _Work, speed: Speed, workers: int) -> Planned:
    one = work.counted
    fixed, typical = speed.seconds(work.fixed), speed.seconds(work.typical)
    total = math.fsum(fixed)
    if typical:
        each = math.fsum(typical) / sum(len(fleet) for fleet in work.typical)
        total += each * (one.left - len(one.todo))
    return Planned(
        step=one.name,
        trainings=one.trainings,
        exact=one.exact,
        done=one.done,
        shared=one.shared,
        left=one.left,
        seconds=max(total / workers, max(fixed, default=0.0)),  # no worker shares its fleet
    )


@dataclass(frozen=True)
class Replayed:
    """What a procedure asked for, given what is known: all its asks so far, and whether it came to its end."""

    asks: tuple[Ask, ...]
    ended: bool


class _NotKnown(Exception):
    pass


def replay(procedure: Callable[[Answer], object], known: Answer) -> Replayed:
    """Run a procedure that chooses as it goes as far as the known scores carry it.

    ``known`` gives the scores of those asks that are finished and leaves the others out. The asks of the first call
    that cannot be answered are the last ones.
    """
    asked: dict[Ask, None] = {}

    def answer(asks: Sequence[Ask]) -> Mapping[Ask, Scores]:
        asked.update(dict.fromkeys(asks))
        scores = known(asks)
        if any(ask not in scores for ask in asks):
            raise _NotKnown
        return scores

    try:
        procedure(answer)
    except _NotKnown:
        return Replayed(tuple(asked), ended=False)
    return Replayed(tuple(asked), ended=True)
