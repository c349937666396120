"""The dataset: everything learning needs, and nothing of where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError, SettingError, nearest
from m3h.encoders.block import Block, EncoderState
from m3h.study.task import Task

Strings = NDArray[np.str_]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """One task's labels: float64 (sample,), NaN = unlabelled.

    Binary 0 or 1; multiclass the index into ``classes``; regression in ``task.unit``; clustering 0 for every sample
    that takes part (there is nothing to know). ``unknown_class`` counts test rows whose class the training part does
    not have; they are unlabelled. ``unusable`` says why a task cannot be trained or scored (no labels, one class, no
    positive patient on one side), "" if it can.
    """

    task: Task
    values: NDArray[np.float64]
    classes: tuple[str, ...] = ()
    unknown_class: int = 0
    unusable: str = ""

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where there is a label."""
        return ~np.isnan(self.values)

    @property
    def width(self) -> int:
        """Number of outputs of the task's head; 0 for clustering, whose decoder is as wide as its inputs."""
        return {"binary": 1, "regression": 1, "multiclass": len(self.classes), "clustering": 0}[self.task.kind]


@dataclass(frozen=True)
class Dataset:
    """Samples, their blocks and labels, and who is on which side of the split.

    ``ids`` and ``patients`` are texts (sample,), ids unique and sorted; ``split`` is "train" or "test" (sample,);
    ``blocks`` and ``labels`` are in the order of the study file. ``seed`` is the study's. ``fingerprint`` is that of
    the inputs, never of computed floats. ``recipe`` (the study as JSON data) and ``states`` (what the encoders
    learned) let a model that was trained on it read new patients. ``facts`` are the counts of what was read and left
    out, for the audit. Errors: DataError if the parts do not fit each other.
    """

    name: str
    title: str
    seed: int
    ids: Strings
    patients: Strings
    split: Strings
    blocks: Mapping[str, Block]
    labels: Mapping[str, Labels]
    subgroups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    fingerprint: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, EncoderState] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("blocks", "labels", "subgroups", "states"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        self._check_rows()
        self._check_split()
        self._check_labels()

    def _check_rows(self) -> None:
        samples = len(self.ids)
        if samples == 0:
            raise DataError("no samples", where=self.name)
        if not np.all(self.ids[1:] > self.ids[:-1]):
            raise DataError("sample ids must be unique and sorted", where=self.name)
        lengths = {"patients": len(self.patients), "split": len(self.split)}
        lengths |= {f"block {name}": len(block.values) for name, block in self.blocks.items()}
        lengths |= {f"presence of {name}": len(block.present) for name, block in self.blocks.items()}
        lengths |= {f"labels of {name}": len(labels.values) for name, labels in self.labels.items()}
        lengths |= {f"subgroup {name}": len(values) for name, values in self.subgroups.items()}
        for name, length in lengths.items():
            if length != samples:
                raise DataError(f"{name}: {length} rows", where=self.name, expected=f"{samples}, one per sample")
        for name, block in self.blocks.items():
            if block.values.dtype != np.float32 or np.isinf(block.values).any():
                raise DataError(f"block {name} must be finite or NaN float32", where=self.name)

    def _check_split(self) -> None:
        sides = set(np.unique(self.split).tolist())
        if not sides <= {"train", "test"}:
            raise DataError("split must say train or test", where=self.name, got=", ".join(sorted(sides))[:80])
        train = set(self.patients[self.split == "train"].tolist())
        both = train & set(self.patients[self.split == "test"].tolist())
        if both:
            raise DataError(
                f"{len(both)} patients have samples on both sides of the split",
                where=self.name,
                expected="all samples of one patient on one side",
                next_step="correct the split column, or leave it out of the study to have patients split anew",
            )

    def _check_labels(self) -> None:
        for name, labels in self.labels.items():
            values = labels.values[labels.known]
            top = {"binary": 2, "multiclass": len(labels.classes), "clustering": 1}.get(labels.task.kind)
            if top is not None and not (
                np.all(values == values.astype(int)) and np.all((values >= 0) & (values < top))
            ):
                raise DataError(f"labels of {name} do not fit its kind {labels.task.kind}", where=self.name)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.ids)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All tasks, in the order of the study file."""
        return tuple(labels.task for labels in self.labels.values())

    @property
    def train_rows(self) -> Rows:
        """Row numbers of the training part, ascending."""
        return np.flatnonzero(self.split == "train")

    @property
    def test_rows(self) -> Rows:
        """Row numbers of the test part, ascending."""
        return np.flatnonzero(self.split == "test")

    def usable(self) -> tuple[str, ...]:
        """Names of the tasks that can be trained and scored."""
        return tuple(name for name, labels in self.labels.items() if not labels.unusable)

    def task_set(self, names: Sequence[str]) -> tuple[str, ...]:
        """``names`` in the order of the study file. Errors: SettingError for an unknown or unusable name."""
        for name in names:
            if name not in self.labels:
                raise SettingError(f'unknown task "{name}"{nearest(name, self.labels)}')
            if self.labels[name].unusable:
                raise SettingError(f'task "{name}" cannot be used: {self.labels[name].unusable}')
        return tuple(name for name in self.labels if name in set(names))

    def sources_for(self, names: Sequence[str]) -> tuple[str, ...]:
        """Sources that a network of these tasks may read: all but those any of them excludes.

        Errors: SettingError if none is left.
        """
        excluded = {source for name in names for source in self.labels[name].task.exclude_sources}
        left = tuple(source for source in self.blocks if source not in excluded)
        if not left:
            raise SettingError(
                f"tasks {', '.join(names)} exclude every source together",
                next_step="leave one of them out, or shorten exclude_sources so that a source is left to all",
            )
        return left

    def with_labels(self, labels: Mapping[str, Labels]) -> Dataset:
        """The same samples with other labels."""
        return replace(self, labels=labels)
