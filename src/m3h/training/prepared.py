"""What fleets on the same rows and sources have in common: scaled inputs, and the space in which groupings compare."""

from __future__ import annotations

import threading
from functools import cached_property
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset
from m3h.training.batches import Material, material, trial_rows
from m3h.training.clusters import FixedSpace
from m3h.training.stage import TaskModelStage
from m3h.training.trial import Trial


class Prepared:
    """Scaled inputs of one fold; the fixed space and the evaluated rows' places in it when a clustering asks; the
    task models when a preset does."""

    def __init__(self, inputs: Material, seed: int, stage: TaskModelStage) -> None:
        self.material, self.seed, self.stage = inputs, seed, stage

    @cached_property
    def space(self) -> FixedSpace:
        """Principal components of the rows trained on."""
        return FixedSpace.fit(self.material.flat(self.material.train), self.seed)

    @cached_property
    def fixed(self) -> NDArray[np.float64]:
        """The evaluated rows in the fixed space (row, dimensions)."""
        return self.space.place(self.material.flat(self.material.evaluate))


class Materials:
    """Keeps what the last fleet was trained on for the next ones: scaling thousands of columns costs as much as an
    epoch of a small network. Holds one fold, and those that fleets are at work on; may be asked by several threads.
    ``threads`` are those that task models are fitted in (default: as many as training may use), by ``stage``."""

    def __init__(self, threads: int | None = None, stage: type[TaskModelStage] = TaskModelStage) -> None:
        self._threads, self._stage = threads or torch.get_num_threads(), stage
        self._lock = threading.Lock()
        self._dataset: Dataset | None = None
        self._kept: Prepared | None = None
        self._in_use: WeakValueDictionary[tuple[object, ...], Prepared] = WeakValueDictionary()

    def of(self, dataset: Dataset, trial: Trial) -> Prepared:
        """The scaled inputs of a trial."""
        key = (trial.sources, trial.fold, trial.folds, trial.device, trial.seed)
        with self._lock:
            if self._dataset is not dataset:
                self._dataset, self._in_use = dataset, WeakValueDictionary()
            found = self._in_use.get(key)
            if found is None:
                self._kept = None  # the old goes before the new comes: they need not fit beside each other
                train, evaluate = trial_rows(dataset, trial)
                made = material(dataset, trial.sources, train, evaluate, device=trial.device)
                stage = self._stage(dataset, trial.sources, train, self._threads)
                found = self._in_use[key] = Prepared(made, trial.seed, stage)
            self._kept = found
            return found
