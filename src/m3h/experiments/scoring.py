"""From predictions on the test rows to the tables of a run: scores, paired differences, predictions, attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from m3h.dataset.dataset import Dataset, Rows
from m3h.evaluation.compare import difference
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.scores import Prediction, score
from m3h.study.task import METRICS
from m3h.training.trained import TrainedNetwork

SCORES = {
    **dict.fromkeys(("study", "task", "kind", "metric", "preset", "task_set", "role"), pl.String),
    "n_test": pl.Int64,
    **dict.fromkeys(("value", "low", "high", "sd_paper"), pl.Float64),
    "seed": pl.Int64,
}
DIFFERENCES = {
    **dict.fromkeys(("task", "metric", "role_a", "preset_a", "role_b", "preset_b"), pl.String),
    **dict.fromkeys(("difference", "relative", "low", "high"), pl.Float64),
}
ATTENTION = {**dict.fromkeys(("preset", "task_set", "task", "from_task"), pl.String), "weight": pl.Float64}
PREDICTIONS = {
    **dict.fromkeys(("sample", "patient", "task", "class", "preset", "task_set", "role"), pl.String),
    "seed": pl.Int64,
    **dict.fromkeys(("truth", "prediction"), pl.Float64),
}
#: Decimals in tables: far below any interval, far above the rounding of float32.
DECIMALS = 6


@dataclass(frozen=True)
class Model:
    """One model's predictions on the test rows, per task. ``role`` single, joint, best or baseline; ``preset`` the
    network's preset or the baseline's name."""

    role: str
    preset: str
    task_set: str
    seed: int
    predictions: Mapping[str, Prediction]


def score_tables(dataset: Dataset, models: Sequence[Model]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """scores.csv and differences.csv: every metric of every task and model, and joint and best each minus single and
    minus each baseline, all on the same bootstrap draws by patient. Tasks that were left out have an empty value."""
    rows = dataset.test_rows
    draws = patient_draws(dataset.patients[rows], dataset.seed)
    truths = {name: labels.values[rows] for name, labels in dataset.labels.items()}
    scores: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    for name, labels in dataset.labels.items():
        kind = labels.task.kind
        own = [model for model in models if name in model.predictions]
        facts = {"study": dataset.name, "task": name, "kind": kind}
        for model in own:
            common = facts | {
                "preset": model.preset,
                "task_set": model.task_set,
                "role": model.role,
                "seed": model.seed,
            }
            for one in score(kind, truths[name], model.predictions[name], draws=draws, seed=dataset.seed):
                scores.append(
                    common
                    | {"metric": one.metric, "n_test": one.n, "value": one.value}
                    | {"low": one.low, "high": one.high, "sd_paper": one.sd_paper}
                )
        if not own:
            scores.append(facts | {"metric": METRICS[kind][0], "n_test": int((~np.isnan(truths[name])).sum())})
        for a, b in _pairs(own):
            gap = difference(kind, truths[name], a.predictions[name], b.predictions[name], draws=draws)
            gaps.append(
                {"task": name, "metric": gap.metric, "role_a": a.role, "preset_a": a.preset, "role_b": b.role}
                | {"preset_b": b.preset, "difference": gap.difference, "relative": gap.relative}
                | {"low": gap.low, "high": gap.high}
            )
    return table_of(scores, SCORES), table_of(gaps, DIFFERENCES)


def _pairs(models: Sequence[Model]) -> Iterator[tuple[Model, Model]]:
    """The joint network against every other model of the task, and the network of the chosen set likewise."""
    for a in models:
        if a.role in ("joint", "best"):
            yield from ((a, b) for b in models if b.role not in (a.role, "best"))


def prediction_table(dataset: Dataset, models: Sequence[Model], rows: Rows | None = None) -> pl.DataFrame:
    """predictions.parquet: a row per test sample, task and model; for several classes, a row per class. ``rows`` are
    those that the models predict, by default the test rows."""
    rows = dataset.test_rows if rows is None else rows
    ids = {"sample": dataset.ids[rows], "patient": dataset.patients[rows]}
    parts = [pl.DataFrame(schema=PREDICTIONS)]
    for model in models:
        for name, prediction in model.predictions.items():
            labels = dataset.labels[name]
            truth = labels.values[rows]
            common = {"task": name, "preset": model.preset, "task_set": model.task_set, "role": model.role}
            for class_, values, right in _columns(labels.classes, labels.task.kind, truth, prediction):
                frame = pl.DataFrame(ids | {"truth": right, "prediction": values})
                frame = frame.with_columns(
                    pl.lit(class_).alias("class"),
                    pl.lit(model.seed, pl.Int64).alias("seed"),
                    *(pl.lit(value).alias(key) for key, value in common.items()),
                )
                parts.append(frame.select([pl.col(key).cast(kind) for key, kind in PREDICTIONS.items()]))
    return pl.concat(parts).with_columns(pl.col("truth", "prediction").fill_nan(None))


def _columns(classes: tuple[str, ...], kind: str, truth: Any, prediction: Prediction) -> Iterator[tuple[str, Any, Any]]:
    """(class, predictions, truths) of one task: one column, or one per class."""
    if kind == "clustering":
        assert prediction.clusters is not None
        yield "", prediction.clusters.astype(np.float64), np.full(len(truth), np.nan)
    elif kind == "multiclass":
        assert prediction.values is not None
        for number, class_ in enumerate(classes):
            right = np.where(np.isnan(truth), np.nan, truth == number)
            yield class_, prediction.values[:, number], right
    else:
        yield "", prediction.values, truth


def attention_table(networks: Sequence[TrainedNetwork], preset: str) -> pl.DataFrame:
    """attention.csv: the mean attention weight on the test rows, task that asks by task that answers."""
    rows = [
        {"preset": preset, "task_set": network.trial.label, "task": asks, "from_task": answers}
        | {"weight": float(network.attention[i, j])}
        for network in networks
        if len(network.trial.tasks) > 1 and not network.failed
        for i, asks in enumerate(network.trial.tasks)
        for j, answers in enumerate(network.trial.tasks)
    ]
    return table_of(rows, ATTENTION)


def table_of(rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """A table in the order of ``schema``; what is not a number is empty."""
    whole = [{name: row.get(name) for name in schema} for row in rows]
    frame = pl.DataFrame(whole, schema=dict(schema), orient="row")
    numbers = [name for name, kind in schema.items() if kind == pl.Float64]
    return frame.with_columns(pl.col(numbers).fill_nan(None).round(DECIMALS))
