"""How well single columns, what is missing of them, and pairs of them answer a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.dataset.dataset import Dataset
from m3h.dataset.questions import LEAST_ANSWERS, Question

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

#: Values of a column are told apart as this many at most; code 0 is missing.
CODES = 255
#: Codes are taken together into so many groups where an answer need not rise or fall with them.
GROUPS = 16
#: Rows that an order is judged by.
MOST_ORDERED = 1000
#: Candidates for one of a pair; the other may be any column.
CANDIDATES = 200


@dataclass(frozen=True)
class Table:
    """Columns of several sources side by side: float32 ``values`` (column, sample), and whose each is."""

    values: NDArray[np.float32]
    names: tuple[str, ...]
    sources: tuple[str, ...]

    @staticmethod
    def of(dataset: Dataset, modalities: Sequence[str]) -> Table:
        """The blocks of these modalities, in the order of the study."""
        blocks = [block for block in dataset.blocks.values() if block.modality in modalities]
        empty = np.zeros((0, dataset.samples), dtype=np.float32)
        return Table(
            np.concatenate([empty, *(block.values.T for block in blocks)]),
            tuple(name for block in blocks for name in block.names),
            tuple(block.source for block in blocks for _ in block.names),
        )

    @cached_property
    def codes(self) -> Codes:
        """Each value as the number of its distinct value, or of its quantile where there are many; order is kept."""
        found = np.zeros(self.values.shape, dtype=np.uint8)
        for code, column in zip(found, self.values, strict=True):
            known = ~np.isnan(column)
            distinct = np.unique(column[known])
            if len(distinct) > CODES:
                distinct = np.unique(np.quantile(column[known], np.linspace(0, 1, CODES + 1)[1:-1], method="higher"))
            code[known] = np.minimum(np.searchsorted(distinct, column[known], side="left") + 1, CODES)
        return found

    def allowed(self, question: Question) -> NDArray[np.int64]:
        """Numbers of the columns that the question's task may read."""
        return np.flatnonzero([source not in question.excluded for source in self.sources])

    def standard(self, columns: NDArray[np.int64], question: Question) -> Floats:
        """The columns on the question's rows (row, column) with mean 0 and deviation 1, missing = 0."""
        x = self.values[columns][:, question.rows].T.astype(np.float64)
        known = ~np.isnan(x)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, x, 0).sum(axis=0) / count
        deviation = np.sqrt(np.where(known, (x - mean) ** 2, 0).sum(axis=0) / count)
        fits = deviation > 1e-7 * np.abs(mean)
        scaled = (x - mean) / np.where(fits, deviation, 1.0)
        return np.where(known & fits, scaled, 0.0)


@dataclass(frozen=True)
class Single:
    """Scores of single columns for one question, between 0 and 1, higher is more telling.

    ``values`` (column,) of what is known; ``missing`` (column,) of whether it is known; 0 where too few rows tell.
    Yes-or-no questions: AUROC; amounts: the larger of Spearman's correlation and Chatterjee's in either direction.
    ``answers`` are the rows (no, yes) each score is from, int64 (column, 2).
    """

    values: Floats
    missing: Floats
    answers: NDArray[np.int64]


def auroc(score: Floats, yes: NDArray[np.bool_]) -> float:
    """The share of pairs in the right order, ties a half."""
    values, place = np.unique(score, return_inverse=True)
    positive = np.bincount(place[yes], minlength=len(values)).astype(np.float64)
    negative = np.bincount(place[~yes], minlength=len(values)).astype(np.float64)
    return float(_areas(positive[None], negative[None])[0])


def single(table: Table, columns: NDArray[np.int64], question: Question) -> Single:
    """Scores of each of the columns alone."""
    codes = table.codes[columns][:, question.rows]
    return _single_binary(codes, question) if question.kind == "binary" else _single_amount(codes, question)


def _single_binary(codes: Codes, question: Question) -> Single:
    yes, first = question.answers == 1, question.first
    positive, negative = _counts(codes[:, yes], CODES + 1), _counts(codes[:, ~yes], CODES + 1)
    area = _areas(positive[:, 1:], negative[:, 1:])
    known = np.stack([negative[:, 1:].sum(axis=1), positive[:, 1:].sum(axis=1)], axis=1).astype(np.int64)
    enough = known.min(axis=1) >= LEAST_ANSWERS
    grouped = _grouped(codes)
    halves = [_judged(grouped, yes, side) for side in (first, ~first)]
    value = np.where(enough, np.maximum(np.maximum(area, 1 - area), np.mean(halves, axis=0)), 0.0)
    gap = positive[:, 0] / max(yes.sum(), 1) - negative[:, 0] / max((~yes).sum(), 1)
    return Single(value, 0.5 + 0.5 * np.abs(gap), known)


def _counts(codes: Codes, width: int) -> Floats:
    """How often each column has each code, (column, code)."""
    place = codes.astype(np.int64) + width * np.arange(len(codes))[:, None]
    return np.bincount(place.ravel(), minlength=width * len(codes)).reshape(len(codes), width).astype(np.float64)


def _areas(positive: Floats, negative: Floats) -> Floats:
    """Areas under the curve from counts by ascending score, (column, score) each; 0.5 where a side is empty."""
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return np.where(pairs > 0, (positive * (below + negative / 2)).sum(axis=1) / np.maximum(pairs, 1), 0.5)


