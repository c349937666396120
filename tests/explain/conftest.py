"""Small trained networks of both presets, one set for all tests of explanations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import train
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import make_trial
from made import make_dataset

ALL = ("death", "sepsis", "unit", "stay", "group")
#: name -> preset and tasks: with embeddings for the clustering alone, without any, and with embeddings for all.
WAYS = {
    "paper": (PRESETS["paper"], ALL),
    "m3h": (PRESETS["m3h"], ALL),
    "no embeddings": (replace(PRESETS["m3h"], copies=2), ("death", "stay")),
    "all inputs": (replace(PRESETS["m3h"], inputs="all", copies=1, trees=False), ("unit", "stay")),
}


@pytest.fixture(scope="session")
def data() -> Dataset:
    return make_dataset(samples=300)


@pytest.fixture(scope="session")
def networks(data: Dataset) -> dict[str, TrainedNetwork]:
    """By name of the way they were trained. Gates are half open: such small data would shut most of them."""
    found = {}
    for name, (preset, tasks) in WAYS.items():
        protocol = Protocol(epochs=3, batch_sizes=(64,), learning_rates=(3e-3,), update="joint")
        done = next(train(data, [make_trial(data, tasks, preset=preset, protocol=protocol)]))
        assert not done.failed
        found[name] = opened(done, 0.5)
    return found


def opened(trained: TrainedNetwork, gate: float) -> TrainedNetwork:
    """The network with all its gates at one share."""
    if "evidence.gate" not in trained.state:
        return trained
    gates = trained.state["evidence.gate"]
    return replace(trained, state=trained.state | {"evidence.gate": gates.new_full(gates.shape, gate)})


@pytest.fixture
def gated() -> Callable[[TrainedNetwork, float], TrainedNetwork]:
    """A function that sets all gates of a network."""
    return opened


@pytest.fixture
def absent() -> Callable[..., Dataset]:
    """A function that gives a dataset without some sources."""

    def without(data: Dataset, *sources: str) -> Dataset:
        nothing = np.zeros(data.samples, bool)
        gone = {
            name: replace(data.blocks[name], values=np.full_like(data.blocks[name].values, np.nan), present=nothing)
            for name in sources
        }
        return replace(data, blocks={**data.blocks, **gone})

    return without
