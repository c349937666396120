"""How far predictions are from what comes: slope, intercept, expected error, ratio, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.evaluation.calibration.curve import quantile_bins
from m3h.evaluation.calibration.estimate import (
    Estimate,
    check_outcomes,
    check_probabilities,
    estimates,
    labelled,
    ratio,
    totals,
)
from m3h.evaluation.calibration.line import centred, line, moments
from m3h.evaluation.calibration.logistic import in_the_large, logits, recalibration
from m3h.evaluation.intervals import Draws

Floats = NDArray[np.float64]

NOTHING = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Calibration:
    """Calibration of a binary outcome over ``n`` labelled rows, ``events`` of them positive.

    ``slope``: 1 is right; below 1 predictions are too extreme, above 1 too timid. ``intercept`` (calibration in the
    large): 0 is right; above 0 predictions are too low. ``ece``: expected calibration error from 0 to 1, lower is
    better. ``ratio``: observed / expected events, 1 is right, above 1 predictions are too low. ``brier``: lower is
    better.
    """

    n: int
    events: int
    slope: Estimate
    intercept: Estimate
    ece: Estimate
    ratio: Estimate
    brier: Estimate


@dataclass(frozen=True)
class RegressionCalibration:
    """Calibration of a regression over ``n`` labelled rows: observed = ``intercept`` + ``slope`` * predicted.

    ``slope``: 1 is right, below 1 predictions are too extreme. ``intercept`` and ``bias``, the mean of observed minus
    predicted, are in the task's unit; 0 is right, a bias above 0 means predictions are too low.
    """

    n: int
    slope: Estimate
    intercept: Estimate
    bias: Estimate


def calibration(truth: Floats, predicted: Floats, draws: Draws | None) -> Calibration:
    """How well the probabilities ``predicted`` (n,) of a binary outcome ``truth`` (n,) can be taken at their word.

    ``truth`` is NaN where a row has no label: such rows are left out. ``draws`` (draws, n) from
    m3h.evaluation.intervals.patient_draws give the intervals, all of them used; None gives none. Slope: of the logistic
    regression of the outcome on the logit of the prediction; intercept: of that with the slope held at 1 (Cox 1958; Van
    Calster et al. 2016). Probabilities of 0 and 1 count as 1e-6 from there. The expected calibration error is the mean
    over rows of the distance between mean prediction and observed share of the row's bin, by quantile of the prediction
    (m3h.evaluation.calibration.curve.quantile_bins).

    NaN: slope where predictions are constant or separate the outcomes; slope and intercept with one outcome only; ratio
    where nothing is expected; everything if a prediction is not finite or no row has a label. Errors: DataError for
    outcomes other than 0 and 1, predictions that are no probabilities, lengths that differ.

    Chance alone raises the expected calibration error, and a draw's once more. So its interval is the reflected one
    (2 value - draws; Davison & Hinkley 1997, 5.2), from 0 up, widened to hold the value.
    """
    truth, predicted, draws = labelled(truth, predicted, draws)
    check_outcomes(truth)
    check_probabilities(predicted)
    events = int(truth.sum())
    if not len(truth) or not np.isfinite(predicted).all():
        return Calibration(len(truth), events, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
    logit = logits(predicted)
    member = quantile_bins(predicted)
    gaps = (truth - predicted)[:, None] * (member[:, None] == np.arange(member.max() + 1))  # (n, bins)
    columns = np.column_stack([np.ones(len(truth)), truth, predicted, (truth - predicted) ** 2, gaps])

    def measured(drawn: Draws | None) -> tuple[Floats, ...]:
        rows, observed, expected, squares, *errors = totals(columns, drawn).T
        slope = recalibration(truth, logit, drawn)[1]
        error = ratio(np.abs(np.stack(errors)).sum(axis=0), rows)
        return slope, in_the_large(truth, logit, drawn), error, ratio(observed, expected), ratio(squares, rows)

    found, of_draws = measured(None), None if draws is None else measured(draws)
    slope, intercept, error, of_expected, brier = estimates(found, of_draws)
    return Calibration(len(truth), events, slope, intercept, _reflected(error), of_expected, brier)


def regression_calibration(truth: Floats, predicted: Floats, draws: Draws | None) -> RegressionCalibration:
    """Slope and intercept of the least-squares line of observed ``truth`` (n,) on ``predicted`` (n,), and the bias.

    Both in the task's unit; ``truth`` is NaN where a row has no label: such rows are left out. ``draws`` (draws, n) as
    in :func:`calibration`. Slope and intercept are NaN where predictions are constant, everything if one is not finite.
    Errors: DataError if lengths differ.

    Predicted 1 2 3, observed 1 3 5: slope 2, intercept -1, bias 1.
    """
    truth, predicted, draws = labelled(truth, predicted, draws)
    if not len(truth) or not np.isfinite(predicted).all():
        return RegressionCalibration(len(truth), NOTHING, NOTHING, NOTHING)
    found, of_draws = _lines(truth, predicted, None), None if draws is None else _lines(truth, predicted, draws)
    slope, intercept, bias = estimates(found, of_draws)
    return RegressionCalibration(len(truth), slope, intercept, bias)


def _lines(truth: Floats, predicted: Floats, draws: Draws | None) -> tuple[Floats, Floats, Floats]:
    (x, x0), (y, y0) = centred(predicted), centred(truth)
    sums = totals(moments(x, y), draws)
    slope, intercept = line(sums)
    return slope, intercept + y0 - slope * x0, ratio(sums[:, 2] - sums[:, 1], sums[:, 0]) + y0 - x0


def _reflected(found: Estimate) -> Estimate:
    # NumPy's maximum keeps NaN, Python's may not
    low = np.maximum(0.0, 2 * found.value - found.high)
    high = np.maximum(found.value, 2 * found.value - found.low)
    return Estimate(found.value, float(low), float(high))