def _grouped(codes: Codes) -> Codes:
    top = np.maximum(codes.max(axis=1, initial=0).astype(np.int64), 1)[:, None]
    groups = np.minimum(top, GROUPS)
    return np.where(codes > 0, 1 + (codes.astype(np.int64) - 1) * groups // top, 0).astype(np.uint8)


def _judged(grouped: Codes, yes: NDArray[np.bool_], fit: NDArray[np.bool_]) -> Floats:
    """(column,): how well the shares of yes in one half's groups, missing among them, order the other half."""
    width = GROUPS + 1
    positive, negative = _counts(grouped[:, yes & fit], width), _counts(grouped[:, ~yes & fit], width)
    share = (positive + yes[fit].mean()) / (positive + negative + 1)
    order = np.argsort(share, axis=1, kind="stable")
    others = [_counts(grouped[:, side & ~fit], width) for side in (yes, ~yes)]
    return _areas(*(np.take_along_axis(counts, order, axis=1) for counts in others))


def _single_amount(codes: Codes, question: Question) -> Single:
    # of many rows some at equal distances: an order needs no more
    some = np.unique(np.linspace(0, len(question.answers) - 1, MOST_ORDERED).astype(np.int64))
    codes, y = codes[:, some], question.answers[some]
    value, missing = np.zeros(len(codes)), np.zeros(len(codes))
    known = codes > 0
    for column, row in enumerate(codes):
        value[column] = _follows(row[known[column]].astype(np.float64), y[known[column]])
        missing[column] = _follows(known[column].astype(np.float64), y)
    count = known.sum(axis=1)
    return Single(value, missing, np.stack([count, count], axis=1))


def _follows(x: Floats, y: Floats) -> float:
    """How far x and y determine one another: 1 if one is a function of the other, about 0 if they are independent."""
    rarest = len(x) - (np.unique(x, return_counts=True)[1].max() if len(x) else 0)
    if len(x) < 2 * LEAST_ANSWERS or rarest < LEAST_ANSWERS or y.min() == y.max():
        return 0.0
    rx, ry = ranks(x), ranks(y)
    straight = abs(float(np.corrcoef(rx, ry)[0, 1]))
    return max(straight, chatterjee(rx, ry), chatterjee(ry, rx))


def ranks(x: Floats) -> Floats:
    """Ranks from 1, ties their mean."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def chatterjee(x: Floats, y: Floats) -> float:
    """Chatterjee's coefficient: 1 if the order of y is a function of x, about 0 if they are independent.

    Ties in x stand in an order that is drawn. Source: Chatterjee 2021, A new coefficient of correlation."""
    order = np.lexsort((seeds.generator(0, "audit", "ties").permutation(len(x)), x))
    _, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    not_above = np.cumsum(counts)[place].astype(np.float64)
    not_below = (len(y) - np.cumsum(counts) + counts)[place].astype(np.float64)
    spread = 2 * (not_below * (len(y) - not_below)).sum()
    return 1 - len(y) * float(np.abs(np.diff(not_above[order])).sum()) / float(spread) if spread > 0 else 0.0


@dataclass(frozen=True)
class Pair:
    """Two columns (numbers in the table) and how well a weighted sum of them, fitted on one half of the patients,
    answers for the other half: AUROC, or the correlation's square root of R-squared; 0 where there is none."""

    columns: tuple[int, int]
    score: float


def best_pair(table: Table, columns: NDArray[np.int64], question: Question) -> Pair:
    """The pair that answers best, chosen on one half of the patients and judged on the other, both ways."""
    if len(columns) < 2:
        return Pair((-1, -1), 0.0)
    x = table.standard(columns, question)
    found = []
    for fit in (question.first, ~question.first):
        i, j, weights = _chosen(x[fit], question.answers[fit])
        score = np.clip(x[~fit][:, [i, j]], -1e6, 1e6) @ weights
        found.append(((int(columns[i]), int(columns[j])), judged(score, question.answers[~fit], question.kind)))
    return Pair(found[0][0], float(np.mean([score for _, score in found])))


def judged(score: Floats, answers: Floats, kind: str) -> float:
    """AUROC, or the correlation of prediction and amount, not below 0."""
    if kind == "binary":
        return auroc(score, answers == 1)
    if score.min() == score.max() or answers.min() == answers.max():
        return 0.0
    return max(float(np.corrcoef(score, answers)[0, 1]), 0.0)


def _chosen(x: Floats, y: Floats) -> tuple[int, int, Floats]:
    """The two columns with the largest R-squared together, and their weights."""
    x = x - x.mean(axis=0)
    y = y - y.mean()
    size = np.sqrt((x * x).sum(axis=0))
    u = x / np.where(size > 0, size, 1.0)
    own = u.T @ (y / max(float(np.sqrt(y @ y)), 1e-12))
    some = np.argsort(-np.abs(own), kind="stable")[:CANDIDATES]
    between = u[:, some].T @ u  # (candidate, column)
    alike = 1 - between**2
    together = own[some, None] ** 2 + own**2 - 2 * own[some, None] * own * between
    # columns that are nearly one leave nothing but rounding between them
    gain = np.where(alike > 1e-3, together / np.maximum(alike, 1e-3), 0.0)
    best = int(np.argmax(gain))
    i, j = int(some[best // gain.shape[1]]), best % gain.shape[1]
    weights: Floats = np.linalg.lstsq(x[:, [i, j]], y, rcond=None)[0].astype(np.float64)
    return i, int(j), weights
