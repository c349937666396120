"""How predictions and scores change when the input does, for any model that can be asked of a dataset.

    network = functools.partial(m3h.explain.outputs.ask, trained)
    points = curve(network, dataset, dataset.test_rows, usual_changes(dataset, trained.trial.sources), draws)

A baseline is asked in the same way: changes leave the training rows as they are, so one that is trained anew at each
call is the same model each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError, SettingError
from m3h.dataset.dataset import Dataset, Labels, Rows
from m3h.evaluation import metrics
from m3h.evaluation.intervals import Draws, interval
from m3h.evaluation.scores import Measure, Prediction, measure
from m3h.explain.changes import Change
from m3h.explain.outputs import checked_rows
from m3h.study.task import HEADLINE

#: What a model says of rows (row numbers) of a dataset, by task.
Ask = Callable[[Dataset, Rows], Mapping[str, Prediction]]
#: Name of the metric that says how far predictions move.
MOVED = "moved"
#: Name of the point without any change.
UNCHANGED = "none"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """A task's ``value`` of a ``metric`` after a ``change`` by an ``amount``, with its 95 % interval by patient.

    The metric is the task's headline, better when higher, or "moved": the mean absolute difference of predictions from
    those without a change (probability, mean over classes; regressions in the task's unit), 0 where nothing happens.
    """

    change: str
    amount: float
    task: str
    metric: str
    value: float
    low: float
    high: float


def curve(
    ask: Ask,
    dataset: Dataset,
    rows: Rows,
    changes: Sequence[Change],
    draws: Draws,
    tasks: Sequence[str] | None = None,
) -> tuple[Point, ...]:
    """Headline scores and moves of predictions of ``rows`` (ascending): without a change, then change by change.

    ``draws`` (draws, row) are the study's, the same for every change and model. ``tasks`` None are all that the model
    answers but clusterings, whose clusters have no place to move from. Errors: DataError if draws are of other rows;
    SettingError for a clustering, a task that the model does not answer, or an unknown source or column.
    """
    rows = checked_rows(dataset, rows)
    if draws.shape[1:] != rows.shape:
        raise DataError(f"draws of shape {draws.shape}", expected=f"(draws, {len(rows)}), as there are rows")
    before = ask(dataset, rows)
    names = _named(before, dataset, tasks)
    found = _points(UNCHANGED, 0.0, names, dataset, rows, before, before, draws)
    for change in changes:
        after = ask(change.apply(dataset, rows), rows)
        found += _points(change.name, change.amount, names, dataset, rows, before, after, draws)
    return tuple(found)


def _named(answers: Mapping[str, Prediction], dataset: Dataset, tasks: Sequence[str] | None) -> list[str]:
    usable = [name for name in answers if name in dataset.labels and dataset.labels[name].task.kind != "clustering"]
    for name in tasks or ():
        if name not in usable:
            raise SettingError(f'task "{name}" has no predictions that could move', expected=", ".join(usable) or None)
    return usable if tasks is None else [name for name in usable if name in tasks]


def _points(
    change: str,
    amount: float,
    names: Sequence[str],
    dataset: Dataset,
    rows: Rows,
    before: Mapping[str, Prediction],
    after: Mapping[str, Prediction],
    draws: Draws,
) -> list[Point]:
    found = []
    for name in names:
        labels = dataset.labels[name]
        moved = _values(after[name]) - _values(before[name])
        found.append(_point(change, amount, name, *_score(labels, rows, after[name], draws)))
        found.append(_point(change, amount, name, MOVED, _mean_of(np.abs(moved).reshape(len(rows), -1).mean(1)), draws))
    return found


def _score(labels: Labels, rows: Rows, prediction: Prediction, draws: Draws) -> tuple[str, Measure, Draws]:
    truth, metric = labels.values[rows], HEADLINE[labels.task.kind]
    known = ~np.isnan(truth)
    return metric, measure(labels.task.kind, truth[known], prediction.at(known))[metric].bootstrap, draws[:, known]


def _mean_of(each: Floats) -> Measure:
    return lambda draws: metrics.mean(each, draws)


def _point(change: str, amount: float, task: str, metric: str, of: Measure, draws: Draws) -> Point:
    return Point(change, amount, task, metric, float(of(None)[0]), *interval(of(draws)))


def _values(prediction: Prediction) -> Floats:
    if prediction.values is None:
        raise DataError("the prediction has no values", expected="what the kind of the task needs")
    return prediction.values
