"""Gates: corrections are believed as far as patients they were kept from bear them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sklearn.metrics import r2_score, roc_auc_score

from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, PROTOCOLS
from m3h.training import checkpoint
from m3h.training.fleet import train
from m3h.training.trial import make_trial


def test_gates_close_where_corrections_do_harm(learning_data: Callable[..., Dataset]) -> None:
    """Steps that are far too long learn nonsense by heart: held-out patients tell, and the evidence stays as it is."""
    data = learning_data()
    trial = replace(
        make_trial(data, ["death"], preset=replace(PRESETS["m3h"], schedule="constant"), protocol=PROTOCOLS["m3h"]),
        epochs=40,
        learning_rate=0.3,
    )
    done = next(iter(train(data, [trial])))
    assert not done.failed
    gate = done.state["evidence.gate"]
    assert gate.shape == (4, 1)
    assert len(gate.unique()) == 1
    assert gate[0, 0] < 1
    plain = next(iter(train(data, [replace(trial, epochs=0)])))
    scores = [
        roc_auc_score(data.labels["death"].values[data.test_rows], one.predictions["death"].values)
        for one in (done, plain)
    ]
    assert scores[0] > scores[1] - 0.05


def test_where_a_regression_lies_changes_nothing(learning_data: Callable[..., Dataset]) -> None:
    """Numbers of nine digits, of which float32 keeps seven, learn as well as the same around 0."""
    data = learning_data()
    labels = data.labels["stay"]
    far = replace(data, labels={**data.labels, "stay": replace(labels, values=labels.values + 1e9)})
    trial = make_trial(data, ["stay", "death"], preset=PRESETS["m3h"], protocol=PROTOCOLS["m3h"])
    here, there = (next(iter(train(one, [trial]))).predictions["stay"].values for one in (data, far))
    np.testing.assert_allclose(there - 1e9, here, atol=1e-3 * labels.values[labels.known].std())
    truth = labels.values[data.test_rows]
    assert r2_score(truth[~np.isnan(truth)], here[~np.isnan(truth)]) > 0.2


def test_what_is_said_of_rows_held_out_is_kept(learning_data: Callable[..., Dataset]) -> None:
    """As good as on test rows where there is something to learn, and no better than chance where there is nothing."""
    data = learning_data()
    labels = data.labels["death"]
    noise = np.random.default_rng(0).integers(0, 2, len(labels.values)).astype(float)
    data = replace(data, labels={**data.labels, "death": replace(labels, values=noise)})
    trial = make_trial(data, ["death", "unit", "stay"], preset=PRESETS["m3h"], protocol=PROTOCOLS["m3h"])
    done = next(iter(train(data, [trial])))
    again = checkpoint.loads(checkpoint.dumps(done))
    train_rows = np.setdiff1d(np.arange(data.samples), data.test_rows)
    for name, held in done.held.items():
        assert held.shape == (len(train_rows), *done.predictions[name].values.shape[1:])
        np.testing.assert_array_equal(again.held[name], held)
    assert set(done.held) == {"death", "unit", "stay"}
    assert 0.4 < roc_auc_score(noise[train_rows], done.held["death"]) < 0.6
    stay = data.labels["stay"].values
    known = ~np.isnan(stay)
    there = known[data.test_rows]
    on_test = r2_score(stay[data.test_rows][there], done.predictions["stay"].values[there])
    on_held = r2_score(stay[train_rows][known[train_rows]], done.held["stay"][known[train_rows]])
    assert abs(on_test - on_held) < 0.15
    np.testing.assert_allclose(done.held["unit"].sum(1), 1, atol=1e-6)


def test_folds_and_single_copies_hold_nothing_out(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    fold = make_trial(data, ["death"], preset=PRESETS["m3h"], protocol=PROTOCOLS["m3h"], fold=0)
    paper = make_trial(data, ["death"], preset=PRESETS["paper"], protocol=PROTOCOLS["paper"])
    for trial in (fold, paper):
        assert next(iter(train(data, [trial]))).held == {}
