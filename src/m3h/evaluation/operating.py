"""Operating points: what a model does to patients at a threshold that was chosen elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import SettingError
from m3h.evaluation.calibration.estimate import Estimate, check_outcomes, estimates, labelled, ratio, totals
from m3h.evaluation.intervals import Draws

Floats = NDArray[np.float64]

#: Sensitivities that are usually asked for.
WANTED = (0.80, 0.90, 0.95)


@dataclass(frozen=True)
class OperatingPoint:
    """What flagging every row with a prediction of at least ``threshold`` does to ``n`` labelled rows.

    ``sensitivity``: share of positive rows flagged. ``specificity``: share of negative rows not flagged. ``ppv``: share
    of flagged rows that are positive. ``npv``: share of the others that are negative. ``flagged``: share of all rows.
    All from 0 to 1; but for ``flagged``, higher is better.
    """

    threshold: float
    n: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    flagged: Estimate


def thresholds(truth: Floats, predicted: Floats, wanted: Sequence[float] = WANTED) -> tuple[float, ...]:
    """For each ``wanted`` sensitivity the highest threshold that reaches it, rows at the threshold flagged.

    ``truth`` (n,) of 0 and 1, NaN where a row has no label (left out); ``predicted`` (n,) anything that rises with the
    risk. Choose on held-out predictions of training patients; on the rows that are then scored it would be too good.
    Positive rows with equal predictions are flagged together, so that more than the wanted share may be. NaN without
    a positive row or with a prediction that is not finite. Errors: SettingError for a sensitivity outside 0 to 1,
    DataError for outcomes other than 0 and 1 or lengths that differ.

    Positives predicted 0.9 0.7 0.7 0.2: 0.5 wants two of the four, threshold 0.7, which flags three.
    """
    wrong = [value for value in wanted if not 0 < value <= 1]
    if wrong:
        raise SettingError("a wanted sensitivity", got=f"{wrong[0]:g}", expected="above 0, at most 1")
    truth, predicted, _ = labelled(truth, predicted, None)
    check_outcomes(truth)
    positive = -np.sort(-predicted[truth == 1])
    if not len(positive) or not np.isfinite(predicted).all():
        return (float("nan"),) * len(wanted)
    # 0.8 * 5 is a little more than 4 in binary numbers
    needed = [math.ceil(value * len(positive) - 1e-9) for value in wanted]
    return tuple(float(positive[count - 1]) for count in needed)


def at(truth: Floats, predicted: Floats, threshold: float, draws: Draws | None) -> OperatingPoint:
    """What ``threshold`` does to these rows: shares with 95 % intervals by patient; the threshold itself is fixed.

    ``truth`` and ``predicted`` (n,) as for :func:`thresholds`; ``draws`` (draws, n) from
    m3h.evaluation.intervals.patient_draws, None for no intervals. NaN where a share is of no rows; all of it if the
    threshold is NaN or a prediction is not finite. Errors: DataError for outcomes other than 0 and 1, lengths that
    differ.
    """
    truth, predicted, draws = labelled(truth, predicted, draws)
    check_outcomes(truth)
    usable = bool(np.isfinite(predicted).all()) and not math.isnan(threshold)
    flag = (predicted >= threshold).astype(np.float64) if usable else np.full(len(truth), np.nan)
    columns = np.column_stack([truth * flag, truth * (1 - flag), (1 - truth) * flag, (1 - truth) * (1 - flag)])

    def shares(drawn: Draws | None) -> tuple[Floats, ...]:
        hit, missed, false, spared = totals(columns, drawn).T
        called, rows = hit + false, hit + missed + false + spared
        sides = (hit, hit + missed), (spared, spared + false), (hit, called), (spared, spared + missed), (called, rows)
        return tuple(ratio(*side) for side in sides)

    found = estimates(shares(None), None if draws is None else shares(draws))
    return OperatingPoint(threshold, len(truth), *found)
