"""How well a whole source answers a question: a plain linear model, fitted on one half of the patients and judged on
the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from m3h.dataset.questions import Question
from m3h.dataset.screen import Table, judged

Floats = NDArray[np.float64]

#: Columns that a model may read, those first that correlate most with the answers it is fitted on.
COLUMNS = 64
#: Weight of the squared coefficients beside the mean loss of a row; columns have deviation 1.
PENALTY = 0.01
STEPS = 12
#: Rows with yes that a column of a rule must be set in, at least, and the chance to be set in so many by luck.
LEAST_SET, LUCK = 2, 0.01


def source_scores(table: Table, question: Question) -> dict[str, float]:
    """Score of each source that the question's task may read: AUROC, or the correlation of prediction and amount.

    Whether a value is known is an input beside it. Both halves are judged by the model of the other; the mean counts.
    """
    found = {}
    allowed = table.allowed(question)
    for source in dict.fromkeys(table.sources[column] for column in allowed):
        columns = np.array([column for column in allowed if table.sources[column] == source], dtype=np.int64)
        known = (table.codes[columns][:, question.rows] > 0).T.astype(np.float64)
        spread = known.std(axis=0)
        gaps = (known - known.mean(axis=0))[:, spread > 0] / spread[spread > 0]
        found[source] = held_out(np.concatenate([table.standard(columns, question), gaps], axis=1), question)
    return found


def held_out(x: Floats, question: Question) -> float:
    """The score of a linear model on columns ``x`` (row, column) of the question's rows."""
    scores = []
    for fit in (question.first, ~question.first):
        y = question.answers[fit]
        if y.min() == y.max() or question.answers[~fit].min() == question.answers[~fit].max():
            return 0.0
        columns = _chosen(x[fit], y)
        design = np.column_stack([np.ones(len(x)), x[:, columns]])
        weights = _logistic(design[fit], y) if question.kind == "binary" else _ridge(design[fit], y)
        scores.append(judged(design[~fit] @ weights, question.answers[~fit], question.kind))
    return float(np.mean(scores))


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
    codes = table.codes[columns][:, question.rows]
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


def _chosen(x: Floats, y: Floats) -> NDArray[np.int64]:
    spread = x.std(axis=0)
    strength = np.abs((y - y.mean()) @ x) / np.where(spread > 0, spread, np.inf)
    return np.argsort(-strength, kind="stable")[:COLUMNS]


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
        weights = weights - np.asarray(np.linalg.solve(curve, slope), dtype=np.float64)
    return weights
