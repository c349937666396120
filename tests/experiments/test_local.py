"""The local executor: fleets as they come, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from m3h.dataset.dataset import Dataset
from m3h.experiments.engine import Fleet
from m3h.experiments.local import Local
from m3h.experiments.outcome import outcome
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import train
from m3h.training.trial import make_trial
from made import make_dataset

PRESET = replace(PRESETS["paper"], hidden=16, modality_width=16, shared_width=16, task_hidden=16, token_width=8)
PROTOCOL = Protocol(epochs=2, batch_sizes=(64,), folds=3)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset(samples=160)


@pytest.fixture(scope="module")
def fleets(data: Dataset) -> list[Fleet]:
    """Not in the order in which training alone would take them."""
    sets = (("unit", "group"), ("death",), ("sepsis",), ("death", "stay"))
    trials = [make_trial(data, tasks, preset=PRESET, protocol=PROTOCOL, fold=1) for tasks in sets]
    return [(trials[0],), (trials[2], trials[1]), (trials[3],)]


def test_a_fleet_is_pulled_when_there_is_a_thread_for_it(data: Dataset, fleets: list[Fleet]) -> None:
    pulled: list[Fleet] = []

    def watched() -> Iterator[Fleet]:
        for fleet in fleets:
            pulled.append(fleet)
            yield fleet

    ended = []
    for outcomes in Local(data, 1 << 30).run(watched(), lambda _: None):
        ended.append({one.trial.id for one in outcomes})
        assert len(ended) <= len(pulled) <= len(ended) + torch.get_num_threads()
    assert sorted(map(sorted, ended)) == sorted(sorted(trial.id for trial in fleet) for fleet in fleets)


def test_outcomes_are_those_of_training_and_scoring(data: Dataset, fleets: list[Fleet]) -> None:
    here = Local(data, 1 << 30)
    found = {one.trial.id: one for outcomes in here.run(iter(fleets), lambda _: None) for one in outcomes}
    wanted = [outcome(data, one) for one in train(data, [trial for fleet in fleets for trial in fleet])]
    assert len(found) == len(wanted) == 4
    for one in wanted:
        np.testing.assert_equal(found[one.trial.id].scores, one.scores)
        assert set(one.scores) == set(one.trial.tasks)
