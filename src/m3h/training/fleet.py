"""Training: trials in, trained networks out. The place to start reading.

Trials of equal shape, fold, batch size and replicate are a fleet: networks that are trained at once, each with its
own tasks, learning rate and loss weights, on the same batches and under the same dropout masks. How a fleet is cut
never changes what is trained: a fleet of many gives what as many fleets of one would.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset, Rows
from m3h.network.between import Dropout
from m3h.training.at_once import AtOnce, Fleet, Told
from m3h.training.at_once import Progress as Progress
from m3h.training.batches import batch_count, batches, mask_generator, order_generator
from m3h.training.finish import finish
from m3h.training.forming import default_memory, form_fleets, trial_shape
from m3h.training.gates import held_parts
from m3h.training.members import CONTRASTIVE, Batch, Members, Targets
from m3h.training.prepared import Materials
from m3h.training.task_model import Fitted
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial

#: Share of the steps in which a cosine schedule rises.
RISE = 0.05
#: Share of a training that its task models are counted as, where progress is told.
TASK_MODELS_SHARE = 0.8


def train(
    dataset: Dataset,
    trials: Sequence[Trial],
    *,
    memory: int | None = None,
    evaluate: bool = True,
    progress: Progress | None = None,
) -> Iterator[TrainedNetwork]:
    """Train all trials, fleet by fleet, in an order that follows from the trials alone.

    ``memory`` in bytes caps a fleet (m3h.training.cost; None: a share of the device's). Without ``evaluate`` the
    networks come without predictions. A member that goes NaN comes back with ``failed`` set; the others are untouched
    by it. Errors: TrainingError for a trial of another dataset or without rows to train on.
    """
    if not trials:
        return
    limit = default_memory(trials[0].device) if memory is None else memory
    fleets = form_fleets(dataset, trials, limit)
    told = Told(progress, sum(len(fleet) * fleet[0].epochs for fleet in fleets))
    materials = Materials()

    def work(fleet: Fleet, tell: Progress, each_batch: Callable[[], None]) -> list[TrainedNetwork]:
        return train_fleet(dataset, fleet, evaluate=evaluate, progress=tell, materials=materials, each_batch=each_batch)

    ended: dict[Fleet, list[TrainedNetwork]] = {}
    following = iter(fleets)
    expected = next(following)
    for fleet, networks in AtOnce(dataset, work, limit).run(told.pulled(fleets), told.share):
        told.ended(fleet)
        ended[fleet] = networks
        while expected in ended:
            yield from ended.pop(expected)
            expected = next(following, ())


def train_fleet(
    dataset: Dataset,
    fleet: Sequence[Trial],
    *,
    evaluate: bool = True,
    progress: Progress | None = None,
    materials: Materials | None = None,
    each_batch: Callable[[], None] | None = None,
) -> list[TrainedNetwork]:
    """Train exactly this fleet: trials of one shape that differ in task names, loss weights and learning rate only.

    ``materials`` is kept by the caller between fleets on the same rows; ``each_batch`` is called before every batch,
    and what it raises ends the training. A card whose memory does not hold the fleet
    trains it in halves, and each member's warnings say so. Errors: TrainingError if a single network does not fit, for
    a trial of another dataset, or without rows to train on.
    """
    materials = Materials() if materials is None else materials
    furthest = 0.0

    def report(part: float) -> None:
        nonlocal furthest
        furthest = max(furthest, part)  # a fleet that is begun again in halves does not take back what was reported
        if progress:
            progress(furthest)

    def train(part: Fleet, first: int) -> list[TrainedNetwork]:
        """``first`` members of the fleet come before this part of it."""
        try:
            training = FleetTraining(dataset, part, materials)
            return training.run(
                evaluate, lambda done: report((first + done * len(part)) / len(fleet)), each_batch or (lambda: None)
            )
        except torch.OutOfMemoryError as error:
            if len(part) == 1:
                raise TrainingError(
                    "one network and its batch do not fit into the memory of the device",
                    where=part[0].label,
                    got=f"batches of {part[0].batch_size} rows on {part[0].device}",
                    next_step="train with a smaller batch size, with fewer tasks, or with --device cpu",
                ) from error
        # outside the handler: the error holds the frames, and they hold the card's memory
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = (len(part) + 1) // 2
        told = f"{len(part)} networks did not fit into the memory of the device at once: trained in halves"
        parts = (*train(part[:half], first), *train(part[half:], first + half))
        return [replace(one, warnings=(told, *one.warnings)) for one in parts]

    return train(tuple(fleet), 0)


class FleetTraining:
    """One fleet's training: its material and its networks."""

    def __init__(self, dataset: Dataset, fleet: Sequence[Trial], materials: Materials) -> None:
        first = fleet[0]
        self.dataset, self.fleet, self.first = dataset, tuple(fleet), first
        self.prepared = materials.of(dataset, first)
        self.material = self.prepared.material
        if len(self.material.train) < 2:
            raise TrainingError(
                f"{len(self.material.train)} rows to train on", where=dataset.name, expected="at least 2"
            )
        shape = trial_shape(dataset, first)
        self.shape, self.slots, self.contrastive = shape, len(shape.slots), shape.contrasting
        self.batches = first.epochs * batch_count(len(self.material.train), first.batch_size)

    def run(self, evaluate: bool, progress: Progress, each_batch: Callable[[], None]) -> list[TrainedNetwork]:
        """Task models where the preset has them, then all epochs, then one network per member."""
        began = time.perf_counter()
        task_models = self._task_models(each_batch, lambda part: progress(part * TASK_MODELS_SHARE))
        before = TASK_MODELS_SHARE if task_models else 0.0
        sets = [trial.tasks for trial in self.fleet]
        self.centres = {name: fitted.model.centre for name, fitted in task_models.items()}
        self.targets = Targets.of(self.dataset, self.fleet, self.first.device, self.centres)
        evidence = self.prepared.stage.evidence(task_models, sets) if task_models else None
        copies, train = self.shape.preset.copies, self.material.train
        parts = held_parts(self.dataset, train, copies) if copies > 1 else None
        self.members = Members(self.dataset, self.fleet, self.shape, train, self.targets, evidence, parts)
        step = 0
        for epoch in range(self.first.epochs):
            for rows in batches(self.material.train, self.first.batch_size, order_generator(self.first, epoch)):
                each_batch()
                self.update(rows, step)
                step += 1
            progress(before + (1 - before) * (epoch + 1) / self.first.epochs)
            if not self.members.alive.any():
                break
        each_batch()
        results = finish(self.prepared, self.members, self.dataset, evaluate, task_models)
        seconds = (time.perf_counter() - began) / len(self.fleet)
        return [replace(result, seconds=seconds) for result in results]

    def _task_models(self, alive: Callable[[], None], progress: Progress) -> dict[str, Fitted]:
        """The task models of all tasks of the fleet, by task; none where the preset has none."""
        if not self.shape.evidence:
            return {}
        names = list(dict.fromkeys(name for trial in self.fleet for name in trial.tasks))
        return self.prepared.stage.fitted(names, self.shape.preset.trees, alive, progress)

    def update(self, rows: Rows, step: int) -> None:
        """Train all members on one batch."""
        half = self.first.precision == "bfloat16"
        batch = Batch(self.material, self.targets, rows, half, self.members.evidence)
        factor = self._factor(step)
        if self.first.update == "joint":
            self.members.joint(batch, self._dropout(step, CONTRASTIVE), self.contrastive, step, factor)
        else:
            self.members.sequential(batch, self._order(step), lambda number: self._dropout(step, number), step, factor)

    def _factor(self, step: int) -> float:
        """What the learning rate is multiplied by in a step."""
        if self.first.preset.schedule == "constant":
            return 1.0
        return min(1.0, (step + 1) / (RISE * self.batches + 1)) * (1 + math.cos(math.pi * step / self.batches)) / 2

    def _dropout(self, step: int, number: int) -> Dropout:
        return Dropout(self.first.preset.dropout, mask_generator(self.first, step, number + 1))

    def _order(self, step: int) -> list[int]:
        """The losses of one batch: the contrastive one, then the slots."""
        order = ([CONTRASTIVE] if self.contrastive else []) + list(range(self.slots))
        if self.first.preset.shuffle_losses:
            order = mask_generator(self.first, step, CONTRASTIVE).permutation(order).tolist()
        return order
