"""The opponents: one model a task on the same features, without a network.

Two of them, as most readers would build them in an afternoon: gradient-boosted trees (LightGBM) and a linear model
(logistic or ridge regression). One setting serves every task and study; it is made for some thousands of patients and
some hundreds of columns, where the libraries' own settings learn the training rows by heart. A clustering has no labels
to learn from, so it has no baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
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
#: What a trained baseline predicts of rows of a dataset that has its sources, in the form of :func:`fit_baseline`.
Asks = Callable[[Dataset, Rows], Floats]

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
    wanted = dataset.test_rows if predict_rows is None else predict_rows
    fitted = trained_baseline(dataset, task_name, model, seed=seed, threads=threads, train_rows=train_rows)
    return fitted(dataset, wanted)


def trained_baseline(
    dataset: Dataset,
    task_name: str,
    model: Baseline,
    *,
    seed: int,
    threads: int | None = None,
    train_rows: Rows | None = None,
) -> Asks:
    """Train as :func:`fit_baseline` does, once, to predict as often as wanted: of this dataset, or of a changed one.

    Errors: those of :func:`fit_baseline`.
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
    _check_labels(labels, fitted)
    return _MODELS[model](dataset, labels, fitted, seed, threads)


def _check_labels(labels: Labels, rows: Rows) -> None:
    values = labels.values[rows]
    needed = 1 if labels.task.kind == "regression" else 2
    if len(np.unique(values)) < needed:
        raise TrainingError(
            f'task "{labels.task.name}" has {len(rows)} labelled rows to train on, of {len(np.unique(values))} classes',
            expected="labels of two classes or more" if needed == 2 else "one label or more",
            next_step="leave the task out, or train on more rows",
        )


def _lightgbm(dataset: Dataset, labels: Labels, fitted: Rows, seed: int, threads: int | None) -> Asks:
    import lightgbm

    kind = labels.task.kind
    sources = dataset.sources_for([labels.task.name])
    inputs = _raw(dataset, sources, fitted)
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

    def asks(asked: Dataset, rows: Rows) -> Floats:
        return np.asarray(booster.predict(_raw(asked, sources, rows), num_threads=threads or 0), dtype=np.float64)

    return asks


def _raw(dataset: Dataset, sources: Sequence[str], rows: Rows) -> NDArray[np.float32]:
    return np.concatenate([dataset.blocks[source].values[rows] for source in sources], axis=1)


def _linear(dataset: Dataset, labels: Labels, fitted: Rows, seed: int, threads: int | None) -> Asks:
    from sklearn.linear_model import LogisticRegression, Ridge

    sources = dataset.sources_for([labels.task.name])
    scaler = Scaler.fit({source: dataset.blocks[source] for source in sources}, fitted)
    kind, classes = labels.task.kind, len(labels.classes)
    inputs, targets = _scaled(dataset, sources, scaler, fitted), labels.values[fitted]
    # weights of variance 1 / columns make log-odds of variance about 1 however many columns there are; with the
    # libraries' penalty of 1, some hundreds of columns that go together overfit
    penalty = float(max(1, inputs.shape[1])) ** PENALTY_POWER
    # one thread: the order of a sum depends on the number of threads
    with threadpool_limits(limits=1):
        if kind == "regression":
            model = Ridge(alpha=penalty, solver="cholesky").fit(inputs, targets)
        else:
            model = LogisticRegression(C=1 / penalty, max_iter=ITERATIONS).fit(inputs, targets.astype(np.int64))

    def asks(asked: Dataset, rows: Rows) -> Floats:
        with threadpool_limits(limits=1):
            scaled = _scaled(asked, sources, scaler, rows)
            found = np.asarray(
                model.predict(scaled) if kind == "regression" else model.predict_proba(scaled), dtype=np.float64
            )
        if kind == "regression":
            return found
        if kind == "binary":
            return found[:, 1]
        probabilities = np.zeros((len(rows), classes))
        probabilities[:, model.classes_] = found
        return probabilities

    return asks


def _scaled(dataset: Dataset, sources: Sequence[str], scaler: Scaler, rows: Rows) -> Floats:
    blocks = (dataset.blocks[source] for source in sources)
    cut = (replace(one, values=one.values[rows], present=one.present[rows], unreadable=()) for one in blocks)
    return np.concatenate([scaler.apply(block) for block in cut], axis=1).astype(np.float64)


_MODELS: dict[str, Callable[[Dataset, Labels, Rows, int, int | None], Asks]] = {
    "lightgbm": _lightgbm,
    "linear": _linear,
}
