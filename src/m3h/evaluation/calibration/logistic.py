"""Logistic recalibration of many draws of the same rows at once, by Newton's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3h.evaluation.calibration.estimate import ratio
from m3h.evaluation.intervals import Draws

Floats = NDArray[np.float64]

#: Probabilities nearer to 0 or 1 than this count as this far: their logits would be infinite.
EDGE = 1e-6
#: Logits that differ by less are one constant: no slope can be told.
CONSTANT = 1e-6
#: Numbers of one block of draws: few enough to stay in a processor's cache, which trebles the speed.
BLOCK = 50_000
#: Newton's steps: at most this many, none longer than LONGEST.
PASSES, LONGEST = 30, 3.0
#: The last step is below this for all rows, and for draws: what is left after a step is about its square.
NEAR, NEAR_OF_DRAWS = 1e-6, 1e-3


def logits(probabilities: Floats) -> Floats:
    """log(p / (1 - p)) of ``probabilities`` (n,), finite also for 0 and 1 (EDGE)."""
    kept = np.clip(probabilities, EDGE, 1 - EDGE)
    result: Floats = np.log(kept) - np.log1p(-kept)
    return result


def recalibration(truth: Floats, logit: Floats, draws: Draws | None = None) -> tuple[Floats, Floats]:
    """Intercepts and slopes (draws,) of the logistic regression of ``truth`` (n,) on ``logit`` (n,), one of each draw.

    ``draws`` (draws, n), None for each row once. NaN where the likelihood has no maximum: a draw with one outcome only,
    or whose outcomes one threshold separates, or constant logits. Equal to an unpenalised logistic regression.
    """
    centre, spread = (float(logit.mean()), float(logit.std())) if len(logit) else (0.0, 0.0)
    if not spread > CONSTANT:
        nothing = np.full(1 if draws is None else len(draws), np.nan)
        return nothing, nothing.copy()
    column = (logit - centre) / spread
    start, slope = _newton(truth, column, None, np.zeros(2), fixed=False)
    if draws is not None and not np.isnan(start[0]):
        start, slope = _newton(truth, column, draws, np.array([start[0], slope[0]]), fixed=False)
    elif draws is not None:
        start, slope = np.full(len(draws), np.nan), np.full(len(draws), np.nan)
    slope = slope / spread
    return start - slope * centre, slope


def in_the_large(truth: Floats, logit: Floats, draws: Draws | None = None) -> Floats:
    """Intercepts (draws,) of the logistic regression of ``truth`` (n,) with ``logit`` (n,) as offset: its slope is 1.

    Above 0 the predictions are too low, by that much on the logit. NaN for a draw with one outcome only.
    """
    start, _ = _newton(truth, logit, None, np.array([0.0, 1.0]), fixed=True)
    if draws is None:
        return start
    if np.isnan(start[0]):
        return np.full(len(draws), np.nan)
    return _newton(truth, logit, draws, np.array([start[0], 1.0]), fixed=True)[0]


def slope_error(truth: Floats, logit: Floats, intercept: float, slope: float, patients: NDArray[np.int64]) -> float:
    """Standard error of the slope of :func:`recalibration`, by patient (:func:`line_covariance`)."""
    return float(np.sqrt(line_covariance(truth, logit, intercept, slope, patients)[1, 1]))


def line_covariance(
    truth: Floats, logit: Floats, intercept: float, slope: float, patients: NDArray[np.int64]
) -> Floats:
    """Covariance (2, 2) of intercept and slope of :func:`recalibration`: the sandwich by patient (Liang & Zeger 1986).

    ``patients`` (n,) numbers from 0. With a patient a row it is White's, times patients / (patients - 1).
    """
    design = np.column_stack([np.ones(len(logit)), logit])
    expected = 0.5 + 0.5 * np.tanh((intercept + slope * logit) / 2)
    sums = np.zeros((int(patients.max()) + 1, 2))
    np.add.at(sums, patients, (truth - expected)[:, None] * design)
    inverse = np.linalg.inv(design.T @ (design * (expected * (1 - expected))[:, None]))
    count = len(sums)
    covariance: Floats = inverse @ (sums.T @ sums) @ inverse * (count / (count - 1))
    return covariance


def _newton(truth: Floats, column: Floats, draws: Draws | None, start: Floats, *, fixed: bool) -> tuple[Floats, Floats]:
    """Intercept and slope of each draw from ``start``, block by block; a ``fixed`` slope stays as it starts."""
    drawn = np.ones((1, len(truth)), dtype=np.uint16) if draws is None else draws
    near = NEAR if draws is None else NEAR_OF_DRAWS
    intercept, slope = np.full(len(drawn), start[0]), np.full(len(drawn), start[1])
    step = max(1, BLOCK // max(1, len(truth)))
    for first in range(0, len(drawn), step):
        block = slice(first, first + step)
        _block(truth, column, drawn[block].astype(np.float64), intercept[block], slope[block], fixed, near)
    return intercept, slope


def _block(
    truth: Floats, column: Floats, weights: Floats, intercept: Floats, slope: Floats, fixed: bool, near: float
) -> None:
    """Newton's steps for ``weights`` (draws, n), in place; NaN where they come to no end."""
    events, rows = weights @ truth, weights.sum(axis=1)
    intercept[(events == 0) | (events == rows)] = np.nan
    square = column**2
    along, across = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(PASSES):
        # the logistic function, by a tangent that NumPy computes several numbers at a time
        expected = 0.5 + 0.5 * np.tanh(intercept[:, None] / 2 + (slope[:, None] / 2) * column)
        left = weights * (truth - expected)
        curved = weights * (expected * (1 - expected))
        gradient, h00 = left.sum(axis=1), curved.sum(axis=1)
        if fixed:
            along = ratio(gradient, h00)
        else:
            tilt, h01, h11 = left @ column, curved @ column, curved @ square
            determinant = h00 * h11 - h01**2
            along = ratio(h11 * gradient - h01 * tilt, determinant)
            across = ratio(h00 * tilt - h01 * gradient, determinant)
        intercept += np.clip(along, -LONGEST, LONGEST)
        slope += np.clip(across, -LONGEST, LONGEST)
        if not (np.maximum(np.abs(along), np.abs(across)) >= near).any():
            break
    lost = ~(np.maximum(np.abs(along), np.abs(across)) < near)
    intercept[lost] = np.nan
    slope[lost] = np.nan
