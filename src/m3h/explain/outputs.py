"""What a trained network says of some rows, on the scale that explanations add up on.

Binary: log-odds. Multiclass: each class's log-odds less the mean over the classes; softmax ignores what all classes
share, so only this has a meaning. Regression: value in the task's unit. Clusterings have no output to explain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.core.errors import SettingError, nearest
from m3h.dataset.dataset import Dataset, Rows
from m3h.encoders.block import Block
from m3h.evaluation.scores import Prediction
from m3h.study.task import Kind
from m3h.training import predict
from m3h.training.additive import side_by_side
from m3h.training.batches import material
from m3h.training.task_model import TaskModels
from m3h.training.trained import TrainedNetwork

Floats = NDArray[np.float64]

#: Rows explained feature by feature unless more are asked for.
MOST_ROWS = 500


def task_slots(trained: TrainedNetwork, tasks: Sequence[str] | None) -> dict[str, int]:
    """The slots of the tasks to explain, None for all that have outputs. Errors: SettingError for a task that the
    network does not know, or a clustering."""
    slots = {name: slot for slot, name in enumerate(trained.trial.tasks)}
    has = {name: slot for name, slot in slots.items() if trained.shape.slots[slot].kind != "clustering"}
    for name in tasks or ():
        if name not in slots:
            raise SettingError(f'the network does not know task "{name}"{nearest(name, slots)}')
        if name not in has:
            raise SettingError(
                f'task "{name}" is a clustering, which has no output to explain',
                expected="a binary, multiclass or regression task",
            )
    return has if tasks is None else {name: slot for name, slot in has.items() if name in tasks}


def checked_rows(dataset: Dataset, rows: Rows | None) -> Rows:
    """Row numbers, None for the test rows. Errors: SettingError unless they are ascending rows of the dataset."""
    if rows is None:
        return dataset.test_rows
    found = np.asarray(rows, np.int64)
    inside = len(found) > 0 and found[0] >= 0 and found[-1] < dataset.samples
    if found.ndim != 1 or not inside or not np.all(np.diff(found) > 0):
        raise SettingError(
            "these rows cannot be explained",
            where=dataset.name,
            got=f"{len(found)} row numbers" if len(found) else "no rows",
            expected=f"ascending numbers from 0 to {dataset.samples - 1}, at least one",
        )
    return found


def chosen_rows(dataset: Dataset, rows: Rows | None, most: int) -> Rows:
    """At most ``most`` of the rows (None: the test rows), chosen by the dataset's seed; ascending."""
    found = checked_rows(dataset, rows)
    if len(found) <= most:
        return found
    chosen = seeds.generator(dataset.seed, "explained rows").choice(len(found), most, replace=False)
    return found[np.sort(chosen)]


def check_sources(trained: TrainedNetwork, dataset: Dataset) -> None:
    """Errors: SettingError if the dataset lacks a source that the network reads."""
    for source in trained.trial.sources:
        if source not in dataset.blocks:
            raise SettingError(f'the dataset lacks source "{source}"{nearest(source, dataset.blocks)}')


def cut(dataset: Dataset, rows: Rows) -> Dataset:
    """The dataset of these rows (ascending) alone."""
    return replace(
        dataset,
        ids=dataset.ids[rows],
        patients=dataset.patients[rows],
        split=dataset.split[rows],
        blocks={name: cut_block(block, rows) for name, block in dataset.blocks.items()},
        labels={name: replace(labels, values=labels.values[rows]) for name, labels in dataset.labels.items()},
        subgroups={name: values[rows] for name, values in dataset.subgroups.items()},
    )


def cut_block(block: Block, rows: Rows) -> Block:
    """The block of these rows alone."""
    return replace(block, values=block.values[rows], present=block.present[rows], unreadable=())


def outputs(
    trained: TrainedNetwork, dataset: Dataset, rows: Rows, tasks: Sequence[str] | None = None
) -> dict[str, Floats]:
    """Task -> outputs (row, outputs) of ``rows`` (ascending), on the scale of this module. Where the gates of all tasks
    asked for are shut, only their own task models are."""
    own, slots = cut(dataset, rows), task_slots(trained, tasks)
    models, every = trained.task_models, np.arange(len(rows))
    if models is not None and all(gate(trained, slot) == 0 for slot in slots.values()):
        blocks = {name: own.blocks[name] for name in trained.trial.sources}
        said = task_models_alone(models, list(slots), blocks)
        heads = {slot: said[name] * output_scale(trained, slot) for name, slot in slots.items()}
    else:
        data = material(own, trained.trial.sources, every, every, scaler=trained.scaler)
        raw = predict.run(trained.network(), data, every, evidence_of_rows(trained, own))
        heads = {slot: raw.heads[slot][0] for slot in slots.values()}
    return {name: on_scale(heads[slot], trained, name, slot) for name, slot in slots.items()}


def task_models_alone(models: TaskModels, names: Sequence[str], blocks: Mapping[str, Block]) -> dict[str, Floats]:
    """What some task models say of all rows of the blocks (row, outputs), by task."""
    rows = np.arange(len(next(iter(blocks.values())).present))
    functions, values = torch.from_numpy(models.basis.apply(blocks)), side_by_side(blocks, rows)
    return {name: models.models[name].outputs(functions, blocks, values, rows).astype(np.float64) for name in names}


def evidence_of_rows(trained: TrainedNetwork, own: Dataset) -> torch.Tensor | None:
    """What the task models say of all rows of a dataset (copy, row, evidence), None without them."""
    if trained.task_models is None:
        return None
    blocks = {name: own.blocks[name] for name in trained.trial.sources}
    said = trained.task_models.evidence(trained.trial.tasks, blocks, np.arange(own.samples))
    return said.expand(trained.shape.preset.copies, -1, -1)


def on_scale(said: Floats, trained: TrainedNetwork, task: str, slot: int) -> Floats:
    """Heads' outputs (..., outputs) times the output scale, on the scale of this module."""
    if trained.shape.slots[slot].kind == "multiclass":
        return np.asarray(said - said.mean(-1, keepdims=True))
    models = trained.task_models.models if trained.task_models is not None else {}
    return said + (models[task].centre if task in models else 0.0)


def prediction_of(kind: Kind, said: Floats) -> Prediction:
    """The prediction that outputs (row, outputs) on the scale of this module stand for."""
    if kind == "multiclass":
        return Prediction(values=predict.softmax(said))
    return Prediction(values=predict.probability(said[:, 0]) if kind == "binary" else said[:, 0])


def ask(
    trained: TrainedNetwork, dataset: Dataset, rows: Rows, tasks: Sequence[str] | None = None
) -> dict[str, Prediction]:
    """What the network predicts of ``rows`` (ascending) by task, clusterings left out; it reads no other row."""
    slots = trained.shape.slots
    own, said = task_slots(trained, tasks), outputs(trained, dataset, rows, tasks)
    return {name: prediction_of(slots[slot].kind, said[name]) for name, slot in own.items()}


def output_scale(trained: TrainedNetwork, slot: int) -> float:
    """What a slot's outputs are multiplied by to be in the task's unit."""
    return float(trained.state["output_scale"][0, slot])


def gate(trained: TrainedNetwork, slot: int) -> float | None:
    """The share of the network's correction that reaches a task's output; None if the network is all there is."""
    gates: torch.Tensor | None = trained.state.get("evidence.gate")
    return None if gates is None else float(gates[0, slot])
