"""From predicted stays to beds: how many of the patients who are there now still are on each of the coming days.

A prediction of a mean says little of a tail, and a sum of rounded means nothing of its spread. So each patient is given
the stays of those patients whose predictions were nearest to his: patients of the training part, predicted by what had
not learned from them, with what happened to them. That is a conditional distribution as it was observed, skewed as
stays are, calibrated as far as the future is like the past, and never below 0 (nearest neighbours in the prediction:
the conditional empirical distribution of Stute 1986). Where risks of death are predicted, near means near in both.

Forecast are the beds of those who are there; who is going to come is another question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.core.errors import DataError

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

#: Share of the known patients that a new one is given as neighbours, and the fewest and the most of them.
SHARE, FEWEST, MOST = 0.05, 30, 200
#: Draws of a forecast.
DRAWS = 1000


@dataclass(frozen=True)
class Known:
    """What is known of patients that left: ``predicted`` (n, predictions), stays first, by what had not learned from
    them; ``stay`` (n,) observed, in days; ``died`` (n,) 1 or 0, NaN where not known; ``patients`` (n,)."""

    predicted: Floats
    stay: Floats
    died: Floats
    patients: NDArray[np.str_]

    @staticmethod
    def of(predicted: Floats, stay: Floats, died: Floats | None, patients: NDArray[np.str_]) -> Known:
        """Those whose stay is known and who were predicted. Errors: DataError for none, or lengths that differ."""
        table = predicted[:, None] if predicted.ndim == 1 else predicted
        died = np.full(len(stay), np.nan) if died is None else died
        if not len(table) == len(stay) == len(died) == len(patients):
            raise DataError(
                "stays, predictions and patients differ in length",
                got=f"{len(stay)}, {len(table)} and {len(patients)}",
            )
        whole = ~np.isnan(stay) & ~np.isnan(table).any(1)
        if not whole.any():
            raise DataError("no stay is known to forecast from", next_step="give training patients whose stay is known")
        return Known(table[whole], stay[whole], died[whole], patients[whole])

    def neighbours(self, predicted: Floats) -> Whole:
        """For each new row of predictions (m, predictions) the known rows nearest to it (m, neighbours), by ranks among
        the known: ranks make days and risks comparable."""
        count = min(len(self.stay), int(np.clip(SHARE * len(self.stay), FEWEST, MOST)))
        table = predicted[:, None] if predicted.ndim == 1 else predicted
        if table.shape[1] != self.predicted.shape[1]:
            raise DataError(
                "predictions of other tasks than those known",
                got=f"{table.shape[1]} columns",
                expected=str(self.predicted.shape[1]),
            )
        known = [_ranks(column, column) for column in self.predicted.T]
        new = [_ranks(column, own) for column, own in zip(self.predicted.T, table.T, strict=True)]
        distance = sum(np.abs(b[:, None] - a[None, :]) for a, b in zip(known, new, strict=True))
        return np.argsort(distance, axis=1, kind="stable")[:, :count]


def _ranks(known: Floats, values: Floats) -> Floats:
    """Where values lie among the known, 0 to 1; in the middle of equal ones."""
    ordered = np.sort(known)
    both = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return both / (2 * len(known))


@dataclass(frozen=True)
class Forecast:
    """Of each of ``days`` (d,) from now: ``occupied`` beds, the mean and the interval ``low`` to ``high``; and of those
    free by then how many by death, ``died`` (NaN where deaths are not known), and how many alive, ``left``."""

    days: Floats
    occupied: Floats
    low: Floats
    high: Floats
    died: Floats
    left: Floats


def forecast(
    known: Known, predicted: Floats, days: Sequence[float], *, level: float = 0.9, seed: int = 0, draws: int = DRAWS
) -> Forecast:
    """The beds that patients with these predictions (m, predictions), stays first, take on each of the coming days.

    Each of the ``draws`` gives every patient the stay of one of his neighbours: known patients are drawn with
    replacement first, so that what is not known for want of patients is in the interval, which covers ``level``. A
    patient is there on day d if he stays longer than d days. Errors: DataError for a level that is none, or negative
    days.
    """
    moments = np.asarray(days, np.float64)
    if not 0 < level < 1 or (moments < 0).any():
        raise DataError("not a forecast", got=f"level {level}, days {list(days)}", expected="0 < level < 1, days >= 0")
    near = known.neighbours(predicted)
    stays, died = known.stay[near], known.died[near]  # (m, neighbours)
    there = (stays[:, :, None] > moments).mean(1)  # (m, d)
    counts = _drawn(known, near, moments, seed, draws)
    edge = (1 - level) / 2
    low, high = np.quantile(counts, [edge, 1 - edge], axis=0, method="inverted_cdf") if len(near) else (counts, counts)
    gone = (stays[:, :, None] <= moments) & (died == 1)[:, :, None]
    lost = gone.mean(1).sum(0) if not np.isnan(died).any() else np.full(len(moments), np.nan)
    occupied = there.sum(0)
    return Forecast(moments, occupied, np.asarray(low), np.asarray(high), lost, len(near) - occupied - lost)


def _drawn(known: Known, near: Whole, moments: Floats, seed: int, draws: int) -> Floats:
    """Occupied beds (draw, d)."""
    generator = seeds.generator(seed, "beds")
    names, patient = np.unique(known.patients, return_inverse=True)
    found = np.zeros((draws, len(moments)))
    for number in range(draws):
        times = np.bincount(generator.integers(0, len(names), len(names)), minlength=len(names))[patient]
        weight = times[near].astype(np.float64)  # (m, neighbours)
        weight[weight.sum(1) == 0] = 1.0  # none of his neighbours was drawn: all of them count again
        edges = np.cumsum(weight, axis=1)
        chosen = (generator.random((len(near), 1)) * edges[:, -1:] >= edges).sum(1)
        stays = known.stay[near[np.arange(len(near)), np.minimum(chosen, near.shape[1] - 1)]]
        found[number] = (stays[:, None] > moments).sum(0)
    return found


@dataclass(frozen=True)
class Validation:
    """How forecasts of wards that were drawn from patients not trained on compare with what happened, by day: mean
    ``observed`` and ``forecast`` beds, mean absolute ``error`` of the forecast and of one that gives everybody the
    stays of all (``plain``), and the share of wards whose beds lie within the interval, ``coverage``."""

    days: Floats
    observed: Floats
    forecast: Floats
    error: Floats
    plain: Floats
    coverage: Floats
    wards: int
    beds: int


def validate(
    known: Known,
    predicted: Floats,
    stay: Floats,
    patients: NDArray[np.str_],
    days: Sequence[float],
    *,
    beds: int = 30,
    wards: int = 200,
    level: float = 0.9,
    seed: int = 0,
) -> Validation:
    """Forecast ``wards`` wards of so many ``beds``, filled with patients drawn without replacement, one row of each;
    ``stay`` (m,) is what happened to them. Errors: DataError if fewer patients than beds have a known stay."""
    table = predicted[:, None] if predicted.ndim == 1 else predicted
    rows = np.flatnonzero(~np.isnan(stay) & ~np.isnan(table).any(1))
    names = np.unique(patients[rows])
    if len(names) < beds:
        raise DataError(
            "too few patients to fill a ward", got=f"{len(names)} whose stay is known", expected=f"{beds} or more"
        )
    generator = seeds.generator(seed, "wards")
    by_patient = [rows[patients[rows] == name] for name in names]
    moments = np.asarray(days, np.float64)
    usual = (known.stay[:, None] > moments).mean(0) * beds
    found = []
    for number in range(wards):
        chosen = [generator.choice(by_patient[one]) for one in generator.permutation(len(names))[:beds]]
        told = forecast(known, table[chosen], days, level=level, seed=seed + number, draws=200)
        seen = (stay[chosen][:, None] > moments).sum(0)
        inside = (told.low <= seen) & (seen <= told.high)
        found.append([seen, told.occupied, np.abs(told.occupied - seen), np.abs(usual - seen), inside])
    observed, occupied, error, plain, coverage = np.asarray(found, np.float64).mean(0)
    return Validation(moments, observed, occupied, error, plain, coverage, wards, beds)
