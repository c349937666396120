"""Columns of several sources side by side: as codes of few values, and in one scale on the rows of a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.audit.questions import Question
from m3h.dataset.dataset import Dataset

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Codes = NDArray[np.uint8]

#: Values of a column are told apart as this many at most; code 0 is missing.
CODES = 255
#: Columns that are turned at once.
_BLOCK = 64


@dataclass(frozen=True)
class Table:
    """Columns of several sources: ``parts`` float32 (sample, column), NaN = missing, side by side; their names, and
    whose each is."""

    parts: tuple[NDArray[np.float32], ...]
    names: tuple[str, ...]
    sources: tuple[str, ...]

    @staticmethod
    def of(dataset: Dataset, modalities: Sequence[str]) -> Table:
        """The blocks of these modalities, in the order of the study; nothing is copied."""
        blocks = [block for block in dataset.blocks.values() if block.modality in modalities]
        return Table(
            tuple(block.values for block in blocks),
            tuple(name for block in blocks for name in block.names),
            tuple(block.source for block in blocks for _ in block.names),
        )

    @cached_property
    def codes(self) -> Codes:
        """(column, sample): each value as the number of its distinct value, or of its quantile where there are many;
        order is kept, 0 is missing."""
        samples = len(self.parts[0]) if self.parts else 0
        found = np.zeros((len(self.names), samples), dtype=np.uint8)
        columns = iter(found)
        for part in self.parts:
            for begin in range(0, part.shape[1], _BLOCK):
                for column in np.ascontiguousarray(part[:, begin : begin + _BLOCK].T):
                    _code(column, next(columns))
        return found

    def coded(self, columns: Numbers, rows: Numbers) -> Codes:
        """The codes of these columns in these rows, (column, row)."""
        if len(columns) == len(self.names):
            return np.take(self.codes, rows, axis=1)
        return self.codes[np.ix_(columns, rows)]

    def allowed(self, question: Question) -> Numbers:
        """Numbers of the columns that the question's task may read."""
        return np.flatnonzero([source not in question.excluded for source in self.sources])

    def standard(self, columns: Numbers, question: Question) -> Standard:
        """These columns, numbers ascending, on the question's rows."""
        order = np.argsort(~question.first, kind="stable")
        rows = question.rows[order]
        x = np.empty((len(rows), len(columns)))
        begin = 0
        for part, numbers in self._within(columns):
            whole = len(numbers) == part.shape[1]
            x[:, begin : begin + len(numbers)] = part[rows] if whole else part[np.ix_(rows, numbers)]
            begin += len(numbers)
        missing = np.isnan(x)
        np.copyto(x, 0.0, where=missing)
        count = np.maximum(len(x) - np.add.reduce(missing.view(np.int8), axis=0, dtype=np.int64), 1)
        mean = np.ones(len(x)) @ x / count
        x -= mean
        np.copyto(x, 0.0, where=missing)
        deviation = np.sqrt(np.einsum("ij,ij->j", x, x) / count)
        x /= np.where(deviation > 1e-7 * np.abs(mean), deviation, np.inf)
        return Standard(columns, x, ~missing, question.answers[order], int(question.first.sum()))

    def _within(self, columns: Numbers) -> Iterator[tuple[NDArray[np.float32], Numbers]]:
        """Each part with the numbers of its own columns that are among ``columns``."""
        begin = 0
        for part in self.parts:
            numbers = columns[(columns >= begin) & (columns < begin + part.shape[1])] - begin
            begin += part.shape[1]
            if len(numbers):
                yield part, numbers


@dataclass(frozen=True)
class Standard:
    """Columns on a question's rows, those of the first half of the patients before the others'.

    ``columns`` (column,) are numbers in the table; ``values`` float64 (row, column) with mean 0 and deviation 1 over
    the rows, 0 where missing or never changing; ``known`` bool (row, column); ``answers`` (row,); ``first`` is the
    number of rows of the first half.
    """

    columns: Numbers
    values: Floats
    known: NDArray[np.bool_]
    answers: Floats
    first: int

    def halves(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The rows to fit on and those to judge on, both ways."""
        before, after = slice(0, self.first), slice(self.first, None)
        return (before, after), (after, before)


def _code(column: NDArray[np.float32], found: Codes) -> None:
    """Write the codes of a column (sample,) into ``found``, which is 0."""
    order = np.argsort(column)[: len(column) - int(np.isnan(column).sum())]
    if not len(order):
        return
    ascending = column[order]
    new = ascending[1:] != ascending[:-1]
    if new.sum() < CODES:
        found[order[0]] = 1
        found[order[1:]] = 1 + np.cumsum(new)
        return
    shares = np.linspace(0, 1, CODES + 1)[1:-1]
    cuts = np.unique(ascending[np.ceil((len(order) - 1) * shares).astype(np.int64)])
    above = np.searchsorted(ascending, cuts, side="right")
    found[order] = np.repeat(np.arange(1, len(cuts) + 2), np.diff(above, prepend=0, append=len(order)))
