"""What each feature of a patient did to a task's output, and which features matter to a task.

Measured from the training average: the base is what the model says where every part of it stands at its mean over the
rows trained on. Additive terms have mean 0 there, TreeSHAP starts from the trees' mean there, and the network starts
from both, with its own inputs at their means; a mean is also what a missing value is read as by additive models and by
the network, so a feature that was not measured adds nothing but what its missingness itself is known to say. Other
baselines, such as a healthy patient, would be somebody's choice; this one is the model's own.

For every row:  base + sum over features of values + error = output

on the scale of m3h.explain.outputs. Additive models and trees add up exactly (rounding aside); integrated gradients do
within the tolerance of m3h.explain.gradients, and ``error`` says by how much each row does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset, Rows
from m3h.encoders.block import Block
from m3h.explain.gradients import TOLERANCE, Along, Line, integrate, line
from m3h.explain.outputs import (
    MOST_ROWS,
    check_sources,
    chosen_rows,
    cut,
    gate,
    output_scale,
    outputs,
    task_slots,
)
from m3h.explain.terms import Features, Terms, task_model_terms
from m3h.network.network import Network
from m3h.training.additive import side_by_side
from m3h.training.trained import TrainedNetwork

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Attribution:
    """What each feature adds to a task's outputs on some ``rows``.

    ``values`` (row, feature, outputs); ``base`` (outputs,); ``outputs`` and ``error`` (row, outputs); ``parts``
    "additive", "trees" and "network": the sum over features of what comes from each, (row, outputs); ``inputs`` (row,
    feature) what was measured, in the features' units, NaN = not measured, absences 1 or 0.
    """

    task: str
    features: Features
    rows: Rows
    values: Floats
    base: Floats
    outputs: Floats
    error: Floats
    parts: Mapping[str, Floats]
    inputs: Floats


def attributions(
    trained: TrainedNetwork,
    dataset: Dataset,
    *,
    tasks: Sequence[str] | None = None,
    rows: Rows | None = None,
    most: int = MOST_ROWS,
    tolerance: float = TOLERANCE,
) -> dict[str, Attribution]:
    """Attributions by task; ``tasks`` None are all but clusterings, ``rows`` (ascending) None the test rows, of which
    at most ``most`` are taken, chosen by the dataset's seed.

    Errors: SettingError for unknown tasks, clusterings, rows that are not there, a dataset that lacks a source, or
    where a network has to be explained and Captum is not installed.
    """
    check_sources(trained, dataset)
    slots, found = task_slots(trained, tasks), chosen_rows(dataset, rows, most)
    own = cut(dataset, found)
    blocks = {name: own.blocks[name] for name in trained.trial.sources}
    explained = _Explained(trained, blocks, tuple(slots), tolerance)
    said = outputs(trained, dataset, found, list(slots))
    return {name: explained.of(name, slot, said[name], found) for name, slot in slots.items()}


class _Explained:
    """All that the attributions of several tasks on the same rows have in common."""

    def __init__(
        self, trained: TrainedNetwork, blocks: Mapping[str, Block], tasks: Sequence[str], tolerance: float
    ) -> None:
        self.trained, self.blocks, self.tolerance = trained, blocks, tolerance
        self.features = Features.of(blocks)
        rows = np.arange(len(next(iter(blocks.values())).present))
        absent = np.stack([~block.present for block in blocks.values()], 1)
        self.inputs = np.concatenate([side_by_side(blocks, rows), absent], 1).astype(np.float64)
        places = {name: slot for slot, name in enumerate(trained.trial.tasks)}
        needed = any(gate(trained, places[name]) != 0 for name in tasks)
        self.terms: dict[str, Terms] = {}
        models = trained.task_models
        if models is not None:
            names = trained.trial.tasks if needed else tasks
            self.terms = task_model_terms(models, [name for name in names if name in models.models], blocks)
        self.network: Network | None = trained.network() if needed else None
        self.line: Line | None = self._line() if needed else None

    def _line(self) -> Line:
        if not self.terms:
            return line(self.trained, self.blocks, None, None)
        base = np.concatenate([terms.base for terms in self.terms.values()])
        said = np.concatenate([terms.both.sum(1) for terms in self.terms.values()], 1)
        return line(self.trained, self.blocks, base + said, base)

    def of(self, name: str, slot: int, said: Floats, rows: Rows) -> Attribution:
        width, scale = said.shape[1], output_scale(self.trained, slot)
        nothing = np.zeros((len(rows), len(self.features), width))
        parts = {"additive": nothing, "trees": nothing, "network": nothing}
        base = np.zeros(width)
        if name in self.terms:
            own = self.terms[name]
            parts |= {"additive": own.additive * scale, "trees": own.trees * scale}
            base = own.base * scale
        if self.network is not None and self.line is not None and gate(self.trained, slot) != 0:
            moved = nothing.copy()
            for output in range(width):
                along = integrate(self.network, slot, output, self.line, self.tolerance)
                moved[:, :, output] = self._handed_on(along, self.line) * scale
                base[output] += along.start * scale
            parts["network"] = moved
        if self.trained.shape.slots[slot].kind == "multiclass":
            parts = {part: values - values.mean(-1, keepdims=True) for part, values in parts.items()}
            base = base - base.mean()
        elif self.trained.task_models is not None:
            base = base + self.trained.task_models.models[name].centre
        values = parts["additive"] + parts["trees"] + parts["network"]
        return Attribution(
            task=name,
            features=self.features,
            rows=rows,
            values=values,
            base=base,
            outputs=said,
            error=said - base - values.sum(1),
            parts={part: one.sum(1) for part, one in parts.items()},
            inputs=self.inputs,
        )

    def _handed_on(self, along: Along, ends: Line) -> Floats:
        """What each feature adds to an output of the network (row, feature)."""
        found = np.zeros(self.inputs.shape)
        first = np.cumsum([0, *(block.width for block in self.blocks.values())])
        for number, (modality, _) in enumerate(self.trained.shape.modalities if ends.values else ()):
            names = [(k, block) for k, block in enumerate(self.blocks.values()) if block.modality == modality]
            adds, begin = along.values[number] * ends.values[number].double().numpy(), 0
            away = along.absence[:, number] * ends.absence[:, number].double().numpy()
            for k, block in names:
                found[:, first[k] : first[k + 1]] += adds[:, begin : begin + block.width]
                # a modality is absent where all its sources are, and each of them as much as the others
                found[:, self.features.columns + k] += away / len(names)
                begin += block.width
        if along.evidence is not None:
            place = 0
            for terms in self.terms.values():
                for output in range(len(terms.base)):
                    found += along.evidence[:, place, None] * (terms.additive[:, :, output] + terms.trees[:, :, output])
                    place += 1
        return found
