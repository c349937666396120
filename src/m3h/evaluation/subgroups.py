"""Whether a model is as good for some patients as for others: scores by subgroup, differences, corrected tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import false_discovery_control

from m3h.core.errors import DataError, SettingError
from m3h.evaluation.intervals import Draws, interval
from m3h.evaluation.scores import Prediction, measure
from m3h.study.task import HEADLINE, METRICS, Kind

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Patients that a subgroup, and all others, must have to be tested; and patients of each class in it.
LEAST_PATIENTS, LEAST_OF_A_CLASS = 30, 5
#: Ages in years at which the next band begins, and the bands' names.
AGES = (40.0, 60.0, 75.0)
BANDS = ("<40", "40-59", "60-74", "75+")


@dataclass(frozen=True)
class Subgroup:
    """How ``metric`` scores the ``n`` labelled rows, of so many ``patients``, that have a ``value``.

    ``low`` to ``high`` is the 95 % interval of ``score`` by patient. ``difference``: the score minus that of all rows
    with another known value, with its interval; ``p`` two-sided, that of no difference. ``holm`` and ``q`` are p
    corrected over all comparisons that were made (:func:`corrected`). NaN where there is nothing to say; ``reason``
    then says why there is no test.
    """

    value: str
    metric: str
    n: int
    patients: int
    score: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    p: float
    reason: str = ""
    holm: float = float("nan")
    q: float = float("nan")


def age_bands(ages: Floats) -> NDArray[np.str_]:
    """The band of each of the ``ages`` (n,) in years, one of BANDS, "" for NaN. Errors: DataError for an age below 0.

    39.9 is "<40", 40 is "40-59", 75 is "75+".
    """
    if (ages < 0).any():
        raise DataError(f"{int((ages < 0).sum())} ages are below 0", expected="years, NaN where unknown")
    named = np.array([*BANDS, ""])
    bands: NDArray[np.str_] = named[np.where(np.isnan(ages), len(BANDS), np.digitize(ages, AGES))]
    return bands


def subgroups(
    kind: Kind,
    truth: Floats,
    prediction: Prediction,
    values: NDArray[np.str_],
    patients: NDArray[np.str_],
    *,
    draws: Draws,
    metric: str | None = None,
) -> tuple[Subgroup, ...]:
    """The score of each of the ``values`` (n,) in sorted order, and its difference to all other known values.

    ``truth`` (n,), NaN where a row has no label, and ``prediction`` as for m3h.evaluation.scores.score; "" is an
    unknown value: such rows are in no subgroup and no comparison. ``patients`` (n,) a name a row; ``draws`` (draws, n)
    from m3h.evaluation.intervals.patient_draws, the same for both sides, so that rows of one patient on both sides
    count as what they are. ``metric`` of the kind, default its headline; its direction is
    m3h.study.task.LOWER_IS_BETTER.

    p is that of the difference over the standard deviation of its draws, by the normal distribution (Efron & Tibshirani
    1993): counted draws tell nothing below 2 / (draws + 1), where a correction over many comparisons would leave
    nothing. There is no test of fewer than LEAST_PATIENTS patients on either side, of fewer than LEAST_OF_A_CLASS
    patients of a class that the rows have, and where a side cannot be scored. Errors: SettingError for a metric of
    another kind, DataError if lengths differ or what does not fit the kind.
    """
    named = HEADLINE[kind] if metric is None else metric
    if named not in METRICS[kind]:
        raise SettingError(f"metric {named} of a {kind} task", expected=", ".join(METRICS[kind]))
    for what, given in (("values", values), ("patients", patients)):
        if given.shape != truth.shape:
            raise DataError(f"{what} of shape {given.shape}", expected=f"({len(truth)},), as the truth has rows")
    if draws.shape[1:] != truth.shape:
        raise DataError(f"draws of shape {draws.shape}", expected=f"(draws, {len(truth)}), as the truth has rows")
    known = ~np.isnan(truth) & (values != "")
    found: dict[bytes, tuple[float, Floats]] = {}

    def scored(rows: Flags) -> tuple[float, Floats]:
        """Score and scores of the draws; with two values each is the other's rest, and scored once."""
        key = rows.tobytes()
        if key not in found:
            of_draws = measure(kind, truth[rows], prediction.at(rows))[named].bootstrap
            found[key] = float(of_draws(None)[0]), of_draws(draws[:, rows])
        return found[key]

    results = []
    for value in sorted(set(values[known].tolist())):
        rows = known & (values == value)
        reason = _too_few(kind, truth, patients, rows, known & ~rows)
        results.append(_subgroup(value, named, rows, known & ~rows, patients, reason, scored))
    return tuple(results)


