"""How far cross-task attention varies, measured, so that nobody reads more out of it than is in it.

Attention weights are what a task's token was mixed from, not what an answer was made of: with the identity's bonus they
stay near fixed numbers whoever the patient is, they may be mixed from tokens that say the same, and where a task's gate
is shut nothing of it reaches the output. This module says all three in numbers; it explains no prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset, Rows
from m3h.explain.outputs import check_sources, checked_rows, cut, evidence_of_rows, gate
from m3h.training.batches import material
from m3h.training.predict import CHUNK
from m3h.training.trained import TrainedNetwork

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AttentionFacts:
    """Attention of one joint network over some rows, its copies averaged.

    ``weights`` (task that asks, task that answers), mean over rows, those of a task that asks add up to 1; ``own``
    (task,) the share that a task gives itself; ``entropy`` (task,) the mean over rows of the entropy over that of equal
    weights, from 0, all on one task, to 1, all alike (NaN for one task); ``between_rows`` (asks, answers) the standard
    deviation from patient to patient; ``between_copies`` (asks, answers) that of the mean weights from copy to copy, 0
    with one; ``gates`` (task,) the share of the network's correction that is believed, 1 for clusterings and where the
    network is all there is.
    """

    tasks: tuple[str, ...]
    rows: int
    weights: Floats
    own: Floats
    entropy: Floats
    between_rows: Floats
    between_copies: Floats
    gates: Floats

    @property
    def reaches(self) -> NDArray[np.bool_]:
        """Whether attention has any part in a task's output (task,): not where the gate is shut."""
        return self.gates > 0

    def caution(self) -> str:
        """What must stand beside a picture of these weights, in a sentence or two."""
        shut = [name for name, open_ in zip(self.tasks, self.reaches, strict=True) if not open_]
        said = (
            f"From patient to patient a weight varies by {self.between_rows.max():.3f} at most (standard deviation); "
            "weights describe the network, not why a patient got an answer."
        )
        if not shut:
            return said
        which = "all tasks" if len(shut) == len(self.tasks) else f"{len(shut)} of {len(self.tasks)} tasks"
        return f"{said} For {which} the gate is shut: attention does not reach the output at all."


@torch.no_grad()
def attention_facts(trained: TrainedNetwork, dataset: Dataset, rows: Rows | None = None) -> AttentionFacts:
    """Attention over ``rows`` (ascending; None: the test rows). Errors: SettingError for rows that are not there, or a
    dataset that lacks a source."""
    check_sources(trained, dataset)
    found = checked_rows(dataset, rows)
    own, every = cut(dataset, found), np.arange(len(found))
    data = material(own, trained.trial.sources, every, every, scaler=trained.scaler)
    evidence, network = evidence_of_rows(trained, own), trained.network()
    tasks, copies = len(trained.trial.tasks), network.fleet
    total, squares, entropy = np.zeros((copies, tasks, tasks)), np.zeros((tasks, tasks)), np.zeros(tasks)
    # squares of deviations from the first row's weights, as squares of the weights themselves would lose the digits
    origin: Floats | None = None
    shift = np.zeros((tasks, tasks))
    for begin in range(0, len(every), CHUNK):
        inputs = data.inputs(torch.from_numpy(every[begin : begin + CHUNK]), evidence)
        each = network(inputs, None, ()).attention.double().numpy()  # (copy, row, asks, answers)
        total += each.sum(1)
        of_rows = each.mean(0)
        entropy += -(of_rows * np.log(np.where(of_rows > 0, of_rows, 1.0))).sum((0, 2))
        origin = of_rows[0] if origin is None else origin
        shift += (of_rows - origin).sum(0)
        squares += np.square(of_rows - origin).sum(0)
    means = total / len(every)
    weights = means.mean(0)
    variance = squares / len(every) - np.square(shift / len(every))
    gates = [gate(trained, slot) for slot in range(tasks)]
    clusterings = trained.shape.clusterings
    return AttentionFacts(
        tasks=trained.trial.tasks,
        rows=len(every),
        weights=weights,
        own=weights.diagonal().copy(),
        entropy=entropy / len(every) / np.log(tasks) if tasks > 1 else np.full(tasks, np.nan),
        between_rows=np.sqrt(np.maximum(variance, 0.0)),
        between_copies=means.std(0),
        gates=np.array([1.0 if one is None or k in clusterings else one for k, one in enumerate(gates)]),
    )
