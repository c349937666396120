"""Columns that say nothing, say the same, or say the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

#: Fewer rows prove nothing: a column that is 1 for one patient separates a label that only this patient has.
LEAST_ROWS = 20
LEAST_OF_A_CLASS = 3
#: How rarely chance may divide the patients as a column does: thousands of columns meet dozens of tasks.
BY_CHANCE = 1e-6
TOLERANCE = 1e-9
#: Rows that are looked at before all of them are.
GLANCE = 200
#: Columns that are looked at together.
BLOCK = 64

Values = NDArray[np.float32]


def constant_columns(values: Values) -> list[int]:
    """Columns of ``values`` (row, column) whose known values are all equal, or of which none is known."""
    if values.size == 0:
        return []
    # fmin and fmax pass over NaN and leave it only where a column is empty
    low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    return np.flatnonzero((low == high) | np.isnan(low)).tolist()


def identical_columns(values: Values) -> list[list[int]]:
    """Groups of two or more columns with the same values in the same rows; constant columns do not count."""
    if values.size == 0:
        return []
    constant = set(constant_columns(values))
    groups: dict[bytes, list[int]] = {}
    for column in range(values.shape[1]):
        if column not in constant:
            # one bit pattern for zero and one for NaN
            plain = np.where(np.isnan(values[:, column]), np.float32(np.nan), values[:, column] + np.float32(0.0))
            groups.setdefault(plain.tobytes(), []).append(column)
    return [group for group in groups.values() if len(group) > 1]


def equal_columns(
    values: Values, labels: NDArray[np.float64], kind: str, patients: NDArray[Any] | None = None
) -> list[int]:
    """Columns that equal the labels or are a recoding of them, among the rows where both are known.

    ``values`` (row, column), ``labels`` (row,), NaN = unknown. Binary and multiclass: one value for each class, another
    for each, at least 3 rows a class; for multiclass also a column that tells one class from all others. Regression:
    Pearson's or Spearman's correlation is 1 or -1 to 1e-9. Columns known in fewer than 20 labelled rows are passed
    over, and so are classes of so few ``patients`` (row,) that chance divides them so in more than one of a million
    ways (default: each row is a patient's own). Returns column numbers, ascending.
    """
    rows = ~np.isnan(labels)
    owner = np.arange(len(labels)) if patients is None else patients
    if rows.sum() < LEAST_ROWS or values.shape[1] == 0:
        return []
    known = np.arange(values.shape[1]) if kind == "regression" else _steady(values, labels, kind)
    values, labels, owner = values[np.ix_(rows, known)], labels[rows], owner[rows]
    enough = (~np.isnan(values)).sum(axis=0) >= LEAST_ROWS
    values, known = values[:, enough], known[enough]
    if not len(known):
        return []
    if kind == "regression":
        order = np.argsort(labels, kind="stable")
        found = _likely(values[order], labels[order])
        found[found] = [_same_order(column, labels[order]) for column in values[np.ix_(order, found)].T]
    else:
        found = _recoded(values, labels, owner)
    if kind == "multiclass":
        # a text column becomes one column for each of its words, which tells one class from the rest
        for label in np.unique(labels):
            found |= _recoded(values, labels == label, owner)
    return [int(column) for column in known[found]]


def _steady(values: Values, labels: NDArray[np.float64], kind: str) -> NDArray[np.int64]:
    """Numbers of the columns that have one value in each class, or in one class and in all others, in some of the rows:
    few columns have, and only those can have it in all."""
    some = np.flatnonzero(~np.isnan(labels))
    some = some[np.unique(np.linspace(0, len(some) - 1, GLANCE).astype(np.int64))]
    values, labels = values[some], labels[some]
    classes = np.unique(labels)
    ways = [labels, *((labels == label).astype(np.float64) for label in classes if kind == "multiclass")]
    found = np.zeros(values.shape[1], dtype=bool)
    for way in ways:
        fits = np.ones(values.shape[1], dtype=bool)
        for label in np.unique(way):
            part = values[way == label]
            low, high = np.fmin.reduce(part, axis=0), np.fmax.reduce(part, axis=0)
            fits &= (low == high) | np.isnan(low)
        found |= fits
    return np.flatnonzero(found)


def _recoded(values: Values, labels: NDArray[Any], owner: NDArray[Any]) -> NDArray[np.bool_]:
    """(column,): whether all known values of a class are equal, no two classes share one, and it is not by chance."""
    fits = np.ones(values.shape[1], dtype=bool)
    codes: list[NDArray[Any]] = []
    for label in np.unique(labels):
        part = values[labels == label]
        number = (~np.isnan(part)).sum(axis=0)
        low, high = np.fmin.reduce(part, axis=0), np.fmax.reduce(part, axis=0)
        # a class none of whose rows knows the column does not speak against it
        fits &= (number == 0) | ((number >= LEAST_OF_A_CLASS) & (low == high))
        codes.append(low)
    table = np.sort(np.stack(codes), axis=0)  # (class, column), NaN last
    distinct = (~np.isnan(table)).sum(axis=0)
    shared = (table[1:] == table[:-1]).any(axis=0)
    recoded: NDArray[np.bool_] = fits & (distinct >= 2) & ~shared
    for column in np.flatnonzero(recoded):
        known = ~np.isnan(values[:, column])
        recoded[column] = _ways(owner[known], labels[known]) >= -np.log(BY_CHANCE)
    return recoded


def _ways(owner: NDArray[Any], labels: NDArray[Any]) -> float:
    """The logarithm of the number of ways to divide the patients into classes as large as these; a patient of several
    classes counts once in each."""
    sizes = [len(np.unique(owner[labels == label])) for label in np.unique(labels)]
    return float(gammaln(sum(sizes) + 1) - sum(gammaln(size + 1) for size in sizes))


def _likely(values: Values, labels: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(column,): what may pass a closer look: nearly a straight line of the ascending labels, or rising or falling with
    them wherever a few rows are looked at."""
    found = np.zeros(values.shape[1], dtype=bool)
    glance = np.unique(np.linspace(0, len(labels) - 1, GLANCE).astype(np.int64))
    for begin in range(0, values.shape[1], BLOCK):
        part = values[:, begin : begin + BLOCK].astype(np.float64)
        missing = np.isnan(part)
        count = len(part) - missing.sum(axis=0)
        x = np.where(missing, 0, part - np.where(missing, 0, part).sum(axis=0) / count)
        y = np.where(missing, 0, labels[:, None])
        y = np.where(missing, 0, y - y.sum(axis=0) / count)
        product, xx, yy = (np.einsum("ij,ij->j", *pair) for pair in ((x, y), (x, x), (y, y)))
        straight = np.abs(product) >= (1 - 2 * TOLERANCE) * np.sqrt(xx * yy)
        few = part[glance]
        # none may be below one before it, or none above; gaps tell nothing
        up = few >= np.fmax.accumulate(few, axis=0)
        down = few <= np.fmin.accumulate(few, axis=0)
        gap = missing[glance]
        found[begin : begin + BLOCK] = straight | (up | gap).all(axis=0) | (down | gap).all(axis=0)
    return found


def _same_order(column: NDArray[np.float32], labels: NDArray[np.float64]) -> bool:
    """Whether a column, in rows of ascending labels, is a straight line of the labels or strictly follows them."""
    known = ~np.isnan(column)
    x, y = column[known].astype(np.float64), labels[known]
    if x.min() == x.max() or y.min() == y.max():
        return False
    x_spread, y_spread = x - x.mean(), y - y.mean()
    size = np.sqrt((x_spread @ x_spread) * (y_spread @ y_spread))
    if size > 0 and abs(x_spread @ y_spread) / size >= 1 - TOLERANCE:
        return True
    # ranks agree when each step of the labels, at the precision of the column, is a step of the column
    up = np.diff(y.astype(np.float32)) > 0
    step = np.diff(x)
    return bool((up == (step > 0)).all() and (step >= 0).all()) or bool((up == (step < 0)).all() and (step <= 0).all())
