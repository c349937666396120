"""One person on both sides of the split: rows of different patients that chance does not make alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from m3h.core import seeds
from m3h.dataset.dataset import Dataset, Rows
from m3h.encoders.block import Block

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

#: Pairs of rows that chance may make alike, over all pairs of the data set.
CHANCE = 0.01
#: A share of equal columns that one person keeps from one row to another.
KEPT = 0.5
#: Patients who share a value beyond which it is no clue to who they are.
COMMON = 50
#: Directions that distances are measured in; keeps them to about a tenth.
DIRECTIONS = 64
#: A nearest row must be at least this much nearer than the next patient's.
NEARER = 0.5
#: Texts of two people may be the same phrase by chance, so many times.
PHRASES = 2
#: Directions below which near rows are no wonder.
LEAST_DIRECTIONS = 8
#: Rows that are looked at together.
CHUNK = 512


@dataclass(frozen=True)
class Twins:
    """Test patients whose rows are alike to those of a training patient; ``by`` source ("" = all together)."""

    by: str
    patients: int


def twins(dataset: Dataset) -> list[Twins]:
    """Test patients with a twin in the training part, found by equal values and by near rows of each source.

    Equal values count by how rare they are: two people of one age and sex are no wonder, two with the same nine
    measurements are. Near rows count where the next patient's is at least twice as far, and farther the fewer
    directions a source has; of texts and measurements, which repeat, where there are more of them than within the
    training part. Never raised for one patient's own rows, which stand on one side.
    """
    train, test = dataset.train_rows, dataset.test_rows
    if not len(train) or not len(test):
        return []
    found: list[Twins] = []
    told: set[str] = set()
    equal = _equal(dataset, train, test)
    if equal:
        found.append(Twins("", len(equal)))
        told |= equal
    with threadpool_limits(limits=1):  # sums in another number of threads round otherwise
        for name, block in dataset.blocks.items():
            near = _near(dataset, block, train, test) - told
            if near and len(near) > _usual(dataset, block, train, len(np.unique(dataset.patients[test]))):
                found.append(Twins(name, len(near)))
    return found


def _usual(dataset: Dataset, block: Block, train: Rows, tested: int) -> float:
    """As many near test patients as a source makes by itself, judged by the two halves of the training patients: short
    texts and tables of few columns repeat. Three deviations above what is expected."""
    if block.modality == "vision":
        return 0.0  # no picture is taken twice
    patients, owner = np.unique(dataset.patients[train], return_inverse=True)
    side = np.zeros(len(patients), dtype=bool)
    side[seeds.generator(0, "audit", "twins").permutation(len(patients))[::2]] = True
    within = len(_near(dataset, block, train[side[owner]], train[~side[owner]]))
    # the other half holds half as many patients to be near to
    expected = 2 * within * tested / max(int((~side).sum()), 1)
    least = PHRASES if block.modality == "language" else 0
    return max(expected + 3 * float(np.sqrt(expected)), least)


def _groups(block: Block) -> list[list[int]]:
    """Columns that are one measurement: the statistics of a signal, the categories of a column, a whole embedding."""
    if block.modality in ("language", "vision"):
        return [list(range(block.width))]
    sign = "." if block.modality == "timeseries" else "="
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(block.names):
        if block.modality == "timeseries" and name.endswith(".time_since_last"):
            continue  # one round of measurements gives all its signals one time
        groups.setdefault(name.rpartition(sign)[0] or name, []).append(column)
    return list(groups.values())


def _numbered(block: Block, group: list[int], owner: Numbers) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(sample,): the number of the group's distinct value, -1 where nothing is known or all is 0; and how many patients
    have it."""
    part = np.ascontiguousarray(np.where(np.isnan(block.values[:, group]), np.float32(0), block.values[:, group]))
    part += np.float32(0.0)  # one bit pattern for zero
    if len(group) == 1:
        bits = part.view(np.uint32)[:, 0].astype(np.int64)
    else:
        rows = part.view(np.dtype((np.void, part.dtype.itemsize * part.shape[1])))[:, 0]
        bits = np.unique(rows, return_inverse=True)[1].astype(np.int64)
    order = np.argsort((bits << 31) | owner)  # a value's patients stand together
    same_value = np.diff(bits[order]) == 0
    same_patient = same_value & (np.diff(owner[order]) == 0)
    place = np.concatenate([[0], np.cumsum(~same_value)])
    patients = np.bincount(place, weights=np.concatenate([[1], ~same_patient])).astype(np.int32)
    number, holders = np.empty((2, len(owner)), dtype=np.int32)
    number[order], holders[order] = place, patients[place]
    nothing = ~part.any(axis=1)
    number[nothing] = -1
    holders[nothing] = 0
    return number, holders


def _equal(dataset: Dataset, train: Rows, test: Rows) -> set[str]:
    """Test patients one of whose rows has values of a training row that are too rare to be shared by chance."""
    patients, owner = np.unique(dataset.patients, return_inverse=True)
    groups = [(block, group) for block in dataset.blocks.values() for group in _groups(block)]
    values = np.empty((len(groups), dataset.samples), dtype=np.int32)
    holders = np.empty(values.shape, dtype=np.int32)
    rare: list[tuple[Rows, Rows]] = []
    for at, (block, group) in enumerate(groups):
        values[at], holders[at] = _numbered(block, group, owner)
        rare += _shared(values[at], holders[at], train, test)
    # digits of rarity: -log10 of the share of patients with the value
    digits = np.maximum(-np.log10(np.maximum(np.arange(len(patients) + 1), 1) / len(patients)), 0)
    needed = np.log10(len(train) * len(test) / CHANCE)
    found: set[str] = set()
    left, right = _counted(rare, len(train))
    for begin in range(0, len(left), CHUNK):
        rows, others = left[begin : begin + CHUNK], right[begin : begin + CHUNK]
        here, there = values[:, rows], values[:, others]
        both = (here >= 0) & (there >= 0)
        same = both & (here == there)
        clue = np.where(same, digits[holders[:, rows]] + np.log10(KEPT), 0).sum(axis=0)
        clue += (both & ~same).sum(axis=0) * np.log10(1 - KEPT)
        found |= set(dataset.patients[others[clue > needed]].tolist())
    return found