def corrected(found: Sequence[Subgroup]) -> tuple[Subgroup, ...]:
    """``found`` in the same order, p corrected over all that were tested: Holm (1979) and Benjamini & Hochberg (1995).

    Give all comparisons that were made, of all tasks and columns. The two values of a column make one comparison, told
    twice; both count, which errs to the safe side for Holm's. A row without a test gets none, and counts nowhere.
    """
    tested = [place for place, one in enumerate(found) if not np.isnan(one.p)]
    p = np.array([found[place].p for place in tested])
    result = list(found)
    # of no test SciPy would make an error
    rates = false_discovery_control(p) if tested else p
    for place, by_holm, by_q in zip(tested, holm(p).tolist(), rates.tolist(), strict=True):
        result[place] = replace(found[place], holm=by_holm, q=by_q)
    return tuple(result)


def holm(p: Floats) -> Floats:
    """Holm's adjusted p (k,): below 0.05 they hold with at most 5 % chance of one false alarm among all k.

    0.01 0.04 0.03 become 0.03 0.06 0.06.
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def _subgroup(
    value: str,
    metric: str,
    rows: Flags,
    others: Flags,
    patients: NDArray[np.str_],
    reason: str,
    scored: Callable[[Flags], tuple[float, Floats]],
) -> Subgroup:
    count, nan = len(np.unique(patients[rows])), float("nan")
    score, drawn = scored(rows)
    low, high = (nan, nan) if np.isnan(score) else interval(drawn)
    alone = Subgroup(value, metric, int(rows.sum()), count, score, low, high, nan, nan, nan, nan, reason)
    if np.isnan(score):
        return replace(alone, reason=reason or f"its rows have no {metric}")
    if reason:
        return alone
    score_of_others, drawn_others = scored(others)
    if np.isnan(score_of_others):
        return replace(alone, reason=f"the other rows have no {metric}")
    gap, gaps = score - score_of_others, drawn - drawn_others
    gap_low, gap_high = interval(gaps)
    if np.isnan(gap_low):
        return replace(alone, reason=f"most draws have no {metric}")
    spread = float(np.nanstd(gaps, ddof=1))
    p = 2 * float(ndtr(-abs(gap) / spread)) if spread > 0 else float(gap == 0)
    return replace(alone, difference=gap, difference_low=gap_low, difference_high=gap_high, p=p)


def _too_few(kind: Kind, truth: Floats, patients: NDArray[np.str_], rows: Flags, others: Flags) -> str:
    """Why the difference of two sets of rows is not tested; "" if they are large enough."""
    for side, prefix in ((rows, ""), (others, "others: ")):
        count = len(np.unique(patients[side]))
        if count < LEAST_PATIENTS:
            return f"{prefix}{count} patients, fewer than {LEAST_PATIENTS}"
    if kind not in ("binary", "multiclass"):
        return ""
    for label in np.unique(truth[rows | others]).tolist():
        for side, prefix in ((rows, ""), (others, "others: ")):
            count = len(np.unique(patients[side & (truth == label)]))
            if count < LEAST_OF_A_CLASS:
                return f"{prefix}{count} patients of class {label:g}, fewer than {LEAST_OF_A_CLASS}"
    return ""
