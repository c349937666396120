"""Whether a task can be trained and scored with the labels it has on both sides of the split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.dataset import Strings
from m3h.study.task import Task

_SIDES = {"train": "training", "test": "test"}


def reason_unusable(task: Task, values: NDArray[np.float64], sides: Strings) -> str:
    """Why the task cannot be used, in plain words; "" if it can.

    ``values`` (sample,) as in Labels: NaN = unlabelled, classes as numbers. ``sides`` "train" or "test" (sample,).
    """
    known = ~np.isnan(values)
    if not known.any():
        return "no labels"
    if task.kind in ("binary", "multiclass") and len(np.unique(values[known])) == 1:
        return "all labels are of one class"
    for side, name in _SIDES.items():
        reason = _reason(task, values[known & (sides == side)])
        if reason:
            return f"{reason} in the {name} part"
    return ""


def _reason(task: Task, values: NDArray[np.float64]) -> str:
    if task.kind == "clustering":
        return f"{len(values)} samples for {task.clusters} clusters" if len(values) < task.clusters else ""
    if len(values) == 0:
        return "no labels"
    if task.kind == "binary":
        missing = [name for value, name in ((1.0, "positive"), (0.0, "negative")) if not (values == value).any()]
        return f"no patient with a {missing[0]} label" if missing else ""
    distinct = len(np.unique(values))
    if task.kind == "multiclass":
        return "labels of one class only" if distinct < 2 else ""
    if len(values) < 2:
        return "one label only"
    return "all labels are equal" if distinct < 2 else ""
