"""Trials and outcomes as values, without training anything."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from m3h.experiments.outcome import Outcome
from m3h.study.presets import Preset
from m3h.training.trial import Trial

TRIAL = Trial(
    dataset="d" * 32,
    tasks=("death", "stay"),
    sources=("labs", "notes"),
    weights=(1.0, 0.3),
    seed=7,
    preset=Preset(),
    learning_rate=1e-4,
    batch_size=256,
    epochs=15,
    update="sequential",
    fold=0,
)


def trials(number: int, **fields: Any) -> list[Trial]:
    """Trials that differ in their replicate."""
    return [replace(TRIAL, replicate=one, **fields) for one in range(number)]


def ended(trial: Trial, **fields: Any) -> Outcome:
    """A finished trial with scores that follow from its replicate; one score is missing."""
    number = trial.replicate
    scores = {
        "death": {"auroc": 1 / (3 + number), "auprc": math.nan, "brier": 0.1 + number / 7},
        "stay": {"r2": -0.1 - number * math.pi, "mae": 1e-300},
    }
    given: dict[str, Any] = {"scores": scores, "seconds": 0.1 + number} | fields
    return Outcome(trial, **given)


def plain(outcome: Outcome) -> str:
    """All that an outcome says, NaN and the order of its scores included, to compare by."""
    return repr((outcome.trial, outcome.scores, outcome.seconds, outcome.failed, outcome.warnings))
