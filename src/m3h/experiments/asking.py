"""Asking for scores of task sets, whoever answers: trainings through a ledger, or a game with known values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Ask:
    """One training asked for: a task set in the study's order, the validation fold it is scored on, the replicate, and
    which of the settings to try (a place in the list of settings)."""

    tasks: tuple[str, ...]
    fold: int = 0
    replicate: int = 0
    setting: int = 0


#: Task -> score of that task on the asked fold, higher is better. A task without a score is missing or NaN; a training
#: that failed has no scores.
Scores = Mapping[str, float]

#: Answers all asks (repeated ones once), in any order of work; the answer holds every ask.
Answer = Callable[[Sequence[Ask]], Mapping[Ask, Scores]]
