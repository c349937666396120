"""What an estimator says of one source, and the intervals and false-discovery rates that follow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control
from scipy.stats import t as student

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """The values of one source: ``value``, its standard ``error`` and ``trials`` (target,), and the degrees of freedom
    of the errors. NaN where there is nothing to say."""

    value: Floats
    error: Floats
    trials: Floats
    freedom: float

    def rounded(self, least: float) -> Estimate:
        """The same with values and errors below ``least`` as 0."""
        value, error = (np.where(np.abs(part) < least, 0.0, part) for part in (self.value, self.error))
        return replace(self, value=value, error=error)

    def interval(self) -> tuple[Floats, Floats]:
        """The 95 % interval by Student's t."""
        reach = self.error * (student.ppf(0.975, self.freedom) if self.freedom > 0 else np.nan)
        return self.value - reach, self.value + reach

    def p(self) -> Floats:
        """Two-sided p that the value is 0, by the same t. Without any error p is 0, or 1 for a value of 0."""
        if not self.freedom > 0:
            return np.full(len(self.value), np.nan)
        sure = self.error == 0
        ratio = np.abs(self.value) / np.where(sure, 1.0, self.error)
        return np.asarray(np.where(sure, 1.0 * (self.value == 0), 2 * student.sf(ratio, self.freedom)))


def unknown(targets: int, trials: int = 0) -> Estimate:
    """The estimate of a source of which too little is known."""
    nothing = np.full(targets, np.nan)
    return Estimate(nothing, nothing, np.full(targets, float(trials)), 0.0)


def false_discovery(p: Floats) -> Floats:
    """The false-discovery rate of each p by Benjamini and Hochberg (1995) over all of them; NaN stays NaN."""
    q = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q
