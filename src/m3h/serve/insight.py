"""What stands beside a prediction: its interval, and what drove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset
from m3h.encoders.block import Block
from m3h.serve.edits import Column, columns, values
from m3h.serve.model import Answers, ServedModel, taken

#: Columns that are looked at one by one; of more only the sources are.
MOST_COLUMNS = 200

Intervals = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True)
class Driver:
    """A source or a column, and what the model would say if it were not known.

    ``said`` and ``without`` as an answer of the task: (1,) or (classes,); their difference is in the task's unit.
    """

    kind: Literal["source", "column"]
    name: str
    said: NDArray[np.float64]
    without: NDArray[np.float64]

    @property
    def change(self) -> NDArray[np.float64]:
        """What knowing it adds to the answer."""
        return self.said - self.without


def intervals(model: ServedModel, answers: Answers) -> Intervals:
    """Task -> lower and upper bounds of calibrated ``answers``, shaped as they are, NaN where none is known.

    As m3h.evaluation.reliance.Reliance.interval: of a risk that of the share of such patients who have the outcome, of
    a value that of the patient's own. Nothing of tasks of which the run kept no reliance.
    """
    return {name: model.reliance[name].interval(values) for name, values in answers.items() if name in model.reliance}


def drivers(model: ServedModel, dataset: Dataset, row: int, task: str) -> tuple[Driver, ...]:
    """What the answer to ``task`` of one row rests on: the change when a source, or a column of a tabular source, that
    is known is taken as not known, all else left as it is; the largest change first, of several classes that of the
    class that changes most. No cause: what is taken away may still be told by what is left.
    """
    known = _known(model, dataset, row, task)
    rows = taken(dataset, np.full(1 + len(known), row))  # its own copy of every value
    for place, part in enumerate(known, start=1):
        if isinstance(part, str):
            _forget(rows.blocks[part], place, slice(None))
        else:
            for source in part.sources:
                block = rows.blocks[source]
                _forget(block, place, [n for n, encoded in enumerate(block.names) if encoded in part.encoded])
    answers = np.asarray(model.mended(model.answers(rows))[task]).reshape(1 + len(known), -1)
    found = [
        Driver("source", part, answers[0], without)
        if isinstance(part, str)
        else Driver("column", part.name, answers[0], without)
        for part, without in zip(known, answers[1:], strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (-float(np.abs(one.change).max()), one.kind, one.name)))


def _known(model: ServedModel, dataset: Dataset, row: int, task: str) -> list[str | Column]:
    """The sources that the task's network reads and the patient has, by name, and the columns of them with a value."""
    sources = [name for name in model.sources[task] if dataset.blocks[name].present[row]]
    now = values(model, dataset, row)
    known = [one for one in columns(model) if now[one.name] is not None and set(one.sources) & set(sources)]
    return [*sources, *(known if len(known) <= MOST_COLUMNS else [])]


def _forget(block: Block, place: int, which: slice | list[int]) -> None:
    block.values[place, which] = np.nan
    block.present[place] = not np.isnan(block.values[place]).all()
