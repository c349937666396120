"""The task models of one fold: fitted when a fleet asks, once for all fleets, several tasks at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from m3h.core import seeds
from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset, Rows
from m3h.dataset.split import folds
from m3h.training.additive import FOLDS, Additive, Ground
from m3h.training.task_model import Fitted, TaskModel, TaskModels, evidence_of, fit_task

#: Tasks are fitted so many at once at most: each copies the functions of the rows it is fitted on.
FITS = 4
#: Seconds between two looks at whether somebody wants all this to end.
TICK = 0.2


class _Stopped(Exception):
    pass


class TaskModelStage:
    """Task models (m3h.training.task_model) of the tasks of a dataset, from some sources, fitted on ``train``.

    ``threads`` tasks (at most :data:`FITS`) are fitted at once, each in one thread: the same bytes with any number of
    them. May be asked by several fleets at once; a task is fitted for the first that asks.
    """

    def __init__(self, dataset: Dataset, sources: Sequence[str], train: Rows, threads: int) -> None:
        self.dataset, self.sources, self.train = dataset, tuple(sources), train
        self._threads = min(threads, FITS)
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._asked_ground: Future[Ground] = Future()
        self._asked: dict[tuple[str, bool], Future[Fitted]] = {}
        self._stopped = False

    @cached_property
    def ground(self) -> Ground:
        """The functions of all features. Errors: TrainingError for rows of fewer than two patients."""
        patients = len(np.unique(self.dataset.patients[self.train]))
        if patients < 2:
            raise TrainingError(
                "task models are chosen by cross-validation by patient",
                where=self.dataset.name,
                got=f"{patients} patient{'' if patients == 1 else 's'} to train on",
                expected="at least 2",
                next_step='gather more patients, or set additive = false or preset = "paper" in [network]',
            )
        parts = folds(self.dataset.patients, self.train, min(FOLDS, patients), self.dataset.seed)
        blocks = {name: self.dataset.blocks[name] for name in self.sources}
        return Ground.of(blocks, self.train, self.dataset.patients, parts)

    def fitted(
        self, names: Sequence[str], trees: bool, alive: Callable[[], None], progress: Callable[[float], None]
    ) -> dict[str, Fitted]:
        """The models of these tasks, clusterings left out, with boosted trees or without. ``alive`` is called while
        they are fitted, and what it raises ends all fitting; ``progress`` is told the share that is done."""
        wanted = [name for name in names if self.dataset.labels[name].task.kind != "clustering"]
        with self._lock:
            # those of several outputs take longest; begun first, they do not end last
            for name in sorted(wanted, key=lambda name: -self.dataset.labels[name].width):
                if (name, trees) not in self._asked:
                    if self._pool is None:
                        self._pool = ThreadPoolExecutor(self._threads, "tasks", initializer=_one_thread)
                        self._asked_ground = self._pool.submit(lambda: self.ground)
                    self._asked[name, trees] = self._pool.submit(self._fit, name, trees, self._asked_ground)
        left = {self._asked[name, trees] for name in wanted}
        try:
            while left:
                alive()
                done, left = wait(left, timeout=TICK, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                progress(1 - len(left) / len(wanted))
        except BaseException:
            self._stopped = True
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
            raise
        return {name: self._asked[name, trees].result() for name in wanted}

    def _fit(self, name: str, trees: bool, ground: Future[Ground]) -> Fitted:
        labels, seed = self.dataset.labels[name], seeds.small(self.dataset.seed, "trees")
        return fit_task(
            ground.result(),
            labels.values,
            labels.task.kind,
            labels.width,
            trees=trees,
            seed=seed,
            alive=self._alive,
        )

    def _alive(self) -> None:
        if self._stopped:
            raise _Stopped

    def models(self, fitted: Mapping[str, Fitted], names: Sequence[str]) -> TaskModels:
        """What it takes to use the models of some tasks again."""
        own: dict[str, TaskModel] = {name: fitted[name].model for name in names if name in fitted}
        return TaskModels(self.ground.basis, own)

    def evidence(self, fitted: Mapping[str, Fitted], sets: Sequence[Sequence[str]]) -> Float[Tensor, "set sample _"]:
        """What the models said of all samples (set, sample, evidence), for each of several sets of tasks of equal
        shape; see m3h.network.evidence."""
        parts = [evidence_of([fitted[name].outputs for name in tasks if name in fitted]) for tasks in sets]
        return torch.stack(parts)


class NothingSaid(TaskModelStage):
    """Stands for task models that say 0 of everybody: to time what comes after them."""

    def fitted(
        self, names: Sequence[str], trees: bool, alive: Callable[[], None], progress: Callable[[float], None]
    ) -> dict[str, Fitted]:
        """Nothing, at once."""
        labels = {name: self.dataset.labels[name] for name in names}
        found = {}
        for name, one in labels.items():
            if one.task.kind != "clustering":
                outputs = np.zeros((self.dataset.samples, one.width), np.float32)
                found[name] = Fitted(TaskModel(Additive.nothing(self.ground, one.width), None, 0.0, 1.0, 0.0), outputs)
        return found


def _one_thread() -> None:
    torch.set_num_threads(1)  # the limit is each thread's own
