"""How far the order of a column and the order of amounts determine one another: ranks, and Chatterjee's coefficient."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.dataset.audit.questions import LEAST_ANSWERS

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Codes = NDArray[np.uint8]

#: Columns that are looked at together.
_BLOCK = 256


def ranks(x: Floats) -> Floats:
    """Ranks from 1, ties their mean."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def follows(codes: Codes, amounts: Floats) -> Floats:
    """(column,): how far each column and the amounts determine one another, 1 if one is a function of the other, about
    0 if they are independent: the largest of Spearman's correlation and Chatterjee's in either direction.

    ``codes`` (column, row) keep a column's order, 0 is missing; ``amounts`` (row,). 0 where fewer than 20 rows are
    known, or fewer than 10 are not of the commonest code, or the amounts are equal. Ties stand in an order that is
    drawn. Source: Chatterjee 2021, A new coefficient of correlation.
    """
    found = np.zeros(len(codes))
    place = np.unique(amounts, return_inverse=True)[1]
    for begin in range(0, len(codes), _BLOCK):
        some = codes[begin : begin + _BLOCK]
        told = np.flatnonzero(_enough(some, place))
        if len(told):
            found[begin + told] = _followed(some[told], place)
    return found


def _enough(codes: Codes, place: Numbers) -> NDArray[np.bool_]:
    known = codes > 0
    number = known.sum(axis=1)
    commonest = _counted(codes, int(codes.max(initial=0)) + 1)[:, 1:].max(axis=1, initial=0)
    low = np.where(known, place, np.iinfo(np.int64).max).min(axis=1)
    high = np.where(known, place, -1).max(axis=1)
    enough: NDArray[np.bool_] = (number >= 2 * LEAST_ANSWERS) & (number - commonest >= LEAST_ANSWERS) & (low < high)
    return enough


def _followed(codes: Codes, place: Numbers) -> Floats:
    known = codes > 0
    number = known.sum(axis=1)
    own = np.where(known, codes, 0).astype(np.int64)
    other = np.where(known, place + 1, 0)
    x, y = (_Order.of(numbers, number) for numbers in (own, other))
    drawn = _drawn(known, number)
    straight = np.abs(_straight(x, y, known, number))
    return np.maximum(straight, np.maximum(_determined(own, y, drawn, number), _determined(other, x, drawn, number)))


class _Order:
    """Of numbers (column, row), 0 = missing: how many of a column's known rows are not above and not below each."""

    def __init__(self, not_above: Floats, not_below: Floats) -> None:
        self.not_above, self.not_below = not_above, not_below

    @staticmethod
    def of(numbers: Numbers, number: Numbers) -> _Order:
        counts = _counted(numbers, int(numbers.max()) + 1)
        counts[:, 0] = 0
        up_to = np.cumsum(counts, axis=1)
        below = number[:, None] - up_to + counts
        return _Order(*(np.take_along_axis(part, numbers, axis=1).astype(np.float64) for part in (up_to, below)))


def _counted(numbers: NDArray[np.integer], width: int) -> Numbers:
    """How often each column has each number, (column, number)."""
    place = numbers + width * np.arange(len(numbers))[:, None]
    return np.bincount(place.ravel(), minlength=width * len(numbers)).reshape(len(numbers), width)


def _drawn(known: NDArray[np.bool_], number: Numbers) -> Numbers:
    """(column, row): the place of each known row in the order that is drawn for as many rows as the column knows."""
    found = np.zeros(known.shape, dtype=np.int64)
    position = np.cumsum(known, axis=1) - 1
    for size in np.unique(number).tolist():
        same = number == size
        found[same] = _permutation(size)[np.clip(position[same], 0, size - 1)]
    return found


@lru_cache(maxsize=2048)
def _permutation(size: int) -> Numbers:
    return seeds.generator(0, "audit", "ties").permutation(size)


def _straight(x: _Order, y: _Order, known: NDArray[np.bool_], number: Numbers) -> Floats:
    """Spearman's correlation; a row's rank lies in the middle of its ties, the mean of ranks in the middle of all."""
    rx, ry = (np.where(known, (one.not_above - one.not_below) / 2, 0.0) for one in (x, y))
    product, xx, yy = (np.einsum("ij,ij->i", *pair) for pair in ((rx, ry), (rx, rx), (ry, ry)))
    return np.asarray(product / np.sqrt(xx * yy))


def _determined(numbers: Numbers, other: _Order, drawn: Numbers, number: Numbers) -> Floats:
    """Chatterjee's coefficient: 1 if the other's order is a function of ``numbers``."""
    width = numbers.shape[1]
    # what is missing stands at the end and is not looked at
    keys = np.where(numbers > 0, numbers * width + drawn, np.iinfo(np.int32).max).astype(np.int32)
    steps = np.abs(np.diff(np.take_along_axis(other.not_above, np.argsort(keys, axis=1), axis=1), axis=1))
    steps[np.arange(width - 1) >= number[:, None] - 1] = 0
    level = np.where(numbers > 0, other.not_below * (number[:, None] - other.not_below), 0.0)
    return np.asarray(1 - number * steps.sum(axis=1) / (2 * level.sum(axis=1)))
