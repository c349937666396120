"""Patients to read: where a model was surest and right, where it was surest and wrong, and where it could not decide.

Row numbers and numbers only: no identifiers and no text. Reading a handful of these finds mistakes of labels and
columns that no score shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset, Rows
from m3h.explain.attribution import Attribution, attributions
from m3h.explain.outputs import checked_rows, outputs, prediction_of, task_slots
from m3h.training.trained import TrainedNetwork

Group = Literal["right", "wrong", "borderline"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reason:
    """A feature that moved an output: what was measured (NaN: it was not), and what it added, in log-odds or the task's
    unit; for several classes to the class predicted."""

    source: str
    feature: str
    unit: str
    value: float
    adds: float


@dataclass(frozen=True)
class Example:
    """One row of the dataset and why it was chosen.

    ``prediction`` is the probability of the positive class, of the class predicted, or the value; ``predicted`` and
    ``truth`` are 0 or 1, class numbers, or values in the task's unit. ``reasons``, the largest first.
    """

    row: int
    group: Group
    prediction: float
    predicted: float
    truth: float
    reasons: tuple[Reason, ...]


def examples(
    trained: TrainedNetwork,
    dataset: Dataset,
    task: str,
    *,
    rows: Rows | None = None,
    count: int = 3,
    reasons: int = 8,
) -> tuple[Example, ...]:
    """``count`` examples of each group among the labelled ones of ``rows`` (ascending; None: the test rows).

    Binary: an answer is positive from the training share of positives on, as with rare outcomes hardly anybody reaches
    one half; sure is far from there in log-odds; right and wrong are given for either truth, ``count`` each. Several
    classes: sure by the probability of the class predicted, borderline by how little it is ahead of the next.
    Regression: right by the least error, wrong by the greatest, borderline where the error is nearest to the median.
    A row is given once. Errors: SettingError for an unknown task, a clustering, or counts below 1.
    """
    if count < 1 or reasons < 1:
        raise SettingError("nothing to show", got=f"{count} examples, {reasons} reasons", expected="1 or more")
    task_slots(trained, [task])
    found, labels = checked_rows(dataset, rows), dataset.labels[task]
    found = found[labels.known[found]]
    if not len(found):
        return ()
    truth, said = labels.values[found], outputs(trained, dataset, found, [task])[task]
    values = prediction_of(labels.task.kind, said).values
    assert values is not None
    if labels.task.kind == "binary":
        known = labels.values[dataset.train_rows]
        seen = np.append(known[~np.isnan(known)], (0.0, 1.0))  # one of each more: never at the end of the scale
        at = float(np.log(seen.mean() / (1 - seen.mean())))
        predicted, shown = (said[:, 0] >= at).astype(np.float64), values
        ranked = _binary(said[:, 0] - at, predicted == truth, truth)
    elif labels.task.kind == "multiclass":
        predicted, shown = values.argmax(1).astype(np.float64), values.max(1)
        ranked = _classes(values, predicted == truth)
    else:
        predicted, shown = values, values
        ranked = _regression(np.abs(values - truth))
    chosen = dict(_first(ranked, count))
    order = np.array(sorted(chosen), np.int64)
    explained = attributions(trained, dataset, tasks=[task], rows=found[order], most=len(order))[task]
    place = {row: number for number, row in enumerate(order.tolist())}
    return tuple(
        Example(
            row=int(found[row]),
            group=group,
            prediction=float(shown[row]),
            predicted=float(predicted[row]),
            truth=float(truth[row]),
            reasons=_reasons(explained, place[row], predicted[row], reasons),
        )
        for row, group in chosen.items()
    )


def _binary(distance: Floats, right: NDArray[np.bool_], truth: Floats) -> Iterator[tuple[Group, NDArray[np.int64]]]:
    for group, of in _halves(right):
        for answer in (1.0, 0.0):
            which = np.flatnonzero(of & (truth == answer))
            yield group, which[np.argsort(-np.abs(distance[which]), kind="stable")]
    yield "borderline", np.argsort(np.abs(distance), kind="stable")


def _halves(right: NDArray[np.bool_]) -> tuple[tuple[Group, NDArray[np.bool_]], ...]:
    return (("right", right), ("wrong", ~right))


def _classes(values: Floats, right: NDArray[np.bool_]) -> Iterator[tuple[Group, NDArray[np.int64]]]:
    best = np.sort(values, axis=1)
    for group, of in _halves(right):
        which = np.flatnonzero(of)
        yield group, which[np.argsort(-best[which, -1], kind="stable")]
    yield "borderline", np.argsort(best[:, -1] - best[:, -2], kind="stable")


def _regression(errors: Floats) -> Iterator[tuple[Group, NDArray[np.int64]]]:
    order = np.argsort(errors, kind="stable")
    yield "right", order
    yield "wrong", order[::-1]
    yield "borderline", np.argsort(np.abs(errors - np.median(errors)), kind="stable")


def _first(ranked: Iterator[tuple[Group, NDArray[np.int64]]], count: int) -> Iterator[tuple[int, Group]]:
    """The first rows of each list that none before has taken."""
    taken: set[int] = set()
    for group, rows in ranked:
        own = [row for row in rows.tolist() if row not in taken][:count]
        taken.update(own)
        yield from ((row, group) for row in own)


def _reasons(explained: Attribution, row: int, predicted: float, most: int) -> tuple[Reason, ...]:
    adds = explained.values[row][:, int(predicted) if explained.values.shape[2] > 1 else 0]
    features = explained.features
    return tuple(
        Reason(
            features.sources[k], features.names[k], features.units[k], float(explained.inputs[row, k]), float(adds[k])
        )
        for k in np.argsort(-np.abs(adds), kind="stable")[:most].tolist()
        if adds[k] != 0
    )
