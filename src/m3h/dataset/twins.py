"""One person on both sides of the split: rows of different patients that chance does not make alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from m3h.core import seeds
from m3h.dataset.dataset import Dataset, Rows
from m3h.encoders.block import Block

Floats = NDArray[np.float64]

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
#: Rows of one product of distances.
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
            if len(near) > _usual(dataset, block, train, len(np.unique(dataset.patients[test]))):
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


def _values(dataset: Dataset) -> NDArray[np.int64]:
    """(group, sample): the number of the group's distinct value; -1 where nothing is known or all is 0."""
    found = []
    for block in dataset.blocks.values():
        for group in _groups(block):
            part = np.ascontiguousarray(
                np.where(np.isnan(block.values[:, group]), np.float32(0), block.values[:, group])
            )
            part += np.float32(0.0)  # one bit pattern for zero
            rows = part.view(np.dtype((np.void, part.dtype.itemsize * part.shape[1])))[:, 0]
            number = np.unique(rows, return_inverse=True)[1].astype(np.int64)
            number[~part.any(axis=1)] = -1
            found.append(number)
    return np.array(found, dtype=np.int64).reshape(len(found), dataset.samples)


def _equal(dataset: Dataset, train: Rows, test: Rows) -> set[str]:
    """Test patients one of whose rows has values of a training row that are too rare to be shared by chance."""
    values = _values(dataset)
    patients, owner = np.unique(dataset.patients, return_inverse=True)
    weights = np.zeros(values.shape)  # digits of rarity: -log10 of the share of patients with the value
    rare: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for group, number in enumerate(values):
        known = number >= 0
        pairs = np.unique(number[known] * len(patients) + owner[known])
        holders = np.bincount(pairs // len(patients), minlength=1)
        weights[group, known] = np.maximum(-np.log10(holders[number[known]] / len(patients)), 0)
        rare += _shared(number, holders, train, test)
    candidates = _counted(rare, len(train))
    needed = np.log10(len(train) * len(test) / CHANCE)
    found: set[str] = set()
    for left, right in candidates:
        here, there = values[:, left], values[:, right]
        both = (here >= 0) & (there >= 0)
        same = both & (here == there)
        clue = weights[same, left].sum() + same.sum() * np.log10(KEPT) + (both & ~same).sum() * np.log10(1 - KEPT)
        if clue > needed:
            found.add(str(dataset.patients[right]))
    return found


def _shared(
    number: NDArray[np.int64], holders: NDArray[Any], train: Rows, test: Rows
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Pairs (training row, test row) that share a value of few patients."""
    usable = (number >= 0) & (holders[np.maximum(number, 0)] <= COMMON) & (holders[np.maximum(number, 0)] > 1)
    left, right = train[usable[train]], test[usable[test]]
    left = left[np.argsort(number[left], kind="stable")]
    begin = np.searchsorted(number[left], number[right], side="left")
    end = np.searchsorted(number[left], number[right], side="right")
    count = end - begin
    if count.sum():
        at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(begin, count)
        yield left[at], np.repeat(right, count)


def _counted(parts: list[tuple[NDArray[Any], NDArray[Any]]], most: int) -> list[tuple[int, int]]:
    """The pairs that share most values: at most 20 for each training row on average."""
    if not parts:
        return []
    left = np.concatenate([part[0] for part in parts])
    right = np.concatenate([part[1] for part in parts])
    width = int(right.max()) + 1
    pairs, count = np.unique(left.astype(np.int64) * width + right, return_counts=True)
    order = np.argsort(-count, kind="stable")[: 20 * most]
    return [(int(pair // width), int(pair % width)) for pair in pairs[order]]


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
    patients = dataset.patients[train]
    # numbers that are equal to the last digit were judged by how rare they are
    least = 0.0 if block.modality in ("tabular", "timeseries") else -1.0
    found: set[str] = set()
    for begin in range(0, len(test), CHUNK):
        rows = test[begin : begin + CHUNK]
        for row, distance in zip(rows, _distances(x[rows], x[train]), strict=True):
            first = int(np.argmin(distance))
            others = distance[patients != patients[first]]
            if not len(others):
                continue
            # as many directions as the row itself has values
            own = min(directions, clues[row], clues[train[first]])
            if own < LEAST_DIRECTIONS:
                continue
            limit = min(NEARER, (CHANCE / len(test)) ** (1 / own))
            if least < distance[first] < limit * others.min():
                found.add(str(dataset.patients[row]))
    return found


def _placed(block: Block, train: Rows) -> tuple[Floats, NDArray[np.int64]]:
    """Rows in at most 64 directions, scaled by the training rows; and the number of values each row has."""
    known = ~np.isnan(block.values)
    x = np.where(known, block.values, 0).astype(np.float64)
    count = np.maximum(known[train].sum(axis=0), 1)
    mean = x[train].sum(axis=0) / count
    deviation = np.sqrt((np.where(known[train], x[train] - mean, 0) ** 2).sum(axis=0) / count)
    varies = deviation > 1e-7 * np.abs(mean)
    x = np.where(known & varies, np.clip((x - mean) / np.where(varies, deviation, 1.0), -10, 10), 0.0)
    if x.shape[1] > DIRECTIONS:
        turn = seeds.generator(0, "audit", "directions").normal(size=(x.shape[1], DIRECTIONS))
        x = x @ turn / np.sqrt(DIRECTIONS)
    return x, (known & varies).sum(axis=1)


def _distances(rows: Floats, others: Floats) -> Floats:
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * rows @ others.T
    # below this, squares of this size differ by rounding alone
    floor = 1e-12 * ((rows**2).sum(axis=1)[:, None] + 1)
    return np.asarray(np.sqrt(np.where(squares < floor, 0.0, squares)))
