"""Training: trials in, trained networks out. The place to start reading.

Trials of equal shape, fold, batch size and replicate are a fleet: networks that are trained at once, each with its
own tasks, learning rate and loss weights, on the same batches and under the same dropout masks. How a fleet is cut
never changes what is trained: a fleet of many gives what as many fleets of one would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset, Rows
from m3h.network.between import Dropout
from m3h.training.batches import batches, mask_generator, order_generator
from m3h.training.cost import lane_size
from m3h.training.finish import finish
from m3h.training.forming import evenly, form_fleets, trial_shape
from m3h.training.lane import CONTRASTIVE, Batch, Lane, Targets
from m3h.training.prepared import Materials
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial

#: Called with the share of the work that is done, 0 to 1.
Progress = Callable[[float], None]


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
    fleets = form_fleets(dataset, trials, memory)
    total = sum(len(fleet) * fleet[0].epochs for fleet in fleets)
    done = 0
    materials = Materials()
    for fleet in fleets:
        work = len(fleet) * fleet[0].epochs

        def report(part: float, before: int = done, here: int = work) -> None:
            if progress:
                progress((before + part * here) / total)

        yield from train_fleet(dataset, fleet, evaluate=evaluate, progress=report, materials=materials)
        done += work


def train_fleet(
    dataset: Dataset,
    fleet: Sequence[Trial],
    *,
    evaluate: bool = True,
    progress: Progress | None = None,
    materials: Materials | None = None,
) -> list[TrainedNetwork]:
    """Train exactly this fleet: trials of one shape that differ in task names, loss weights and learning rate only.

    ``materials`` is kept by the caller between fleets on the same rows. A card whose memory does not hold the fleet
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

    return _train(dataset, tuple(fleet), evaluate, report, materials)


def _train(
    dataset: Dataset, fleet: tuple[Trial, ...], evaluate: bool, progress: Progress, materials: Materials
) -> list[TrainedNetwork]:
    try:
        return FleetTraining(dataset, fleet, materials).run(evaluate, progress)
    except torch.OutOfMemoryError as error:
        if len(fleet) == 1:
            raise TrainingError(
                "one network and its batch do not fit into the memory of the device",
                where=fleet[0].label,
                got=f"batches of {fleet[0].batch_size} rows on {fleet[0].device}",
                next_step="train with a smaller batch size, with fewer tasks, or with --device cpu",
            ) from error
    # outside the handler: the error holds the frames, and they hold the card's memory
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = (len(fleet) + 1) // 2
    first = _train(dataset, fleet[:half], evaluate, lambda part: progress(part * half / len(fleet)), materials)
    rest = len(fleet) - half
    second = _train(
        dataset, fleet[half:], evaluate, lambda part: progress((half + part * rest) / len(fleet)), materials
    )
    told = f"{len(fleet)} networks did not fit into the memory of the device at once: trained in halves"
    return [replace(one, warnings=(told, *one.warnings)) for one in (*first, *second)]


class FleetTraining:
    """One fleet's training: its material and its lanes, in lockstep."""

    def __init__(self, dataset: Dataset, fleet: Sequence[Trial], materials: Materials) -> None:
        first = fleet[0]
        self.dataset, self.fleet, self.first = dataset, tuple(fleet), first
        self.prepared = materials.of(dataset, first)
        self.material = self.prepared.material
        if len(self.material.train) < 2:
            raise TrainingError(
                f"{len(self.material.train)} rows to train on", where=dataset.name, expected="at least 2"
            )
        self.shape = trial_shape(dataset, first)
        self.targets = Targets.of(dataset, fleet, first.device)
        self.lanes = [
            Lane(dataset, members, self.shape, self.material.train, self.targets)
            for members in evenly(self.fleet, lane_size(self.shape, first.device))
        ]
        self.contrastive = first.preset.contrastive_weight > 0 and len(self.shape.modalities) > 1

    def run(self, evaluate: bool, progress: Progress) -> list[TrainedNetwork]:
        """All epochs, then one network per member."""
        began = time.perf_counter()
        step = 0
        for epoch in range(self.first.epochs):
            for rows in batches(self.material.train, self.first.batch_size, order_generator(self.first, epoch)):
                self.update(rows, step)
                step += 1
            progress((epoch + 1) / self.first.epochs)
            if not any(lane.alive.any() for lane in self.lanes):
                break
        results = [result for lane in self.lanes for result in finish(self.prepared, lane, self.dataset, evaluate)]
        seconds = (time.perf_counter() - began) / len(self.fleet)
        return [replace(result, seconds=seconds) for result in results]

    def update(self, rows: Rows, step: int) -> None:
        """Train all members on one batch."""
        batch = Batch(self.material, self.targets, rows, self.first.precision == "bfloat16")
        order = self._order(step)
        drawn = {number: self._dropout(step, number) for number in (*order, CONTRASTIVE)}
        for lane in self.lanes:
            if not lane.alive.any():
                continue
            if self.first.update == "joint":
                lane.joint(batch, drawn[CONTRASTIVE].again(), self.contrastive, step)
            else:
                lane.sequential(batch, order, lambda number: drawn[number].again(), step)

    def _dropout(self, step: int, number: int) -> Dropout:
        return Dropout(self.first.preset.dropout, mask_generator(self.first, step, number + 1))

    def _order(self, step: int) -> list[int]:
        """The losses of one batch: the contrastive one, then the slots."""
        order = ([CONTRASTIVE] if self.contrastive else []) + list(range(len(self.shape.slots)))
        if self.first.preset.shuffle_losses:
            order = mask_generator(self.first, step, CONTRASTIVE).permutation(order).tolist()
        return order
