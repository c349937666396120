"""What the audit asks of the inputs: tasks as yes-or-no questions or amounts, on rows that repeat no patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.dataset.dataset import Dataset, Labels, Rows

#: Rows of one answer; more cost time and tell nothing new.
MOST_ROWS = 3000
#: Rows of the rarer answer, and of an amount, below which a column that fits is chance.
LEAST_ANSWERS = 10
LEAST_AMOUNTS = 50


@dataclass(frozen=True)
class Question:
    """``answers`` float64 (row,): 0 and 1, or amounts; ``rows`` the dataset's training rows they belong to, ascending.

    Of a multiclass task each class is a question, "is it this one?", named in ``of``. ``first`` bool (row,) is one
    half of the patients, for fitting on one half and judging on the other.
    """

    task: str
    kind: Literal["binary", "amount"]
    answers: NDArray[np.float64]
    rows: Rows
    first: NDArray[np.bool_]
    of: str = ""
    excluded: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The question as an alarm names it."""
        return f'task "{self.task}", class "{self.of}"' if self.of else f'task "{self.task}"'


def questions(dataset: Dataset) -> Iterator[Question]:
    """The questions of all tasks that can be used, on training rows alone; those with too few answers are left out.

    A patient has one row for each answer, else one patient with many samples would make chance look certain.
    """
    for labels in dataset.labels.values():
        if labels.unusable or labels.task.kind == "clustering":
            continue
        for name, answers in _answers(labels):
            rows = _rows(dataset, answers, amounts=labels.task.kind == "regression")
            values = answers[rows]
            if labels.task.kind == "regression":
                enough = len(rows) >= LEAST_AMOUNTS
            else:
                enough = min(int(values.sum()), int((1 - values).sum())) >= LEAST_ANSWERS
            if enough:
                yield Question(
                    labels.task.name,
                    "amount" if labels.task.kind == "regression" else "binary",
                    values,
                    rows,
                    _half(dataset, rows, values, binary=labels.task.kind != "regression"),
                    name,
                    labels.task.exclude_sources,
                )


def _answers(labels: Labels) -> Iterator[tuple[str, NDArray[np.float64]]]:
    if labels.task.kind != "multiclass":
        yield "", labels.values
        return
    for number, name in enumerate(labels.classes):
        yield name, np.where(labels.known, labels.values == number, np.nan)


def _rows(dataset: Dataset, answers: NDArray[np.float64], *, amounts: bool) -> Rows:
    """The first row of each patient, or of each patient and answer; of many, some at equal distances."""
    rows = dataset.train_rows
    rows = rows[~np.isnan(answers[rows])]
    chosen: list[Rows] = []
    for part in [rows] if amounts else [rows[answers[rows] == value] for value in (0.0, 1.0)]:
        _, first = np.unique(dataset.patients[part], return_index=True)
        kept = np.sort(part[first])
        if len(kept) > MOST_ROWS:
            kept = kept[np.linspace(0, len(kept) - 1, MOST_ROWS).astype(np.int64)]
        chosen.append(kept)
    return np.sort(np.concatenate(chosen))


def _half(dataset: Dataset, rows: Rows, answers: NDArray[np.float64], *, binary: bool) -> NDArray[np.bool_]:
    """One half of the patients, as even as can be among those who have a 1."""
    patients, owner = np.unique(dataset.patients[rows], return_inverse=True)
    order = seeds.generator(0, "audit", "halves").permutation(len(patients))
    if binary:
        yes = np.zeros(len(patients), dtype=bool)
        yes[owner[answers == 1]] = True
        order = np.concatenate([order[yes[order]], order[~yes[order]]])
    side = np.zeros(len(patients), dtype=bool)
    side[order[::2]] = True
    return side[owner]
