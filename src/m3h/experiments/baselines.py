"""The opponents: one model a task on the same features, without a network.

Two of them, as most readers would build them in an afternoon: gradient-boosted trees (LightGBM) and a linear model
(logistic or ridge regression). One setting serves every task and study; it is made for some thousands of patients and
some hundreds of columns, where the libraries' own settings learn the training rows by heart. A clustering has no labels
to learn from, so it has no baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from m3h.core import seeds
from m3h.core.errors import SettingError, TrainingError, nearest
from m3h.dataset.dataset import Dataset, Labels
from m3h.dataset.scale import Scaler
from m3h.study.task import Kind

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Baseline = Literal["lightgbm", "linear"]

#: Trees (for several classes, as many for each): smaller, slower and less alike than LightGBM's own 100 of 31 leaves.
ROUNDS = 150
TREES: dict[str, Any] = {"learning_rate": 0.05, "num_leaves": 15}
#: Each tree is offered this share of the columns, but not fewer than so many.
COLUMN_SHARE, COLUMNS = 0.3, 20
#: The linear models' penalty is the number of columns to this power.
PENALTY_POWER = 1.0
#: Enough for features on one scale to converge; scikit-learn's own 100 is not.
ITERATIONS = 5000
OBJECTIVES: dict[Kind, str] = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}


def fit_baseline(
    dataset: Dataset,
    task_name: str,
    model: Baseline,
    *,
    seed: int,
    threads: int | None = None,
    train_rows: Rows | None = None,
    predict_rows: Rows | None = None,
) -> Floats:
    """Train ``model`` for one task and predict: float64, one entry for each of ``predict_rows``.

    Binary: (n,) probability of the positive class; multiclass: (n, classes) probabilities in the order of the labels'
    classes; regression: (n,) in the task's unit. Features are the blocks that the task may read, side by side.
    LightGBM takes them as they are, NaN where not measured; the linear model takes them scaled on the rows it trains
    on, 0 where not measured, with a penalty as large as there are columns. Trained on those of ``train_rows`` (row
    numbers; default: the training part) that have a label; a class that none of them has gets probability 0 from the
    linear model and next to 0 from LightGBM. ``predict_rows``: default the test part. ``threads`` of LightGBM (None:
    OpenMP's choice) change no digit of the result. ``seed`` chooses the columns that each of its trees is offered;
    the linear model draws nothing.

    Errors: SettingError for an unknown model or task, a task that cannot be used, a clustering;
    TrainingError if the rows trained on hold no label or one class only.
    """
    if model not in _MODELS:
        raise SettingError(f'unknown baseline "{model}"{nearest(model, _MODELS)}')
    dataset.task_set([task_name])
    labels = dataset.labels[task_name]
    if labels.task.kind == "clustering":
        raise SettingError(
            f'task "{task_name}" is a clustering, which has no baseline',
            expected="a binary, multiclass or regression task",
        )
    offered = dataset.train_rows if train_rows is None else train_rows
    fitted = offered[labels.known[offered]]
    wanted = dataset.test_rows if predict_rows is None else predict_rows
    _check_labels(labels, fitted)
    return _MODELS[model](dataset, labels, fitted, wanted, seed, threads)


def _check_labels(labels: Labels, rows: Rows) -> None:
    values = labels.values[rows]
    needed = 1 if labels.task.kind == "regression" else 2
    if len(np.unique(values)) < needed:
        raise TrainingError(
            f'task "{labels.task.name}" has {len(rows)} labelled rows to train on, of {len(np.unique(values))} classes',
            expected="labels of two classes or more" if needed == 2 else "one label or more",
            next_step="leave the task out, or train on more rows",
        )


def _lightgbm(dataset: Dataset, labels: Labels, fitted: Rows, wanted: Rows, seed: int, threads: int | None) -> Floats:
    import lightgbm

    kind = labels.task.kind
    inputs = _raw(dataset, labels, fitted)
    settings: dict[str, Any] = {
        **TREES,
        "objective": OBJECTIVES[kind],
        "feature_fraction": max(COLUMN_SHARE, min(1.0, COLUMNS / inputs.shape[1])),
        "deterministic": True,
        "force_row_wise": True,  # the choice between row-wise and column-wise is else made by timing both
        "seed": seeds.small(seed, "baseline"),
        "num_threads": threads or 0,
        "verbosity": -1,
    }
    if kind == "multiclass":
        settings["num_class"] = len(labels.classes)
    # columns go by number: names of signals hold characters that LightGBM refuses
    data = lightgbm.Dataset(inputs, labels.values[fitted])
    booster = lightgbm.train(settings, data, num_boost_round=ROUNDS)
    return np.asarray(booster.predict(_raw(dataset, labels, wanted), num_threads=threads or 0), dtype=np.float64)


def _raw(dataset: Dataset, labels: Labels, rows: Rows) -> NDArray[np.float32]:
    sources = dataset.sources_for([labels.task.name])
    return np.concatenate([dataset.blocks[source].values[rows] for source in sources], axis=1)


def _linear(dataset: Dataset, labels: Labels, fitted: Rows, wanted: Rows, seed: int, threads: int | None) -> Floats:
    from sklearn.linear_model import LogisticRegression, Ridge

    blocks = {source: dataset.blocks[source] for source in dataset.sources_for([labels.task.name])}
    scaler = Scaler.fit(blocks, fitted)
    features = np.concatenate([scaler.apply(block) for block in blocks.values()], axis=1)
    inputs, targets = features[fitted].astype(np.float64), labels.values[fitted]
    asked = features[wanted].astype(np.float64)
    # weights of variance 1 / columns make log-odds of variance about 1 however many columns there are; with the
    # libraries' penalty of 1, some hundreds of columns that go together overfit
    penalty = float(max(1, inputs.shape[1])) ** PENALTY_POWER
    # one thread: the order of a sum depends on the number of threads
    with threadpool_limits(limits=1):
        if labels.task.kind == "regression":
            ridge = Ridge(alpha=penalty, solver="cholesky").fit(inputs, targets)
            return np.asarray(ridge.predict(asked), dtype=np.float64)
        classifier = LogisticRegression(C=1 / penalty, max_iter=ITERATIONS).fit(inputs, targets.astype(np.int64))
        found = classifier.predict_proba(asked)
    if labels.task.kind == "binary":
        return np.asarray(found[:, 1], dtype=np.float64)
    probabilities = np.zeros((len(wanted), len(labels.classes)))
    probabilities[:, classifier.classes_] = found
    return probabilities


_MODELS: dict[str, Callable[[Dataset, Labels, Rows, Rows, int, int | None], Floats]] = {
    "lightgbm": _lightgbm,
    "linear": _linear,
}
