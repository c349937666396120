"""Choosing a setting: every batch size with every learning rate, by cross-validation on training rows alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from m3h.dataset.dataset import Dataset
from m3h.evaluation.scores import measure
from m3h.study.presets import Preset, Protocol
from m3h.study.task import HEADLINE
from m3h.training.fleet import Progress, train
from m3h.training.forming import DEFAULT_MEMORY
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial, make_trial, with_setting

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


def final_trials(
    dataset: Dataset,
    task_sets: Sequence[Sequence[str]],
    *,
    preset: Preset,
    protocol: Protocol,
    seed: int | None = None,
    device: Literal["cpu", "cuda", "mps"] = "cpu",
    memory: int = DEFAULT_MEMORY,
    progress: Progress | None = None,
) -> tuple[list[Trial], list[Setting]]:
    """One trial per task set on the whole training part, in the setting to use.

    Without ``protocol.grid`` that is the last of each list and nothing is tried; with it, the best of the grid by
    cross-validation, and the settings tried are given too. Test rows are not looked at.
    """
    plain = [
        make_trial(dataset, tasks, preset=preset, protocol=protocol, seed=seed, device=device) for tasks in task_sets
    ]
    if not protocol.grid:
        return plain, []
    grid = list(itertools.product(protocol.batch_sizes, protocol.learning_rates))
    folds = range(protocol.folds)
    trials = [
        with_setting(trial, learning_rate=rate, batch_size=size, fold=fold)
        for trial in dict.fromkeys(plain)
        for (size, rate), fold in itertools.product(grid, folds)
    ]
    found: dict[tuple[tuple[str, ...], int, float], list[dict[str, float]]] = {}
    for done in train(dataset, trials, memory=memory, progress=progress):
        key = (done.trial.tasks, done.trial.batch_size, done.trial.learning_rate)
        found.setdefault(key, []).append(fold_scores(dataset, done))
    settings = [Setting(*key, score=mean_score(parts)) for key, parts in found.items()]
    settings.sort(key=lambda one: (plain_place(plain, one.tasks), grid.index((one.batch_size, one.learning_rate))))
    chosen = []
    for trial in plain:
        own = [one for one in settings if one.tasks == trial.tasks]
        best = max(own, key=lambda one: -np.inf if np.isnan(one.score) else one.score)
        chosen.append(with_setting(trial, learning_rate=best.learning_rate, batch_size=best.batch_size, fold=None))
    return chosen, settings


def plain_place(trials: Sequence[Trial], tasks: tuple[str, ...]) -> int:
    """Where the task set stands in the plan."""
    return next(place for place, trial in enumerate(trials) if trial.tasks == tasks)


def fold_scores(dataset: Dataset, done: TrainedNetwork) -> dict[str, float]:
    """The headline metric of each task on the rows the trial is scored on; empty for a training that failed."""
    scores = {}
    for name, prediction in done.predictions.items():
        kind = dataset.labels[name].task.kind
        truth = dataset.labels[name].values[done.evaluated]
        known = ~np.isnan(truth)
        if known.any():
            value = float(measure(kind, truth[known], prediction.at(known))[HEADLINE[kind]].bootstrap(None)[0])
            scores[name] = max(value, LOWEST_R2) if kind == "regression" else value
    return scores


def mean_score(folds: Sequence[dict[str, float]]) -> float:
    """Mean over tasks of the mean over folds; NaN scores are left out."""
    names = {name for fold in folds for name in fold}
    by_task = [[fold[name] for fold in folds if not np.isnan(fold.get(name, np.nan))] for name in sorted(names)]
    means = [float(np.mean(values)) for values in by_task if values]
    return float(np.mean(means)) if means else float("nan")
