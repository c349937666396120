"""What a run's networks say of training patients they did not learn from: calibration and coverage are fitted to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset
from m3h.evaluation.reliance import Reliance, reliance
from m3h.training.fleet import Progress, train
from m3h.training.trained import TrainedNetwork

#: Task -> values of the training rows (row, ...) as in Prediction, NaN where nothing was held out.
Held = dict[str, NDArray[np.float64]]


def held_out(data: Dataset, networks: Sequence[TrainedNetwork], progress: Progress | None = None) -> dict[str, Held]:
    """What each network (by its trial's id) predicts of the training rows, in their order, by parts kept from them.

    Networks that kept it from their training give it at once. Of others the protocol's folds are trained, in the
    same setting: each row is predicted by the network of the other folds. A fold that fails leaves its rows NaN.
    Clusterings have none, and neither has anything where there is a single patient to train on.
    """
    found = {one.trial.id: {name: values.astype(np.float64) for name, values in one.held.items()} for one in networks}
    left = [one for one in networks if not one.held and not one.failed]
    if left:
        found |= _by_folds(data, left, progress)
    return found


def relied(data: Dataset, held: Mapping[str, NDArray[np.floating]]) -> dict[str, Reliance]:
    """How far the answers to each task can be relied on, from what was ``held`` out of training rows (as in Held)."""
    found = {}
    for name, values in held.items():
        labels = data.labels[name]
        truth, patients = labels.values[data.train_rows], data.patients[data.train_rows]
        found[name] = reliance(labels.task.kind, truth, np.asarray(values, dtype=np.float64), patients)
    return found


def _by_folds(data: Dataset, networks: Sequence[TrainedNetwork], progress: Progress | None) -> dict[str, Held]:
    found: dict[str, Held] = {network.trial.id: {} for network in networks}
    count = min(networks[0].trial.folds, len(np.unique(data.patients[data.train_rows])))
    if count < 2:
        return found
    trials = {
        replace(network.trial, fold=fold, folds=count): network.trial.id
        for network in networks
        for fold in range(count)
    }
    place = np.full(data.samples, -1)
    place[data.train_rows] = np.arange(len(data.train_rows))
    for fold in train(data, list(trials), progress=progress):
        own = found[trials[fold.trial]]
        for name, prediction in fold.predictions.items():
            if prediction.values is not None:
                empty = np.full((len(data.train_rows), *prediction.values.shape[1:]), np.nan)
                own.setdefault(name, empty)[place[fold.evaluated]] = prediction.values
    return found
