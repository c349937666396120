"""Trials by the thousand: what the ledger lacks is trained fleet by fleet and written as soon as a fleet ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset
from m3h.evaluation.compare import COMPARED
from m3h.experiments.asking import Ask, Scores
from m3h.experiments.ledger import Ledger
from m3h.experiments.outcome import Outcome
from m3h.training.at_once import Fleet, Progress, Told
from m3h.training.forming import form_fleets
from m3h.training.trial import Trial

#: Seconds between two looks at a ledger whose remaining trials other processes work on.
PATIENCE = 1.0


class Executor(Protocol):
    """Where fleets are trained."""

    def run(self, fleets: Iterator[Fleet], share: Callable[[float], None]) -> Iterator[Sequence[Outcome]]:
        """Train the fleets, pulling the next one from ``fleets`` only when there is room for it; the outcomes of each
        fleet as it ends, in any order. ``share`` is told how far the fleet at work is, where that is known."""
        ...


class Engine:
    """A dataset, a ledger and an executor: what all commands train through.

    ``memory`` in bytes caps a fleet. Fleets are formed from the asked trials, whatever the ledger holds; members that
    the ledger has are dropped before their fleet starts, so a run that was stopped goes on with the very fleets it
    would have trained. ``waiting`` is told how many trainings are left when all of them are other processes'.
    """

    def __init__(
        self,
        dataset: Dataset,
        ledger: Ledger,
        executor: Executor,
        *,
        memory: int,
        waiting: Callable[[int], None] | None = None,
    ) -> None:
        self.dataset, self.ledger, self.executor, self.memory = dataset, ledger, executor, memory
        self.waiting = waiting or (lambda count: None)
        #: How many trials this engine has trained itself.
        self.trained = 0

    def complete(self, trials: Sequence[Trial], progress: Progress | None = None) -> dict[str, Outcome]:
        """The outcomes of all trials by id, without their networks; those that the ledger lacks are trained first.

        Errors: FolderError where the ledger cannot be read or written; TrainingError for a trial of another dataset.
        """
        wanted = {trial.id: trial for trial in trials}
        fleets = form_fleets(self.dataset, list(wanted.values()), self.memory)
        missing = [fleet for fleet in fleets if self._lacking(fleet)]
        total = sum(_work(fleet) for fleet in fleets)
        told = Told(progress, total, done=total - sum(_work(self._lacking(fleet)) for fleet in missing))
        told.share(0.0)
        while missing:
            try:
                for outcomes in self.executor.run(told.pulled(self._claimed(missing)), told.share):
                    self.ledger.record(outcomes, study=self.dataset.name)
                    self.trained += len(outcomes)
                    told.ended(one.trial for one in outcomes)
            finally:
                self.ledger.release()  # after an error, others need not wait for this process to end
            missing = [fleet for fleet in missing if self._lacking(fleet)]
            if missing:  # another process has claimed them
                self.waiting(sum(len(self._lacking(fleet)) for fleet in missing))
                time.sleep(PATIENCE)
        return self.ledger.found(list(wanted.values()))

    def network(self, trial: Trial) -> bytes:
        """The network of a completed trial on the whole training part. Errors: TrainingError if there is none."""
        content = self.ledger.network(trial.id)
        if content is None:
            raise TrainingError("the ledger has no network for this trial", where=trial.label)
        return content

    def _lacking(self, fleet: Fleet) -> Fleet:
        known = self.ledger.found(fleet)
        return tuple(trial for trial in fleet if trial.id not in known)

    def _claimed(self, fleets: Sequence[Fleet]) -> Iterator[Fleet]:
        """Each fleet without the members that are finished or that another process is training."""
        for fleet in fleets:
            mine = set(self.ledger.claim([trial.id for trial in fleet]))
            members = tuple(trial for trial in fleet if trial.id in mine)
            if members:
                yield members


def _work(fleet: Sequence[Trial]) -> int:
    return sum(trial.epochs for trial in fleet)


def compared(dataset: Dataset, outcome: Outcome) -> Scores:
    """What sets are compared by: each task's headline metric, for clusterings the silhouette in the fixed space."""
    kinds = {name: dataset.labels[name].task.kind for name in outcome.scores}
    return {name: values[COMPARED[kinds[name]]] for name, values in outcome.scores.items()}


def answering(
    engine: Engine, make: Callable[[Ask], Trial], progress: Progress | None = None
) -> Callable[[Sequence[Ask]], dict[Ask, Scores]]:
    """An answer (m3h.experiments.asking) by training; ``make`` turns an ask into a trial."""

    def answer(asks: Sequence[Ask]) -> dict[Ask, Scores]:
        trials = {ask: make(ask) for ask in dict.fromkeys(asks)}
        outcomes = engine.complete(list(trials.values()), progress)
        return {ask: compared(engine.dataset, outcomes[trial.id]) for ask, trial in trials.items()}

    return answer
