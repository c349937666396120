"""A run's model, loaded once and kept ready: new patients' tables in, answers to every question out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3h.api.folder import study_of
from m3h.api.model import M3H
from m3h.api.saved import Fitted
from m3h.dataset.dataset import Dataset, Rows, Strings
from m3h.encoders.block import Block, EncoderState
from m3h.encoders.cache import encode_new
from m3h.evaluation.reliance import Reliance
from m3h.hospital.sources import TableColumns
from m3h.serve.ready import ready
from m3h.study.spec import Source, Study
from m3h.study.task import Task

#: Task -> (row,) probability of a yes, value, or number of the group; (row, classes) probabilities.
Answers = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class ServedModel:
    """The model of a run, and what its questions and sources are.

    ``study`` is the one it was trained on (its folder is of no use), ``states`` what its encoders learned; task ->
    ``sets`` label of the task set whose network answers for it, ``sources`` what that network reads, ``reliance`` what
    calibrates its answers and stands beside them, where the run kept any. May be asked by several threads.
    """

    model: M3H
    study: Study
    tasks: tuple[Task, ...]
    classes: Mapping[str, tuple[str, ...]]
    states: Mapping[str, EncoderState]
    sets: Mapping[str, str]
    sources: Mapping[str, tuple[str, ...]]
    reliance: Mapping[str, Reliance]
    # one upload at a time, and one answer; reading a large upload keeps nobody from a page
    _reading: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _answering: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @staticmethod
    def load(run: Path) -> ServedModel:
        """Load the model of a run's folder. Errors: FolderError if there is none; SettingError if it was made without a
        study."""
        model = M3H.load(run)
        study = study_of(dict(model.parts.recipe), run)
        # its own parts, and not its networks alone: whatever comes after them is part of what is said here
        fitted = replace(model.parts, networks=tuple(ready(network) for network in model.parts.networks))
        return ServedModel(
            M3H.from_parts(fitted, model.attention),
            study,
            fitted.tasks,
            fitted.classes,
            fitted.states,
            {name: fitted.networks[number].trial.label for name, number in fitted.answers.items()},
            _sources(fitted),
            fitted.reliance,
        )

    def task(self, name: str) -> Task | None:
        """The task of this name; None if the model does not know it."""
        return next((task for task in self.tasks if task.name == name), None)

    def read(self, data: Path, *, weights: Path | None = None) -> Dataset:
        """New patients' tables at ``data``, encoded as in training (m3h.api.model.M3H.new_patients, and its errors)."""
        with self._reading:
            return self.model.new_patients(data, weights=weights)

    def answers(self, dataset: Dataset, *, check: bool = False) -> Answers:
        """What the model says of every row of ``dataset``, as it says it: :meth:`mended` is what is shown. ``check``:
        refuse a table that says nothing of anybody (DataError)."""
        rows = np.arange(dataset.samples)
        with self._answering:
            if check:
                self.model.check_known(dataset, rows)
            said = self.model.predictions(dataset, rows)
        found: dict[str, NDArray[np.float64]] = {}
        for name, one in said.items():
            values = one.clusters if one.clusters is not None else one.values
            found[name] = np.asarray(values, dtype=np.float64)
        return found

    def mended(self, raw: Answers) -> Answers:
        """The answers calibrated; those that the run kept no calibration of as they are."""
        return {
            name: self.reliance[name].calibrator.apply(values) if name in self.reliance else values
            for name, values in raw.items()
        }

    def encode(self, source: Source, columns: TableColumns) -> Block:
        """Columns of a tabular source, encoded as in training. Errors: DataError for values that do not fit."""
        return encode_new(source, columns, self.states[source.name])


def _sources(fitted: Fitted) -> dict[str, tuple[str, ...]]:
    """Task -> the sources that its network reads."""
    return {name: fitted.networks[number].trial.sources for name, number in fitted.answers.items()}


def taken(dataset: Dataset, rows: Rows) -> Dataset:
    """Some rows of a dataset, in their order and as often as they are named, without labels; ids are numbers."""
    names = np.array([f"{number:08d}" for number in range(len(rows))])
    return _dataset(dataset, rows, names, names)


def part(dataset: Dataset, rows: Rows) -> Dataset:
    """Some rows of a dataset, ascending, without labels."""
    return _dataset(dataset, rows, dataset.ids[rows], dataset.patients[rows])


def _dataset(dataset: Dataset, rows: Rows, ids: Strings, patients: Strings) -> Dataset:
    return Dataset(
        name=dataset.name,
        title=dataset.title,
        seed=dataset.seed,
        ids=ids,
        patients=patients,
        split=np.full(len(rows), "test"),
        blocks={name: _rows(block, rows) for name, block in dataset.blocks.items()},
        labels={},
        facts=dataset.facts,
    )


def _rows(block: Block, rows: Rows) -> Block:
    return replace(block, values=block.values[rows], present=block.present[rows], unreadable=())
