"""Cutting trials into fleets: by shape, from the plan alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset
from m3h.network.network import Network, Shape, Slot
from m3h.training.batches import input_widths
from m3h.training.trial import Trial

#: Bytes that a fleet's weights, moments and activations may take unless told otherwise.
DEFAULT_MEMORY = 1 << 30


def form_fleets(dataset: Dataset, trials: Sequence[Trial], memory: int = DEFAULT_MEMORY) -> list[tuple[Trial, ...]]:
    """Cut the trials into fleets: equal in all but task names, loss weights and learning rate, and not too large.

    Depends on the trials as a set and on ``memory`` only.
    """
    place = {name: number for number, name in enumerate(dataset.labels)}
    groups: dict[tuple[Shape, str], list[Trial]] = {}
    for trial in dict.fromkeys(trials):
        if trial.dataset != dataset.fingerprint:
            raise TrainingError(
                "this trial belongs to another dataset", got=trial.dataset, expected=dataset.fingerprint
            )
        rest = replace(trial, tasks=(), weights=(), learning_rate=0.0)
        key = (trial_shape(dataset, trial), rest.id)
        groups.setdefault(key, []).append(trial)
    fleets = []
    for (shape, _), members in groups.items():
        members.sort(key=lambda trial: (trial.learning_rate, [place[name] for name in trial.tasks], trial.weights))
        size = max(1, memory // member_bytes(shape, members[0].batch_size))
        fleets += [tuple(members[begin : begin + size]) for begin in range(0, len(members), size)]
    # the longest first would be faster on many workers, but the plan's order is what a reader of the log expects
    return sorted(fleets, key=lambda fleet: (len(fleet[0].tasks), [place[n] for n in fleet[0].tasks], fleet[0].id))


def trial_shape(dataset: Dataset, trial: Trial) -> Shape:
    """The shape of a trial's network."""
    slots = tuple(Slot(dataset.labels[name].task.kind, dataset.labels[name].width) for name in trial.tasks)
    return Shape(input_widths(dataset, trial.sources), slots, trial.preset)


def member_bytes(shape: Shape, batch: int) -> int:
    """About how many bytes one member takes: weights, gradients and two moments, and activations of two passes."""
    weights = Network(shape, 1).weights()
    preset, slots = shape.preset, len(shape.slots)
    hidden = len(shape.modalities) * (preset.hidden + preset.modality_width) * 4 + preset.shared_width * 8
    tasks = slots * (preset.task_hidden * 4 + preset.token_width * 6) + 6 * slots * slots
    decoders = sum(slot.kind == "clustering" for slot in shape.slots) * (shape.inputs * 3 + sum(preset.decoder_widths))
    pairs = len(shape.modalities) * (len(shape.modalities) - 1) // 2 * batch * 4
    return 4 * (4 * weights + 2 * batch * (hidden + tasks + decoders + pairs))
