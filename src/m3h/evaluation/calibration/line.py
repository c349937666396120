"""Least-squares lines of observed on predicted, and whether one is better for patients that it was not fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3h.evaluation.calibration.estimate import ratio

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

#: A spread of predictions below this share of their size is rounding: no slope can be told.
CONSTANT = 1e-12
#: A line must be better by this many standard errors.
DOUBT = 2.0


def centred(values: Floats) -> tuple[Floats, float]:
    """``values`` (n,) less their mean, and the mean: squares of large values lose the digits of their differences.

    Equal values become 0, not what rounding of the mean makes of them.
    """
    mean = float(values.mean())
    left = values - mean
    return np.where(np.abs(left) <= CONSTANT * abs(mean), 0.0, left), mean


def moments(x: Floats, y: Floats) -> Floats:
    """What :func:`line` needs summed, of each row: (n, 5)."""
    return np.column_stack([np.ones(len(x)), x, y, x * x, x * y])


def line(sums: Floats) -> tuple[Floats, Floats]:
    """Slopes and intercepts (k,) of y on x from ``sums`` (k, 5) of :func:`moments`; NaN where x is constant."""
    rows, x, y, xx, xy = sums.T
    spread = xx - ratio(x * x, rows)
    slope = np.full(len(sums), np.nan)
    np.divide(xy - ratio(x * y, rows), spread, out=slope, where=spread > CONSTANT * xx)
    return slope, ratio(y - slope * x, rows)


def fit_line(truth: Floats, predicted: Floats, patients: Whole) -> tuple[float, float, bool] | None:
    """Slope, intercept and whether the slope was fitted; None where predictions are best left as they are.

    ``truth`` and ``predicted`` (n,) in the task's unit, ``patients`` (n,) numbers from 0, each with a row. A line, and
    a shift alone, are fitted to the rows of all patients but one, for each in turn, and their squared errors on the
    rows of that one compared with those of the predictions themselves. Kept is the one of the two with the lower errors
    whose gain is above DOUBT of its standard errors, rows of a patient being one piece of evidence, and whose slope is
    above 0. Leaving patients out one by one needs no random folds, and of sums it costs nothing.
    """
    (x, x0), (y, y0) = centred(predicted), centred(truth)
    rows = moments(x, y)
    own = np.zeros((int(patients.max()) + 1, 5))
    np.add.at(own, patients, rows)
    sums = rows.sum(axis=0, keepdims=True)
    others = sums - own
    slopes, intercepts = (values[patients] for values in line(others))
    shifts = ratio(others[:, 2] - others[:, 1], others[:, 0])[patients]
    before = (truth - predicted) ** 2
    after = {True: (y - intercepts - slopes * x) ** 2, False: (y - x - shifts) ** 2}
    slope, intercept = (float(values[0]) for values in line(sums))
    # what rounding leaves of predictions that are right already is no gain
    least = CONSTANT * float((y**2).mean())
    gains = {kept: _gain(before - errors, patients, least) for kept, errors in after.items() if not kept or slope > 0}
    kept, gain = max(gains.items(), key=lambda entry: entry[1])
    if not gain > 0:
        return None
    return (slope, intercept + y0 - slope * x0, True) if kept else (1.0, y0 - x0, False)


def _gain(gains: Floats, patients: Whole, least: float) -> float:
    """Mean of the rows' ``gains`` (n,); 0 if not DOUBT standard errors by patient above 0, or below ``least``."""
    mean = float(gains.mean())
    sums = np.bincount(patients, weights=gains - mean)
    error = float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1))) / len(gains)
    return mean if mean > DOUBT * error and mean > least else 0.0
