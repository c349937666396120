"""Inverse temperature and class biases of several classes, in one convex fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

#: Weight of a normal prior, as of one row or so: around slope 1 and biases 0. It keeps classes without rows finite.
PRIOR = 1.0


def fit_temperature(truth: Whole, logs: Floats, patients: Whole, *, with_slope: bool) -> tuple[float, Floats, float]:
    """Slope, biases (classes,) and the slope's standard error of softmax(slope * ``logs`` + biases).

    ``truth`` (n,) class numbers, ``logs`` (n, classes) logarithms of probabilities, ``patients`` (n,) numbers from 0.
    Maximum likelihood but for a weak prior (PRIOR): strictly convex, so there is one answer, and it is finite also
    for a class without rows. Without ``with_slope`` the slope is 1 and its error 0. The error is the sandwich by
    patient (Liang & Zeger 1986). Source: Guo et al. 2017 (temperature), Alexandari et al. 2020 (with biases).
    """
    classes = logs.shape[1]
    one_hot = np.eye(classes)[truth]
    centre = np.zeros(classes + 1)
    centre[0] = 1.0
    free = slice(0 if with_slope else 1, None)

    def whole(free_values: Floats) -> Floats:
        values = centre.copy()
        values[free] = free_values
        return values

    def scored(values: Floats) -> Floats:
        return log_softmax(values[0] * logs + values[1:], axis=1)  # type: ignore[no-any-return]

    def loss(given: Floats) -> float:
        values = whole(given)
        missed = -scored(values)[np.arange(len(truth)), truth].sum()
        return float(missed + PRIOR / 2 * ((values - centre) ** 2).sum())

    def by_row(values: Floats) -> Floats:
        left = np.exp(scored(values)) - one_hot  # (n, classes)
        return np.column_stack([(left * logs).sum(axis=1), left])

    def gradient(given: Floats) -> Floats:
        values = whole(given)
        slopes: Floats = by_row(values).sum(axis=0) + PRIOR * (values - centre)
        return slopes[free]

    def curvature(given: Floats) -> Floats:
        return _curvature(np.exp(scored(whole(given))), logs)[free, free]

    found = minimize(loss, centre[free], jac=gradient, hess=curvature, method="trust-exact", options={"gtol": 1e-6})
    values = whole(found.x)
    if not with_slope:
        return 1.0, values[1:], 0.0
    sums = np.zeros((int(patients.max()) + 1, classes + 1))
    np.add.at(sums, patients, by_row(values))
    inverse = np.linalg.inv(_curvature(np.exp(scored(values)), logs))
    error = float(np.sqrt((inverse @ (sums.T @ sums) @ inverse)[0, 0]))
    return float(values[0]), values[1:], error


def _curvature(shares: Floats, logs: Floats) -> Floats:
    """Second derivatives (1 + classes, 1 + classes) of the loss by slope and biases, the prior's included."""
    classes = logs.shape[1]
    mean = (shares * logs).sum(axis=1, keepdims=True)
    result = np.empty((classes + 1, classes + 1))
    result[0, 0] = (shares * (logs - mean) ** 2).sum()
    result[0, 1:] = result[1:, 0] = (shares * (logs - mean)).sum(axis=0)
    result[1:, 1:] = np.diag(shares.sum(axis=0)) - shares.T @ shares
    return result + PRIOR * np.eye(classes + 1)
