"""How surely a calibrated risk is known: the band around a calibration line that was fitted to so many patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from m3h.core.errors import DataError
from m3h.evaluation.calibration.calibrator import LEAST_INTERCEPT
from m3h.evaluation.calibration.curve import Z
from m3h.evaluation.calibration.estimate import check_outcomes, check_probabilities
from m3h.evaluation.calibration.logistic import line_covariance, logits, recalibration

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """Variance of the intercept, covariance of both, and variance of the slope of a calibration line of logits."""

    intercept: float
    both: float
    slope: float

    def around(self, risks: Floats) -> tuple[Floats, Floats]:
        """The 95 % interval of calibrated ``risks`` (...,), by the delta method on the logit: it holds the risk itself.

        It is of the share that had the outcome among patients of such a risk, as far as a line can tell it; whether
        one patient has it is another, larger, uncertainty.
        """
        logit = logits(risks)
        half = Z * np.sqrt(np.maximum(self.intercept + 2 * self.both * logit + self.slope * logit**2, 0.0))
        # logits end at a risk of a millionth, and the interval of a smaller one still holds it
        return np.minimum(expit(logit - half), risks), np.maximum(expit(logit + half), risks)

    def as_list(self) -> list[float]:
        """The three numbers, for JSON; :meth:`from_list` reads them."""
        return [self.intercept, self.both, self.slope]

    @staticmethod
    def from_list(content: Sequence[float]) -> Band:
        """The band that :meth:`as_list` wrote. Errors: DataError for other than three finite numbers."""
        numbers = [float(value) for value in content]
        if len(numbers) != 3 or not np.isfinite(numbers).all() or min(numbers[0], numbers[2]) < 0:
            raise DataError("no band", got=f"{len(numbers)} numbers", expected="two variances and their covariance")
        return Band(*numbers)


def band(truth: Floats, risks: Floats, patients: NDArray[np.str_]) -> Band | None:
    """The band of ``risks`` (n,), calibrated on patients not trained on, whose outcomes are ``truth`` (n,) of 0 and 1.

    Variances are the sandwich by patient. None where too few patients (``patients`` (n,), a name a row) had one of the
    outcomes to tell, LEAST_INTERCEPT, or the outcomes are separated. Errors: DataError for other outcomes or no
    probabilities.
    """
    check_outcomes(truth)
    check_probabilities(risks)
    numbers = np.unique(patients, return_inverse=True)[1].astype(np.int64)
    if min((len(np.unique(numbers[truth == outcome])) for outcome in (0, 1)), default=0) < LEAST_INTERCEPT:
        return None
    logit = logits(risks)
    intercept, slope = (float(value[0]) for value in recalibration(truth, logit))
    if np.isnan(slope):
        return None
    found = line_covariance(truth, logit, intercept, slope, numbers)
    return Band(float(found[0, 0]), float(found[0, 1]), float(found[1, 1]))
