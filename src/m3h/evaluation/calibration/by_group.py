"""Risk by quantile beside what came, in each subgroup: whether the same risk means the same for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.evaluation.calibration.curve import quantile_bins, share_interval
from m3h.evaluation.calibration.estimate import check_outcomes, check_probabilities
from m3h.evaluation.subgroups import LEAST_PATIENTS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Quantiles by the rows of the smallest subgroup that is told: tenths from 500 on, fifths from 100 on, else thirds.
QUANTILES = ((500, 10), (100, 5), (0, 3))
#: Of fewer rows no rate is told: it would be that of a few persons.
LEAST_ROWS = 5


@dataclass(frozen=True)
class Quantile:
    """The ``n`` rows of a subgroup in one quantile of the risk, ``number`` from 1 for the lowest: the means of what was
    ``predicted`` and ``observed``, and the 95 % interval ``low`` to ``high`` of the latter; NaN of fewer than
    LEAST_ROWS."""

    number: int
    n: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupCurve:
    """The labelled rows with ``value``, "" for all whose value is known, of so many ``patients``; without quantiles
    where ``reason`` says why it is left out."""

    value: str
    patients: int
    rows: int
    quantiles: tuple[Quantile, ...]
    reason: str = ""


def group_curves(
    truth: Floats, risk: Floats, values: NDArray[np.str_], patients: NDArray[np.str_]
) -> tuple[GroupCurve, ...]:
    """What was predicted and observed by quantile of the risk, of all rows and of each of the ``values`` (n,).

    ``truth`` (n,) 0 or 1, NaN where a row has no label; ``risk`` (n,) probabilities; "" in ``values`` is unknown: such
    rows are left out. Quantiles are those of all rows together, so that a quantile is the same range of risk in every
    subgroup; equal risks are never parted. Subgroups of fewer than LEAST_PATIENTS patients are told without quantiles.
    The interval is Wilson's (1927); it takes rows for independent. Empty where no row is left, or a risk is not finite.
    Errors: DataError for outcomes other than 0 and 1, no probabilities, lengths that differ.
    """
    if not len(truth) == len(risk) == len(values) == len(patients):
        lengths = ", ".join(str(len(one)) for one in (truth, risk, values, patients))
        raise DataError(f"truth, risks, values and patients of {lengths} rows", expected="one of each per row")
    known = ~np.isnan(truth) & (values != "")
    truth, risk, values, patients = truth[known], risk[known], values[known], patients[known]
    check_outcomes(truth)
    check_probabilities(risk)
    if not len(truth) or not np.isfinite(risk).all():
        return ()
    names = sorted(set(values.tolist()))
    counts = {name: len(np.unique(patients[values == name])) for name in names}
    told = [name for name in names if counts[name] >= LEAST_PATIENTS]
    member = quantile_bins(risk, _quantiles([int((values == name).sum()) for name in told]))
    everybody = np.ones(len(truth), dtype=np.bool_)
    found = [GroupCurve("", len(np.unique(patients)), len(truth), _curve(truth, risk, member, everybody))]
    for name in names:
        rows = values == name
        if name in told:
            found.append(GroupCurve(name, counts[name], int(rows.sum()), _curve(truth, risk, member, rows)))
        else:
            reason = f"{counts[name]} patients, fewer than {LEAST_PATIENTS}"
            found.append(GroupCurve(name, counts[name], int(rows.sum()), (), reason))
    return tuple(found)


def _quantiles(rows: Sequence[int]) -> int:
    smallest = min(rows, default=0)
    return next(number for least, number in QUANTILES if smallest >= least)


def _curve(truth: Floats, risk: Floats, member: NDArray[np.int64], rows: Flags) -> tuple[Quantile, ...]:
    found = []
    for number in range(int(member.max()) + 1):
        own = rows & (member == number)
        count, nothing = int(own.sum()), float("nan")
        if count < LEAST_ROWS:
            found.append(Quantile(number + 1, count, nothing, nothing, nothing, nothing))
        else:
            mean_risk, rate = float(risk[own].mean()), float(truth[own].mean())
            found.append(Quantile(number + 1, count, mean_risk, rate, *share_interval(truth[own])))
    return tuple(found)
