"""What is held out: nobody is predicted by what learned from him."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sklearn.metrics import roc_auc_score

from m3h.api.held import held_out
from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, PROTOCOLS
from m3h.training.fleet import train
from m3h.training.trial import make_trial


def test_folds_stand_in_for_networks_of_one_copy(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    labels = data.labels["sepsis"]
    noise = np.random.default_rng(0).integers(0, 2, data.samples).astype(float)
    data = replace(data, labels={**data.labels, "sepsis": replace(labels, values=noise)})
    protocol = replace(PROTOCOLS["paper"], epochs=8, learning_rates=(3e-3,))
    trial = make_trial(data, ["death", "unit", "sepsis", "group"], preset=PRESETS["paper"], protocol=protocol)
    network = next(iter(train(data, [trial])))
    found = held_out(data, [network])[trial.id]
    assert set(found) == {"death", "unit", "sepsis"}
    rows = data.train_rows
    truth = data.labels["death"].values[rows]
    known = ~np.isnan(truth)
    assert roc_auc_score(truth[known], found["death"][known]) > 0.65
    assert 0.4 < roc_auc_score(noise[rows], found["sepsis"]) < 0.6
    np.testing.assert_allclose(found["unit"].sum(1), 1)
    fold = next(iter(train(data, [replace(trial, fold=2)])))
    np.testing.assert_allclose(
        found["death"][np.isin(rows, fold.evaluated)], fold.predictions["death"].values, rtol=1e-4
    )


def test_copies_that_were_kept_from_rows_need_no_folds(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    trial = make_trial(data, ["death", "stay"], preset=PRESETS["m3h"], protocol=PROTOCOLS["m3h"])
    network = next(iter(train(data, [trial])))
    found = held_out(data, [network], progress=lambda share: 1 / 0)[trial.id]
    for name, values in network.held.items():
        np.testing.assert_array_equal(found[name], values)
