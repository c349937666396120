"""Choosing a setting: every batch size with every learning rate, by cross-validation on training rows alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from m3h.experiments.engine import Engine
from m3h.study.presets import Protocol
from m3h.study.task import HEADLINE
from m3h.training.fleet import Progress
from m3h.training.trial import Trial, with_setting

#: R-squared has no lower end; one wild fold must not decide for all tasks.
LOWEST_R2 = -1.0


@dataclass(frozen=True)
class Setting:
    """A setting of one task set, and its cross-validation score: the mean over tasks of the mean over folds of each
    task's headline metric (higher is better; R-squared not below -1; NaN where nothing could be scored)."""

    tasks: tuple[str, ...]
    batch_size: int
    learning_rate: float
    score: float


def grid(protocol: Protocol) -> list[tuple[int, float]]:
    """The settings to try (batch size, learning rate): without the grid one, the last of each list."""
    if not protocol.grid:
        return [(protocol.batch_sizes[-1], protocol.learning_rates[-1])]
    return list(itertools.product(protocol.batch_sizes, protocol.learning_rates))


def grid_trials(plain: Sequence[Trial], protocol: Protocol) -> list[Trial]:
    """What choosing trains: each of the trials in every setting and fold; nothing without the grid."""
    if not protocol.grid:
        return []
    return [
        with_setting(trial, learning_rate=rate, batch_size=size, fold=fold)
        for trial in dict.fromkeys(plain)
        for (size, rate), fold in itertools.product(grid(protocol), range(protocol.folds))
    ]


def choose(
    engine: Engine, plain: Sequence[Trial], protocol: Protocol, progress: Progress | None = None
) -> tuple[list[Trial], list[Setting]]:
    """The trials in the setting to use, and the settings tried.

    ``plain`` are trials on the whole training part. Without ``protocol.grid`` they stay as they are and nothing is
    tried; with it, each gets the best of the grid by cross-validation. Test rows are not looked at.
    """
    trials = grid_trials(plain, protocol)
    if not trials:
        return list(plain), []
    outcomes = engine.complete(trials, progress)
    found: dict[tuple[tuple[str, ...], int, float], list[dict[str, float]]] = {}
    for trial in trials:
        key = (trial.tasks, trial.batch_size, trial.learning_rate)
        found.setdefault(key, []).append(headline(engine, outcomes[trial.id].scores))
    settings = [Setting(*key, score=mean_score(parts)) for key, parts in found.items()]
    chosen = []
    for trial in plain:
        own = [one for one in settings if one.tasks == trial.tasks]
        best = max(own, key=lambda one: -np.inf if np.isnan(one.score) else one.score)
        chosen.append(with_setting(trial, learning_rate=best.learning_rate, batch_size=best.batch_size, fold=None))
    return chosen, settings


def headline(engine: Engine, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The headline metric of each task, as settings are chosen by it; empty for a training that failed."""
    kept = {}
    for name, values in scores.items():
        kind = engine.dataset.labels[name].task.kind
        value = values[HEADLINE[kind]]
        kept[name] = max(value, LOWEST_R2) if kind == "regression" else value
    return kept


def mean_score(folds: Sequence[Mapping[str, float]]) -> float:
    """Mean over tasks of the mean over folds; NaN scores are left out."""
    names = {name for fold in folds for name in fold}
    by_task = [[fold[name] for fold in folds if not np.isnan(fold.get(name, np.nan))] for name in sorted(names)]
    means = [float(np.mean(values)) for values in by_task if values]
    return float(np.mean(means)) if means else float("nan")
