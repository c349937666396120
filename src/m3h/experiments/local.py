"""The local executor: fleets in this process, on a CPU several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from m3h.dataset.dataset import Dataset
from m3h.experiments.outcome import Outcome, outcome
from m3h.training.at_once import AtOnce, Fleet, Progress
from m3h.training.fleet import train_fleet
from m3h.training.prepared import Materials


class Local:
    """Trains the fleets of a dataset here, on the device their trials name; those at work beside each other take no
    more than ``memory`` bytes together, unless one alone does."""

    def __init__(self, dataset: Dataset, memory: int) -> None:
        self.dataset, self.memory = dataset, memory
        self.materials = Materials()

    def run(self, fleets: Iterator[Fleet], share: Progress) -> Iterator[Sequence[Outcome]]:
        """The outcomes of each fleet as it ends; ``share`` is told how much of those at work is done."""
        for _, outcomes in AtOnce(self.dataset, self._work, self.memory).run(fleets, share):
            yield outcomes

    def _work(self, fleet: Fleet, tell: Progress, each_batch: Callable[[], None]) -> list[Outcome]:
        trained = train_fleet(self.dataset, fleet, progress=tell, materials=self.materials, each_batch=each_batch)
        return [outcome(self.dataset, network) for network in trained]
