"""The laws of training: how the work is cut, ordered or named never changes what comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from m3h.dataset.dataset import Dataset
from m3h.encoders.block import Block
from m3h.study.presets import PRESETS, Preset, Protocol
from m3h.training.cost import fleet_bytes
from m3h.training.fleet import train
from m3h.training.forming import trial_shape
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial, make_trial

SETS = ("death+unit", "sepsis+unit", "death", "sepsis", "death+sepsis+unit+stay+group")
EPOCHS = {"sequential": 6, "joint": 17}  # of 3 batches: 36 or 54 steps of one or two tasks, 51 steps


@pytest.fixture(params=list(PRESETS))
def preset(request: pytest.FixtureRequest) -> Preset:
    return PRESETS[request.param]


def plan(
    data: Dataset, preset: Preset, update: str, epochs: int = 17, rates: tuple[float, ...] = (1e-4, 3e-4)
) -> list[Trial]:
    protocol = Protocol(epochs=epochs, batch_sizes=(64,), update=update)  # type: ignore[arg-type]
    return [
        make_trial(data, part.split("+"), preset=preset, protocol=protocol, learning_rate=rate)
        for part in SETS
        for rate in rates
    ]


def learned(trained: TrainedNetwork) -> dict[str, np.ndarray]:
    """All that a training learned from the rows it was given."""
    before = trained.task_models.arrays() if trained.task_models is not None else {}
    return before | {name: value.numpy() for name, value in trained.state.items()} | trained.scaler.arrays()


def same_bytes(one: TrainedNetwork, other: TrainedNetwork) -> bool:
    mine, theirs = learned(one), learned(other)
    return mine.keys() == theirs.keys() and all(value.tobytes() == theirs[key].tobytes() for key, value in mine.items())


def by_id(networks: list[TrainedNetwork]) -> dict[str, TrainedNetwork]:
    return {part.trial.id: part for part in networks}


@pytest.mark.parametrize("update", ["sequential", "joint"])
def test_fleet_of_many_equals_fleets_of_one(learning_data: Callable[..., Dataset], preset: Preset, update: str) -> None:
    data = learning_data()
    trials = plan(data, preset, update, EPOCHS[update])
    trials = trials[:-2] if update == "sequential" else trials
    together = by_id(list(train(data, trials)))
    alone = by_id([next(train(data, [trial], memory=1)) for trial in trials])
    for key, one in alone.items():
        for name, value in one.state.items():
            torch.testing.assert_close(together[key].state[name], value, rtol=0, atol=1e-5)


def test_order_of_trials_and_size_of_fleets_change_nothing(
    learning_data: Callable[..., Dataset], preset: Preset
) -> None:
    data = learning_data()
    trials = plan(data, preset, "joint", epochs=4)
    two = fleet_bytes(trial_shape(data, trials[0]), trials[0], data.samples, 2)
    first = by_id(list(train(data, trials)))
    second = by_id(list(train(data, trials[::-1], memory=two)))
    assert first.keys() == second.keys()
    for key, one in first.items():
        for name, value in one.state.items():
            torch.testing.assert_close(second[key].state[name], value, rtol=0, atol=1e-5)


def test_the_same_trial_gives_the_same_bytes(learning_data: Callable[..., Dataset], preset: Preset) -> None:
    data = learning_data()
    trial = plan(data, preset, "sequential", epochs=2)[-1]
    a, b = (next(train(data, [trial])) for _ in range(2))
    assert same_bytes(a, b)
    assert a.predictions["death"].values.tobytes() == b.predictions["death"].values.tobytes()  # type: ignore[union-attr]
    assert a.predictions["group"].latent.tobytes() == b.predictions["group"].latent.tobytes()  # type: ignore[union-attr]


def test_values_of_an_absent_source_change_nothing(learning_data: Callable[..., Dataset], preset: Preset) -> None:
    data = learning_data()
    note = data.blocks["note"]
    values = note.values.copy()
    values[~note.present] = 1e6
    blocks = {**data.blocks, "note": Block("note", "language", values, note.present, note.names, note.units)}
    poisoned = replace(data, blocks=blocks)
    trial = plan(data, preset, "joint", epochs=2)[-1]
    clean, other = (next(train(part, [trial])) for part in (data, poisoned))
    assert same_bytes(clean, other)
    np.testing.assert_array_equal(clean.predictions["death"].values, other.predictions["death"].values)


def test_test_rows_do_not_reach_the_weights(learning_data: Callable[..., Dataset], preset: Preset) -> None:
    data = learning_data()
    blocks = {}
    for name, block in data.blocks.items():
        values = block.values.copy()
        values[data.test_rows] = 1e5
        blocks[name] = Block(name, block.modality, values, block.present, block.names, block.units)
    trial = plan(data, preset, "sequential", epochs=2)[-1]
    clean, other = (next(train(part, [trial])) for part in (data, replace(data, blocks=blocks)))
    assert same_bytes(clean, other)


def test_renaming_tasks_changes_no_score(learning_data: Callable[..., Dataset], preset: Preset) -> None:
    names = {"death": "zz", "sepsis": "a b", "unit": "kidney", "stay": "x", "group": "0"}
    data, renamed = learning_data(), learning_data(names=names)
    one, other = plan(data, preset, "joint", epochs=2)[-1], None
    other = replace(one, tasks=tuple(names[name] for name in one.tasks))
    first, second = next(train(data, [one])), next(train(renamed, [other]))
    for name, new in names.items():
        a, b = first.predictions[name], second.predictions[new]
        for field in ("values", "clusters", "latent"):
            if getattr(a, field) is not None:
                np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


def test_scores_of_a_whole_training_agree_whatever_the_fleet(
    learning_data: Callable[..., Dataset], preset: Preset
) -> None:
    data = learning_data(samples=400)
    trials = plan(data, preset, "joint", epochs=15, rates=(3e-4,))
    together = by_id(list(train(data, trials)))
    truth = data.labels["death"].values[data.test_rows]
    for trial in (trials[0], trials[2]):
        alone = next(train(data, [trial]))
        scores = [
            roc_auc_score(truth, part.predictions["death"].values)  # type: ignore[arg-type]
            for part in (alone, together[trial.id])
        ]
        assert abs(scores[0] - scores[1]) < 1e-3


THREADS = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(int(sys.argv[2]))
from made import make_dataset
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import train
from m3h.training.trial import make_trial
data = make_dataset(samples=300)
found = {}
tasks = ["death", "sepsis", "unit", "stay", "group"]
for names, preset in ((["death"], "paper"), (tasks, "paper"), (["unit"], "m3h"), (tasks, "m3h")):
    trial = make_trial(data, names, preset=PRESETS[preset], protocol=Protocol(epochs=2))
    for done in train(data, [trial]):
        digest = hashlib.sha256()
        for name, part in done.predictions.items():
            for field in ("values", "clusters", "latent", "fixed", "reconstruction"):
                if getattr(part, field) is not None:
                    digest.update(getattr(part, field).tobytes())
        found["+".join([preset, *names])] = digest.hexdigest()
print(json.dumps(found))
"""


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    seen = []
    for threads in ("1", "3"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        command = [sys.executable, "-c", THREADS, str(Path(__file__).parents[1]), threads]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        seen.append(json.loads(done.stdout))
    assert seen[0] == seen[1]
