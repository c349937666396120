"""Scores of one task's predictions: every metric of its kind, each with its intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.evaluation import clusters, metrics
from m3h.evaluation.intervals import Draws, interval, paper_sd
from m3h.study.task import METRICS, Kind

Floats = NDArray[np.float64]
Measure = Callable[[Draws | None], Floats]


@dataclass(frozen=True)
class Prediction:
    """What a model says of some rows (n,) for one task; the fields that the task's kind needs are set.

    ``values`` float64: (n,) probability of the positive class, or (n,) regression value in the task's unit, or
    (n, classes) probabilities. For a clustering instead: ``clusters`` (n,) whole numbers from 0, ``latent`` (n, width)
    where the model groups the rows, ``fixed`` (n, components) the same rows in a space that no network learned,
    ``reconstruction`` (n,) mean squared error of each row.
    """

    values: Floats | None = None
    clusters: NDArray[np.int64] | None = None
    latent: Floats | None = None
    fixed: Floats | None = None
    reconstruction: Floats | None = None

    def at(self, rows: NDArray[np.bool_]) -> Prediction:
        """The prediction of the rows where ``rows`` (n,) is True. Errors: DataError if lengths differ."""
        chosen: dict[str, Any] = {}
        for item in fields(self):
            given = getattr(self, item.name)
            if given is not None and len(given) != len(rows):
                raise DataError(f"prediction {item.name}: {len(given)} rows", expected=f"{len(rows)}, one per sample")
            chosen[item.name] = None if given is None else given[rows]
        return Prediction(**chosen)


@dataclass(frozen=True)
class Score:
    """One metric: its ``value``, the 95 % interval ``low`` to ``high`` by patient, the paper's ``sd_paper``, and ``n``
    rows scored. NaN where there is nothing to say."""

    metric: str
    value: float
    low: float
    high: float
    sd_paper: float
    n: int


@dataclass(frozen=True)
class Measures:
    """A metric in two forms: ``bootstrap`` of draws with repeated rows, ``paper`` of the paper's draws."""

    bootstrap: Measure
    paper: Measure
    replacement: bool = True


def score(kind: Kind, truth: Floats, prediction: Prediction, *, draws: Draws | None, seed: int) -> tuple[Score, ...]:
    """Every metric of ``kind``, in the order of m3h.study.task.METRICS, the headline first.

    ``truth`` (n,) with NaN where a row has no label: such rows are left out. ``draws`` (draws, n) are the study's, from
    m3h.evaluation.intervals.patient_draws; None gives no 95 % interval. ``seed`` is the study's, for the paper's
    draws. Direction: m3h.study.task.LOWER_IS_BETTER.

    The bootstrap of a silhouette keeps each row's silhouette as it is among all rows, and averages them by draw: a
    copied row would be its own nearest neighbour and raise the score. The paper's draws, which are without
    replacement there, are computed anew. Errors: DataError if lengths, labels or predictions do not fit the kind.
    """
    known = _known(truth, draws)
    measures = measure(kind, truth[known], prediction.at(known))
    kept = None if draws is None else draws[:, known]
    return tuple(_score(metric, measures[metric], kept, int(known.sum()), seed) for metric in METRICS[kind])


def measure(kind: Kind, truth: Floats, prediction: Prediction) -> Mapping[str, Measures]:
    """The metrics of ``kind`` as functions of draws over these rows (None: each row once); no label may be missing."""
    return _MEASURES[kind](truth, prediction)


def _score(metric: str, measures: Measures, draws: Draws | None, rows: int, seed: int) -> Score:
    value = float(measures.bootstrap(None)[0])
    if np.isnan(value):
        return Score(metric, value, value, value, value, rows)
    low, high = (float("nan"), float("nan")) if draws is None else interval(measures.bootstrap(draws))
    spread = paper_sd(measures.paper, rows, seed, replacement=measures.replacement)
    return Score(metric, value, low, high, spread, rows)


def _known(truth: Floats, draws: Draws | None) -> NDArray[np.bool_]:
    if draws is not None and draws.shape[1:] != truth.shape:
        raise DataError(f"draws of shape {draws.shape}", expected=f"(draws, {len(truth)}), as the truth has rows")
    return ~np.isnan(truth)


def _needed(prediction: Prediction, name: str) -> NDArray[Any]:
    given: NDArray[Any] | None = getattr(prediction, name)
    if given is None:
        raise DataError(f"the prediction has no {name}", expected="what the kind of the task needs")
    return given


def _plain(*functions: Callable[[Floats, Floats, Draws | None], Floats]) -> Callable[..., Mapping[str, Measures]]:
    """Measures of metrics that compare truth and values row by row; a function's name is its metric's."""

    def measures(truth: Floats, prediction: Prediction) -> Mapping[str, Measures]:
        values = _needed(prediction, "values").astype(np.float64)

        def bound(function: Callable[[Floats, Floats, Draws | None], Floats]) -> Measures:
            def of_draws(draws: Draws | None) -> Floats:
                return function(truth, values, draws)

            return Measures(of_draws, of_draws)

        return {function.__name__: bound(function) for function in functions}

    return measures


def _clustering(truth: Floats, prediction: Prediction) -> Mapping[str, Measures]:
    found = _needed(prediction, "clusters")
    errors = _needed(prediction, "reconstruction").astype(np.float64)

    def by_row(draws: Draws | None) -> Floats:
        return metrics.mean(errors, draws)

    return {
        "silhouette": _silhouette(_needed(prediction, "latent"), found),
        "silhouette_fixed": _silhouette(_needed(prediction, "fixed"), found),
        "reconstruction_mse": Measures(by_row, by_row),
    }


def _silhouette(points: Floats, found: NDArray[np.int64]) -> Measures:
    @cache
    def each() -> Floats:
        of_rows: Floats = clusters.silhouettes(points, found)[0]
        return of_rows

    def bootstrap(draws: Draws | None) -> Floats:
        return metrics.mean(each(), draws)

    def paper(draws: Draws | None) -> Floats:
        return clusters.silhouette(points, found, None if draws is None else draws > 0)

    return Measures(bootstrap, paper, replacement=False)


_MEASURES: dict[str, Callable[[Floats, Prediction], Mapping[str, Measures]]] = {
    "binary": _plain(metrics.auroc, metrics.auprc, metrics.brier),
    "multiclass": _plain(metrics.macro_auroc),
    "regression": _plain(metrics.r2, metrics.mae),
    "clustering": _clustering,
}
