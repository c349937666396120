"""How well a whole source answers a question: a plain linear model, fitted on one half of the patients and judged on
the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from m3h.dataset.audit.questions import Question
from m3h.dataset.audit.screen import judged
from m3h.dataset.audit.table import Floats, Numbers, Standard, Table

#: Rows to fit on and rows to judge on.
Rows = tuple[slice, slice]

#: Columns that a model may read, those first that correlate most with the answers it is fitted on.
COLUMNS = 64
#: Weight of the squared coefficients beside the mean loss of a row; columns have deviation 1.
PENALTY = 0.01
STEPS = 12
#: A step that changes no answer.
CLOSE = 1e-9
#: Rows with yes that a column of a rule must be set in, at least, and the chance to be set in so many by luck.
LEAST_SET, LUCK = 2, 0.01


def source_scores(table: Table, standard: Standard, kind: str) -> dict[str, float]:
    """Score of each source that has a column in ``standard``: AUROC, or the correlation of prediction and amount.

    Whether a value is known is an input beside it. Both halves are judged by the model of the other; the mean counts.
    """
    sources = np.array([table.sources[column] for column in standard.columns])
    share = standard.known.mean(axis=0)
    gaps = (share > 0) & (share < 1)
    found: dict[str, list[float]] = {source: [] for source in dict.fromkeys(sources.tolist())}
    for fit, other in standard.halves():
        y = standard.answers[fit]
        strong = strength(standard.values[fit], y)
        telling = np.where(gaps, strength(standard.known[fit].astype(np.float64), y), 0.0)
        for source, scores in found.items():
            own = np.flatnonzero(sources == source)
            scores.append(_of_source(standard, own, own[gaps[own]], strong, telling, (fit, other), kind))
    return {source: float(np.mean(scores)) for source, scores in found.items()}


def _of_source(
    standard: Standard, own: Numbers, gaps: Numbers, strong: Floats, telling: Floats, rows: Rows, kind: str
) -> float:
    """The score of the strongest of a source's columns ``own`` and of whether those of ``gaps`` are known."""
    order = np.argsort(-np.concatenate([strong[own], telling[gaps]]), kind="stable")[:COLUMNS]
    columns, missing = own[order[order < len(own)]], gaps[order[order >= len(own)] - len(own)]
    known = standard.known[:, missing].astype(np.float64)
    known = (known - known.mean(axis=0)) / known.std(axis=0)
    fit, other = (np.concatenate([standard.values[some][:, columns], known[some]], axis=1) for some in rows)
    return answered(fit, standard.answers[rows[0]], other, standard.answers[rows[1]], kind)


def held_out(x: Floats, question: Question) -> float:
    """The score of a linear model on columns ``x`` (row, column) of the question's rows."""
    scores = []
    for fit in (question.first, ~question.first):
        y = question.answers[fit]
        columns = np.argsort(-strength(x[fit], y), kind="stable")[:COLUMNS]
        scores.append(answered(x[fit][:, columns], y, x[~fit][:, columns], question.answers[~fit], question.kind))
    return float(np.mean(scores))


def answered(x: Floats, y: Floats, other: Floats, answers: Floats, kind: str) -> float:
    """How well a linear model fitted on ``x`` (row, column) and ``y`` (row,) answers for the rows of ``other``; 0 where
    the answers of either do not differ."""
    if y.min() == y.max() or answers.min() == answers.max():
        return 0.0
    design, judging = (np.column_stack([np.ones(len(rows)), rows]) for rows in (x, other))
    weights = _logistic(design, y) if kind == "binary" else _ridge(design, y)
    return judged(judging @ weights, answers, kind)


def strength(x: Floats, y: Floats) -> Floats:
    """(column,): correlation with the answers but for their own deviation; 0 for columns that never change."""
    ones = np.ones(len(x))
    mean = ones @ x / len(x)
    spread = np.sqrt(np.maximum(np.einsum("ij,ij->j", x, x) / len(x) - mean**2, 0))
    return np.asarray(np.abs((y - y.mean()) @ x) / np.where(spread > 1e-8, spread, np.inf))


@dataclass(frozen=True)
class Rule:
    """Yes-or-no columns any of which means yes, chosen on one half of the patients and judged on the other, both ways.

    ``columns`` are numbers in the table; ``precision`` the share of yes among the rows that have one, ``coverage`` the
    share of the rows with yes that have one, ``rows`` how many those are.
    """

    columns: tuple[int, ...]
    precision: float
    coverage: float
    rows: int


def any_of(table: Table, columns: NDArray[np.int64], question: Question) -> Rule:
    """The rule of all columns that are set only where the answer is yes; so a diagnosis follows from its codes.

    A column is set where it is known though it often is not, or, of two values, where it has the larger.
    """
    codes = table.coded(columns, question.rows)
    known, two = codes > 0, codes.max(axis=1, initial=0) == 2
    flags = np.where(two[:, None], codes == 2, known)
    yes = question.answers == 1
    hit = right = 0
    chosen: list[int] = []
    for fit in (question.first, ~question.first):
        # so many rows with yes and none with no: a column that knows nothing is seldom so lucky
        least = max(LEAST_SET, int(np.ceil(np.log(LUCK) / np.log(yes[fit].mean()))))
        pure = (flags[:, fit & yes].sum(axis=1) >= least) & ~flags[:, fit & ~yes].any(axis=1)
        union = flags[pure][:, ~fit].any(axis=0)
        hit += int(union.sum())
        right += int((union & yes[~fit]).sum())
        chosen += np.flatnonzero(pure).tolist()
    found = tuple(int(columns[n]) for n in dict.fromkeys(chosen))
    return Rule(found, right / max(hit, 1), right / max(int(yes.sum()), 1), right)


def _ridge(design: Floats, y: Floats) -> Floats:
    penalty = PENALTY * len(y) * np.eye(design.shape[1])
    penalty[0, 0] = 0
    found: Floats = np.asarray(
        np.linalg.solve(design.T @ design + penalty + 1e-9 * np.eye(len(penalty)), design.T @ y), dtype=np.float64
    )
    return found


def _logistic(design: Floats, y: Floats) -> Floats:
    """Newton's steps; the penalty keeps them finite where the answers can be separated."""
    penalty = PENALTY * len(y) * np.eye(design.shape[1])
    penalty[0, 0] = 1e-6
    weights: Floats = np.zeros(design.shape[1])
    for _ in range(STEPS):
        p = expit(np.clip(design @ weights, -30, 30))
        slope = design.T @ (p - y) + penalty @ weights
        curve = design.T @ (design * (p * (1 - p))[:, None]) + penalty
        step = np.asarray(np.linalg.solve(curve, slope), dtype=np.float64)
        weights = weights - step
        if np.abs(step).max() < CLOSE:
            break
    return weights
