"""A trial: one training to be done, as a plain value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from m3h.core.fingerprint import NUMERICS, canonical, fingerprint
from m3h.dataset.dataset import Dataset
from m3h.study.presets import Preset, Protocol

Update = Literal["sequential", "joint"]
Precision = Literal["float32", "bfloat16"]

#: Raised by hand whenever the same trial would leave something else behind; no ledger gives an older one back.
TRAINING = 2


@dataclass(frozen=True)
class Trial:
    """One network to be trained: which tasks, on which rows, how.

    ``fold`` None trains on the whole training part and is scored on the test rows; fold k of ``folds`` trains on the
    other folds of the training part and is scored on fold k. ``weights`` multiply the tasks' losses. ``sources`` are
    the blocks the network reads. Learning rate in weight units per step; batch size in rows.
    """

    dataset: str
    tasks: tuple[str, ...]
    sources: tuple[str, ...]
    weights: tuple[float, ...]
    seed: int
    preset: Preset
    learning_rate: float
    batch_size: int
    epochs: int
    update: Update
    fold: int | None = None
    folds: int = 5
    replicate: int = 0
    precision: Precision = "float32"
    device: Literal["cpu", "cuda", "mps"] = "cpu"

    @cached_property
    def id(self) -> str:
        """The fingerprint of all of it and of the numerics version."""
        return fingerprint({"numerics": NUMERICS, "training": TRAINING, **canonical(self)})

    @property
    def label(self) -> str:
        """The task set as scores.csv names it."""
        return "+".join(self.tasks)


def make_trial(
    dataset: Dataset,
    tasks: Sequence[str],
    *,
    preset: Preset,
    protocol: Protocol,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    fold: int | None = None,
    replicate: int = 0,
    seed: int | None = None,
    device: Literal["cpu", "cuda", "mps"] = "cpu",
    precision: Precision = "float32",
    sources: Sequence[str] | None = None,
) -> Trial:
    """The trial of a task set under a protocol: without a learning rate or batch size, the last of the protocol's list.

    Errors: SettingError for unknown or unusable tasks, or if the tasks exclude every source together.
    """
    names = dataset.task_set(tasks)
    automatic: Update = "sequential" if len(names) <= preset.sequential_up_to else "joint"
    return Trial(
        dataset=dataset.fingerprint,
        tasks=names,
        sources=tuple(sources) if sources is not None else dataset.sources_for(names),
        weights=tuple(dataset.labels[name].task.weight for name in names),
        seed=dataset.seed if seed is None else seed,
        preset=preset,
        learning_rate=protocol.learning_rates[-1] if learning_rate is None else learning_rate,
        batch_size=protocol.batch_sizes[-1] if batch_size is None else batch_size,
        epochs=protocol.epochs,
        update=automatic if protocol.update == "auto" else protocol.update,
        fold=fold,
        folds=protocol.folds,
        replicate=replicate,
        precision=precision,
        device=device,
    )


def with_setting(trial: Trial, *, learning_rate: float, batch_size: int, fold: int | None) -> Trial:
    """The same trial in another setting of the grid."""
    return replace(trial, learning_rate=learning_rate, batch_size=batch_size, fold=fold)
