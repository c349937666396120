"""Fleets at once: on a CPU as many as there are threads to train on, each on a core of its own.

A core with a fleet of its own waits for nobody. Splitting every product of one fleet over the cores instead takes
1.5 to 2.5 times as long at the paper's sizes, and far longer where another process wants a core too. What is trained
does not depend on any of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from threadpoolctl import threadpool_limits

from m3h.dataset.dataset import Dataset
from m3h.training.cost import fleet_bytes
from m3h.training.forming import trial_shape
from m3h.training.trial import Trial

Fleet = tuple[Trial, ...]
#: Called with the share of the work that is done, 0 to 1.
Progress = Callable[[float], None]
Result = TypeVar("Result")
#: What is done with a fleet: told how to report its progress, and what to call before each batch.
Work = Callable[[Fleet, Progress, Callable[[], None]], Result]
#: More fleets at once would wait for each other in Python; they share the other threads.
MOST = 8
#: Seconds between two reports of progress.
TICK = 0.25


def workers(device: str, threads: int | None = None) -> int:
    """How many fleets are trained at once with so many threads (default: those that training may use here)."""
    return min(MOST, threads or torch.get_num_threads()) if device == "cpu" else 1


@dataclass
class _Job:
    """A fleet at work, and the share of it that is done."""

    fleet: Fleet
    done: float = 0.0

    @property
    def size(self) -> int:
        return sum(trial.epochs for trial in self.fleet)

    def tell(self, part: float) -> None:
        self.done = part


class _Stopped(Exception):
    pass


class AtOnce(Generic[Result]):
    """Runs ``work`` on fleets of a dataset, several at once where ``memory`` in bytes has room for them beside each
    other (one always is). Results come as fleets end, each with its fleet; all calls but ``work`` are made in the
    caller's thread."""

    def __init__(self, dataset: Dataset, work: Work[Result], memory: int) -> None:
        self.dataset, self.work, self.memory = dataset, work, memory
        self.threads = torch.get_num_threads()
        self.at_work: dict[Future[Result], _Job] = {}
        self.waiting: Fleet | None = None  # pulled, and to start when there is room
        self.stopped = False

    def run(self, fleets: Iterator[Fleet], share: Progress) -> Iterator[tuple[Fleet, Result]]:
        """Pull fleets when there is a thread for them; ``share`` is told how much of those at work is done.

        A fleet that fails ends the run when those beside it have ended and been given. Who stops listening stops the
        fleets at their next batch.
        """
        failed: BaseException | None = None
        # the linear algebra of NumPy has one limit for all threads: none of them may lift it
        with threadpool_limits(limits=1 if self.threads > 1 else None, user_api="blas"):
            pool = ThreadPoolExecutor(MOST, thread_name_prefix="fleet")
            try:
                while True:
                    while failed is None and self._next(fleets):
                        self._start(pool)
                    if not self.at_work:
                        break
                    ended, _ = wait(self.at_work, timeout=TICK, return_when=FIRST_COMPLETED)
                    share(self._share())
                    for future in ended:
                        job = self.at_work.pop(future)
                        failed = failed or future.exception()
                        if future.exception() is None:
                            yield job.fleet, future.result()
            finally:
                self.stopped = True
                pool.shutdown()
                torch.set_num_threads(self.threads)
        if failed is not None:
            raise failed

    def _next(self, fleets: Iterator[Fleet]) -> bool:
        """Whether there is a next fleet, and room for it."""
        if self.waiting is None and len(self.at_work) < workers("cpu", self.threads):
            self.waiting = next(fleets, None)
        if self.waiting is None:
            return False
        together = [self.waiting, *(job.fleet for job in self.at_work.values())]
        if len(together) == 1:
            return True
        return (
            len(together) <= min(workers(fleet[0].device, self.threads) for fleet in together)
            and sum(map(self._bytes, together)) <= self.memory
        )

    def _bytes(self, fleet: Fleet) -> int:
        return fleet_bytes(trial_shape(self.dataset, fleet[0]), fleet[0], self.dataset.samples, len(fleet))

    def _start(self, pool: ThreadPoolExecutor) -> None:
        assert self.waiting is not None
        job, self.waiting = _Job(self.waiting), None
        self.at_work[pool.submit(self._train, job)] = job

    def _train(self, job: _Job) -> Result:
        mine = 0

        def each_batch() -> None:
            """Take a fair part of the threads; the limit is each thread's own."""
            nonlocal mine
            if self.stopped:
                raise _Stopped
            fair = max(1, self.threads // max(1, len(self.at_work)))
            if fair != mine:
                torch.set_num_threads(fair)
                mine = fair

        each_batch()
        return self.work(job.fleet, job.tell, each_batch)

    def _share(self) -> float:
        jobs = [*self.at_work.values(), *([_Job(self.waiting)] if self.waiting else [])]
        return sum(job.done * job.size for job in jobs) / max(1, sum(job.size for job in jobs))


class Told:
    """How far all the work is, told to whoever watches; never less than before. ``total`` work is epochs of networks,
    of which ``done`` were done before."""

    def __init__(self, progress: Progress | None, total: int, done: int = 0) -> None:
        self.progress, self.total, self.done = progress, total, done
        self.began: dict[str, int] = {}
        self.furthest = 0.0

    def pulled(self, fleets: Iterable[Fleet]) -> Iterator[Fleet]:
        """The fleets; each begins when it is pulled."""
        for fleet in fleets:
            self.began.update({trial.id: trial.epochs for trial in fleet})
            yield fleet

    def share(self, part: float) -> None:
        """``part`` of the fleets that have begun and not ended is done."""
        done = self.done + part * sum(self.began.values())
        self.furthest = max(self.furthest, min(1.0, done / self.total) if self.total else 1.0)
        if self.progress:
            self.progress(self.furthest)

    def ended(self, trials: Iterable[Trial]) -> None:
        """These are done."""
        self.done += sum(self.began.pop(trial.id, 0) for trial in trials)
        self.share(0.0)
