"""How fast this machine trains: a few steps of the very fleets that are to be trained, and what follows for the rest.

A fleet takes its steps, and what comes once: start, prediction, grouping and scoring. Both are timed for a few fleets
that differ, at their real size; for the others they follow from a fit over the timed ones: seconds of a step from the
arithmetic it needs and the number of passes and losses, the rest from the members and their tasks.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls

from m3h.core import seeds
from m3h.dataset.dataset import Dataset, Labels, Rows
from m3h.experiments.outcome import outcome
from m3h.network.network import Shape
from m3h.training.batches import trial_rows
from m3h.training.cost import member_flops
from m3h.training.fleet import Progress, train_fleet
from m3h.training.forming import trial_shape
from m3h.training.prepared import Materials
from m3h.training.stage import NothingSaid
from m3h.training.trial import Trial

Fleet = tuple[Trial, ...]
Floats = NDArray[np.float64]
#: Seconds that a calibration may take, about.
BUDGET = 15.0
#: Batches of an epoch when steps are timed; epochs, of which the first is to warm up; seconds after which two will do.
BATCHES, EPOCHS, ENOUGH = 2, 6, 2.0
#: The distance between fleets of different kinds: their steps tell nothing of each other's.
FAR = 1e6


@dataclass(frozen=True)
class Features:
    """What a fleet's time depends on. ``kind`` are fleets of the same sort of steps; ``passes`` losses of a step;
    ``arithmetic`` floating-point operations of a step of all members; ``steps`` of the whole training; ``finishing``
    what is predicted at the end, tasks of all members; ``grouping`` those that are clusterings; ``kept`` networks
    that are kept."""

    kind: tuple[str, ...]
    passes: int
    arithmetic: float
    steps: float
    finishing: int
    grouping: int
    kept: int

    @property
    def of_a_step(self) -> list[float]:
        """What a step takes, in columns of a fit; the one that tells most first."""
        return [self.arithmetic, float(self.passes), 1.0]

    @property
    def of_the_rest(self) -> list[float]:
        """What comes once a fleet, in columns of a fit; the one that tells most first."""
        return [float(self.finishing), float(self.grouping), 1.0, float(self.kept)]

    def distance(self, other: Features) -> float:
        """How different two fleets are: sum of the logarithms of what their times depend on."""
        if self.kind != other.kind:
            return FAR
        mine, theirs = ([*one.of_a_step, *one.of_the_rest] for one in (self, other))
        return float(sum(abs(math.log((1 + a) / (1 + b))) for a, b in zip(mine, theirs, strict=True)))


class Reader:
    """Reads the features of fleets of a dataset from the plan alone; remembers what many fleets have in common."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._rows: dict[tuple[int | None, int], int] = {}
        self._arithmetic: dict[tuple[Shape, str, int], float] = {}

    def features(self, fleet: Fleet) -> Features:
        """The features of one fleet."""
        first = fleet[0]
        shape = trial_shape(self.dataset, first)
        rows = self._training_rows(first)
        losses = len(shape.slots) + shape.contrasting
        return Features(
            kind=(first.device, first.precision, first.update),
            passes=losses,
            arithmetic=len(fleet) * self._step(shape, first, min(first.batch_size, rows)),
            steps=first.epochs * max(1.0, rows / first.batch_size),
            finishing=len(fleet) * len(shape.slots),
            grouping=len(fleet) * sum(slot.kind == "clustering" for slot in shape.slots),
            kept=len(fleet) * (first.fold is None),
        )

    def first_outputs(self, fleets: Sequence[Fleet]) -> list[int]:
        """Outputs whose task models each of the fleets is the first to ask for."""
        known: dict[object, set[str]] = {}
        found = []
        for fleet in fleets:
            first = fleet[0]
            before = (first.preset.additive, first.preset.trees)
            seen = known.setdefault((first.sources, first.fold, first.folds, before), set())
            new = {name for trial in fleet for name in trial.tasks} - seen if first.preset.additive else set()
            seen |= new
            found.append(sum(self.dataset.labels[name].width for name in new))
        return found

    def _training_rows(self, trial: Trial) -> int:
        key = (trial.fold, trial.folds)
        if key not in self._rows:
            self._rows[key] = len(trial_rows(self.dataset, trial)[0])
        return self._rows[key]

    def _step(self, shape: Shape, trial: Trial, batch: int) -> float:
        key = (shape, trial.update, batch)
        if key not in self._arithmetic:
            self._arithmetic[key] = float(member_flops(shape, replace(trial, epochs=1), batch))
        return self._arithmetic[key]


