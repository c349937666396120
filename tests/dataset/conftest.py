"""A dataset made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from m3h.dataset.dataset import Dataset, Labels
from m3h.encoders.block import Block, EncoderState
from m3h.study.task import Task


@pytest.fixture
def by_hand() -> Callable[..., Dataset]:
    """A function that makes a dataset of 40 samples of 20 patients; keywords replace its parts."""
    return make_by_hand


def make_by_hand(**parts: Any) -> Dataset:
    samples = 40
    rng = np.random.default_rng(5)
    values = rng.normal(size=(samples, 3)).astype(np.float32)
    values[::7, 1] = np.nan
    values[30:, :] = np.nan
    texts = rng.normal(size=(samples, 2)).astype(np.float32)
    died = (np.arange(samples) % 3 == 0).astype(float)
    died[5] = np.nan
    tasks = (
        Task("died", "binary", column="died", department="ward", exclude_sources=("notes",)),
        Task("outcome", "multiclass", column="outcome"),
        Task("days", "regression", column="days", unit="days"),
        Task("phenotype", "clustering", clusters=3),
    )
    labels = {
        "died": Labels(tasks[0], died),
        "outcome": Labels(tasks[1], np.arange(samples) % 2.0, classes=("home", "rehab"), unknown_class=2),
        "days": Labels(tasks[2], np.where(np.arange(samples) % 4 == 0, np.nan, np.arange(samples) / 2)),
        "phenotype": Labels(tasks[3], np.zeros(samples), unusable="3 samples for 4 clusters in the test part"),
    }
    content: dict[str, Any] = {
        "name": "hand",
        "title": "Made by hand",
        "seed": 4,
        "ids": np.array([f"s{number:02d}" for number in range(samples)]),
        "patients": np.array([f"p{number // 2:02d}" for number in range(samples)]),
        "split": np.where(np.arange(samples) < 30, "train", "test"),
        "blocks": {
            "labs": Block(
                "labs",
                "tabular",
                values,
                np.arange(samples) < 30,
                ("sodium", "lactate", "ph"),
                ("mmol/L", "mmol/L", ""),
            ),
            "notes": Block(
                "notes", "language", texts, np.ones(samples, dtype=bool), ("n0", "n1"), ("", ""), unreadable=(3, 8)
            ),
        },
        "labels": labels,
        "subgroups": {"ward": np.array(["", "icu", "surgery", "icu"] * 10)},
        "fingerprint": "0123456789abcdef",
        "recipe": {"sources": [{"name": "labs", "encoder": ""}, {"name": "notes", "encoder": "mine"}]},
        "states": {
            "labs": EncoderState({"wards": ["b", "a"], "deep": {"é": 1}}, {"mean": np.arange(3.0)}),
            "notes": EncoderState({}, {"idf": np.zeros((2, 0), dtype=np.float32), "kept": np.array([True, False])}),
        },
        "facts": {
            "split": {"by": "by patient", "attempts": 2},
            "sources": {"labs": {"counts": {"rows": 1200, "missing_time": 3, "later": 9, "used": 1188}}},
        },
    }
    return Dataset(**(content | parts))
