"""The local executor: fleets one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from m3h.dataset.dataset import Dataset
from m3h.experiments.outcome import Outcome, outcome
from m3h.training.fleet import train_fleet
from m3h.training.prepared import Materials
from m3h.training.trial import Trial


class Local:
    """Trains the fleets of a dataset here, on the device their trials name."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def run(self, fleets: Iterator[tuple[Trial, ...]], share: Callable[[float], None]) -> Iterator[Sequence[Outcome]]:
        """The outcomes of each fleet, in the order of the fleets."""
        materials = Materials()
        for fleet in fleets:
            trained = train_fleet(self.dataset, fleet, progress=share, materials=materials)
            yield [outcome(self.dataset, network) for network in trained]
