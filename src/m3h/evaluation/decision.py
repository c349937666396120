"""Decision curves: whether acting on a model's predictions is better than treating all patients, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import SettingError
from m3h.evaluation.calibration.estimate import (
    Estimate,
    check_outcomes,
    check_probabilities,
    estimates,
    labelled,
    ratio,
    totals,
)
from m3h.evaluation.intervals import Draws

Floats = NDArray[np.float64]

#: Threshold probabilities of 1 % to 50 %.
GRID = tuple(percent / 100 for percent in range(1, 51))
MOST = 50


@dataclass(frozen=True)
class Decision:
    """Net benefit at one ``threshold`` probability, in true positives per row; higher is better.

    ``model``: of treating rows predicted at or above the threshold. ``treat_all``: of treating every row; treating none
    has net benefit 0. ``gain``: of the model over the better of the two.
    """

    threshold: float
    model: Estimate
    treat_all: Estimate
    gain: Estimate


def decision_curve(
    truth: Floats, predicted: Floats, draws: Draws | None, *, thresholds: Sequence[float] = GRID
) -> tuple[Decision, ...]:
    """Net benefit at each of the ``thresholds``, at most MOST; none where no row has a label.

    ``truth`` (n,) of 0 and 1, NaN where a row has no label (left out); ``predicted`` (n,) probabilities. Whoever treats
    at a risk of t or more takes t / (1 - t) needless treatments for one needed one, so that the net benefit is true
    positives / n - false positives / n * t / (1 - t). ``draws`` (draws, n) from
    m3h.evaluation.intervals.patient_draws give the 95 % intervals by patient, None gives none. The gain is over the
    better of treating all and none by all rows, the same one in every draw, so that its interval is that of a paired
    difference. NaN if a prediction is not finite. Source: Vickers & Elkin 2006.
    Errors: SettingError for thresholds outside 0 to 1 or too many; DataError for outcomes other than 0 and 1,
    predictions that are no probabilities, lengths that differ.

    Outcomes 1 0 1 0 predicted 0.9 0.6 0.3 0.1 at 0.5: one true and one false positive of four rows, 1/4 - 1/4 * 1 = 0.
    """
    if len(thresholds) > MOST or not all(0 < value < 1 for value in thresholds):
        raise SettingError(
            f"{len(thresholds)} thresholds of a decision curve", expected=f"at most {MOST}, each between 0 and 1"
        )
    truth, predicted, draws = labelled(truth, predicted, draws)
    check_outcomes(truth)
    check_probabilities(predicted)
    if not len(truth):
        return ()
    cuts = np.asarray(thresholds, dtype=np.float64)
    price = cuts / (1 - cuts)
    worth = truth[:, None] - (1 - truth)[:, None] * price  # (n, thresholds), what treating a row gains
    treated = predicted[:, None] >= cuts if np.isfinite(predicted).all() else np.full(worth.shape, np.nan)
    columns = np.column_stack([worth * treated, truth, np.ones(len(truth))])
    share = float(truth.mean())
    all_is_better = share - (1 - share) * price > 0

    def benefits(drawn: Draws | None) -> Floats:
        sums = totals(columns, drawn)
        rows = sums[:, -1:]
        of_model = ratio(sums[:, :-2], np.broadcast_to(rows, (len(rows), len(cuts))))
        prevalence = ratio(sums[:, -2:-1], rows)
        of_all = prevalence - (1 - prevalence) * price
        return np.stack([of_model, of_all, of_model - np.where(all_is_better, of_all, 0.0)])  # (3, draws, thresholds)

    found, drawn = benefits(None), None if draws is None else benefits(draws)
    return tuple(
        Decision(cut, *estimates([*found[:, :, place]], None if drawn is None else [*drawn[:, :, place]]))
        for place, cut in enumerate(cuts.tolist())
    )
