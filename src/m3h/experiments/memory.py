"""How much memory training a fleet takes, from the plan alone, and how much this process has taken."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence

from m3h.dataset.dataset import Dataset
from m3h.training import cost
from m3h.training.forming import trial_shape
from m3h.training.trial import Trial

Fleet = Sequence[Trial]


def fleet_bytes(dataset: Dataset, fleet: Fleet) -> int:
    """Bytes that whoever trains the fleet takes at most, beside the dataset; the scaled inputs are part of it."""
    return cost.fleet_bytes(trial_shape(dataset, fleet[0]), fleet[0], dataset.samples, len(fleet))


def largest_bytes(dataset: Dataset, fleets: Sequence[Fleet]) -> int:
    """Bytes that whoever trains the fleets, one after the other, takes at most."""
    alike = {(trial_shape(dataset, one[0]), one[0].batch_size, one[0].precision, len(one)): one for one in fleets}
    return max((fleet_bytes(dataset, one) for one in alike.values()), default=0)


def resident_bytes() -> int:
    """The most that this process has held in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
