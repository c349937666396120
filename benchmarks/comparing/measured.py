"""Values with their bootstrap draws, and what is computed from them: means, differences, slopes, tests.

A vector is one number as it was observed, followed by the same number in each draw of patients: float64 (1 + draws,).
All vectors of a comparison are of the same draws, so that they may be added and subtracted number by number, and every
interval of a difference is that of the paired difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comparing.parts import Part
from m3h.core import seeds
from m3h.core.errors import DataError
from m3h.evaluation.compare import COMPARED
from m3h.evaluation.intervals import Draws, interval, patient_draws
from m3h.evaluation.scores import Prediction, measure
from m3h.evaluation.subgroups import holm as adjusted_by_holm

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Value:
    """An observed number with its 95 % interval, NaN where there is none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"

    def plain(self) -> str:
        """The same as a score is written."""
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


class Drawn:
    """The draws of patients that everything scored in some parts shares."""

    def __init__(self, patients: NDArray[np.str_], parts: Sequence[Part], seed: int, draws: int) -> None:
        self.rows = np.unique(np.concatenate([one.rows for one in parts]))
        self.draws: Draws = patient_draws(patients[self.rows], seed, draws)

    def vector(self, part: Part, task: str, prediction: Prediction, metric: str | None = None) -> Vector:
        """How well a task of a part was predicted by ``metric``, by default the one that its kind is compared by."""
        labels = part.data.labels[task]
        truth = labels.values[part.data.test_rows]
        known = ~np.isnan(truth)
        score = measure(labels.task.kind, truth[known], prediction.at(known))[metric or COMPARED[labels.task.kind]]
        own = self.draws[:, np.searchsorted(self.rows, part.rows)]
        return np.concatenate([score.bootstrap(None), score.bootstrap(own[:, known])])


def mean(vectors: Iterable[Vector]) -> Vector:
    """Mean number by number; NaN where any of them is. Errors: DataError for none."""
    every = list(vectors)
    if not every:
        raise DataError("nothing to average", next_step="take a study with labelled tasks that every part can score")
    return np.asarray(np.mean(every, axis=0))


def mean_of_scored(vectors: Iterable[Vector]) -> Vector:
    """As :func:`mean`, but in a draw those are left out that it cannot score (small parts, rare classes); what was
    observed is still the mean of all. Errors: DataError for none."""
    every = list(vectors)
    whole = mean(every)
    stacked = np.stack(every)
    scored = ~np.isnan(stacked)
    total, count = np.where(scored, stacked, 0.0).sum(axis=0), scored.sum(axis=0)
    found = np.divide(total, count, out=np.full(len(whole), np.nan), where=count > 0)
    found[0] = whole[0]
    return np.asarray(found)


def value(vector: Vector) -> Value:
    """The observed number with the 2.5 and 97.5 percentile of the draws'."""
    return Value(float(vector[0]), *interval(vector[1:]))


def p_value(vector: Vector) -> float:
    """Whether a difference is other than 0, two-sided: twice the share of draws beyond 0, counting the observed one.

    NaN where more than half of the draws could not be scored. At least 2 / (draws + 1).
    """
    known = vector[1:][~np.isnan(vector[1:])]
    if np.isnan(vector[0]) or len(known) == 0 or 2 * len(known) < len(vector) - 1:
        return float("nan")
    below, above = (known <= 0).sum(), (known >= 0).sum()
    return min(1.0, 2 * (1 + int(min(below, above))) / (len(known) + 1))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for their number by Holm's method, under their names; NaN is no test and stays NaN."""
    tested = [name for name in values if not np.isnan(values[name])]
    adjusted = adjusted_by_holm(np.array([values[name] for name in tested], dtype=np.float64))
    return dict.fromkeys(values, float("nan")) | dict(zip(tested, adjusted.tolist(), strict=True))


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of independent values; NaN for fewer than two."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def slope(places: Sequence[float], heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares slope of ``heights`` (point, ...) over ``places`` (point,), for each of the other axes."""
    x = np.asarray(places, dtype=np.float64)
    centred = x - x.mean()
    return np.tensordot(centred, heights, axes=1) / (centred @ centred)


def slope_vector(places: Sequence[float], leads: Sequence[NDArray[np.float64]], seed: int) -> Vector:
    """The slope of a lead over the logarithm of the patients, as observed and in each draw.

    ``places`` (size,) are the logarithms, ``leads`` per size (repetition, 1 + draws): the vectors of each drawing of so
    many training patients. A size counts once however many repetitions it has. With every draw of the patients scored,
    the repetitions are drawn anew too, with replacement and the same ones at all sizes that have as many, since those
    of one number are nested.
    """
    draws = leads[0].shape[1] - 1
    counts = sorted({len(one) for one in leads})
    weights = {count: _weights(count, draws, seed) for count in counts}
    points = np.stack([(one * weights[len(one)]).sum(axis=0) for one in leads])
    return slope(places, points)


def _weights(count: int, draws: int, seed: int) -> NDArray[np.float64]:
    """(repetition, 1 + draws): shares of the repetitions, equal in what was observed."""
    random = seeds.generator(seed, "accuracy", "repetitions", count)
    drawn = random.multinomial(count, np.full(count, 1 / count), size=draws).T / count
    return np.concatenate([np.full((count, 1), 1 / count), drawn], axis=1)
