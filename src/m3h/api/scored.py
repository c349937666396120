"""Predictions and scores as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset, Rows
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.reliance import Reliance
from m3h.evaluation.scores import Prediction, score
from m3h.study.task import Task

PREDICTED = {
    "sample": pl.String,
    "patient": pl.String,
    "task": pl.String,
    "class": pl.String,
    "prediction": pl.Float64,
    "calibrated": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "possible": pl.Boolean,
}
SCORED = {
    "task": pl.String,
    "kind": pl.String,
    "metric": pl.String,
    "n": pl.Int64,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def predicted(
    dataset: Dataset,
    rows: Rows,
    tasks: Sequence[Task],
    classes: Mapping[str, tuple[str, ...]],
    predictions: Mapping[str, Prediction],
    reliance: Mapping[str, Reliance],
) -> pl.DataFrame:
    """Predictions of ``rows`` as a table: task by task, in it sample by sample, in it class by class (PREDICTED)."""
    values = {task.name: _values(predictions[task.name]) for task in tasks}
    return answer_table(dataset.ids[rows], dataset.patients[rows], tasks, classes, values, reliance)


def answer_table(
    ids: NDArray[np.str_],
    patients: NDArray[np.str_],
    tasks: Sequence[Task],
    classes: Mapping[str, tuple[str, ...]],
    answers: Mapping[str, NDArray[np.float64]],
    reliance: Mapping[str, Reliance],
) -> pl.DataFrame:
    """As :func:`predicted`, of ``answers`` as the model made them: task -> (row,) or (row, classes) of ``ids``."""
    parts = [pl.DataFrame(schema=PREDICTED)]
    for task in tasks:
        names = classes[task.name] if task.kind == "multiclass" else ("",)
        values = answers[task.name]
        columns = {
            "sample": np.repeat(ids, len(names)).tolist(),
            "patient": np.repeat(patients, len(names)).tolist(),
            "task": [task.name] * values.size,
            "class": list(names) * len(ids),
            "prediction": values.reshape(-1),
        }
        columns |= _beside(values, task, reliance.get(task.name))
        parts.append(pl.DataFrame(columns, schema=PREDICTED))
    return pl.concat(parts)


def _beside(values: NDArray[np.float64], task: Task, known: Reliance | None) -> dict[str, Any]:
    """The columns of what is said beside a prediction; NaN becomes empty."""
    if known is None:
        return dict.fromkeys(("calibrated", "low", "high", "possible"), [None] * values.size)
    calibrated = known.calibrator.apply(values)
    low, high = known.interval(calibrated)
    numbers = {"calibrated": calibrated, "low": low, "high": high}
    found: dict[str, Any] = {name: pl.Series(part.reshape(-1)).fill_nan(None) for name, part in numbers.items()}
    if task.kind == "regression":
        return found | {"possible": [None] * values.size}
    inside = known.possible(calibrated)
    return found | {"possible": (inside if task.kind == "multiclass" else inside[:, 1]).reshape(-1)}


def _values(prediction: Prediction) -> NDArray[np.float64]:
    """One number a row, or one a row and class; of a clustering the cluster's number."""
    if prediction.clusters is not None:
        return prediction.clusters.astype(np.float64)
    assert prediction.values is not None
    return np.asarray(prediction.values, dtype=np.float64)


def scored(dataset: Dataset, rows: Rows, tasks: Sequence[Task], predictions: Mapping[str, Prediction]) -> pl.DataFrame:
    """Every metric of every task on ``rows`` with its 95 % interval by patient (SCORED); NaN where there is nothing
    to say."""
    draws = patient_draws(dataset.patients[rows], dataset.seed)
    lines = []
    for task in tasks:
        truth = dataset.labels[task.name].values[rows]
        for one in score(task.kind, truth, predictions[task.name], draws=draws, seed=dataset.seed):
            lines.append((task.name, task.kind, one.metric, one.n, one.value, one.low, one.high))
    return pl.DataFrame(lines, schema=SCORED, orient="row")
