from __future__ import annotations

import numpy as np
import pytest

from m3h.dataset.usable import reason_unusable
from m3h.study.task import Task

NAN = float("nan")


@pytest.mark.parametrize(
    ("kind", "train", "test", "reason"),
    [
        ("binary", [0, 1], [1, 0], ""),
        ("binary", [NAN, NAN], [NAN], "no labels"),
        ("binary", [0, 0], [0, NAN], "all labels are of one class"),
        ("binary", [0, 1], [NAN], "no labels in the test part"),
        ("binary", [1, 1], [0, 1], "no patient with a negative label in the training part"),
        ("binary", [0, 1], [0, NAN], "no patient with a positive label in the test part"),
        ("multiclass", [0, 2, 1], [1, 2], ""),
        ("multiclass", [2, 2], [2, NAN], "all labels are of one class"),
        ("multiclass", [0, 1], [1, 1], "labels of one class only in the test part"),
        ("regression", [3, 4], [5, 6], ""),
        ("regression", [3, NAN], [5, 6], "one label only in the training part"),
        ("regression", [3, 3], [3, 3], "all labels are equal in the training part"),
        ("regression", [3, 4], [5, 5], "all labels are equal in the test part"),
        ("clustering", [0, 0, 0], [0, 0], "2 samples for 3 clusters in the test part"),
        ("clustering", [0, 0, 0], [0, 0, 0], ""),
    ],
)
def test_reasons(kind: str, train: list[float], test: list[float], reason: str) -> None:
    sides = np.array(["train"] * len(train) + ["test"] * len(test))
    task = Task("asked", kind, clusters=3)  # type: ignore[arg-type]
    assert reason_unusable(task, np.array(train + test, dtype=float), sides) == reason