@dataclass(frozen=True)
class Timed:
    """A fleet that was timed: seconds of a step, and seconds that come once."""

    features: Features
    step: float
    rest: float


@dataclass(frozen=True)
class Speed:
    """What was timed, and what follows from it for any fleet of the dataset; ``preparing`` are the seconds to scale the
    inputs of one fold, ``task_models`` those of one output of task models where as many are fitted at once as can."""

    reader: Reader
    timed: tuple[Timed, ...]
    preparing: float = 0.0
    task_models: float = 0.0

    def seconds(self, fleets: Sequence[Fleet]) -> list[float]:
        """Seconds that each of the fleets takes, one after the other. Errors: ValueError if nothing was timed."""
        rows = [(fleet[0].sources, fleet[0].fold, fleet[0].folds) for fleet in fleets]
        anew = [here != before for here, before in zip(rows, [None, *rows], strict=False)]
        each = [self._seconds(self.reader.features(fleet)) for fleet in fleets]
        first = [self.task_models * outputs for outputs in self.reader.first_outputs(fleets)]
        return [seconds + self.preparing * new + said for seconds, new, said in zip(each, anew, first, strict=True)]

    def _seconds(self, one: Features) -> float:
        for known in self.timed:
            if replace(known.features, steps=one.steps) == one:
                return one.steps * known.step + known.rest
        alike = [known for known in self.timed if known.features.kind == one.kind] or list(self.timed)
        step = fitted([t.features.of_a_step for t in alike], [t.step for t in alike], one.of_a_step)
        rest = fitted([t.features.of_the_rest for t in self.timed], [t.rest for t in self.timed], one.of_the_rest)
        return one.steps * step + rest


def fitted(columns: Sequence[Sequence[float]], times: Sequence[float], wanted: Sequence[float]) -> float:
    """Seconds for ``wanted`` by a fit of ``times`` to the columns with no column counting less than nothing.

    Relative errors count. Of the columns that are not empty, the first as many as there are times are used.
    """
    a, t = np.asarray(columns, dtype=np.float64), np.asarray(times, dtype=np.float64)
    used = [n for n in range(a.shape[1]) if a[:, n].any()][: len(t)]
    scale = a[:, used].max(0)
    weights, _ = nnls(a[:, used] / scale / t[:, None], np.ones(len(t)))
    return float(np.asarray(wanted, dtype=np.float64)[used] / scale @ weights)


def calibrate(
    dataset: Dataset,
    fleets: Sequence[Fleet],
    *,
    threads: int | None = None,
    budget: float = BUDGET,
    progress: Progress | None = None,
) -> Speed:
    """Time some of the fleets, at least one of each kind: each next one is the one whose time is least known, weighed
    by how much of the work is like it. Ends after about ``budget`` seconds, or when all are known.

    Trains at the real size of fleets and on the dataset's own rows, and keeps nothing of it.
    """
    reader = Reader(dataset)
    classes: dict[Features, tuple[Fleet, float]] = {}
    for fleet in fleets:
        one = reader.features(fleet)
        classes[one] = (fleet, classes.get(one, (fleet, 0.0))[1] + one.arithmetic * one.steps)
    timed: list[Timed] = []
    began = time.perf_counter()
    preparing = 0.0
    with _threads(threads):
        while (chosen := _least_known(classes, timed)) is not None:
            spent = time.perf_counter() - began
            if spent > budget and {one.kind for one in classes} <= {known.features.kind for known in timed}:
                break
            if progress:
                progress(min(1.0, max(spent / max(budget, 1.0), len(timed) / len(classes))))
            step, rest, once = _time(dataset, classes[chosen][0])
            timed.append(Timed(chosen, step, rest))
            preparing = max(preparing, once)
        task_models = max((_task_models(dataset, fleet[0]) for fleet in _kinds(dataset, fleets)), default=0.0)
        at_once = torch.get_num_threads()
    if progress:
        progress(1.0)
    return Speed(reader, tuple(timed), preparing, task_models / at_once)


