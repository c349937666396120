"""Reliability curves: what was predicted beside what came, by quantile of the prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from m3h.core.errors import DataError
from m3h.evaluation.calibration.estimate import check_outcomes, check_probabilities, labelled
from m3h.study.task import Kind

Floats = NDArray[np.float64]

BINS = 10
#: There are no more bins than rows divided by this.
ROWS_PER_BIN = 10
#: The normal distribution's 97.5 percentile.
Z = 1.959963984540054


@dataclass(frozen=True)
class Bin:
    """Rows with like predictions: ``n`` of them, the means of what was ``predicted`` and ``observed``, and the 95 %
    interval ``low`` to ``high`` of the observed mean."""

    n: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """Bins by rising prediction; none where no row has a label or a prediction is not finite."""

    bins: tuple[Bin, ...]


def curve(kind: Kind, truth: Floats, predicted: Floats, *, bins: int = BINS) -> Curve:
    """The reliability curve of a binary outcome or a regression: on the diagonal, predictions are what comes.

    ``truth`` (n,), NaN where a row has no label (left out); ``predicted`` (n,) probabilities, or values in the task's
    unit. Bins hold about equally many rows; there are fewer than ``bins`` where there are few rows (ROWS_PER_BIN) or
    many equal predictions, which are never parted. The interval of a share is Wilson's (1927), that of a mean value
    Student's; both take rows for independent, so that they are too narrow where patients have many rows.
    Errors: DataError for another kind, outcomes other than 0 and 1, no probabilities, lengths that differ.

    Outcomes 0 0 1 with equal predictions of 0.2: one bin, predicted 0.2, observed 1/3, interval 0.06 to 0.79.
    """
    if kind not in ("binary", "regression"):
        raise DataError(f"a reliability curve of a {kind} task", expected="a binary task or a regression")
    truth, predicted, _ = labelled(truth, predicted, None)
    if kind == "binary":
        check_outcomes(truth)
        check_probabilities(predicted)
    if not len(truth) or not np.isfinite(predicted).all():
        return Curve(())
    member = quantile_bins(predicted, bins)
    within = share_interval if kind == "binary" else mean_interval
    found = []
    for number in range(int(member.max()) + 1):
        rows = member == number
        low, high = within(truth[rows])
        found.append(Bin(int(rows.sum()), float(predicted[rows].mean()), float(truth[rows].mean()), low, high))
    return Curve(tuple(found))


def quantile_bins(predicted: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each row (n,), numbered from 0 by rising ``predicted`` (n,); equal predictions share a bin."""
    rows = len(predicted)
    wanted = max(1, min(bins, rows // ROWS_PER_BIN))
    ranked = np.sort(predicted)
    cuts = (np.arange(1, wanted) * rows) // wanted
    # a cut within equal predictions moves to their nearer end
    first = np.searchsorted(ranked, ranked[cuts], side="left")
    behind = np.searchsorted(ranked, ranked[cuts], side="right")
    cuts = np.where(cuts - first <= behind - cuts, first, behind)
    cuts = np.unique(cuts[(cuts > 0) & (cuts < rows)])
    member: NDArray[np.int64] = np.searchsorted(ranked[cuts], predicted, side="right").astype(np.int64)
    return member


def share_interval(outcomes: Floats) -> tuple[float, float]:
    """Wilson's 95 % interval of the share of 1 in ``outcomes`` (n,) of 0 and 1; within 0 to 1 also for 0 of n."""
    n, share = len(outcomes), float(outcomes.mean())
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    # rounding would leave a 1e-17 where the interval ends at 0 or 1
    low, high = (0.0 if share == 0 else centre - half), (1.0 if share == 1 else centre + half)
    return float(low), float(high)


def mean_interval(values: Floats) -> tuple[float, float]:
    """Student's 95 % interval of the mean of ``values`` (n,); NaN for a single value."""
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    mean = float(values.mean())
    half = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return mean - half, mean + half
