"""Which features matter to a task, over many patients: the mean size of what each adds, and in which direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from m3h.core.errors import DataError
from m3h.dataset.dataset import Dataset
from m3h.evaluation.intervals import Draws, interval, patient_draws
from m3h.explain.attribution import Attribution

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureImportance:
    """How much a feature moves a task's output: the mean of its attributions' sizes over rows (and over classes), in
    log-odds or the task's unit, with the 95 % interval ``low`` to ``high`` by patient.

    ``direction`` is Spearman's rank correlation of measured value and attribution, from -1 to 1: positive where more of
    it raises the output. NaN with several classes, which have no one direction, and where there is nothing to rank.
    """

    task: str
    source: str
    feature: str
    unit: str
    value: float
    low: float
    high: float
    direction: float


def feature_importance(
    attribution: Attribution, dataset: Dataset, *, draws: Draws | None = None
) -> tuple[FeatureImportance, ...]:
    """All features, the most important first; equal ones in the order of the columns.

    ``draws`` (draws, row) None are those of the attribution's rows by the dataset's seed. Errors: DataError if draws
    are of other rows. An interval says how much the rows chosen decide; it knows nothing of how the model would differ
    had other patients been trained on.
    """
    if draws is None:
        draws = patient_draws(dataset.patients[attribution.rows], dataset.seed)
    if draws.shape[1:] != attribution.rows.shape:
        raise DataError(f"draws of shape {draws.shape}", expected=f"(draws, {len(attribution.rows)}), a column per row")
    sizes = np.abs(attribution.values).mean(2)  # (row, feature)
    weights = draws.astype(np.float64)
    drawn = (weights @ sizes) / np.maximum(weights.sum(1), 1)[:, None]
    means, features = sizes.mean(0), attribution.features
    directions = _directions(attribution)
    found = []
    for number in np.argsort(-means, kind="stable").tolist():
        low, high = interval(drawn[:, number])
        found.append(
            FeatureImportance(
                task=attribution.task,
                source=features.sources[number],
                feature=features.names[number],
                unit=features.units[number],
                value=float(means[number]),
                low=low,
                high=high,
                direction=directions[number],
            )
        )
    return tuple(found)


def _directions(attribution: Attribution) -> list[float]:
    if attribution.values.shape[2] > 1:
        return [float("nan")] * len(attribution.features)
    columns = zip(attribution.inputs.T, attribution.values[:, :, 0].T, strict=True)
    return [_spearman(*column) for column in columns]


def _spearman(values: Floats, adds: Floats) -> float:
    """Rank correlation where there is a value; NaN of fewer than 3, or where either does not vary."""
    known = ~np.isnan(values)
    values, adds = values[known], adds[known]
    if len(values) < 3 or np.ptp(values) == 0 or np.ptp(adds) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(values), rankdata(adds))[0, 1])