def _kinds(dataset: Dataset, fleets: Sequence[Fleet]) -> list[Fleet]:
    """One fleet with task models of each list of sources, without folds where there is one."""
    found: dict[tuple[str, ...], Fleet] = {}
    for fleet in sorted(fleets, key=lambda fleet: fleet[0].fold is not None):
        if trial_shape(dataset, fleet[0]).evidence:
            found.setdefault(fleet[0].sources, fleet)
    return list(found.values())


def _task_models(dataset: Dataset, trial: Trial) -> float:
    """Seconds per output of the model of one task, whose number of positives or rows is the middle one."""
    stage = Materials().of(dataset, trial).stage
    labels = {name: dataset.labels[name] for name in trial.tasks if dataset.labels[name].task.kind != "clustering"}
    told = {name: float(np.nansum(one.values != 0)) for name, one in labels.items()}
    middle = sorted(told, key=lambda name: told[name])[len(told) // 2]
    _ = stage.ground
    began = time.perf_counter()
    stage.fitted([middle], trial.preset.trees, lambda: None, lambda share: None)
    return (time.perf_counter() - began) / labels[middle].width


def _least_known(classes: dict[Features, tuple[Fleet, float]], timed: Sequence[Timed]) -> Features | None:
    open_to = {
        one: weight * min((one.distance(known.features) for known in timed), default=FAR)
        for one, (_, weight) in classes.items()
    }
    best = max(open_to, key=lambda one: open_to[one], default=None)
    return best if best is not None and open_to[best] > 0 else None


def _time(dataset: Dataset, fleet: Fleet) -> tuple[float, float, float]:
    """Seconds of one step of the fleet, of all that comes once a fleet, and of preparing the rows it trains on."""
    few = few_rows(dataset, fleet[0])
    short = tuple(replace(t, dataset=few.fingerprint, fold=None, epochs=EPOCHS) for t in fleet)
    moments: list[float] = []
    began = time.perf_counter()

    def note(_: float) -> None:
        moments.append(time.perf_counter())
        if len(moments) > 1 and moments[-1] - began > ENOUGH:
            raise _Enough

    with contextlib.suppress(_Enough):
        train_fleet(few, short, evaluate=False, progress=note, materials=Materials(stage=NothingSaid))
    batches = max(1.0, few.samples / fleet[0].batch_size)
    step = float(np.median(np.diff(moments))) / batches
    materials = Materials(stage=NothingSaid)
    began = time.perf_counter()
    prepared = materials.of(dataset, fleet[0])
    if trial_shape(dataset, fleet[0]).evidence:
        _ = prepared.stage.ground
    if any(dataset.labels[name].task.kind == "clustering" for name in fleet[0].tasks):
        _ = prepared.fixed  # made when first asked for, then kept
    ready = time.perf_counter()
    for trained in train_fleet(dataset, [replace(trial, epochs=0) for trial in fleet], materials=materials):
        outcome(dataset, trained)
    return step, time.perf_counter() - ready, ready - began


class _Enough(Exception):
    pass


def few_rows(dataset: Dataset, trial: Trial) -> Dataset:
    """A few whole batches of a trial's training rows as a dataset of their own, one patient a row, all of them labelled
    for every task: what is missing or unlabelled in the dataset takes as long as what is there."""
    rows = trial_rows(dataset, trial)[0]
    rows = np.sort(seeds.generator(dataset.seed, "calibration").permutation(rows)[: BATCHES * trial.batch_size])
    names = np.array([f"{number:09d}" for number in range(len(rows))])
    return Dataset(
        name=dataset.name,
        title=dataset.title,
        seed=dataset.seed,
        ids=names,
        patients=names,
        split=np.full(len(rows), "train"),
        blocks={n: replace(b, values=b.values[rows], present=b.present[rows]) for n, b in dataset.blocks.items()},
        labels={name: _filled(labels, rows) for name, labels in dataset.labels.items()},
        fingerprint=f"{dataset.fingerprint}, {len(rows)} rows",
    )


def _filled(labels: Labels, rows: Rows) -> Labels:
    values = labels.values[rows]
    top = {"binary": 2, "multiclass": len(labels.classes)}.get(labels.task.kind, 1)
    return replace(labels, values=np.where(np.isnan(values), np.arange(len(rows)) % top, values))


@contextlib.contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
