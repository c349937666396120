"""How well single columns, what is missing of them, and pairs of them answer a question."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.audit.order import follows
from m3h.dataset.audit.questions import LEAST_ANSWERS, Question
from m3h.dataset.audit.table import CODES, Codes, Floats, Numbers, Standard, Table

#: Codes are taken together into so many groups where an answer need not rise or fall with them.
GROUPS = 16
#: Rows that an order is judged by.
MOST_ORDERED = 1000
#: Candidates for one of a pair; the other may be any column.
CANDIDATES = 200
#: Columns that are counted at once.
_BLOCK = 128


@dataclass(frozen=True)
class Single:
    """Scores of single columns for one question, between 0 and 1, higher is more telling.

    ``values`` (column,) of what is known; ``missing`` (column,) of whether it is known; 0 where too few rows tell.
    Yes-or-no questions: AUROC; amounts: the larger of Spearman's correlation and Chatterjee's in either direction.
    ``answers`` are the rows (no, yes) each score is from, int64 (column, 2).
    """

    values: Floats
    missing: Floats
    answers: Numbers


def auroc(score: Floats, yes: NDArray[np.bool_]) -> float:
    """The share of pairs in the right order, ties a half."""
    values, place = np.unique(score, return_inverse=True)
    positive = np.bincount(place[yes], minlength=len(values)).astype(np.float64)
    negative = np.bincount(place[~yes], minlength=len(values)).astype(np.float64)
    return float(_areas(positive[None], negative[None])[0])


def single(table: Table, columns: Numbers, question: Question) -> Single:
    """Scores of each of the columns alone."""
    if question.kind == "binary":
        return _single_binary(table.coded(columns, question.rows), question)
    # of many rows some at equal distances: an order needs no more
    some = np.unique(np.linspace(0, len(question.answers) - 1, MOST_ORDERED).astype(np.int64))
    codes, amounts = table.coded(columns, question.rows[some]), question.answers[some]
    known = codes > 0
    count = known.sum(axis=1)
    missing = follows(known.astype(np.uint8) + np.uint8(1), amounts)
    return Single(follows(codes, amounts), missing, np.stack([count, count], axis=1))


def _single_binary(codes: Codes, question: Question) -> Single:
    yes, first = question.answers == 1, question.first
    counts = _counts(codes, first, yes)
    negative, positive = counts.sum(axis=0)
    area = _areas(positive[:, 1:], negative[:, 1:])
    known = np.stack([negative[:, 1:].sum(axis=1), positive[:, 1:].sum(axis=1)], axis=1).astype(np.int64)
    enough = known.min(axis=1) >= LEAST_ANSWERS
    grouped = _grouped(counts)
    halves = [_judged(grouped[fit], grouped[1 - fit]) for fit in (1, 0)]
    value = np.where(enough, np.maximum(np.maximum(area, 1 - area), np.mean(halves, axis=0)), 0.0)
    gap = positive[:, 0] / max(yes.sum(), 1) - negative[:, 0] / max((~yes).sum(), 1)
    return Single(value, 0.5 + 0.5 * np.abs(gap), known)


def _counts(codes: Codes, first: NDArray[np.bool_], yes: NDArray[np.bool_]) -> Floats:
    """How often each column has each code, (in the first half, yes, column, code)."""
    width = CODES + 1
    part = width * (2 * first + yes).astype(np.int64)
    found = np.empty((4, len(codes), width))
    for begin in range(0, len(codes), _BLOCK):
        some = codes[begin : begin + _BLOCK]
        place = some + part + 4 * width * np.arange(len(some))[:, None]
        counted = np.bincount(place.ravel(), minlength=4 * width * len(some)).reshape(len(some), 4, width)
        found[:, begin : begin + len(some)] = counted.transpose(1, 0, 2)
    return found.reshape(2, 2, len(codes), width)


def _areas(positive: Floats, negative: Floats) -> Floats:
    """Areas under the curve from counts by ascending score, (column, score) each; 0.5 where a side is empty."""
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return np.where(pairs > 0, (positive * (below + negative / 2)).sum(axis=1) / np.maximum(pairs, 1), 0.5)


def _grouped(counts: Floats) -> Floats:
    """Counts (half, answer, column, code) by groups of neighbouring codes instead, (..., group); missing is group 0."""
    there = counts.sum(axis=(0, 1)) > 0
    codes = np.arange(counts.shape[-1])
    top = np.maximum(np.where(there, codes, 0).max(axis=1), 1)[:, None]
    number = np.minimum(top, GROUPS)
    # the last code of each group; there is none above the column's largest
    last = np.minimum(-(-np.arange(GROUPS + 1) * top // number), codes[-1])
    up_to = np.take_along_axis(np.cumsum(counts, axis=-1), np.broadcast_to(last, (*counts.shape[:2], *last.shape)), -1)
    return np.diff(up_to, axis=-1, prepend=0.0)


def _judged(fit: Floats, other: Floats) -> Floats:
    """(column,): how well the shares of yes in one half's groups, missing among them, order the other half.

    Counts are (answer, column, group)."""
    negative, positive = fit
    usual = positive[0].sum() / fit[:, 0].sum()
    order = np.argsort((positive + usual) / (positive + negative + 1), axis=1, kind="stable")
    no, yes = (np.take_along_axis(counts, order, axis=1) for counts in other)
    return _areas(yes, no)


@dataclass(frozen=True)
class Pair:
    """Two columns (numbers in the table) and how well a weighted sum of them, fitted on one half of the patients,
    answers for the other half: AUROC, or the correlation's square root of R-squared; 0 where there is none."""

    columns: tuple[int, int]
    score: float


def best_pair(standard: Standard, kind: str) -> Pair:
    """The pair that answers best, chosen on one half of the patients and judged on the other, both ways."""
    if len(standard.columns) < 2:
        return Pair((-1, -1), 0.0)
    found = []
    for fit, other in standard.halves():
        i, j, weights = _chosen(standard.values[fit], standard.answers[fit])
        score = np.clip(standard.values[other][:, [i, j]], -1e6, 1e6) @ weights
        pair = (int(standard.columns[i]), int(standard.columns[j]))
        found.append((pair, judged(score, standard.answers[other], kind)))
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
    u = x - np.ones(len(x)) @ x / len(x)
    y = y - y.mean()
    size = np.sqrt(np.einsum("ij,ij->j", u, u))
    # a column that never changes in this half leaves nothing but rounding
    u /= np.where(size > 1e-9, size, np.inf)
    own = y @ u / max(float(np.sqrt(y @ y)), 1e-12)
    some = np.argsort(-np.abs(own), kind="stable")[:CANDIDATES]
    between = u[:, some].T @ u  # (candidate, column)
    alike = 1 - between**2
    together = own[some, None] ** 2 + own**2 - 2 * own[some, None] * own * between
    # columns that are nearly one leave nothing but rounding between them
    gain = np.where(alike > 1e-3, together / np.maximum(alike, 1e-3), 0.0)
    best = int(np.argmax(gain))
    i, j = int(some[best // gain.shape[1]]), best % gain.shape[1]
    weights: Floats = np.linalg.lstsq(u[:, [i, j]] * size[[i, j]], y, rcond=None)[0].astype(np.float64)
    return i, int(j), weights