def _shared(
    number: NDArray[np.int32], holders: NDArray[np.int32], train: Rows, test: Rows
) -> Iterator[tuple[Rows, Rows]]:
    """Pairs (training row, test row) that share a value of few patients."""
    usable = (holders <= COMMON) & (holders > 1)
    left, right = train[usable[train]], test[usable[test]]
    left = left[np.argsort(number[left], kind="stable")]
    begin = np.searchsorted(number[left], number[right], side="left")
    end = np.searchsorted(number[left], number[right], side="right")
    count = end - begin
    if count.sum():
        at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(begin, count)
        yield left[at], np.repeat(right, count)


def _counted(parts: list[tuple[Rows, Rows]], most: int) -> tuple[Rows, Rows]:
    """The pairs (training row, test row) that share most values: at most 20 for each training row on average."""
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    left = np.concatenate([part[0] for part in parts])
    right = np.concatenate([part[1] for part in parts])
    width = int(right.max()) + 1
    pairs, count = np.unique(left.astype(np.int64) * width + right, return_counts=True)
    pairs = pairs[np.argsort(-count, kind="stable")[: 20 * most]]
    return pairs // width, pairs % width


def _near(dataset: Dataset, block: Block, train: Rows, test: Rows) -> set[str]:
    """Test patients one of whose rows lies far nearer to a training patient's than to any other's."""
    train, test = train[block.present[train]], test[block.present[test]]
    if len(train) < 3 or not len(test):
        return set()
    x, clues = _placed(block, train)
    spectrum = np.linalg.eigvalsh(np.cov(x[train].T).reshape(x.shape[1], x.shape[1]))
    directions = spectrum.sum() ** 2 / max(float((spectrum**2).sum()), 1e-12)
    if directions < LEAST_DIRECTIONS:
        return set()
    patients, owner = np.unique(dataset.patients[train], return_inverse=True)
    if len(patients) < 2:
        return set()
    # numbers that are equal to the last digit were judged by how rare they are
    least = 0.0 if block.modality in ("tabular", "timeseries") else -1.0
    found: set[str] = set()
    for rows in _chunks(test):
        first, nearest, other = _nearest(x[rows], x[train], owner)
        # as many directions as the row itself has values
        own = np.minimum(np.minimum(directions, clues[rows]), clues[train[first]])
        enough = own >= LEAST_DIRECTIONS
        limit = np.minimum(NEARER, (CHANCE / len(test)) ** (1 / np.maximum(own, 1)))
        near = enough & (least < nearest) & (nearest < limit * other)
        found |= set(dataset.patients[rows[near]].tolist())
    return found


def _placed(block: Block, train: Rows) -> tuple[Floats, NDArray[np.int64]]:
    """Rows in at most 64 directions, scaled by the training rows; and the number of values each row has."""
    width = block.width
    count, mean, squares = np.zeros((3, width))
    for some in _chunks(train):
        part = block.values[some].astype(np.float64)
        count += (~np.isnan(part)).sum(axis=0)
        mean += np.where(np.isnan(part), 0, part).sum(axis=0)
    count = np.maximum(count, 1)
    mean /= count
    for some in _chunks(train):
        part = block.values[some] - mean
        squares += np.where(np.isnan(part), 0, part**2).sum(axis=0)
    deviation = np.sqrt(squares / count)
    varies = deviation > 1e-7 * np.abs(mean)
    size = np.where(varies, deviation, np.inf)
    turn = seeds.generator(0, "audit", "directions").normal(size=(width, DIRECTIONS)) if width > DIRECTIONS else None
    x, clues = np.empty((len(block.values), min(width, DIRECTIONS))), np.empty(len(block.values), dtype=np.int64)
    for some in _chunks(np.arange(len(x))):
        part = (block.values[some] - mean) / size
        known = ~np.isnan(part)
        part = np.where(known, np.clip(part, -10, 10), 0.0)
        x[some] = part if turn is None else part @ turn / np.sqrt(DIRECTIONS)
        clues[some] = (known & varies).sum(axis=1)
    return x, clues


def _chunks(rows: Rows) -> Iterator[Rows]:
    for begin in range(0, len(rows), CHUNK):
        yield rows[begin : begin + CHUNK]


def _nearest(rows: Floats, others: Floats, owner: Numbers) -> tuple[Numbers, Floats, Floats]:
    """(row,): the number of the nearest of the others, how far it is, and how far the nearest of another owner is."""
    squares = np.einsum("ij,ij->i", rows, rows)[:, None] + np.einsum("ij,ij->i", others, others) - 2 * rows @ others.T
    # below this, squares of this size differ by rounding alone
    floor = 1e-12 * (np.einsum("ij,ij->i", rows, rows) + 1)
    squares[squares < floor[:, None]] = 0.0
    first = np.argmin(squares, axis=1)
    nearest = squares[np.arange(len(rows)), first]
    squares[owner[first][:, None] == owner] = np.inf
    return first, np.sqrt(nearest), np.sqrt(squares.min(axis=1))
