"""Saved models whose scaling or encoders were learnt from other rows than those they say they were trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from m3h.api import saved
from m3h.api.model import M3H
from m3h.api.saved import Fitted
from m3h.dataset.dataset import Dataset, Rows
from m3h.dataset.scale import Scaler
from m3h.dataset.split import folds
from m3h.encoders.block import EncoderState
from m3h.study.presets import Protocol


def quick_model(dataset: Dataset) -> Fitted:
    """A network trained for one epoch: what it learned before its weights is what is looked at."""
    model = M3H(protocol=Protocol(epochs=1)).fit(dataset)
    assert model._fitted is not None
    return model._fitted


def scaled_on_other_rows(fitted: Fitted, dataset: Dataset, folder: Path, random: np.random.Generator) -> str:
    """The model with one part learnt from other rows, saved into ``folder``; says which."""
    ways: dict[str, Callable[[], Rows]] = {
        "all rows": lambda: np.arange(dataset.samples),
        "test rows": lambda: dataset.test_rows,
        "without a fold": lambda: _without_fold(dataset, random),
        "some test patients": lambda: _some_test_patients(dataset, random),
        "half of the rows": lambda: np.sort(random.choice(dataset.train_rows, len(dataset.train_rows) // 2, False)),
        "twice one patient": lambda: dataset.train_rows[1:],
    }
    how = str(random.choice([*ways, "encoder"]))
    if how == "encoder":
        saved.save(replace(fitted, states=_other_states(fitted, random)), {}, folder)
        return how
    network = fitted.networks[0]
    blocks = {name: dataset.blocks[name] for name in network.trial.sources}
    other = Scaler.fit(blocks, ways[how]())
    means, deviations = dict(network.scaler.means), dict(network.scaler.deviations)
    part = str(random.choice(["all", "one source", "means", "deviations"]))
    names = [str(random.choice([name for name in blocks if blocks[name].width > 6]))]
    for name in blocks if part == "all" else names:
        if part != "deviations":
            means[name] = other.means[name]
        if part != "means":
            deviations[name] = other.deviations[name]
    changed = replace(network, scaler=Scaler(means, deviations))
    saved.save(replace(fitted, networks=(changed, *fitted.networks[1:])), {}, folder)
    return f"{how}, {part}"


def _without_fold(dataset: Dataset, random: np.random.Generator) -> Rows:
    parts = folds(dataset.patients, dataset.train_rows, 5, dataset.seed)
    return np.setdiff1d(dataset.train_rows, parts[int(random.integers(5))])


def _some_test_patients(dataset: Dataset, random: np.random.Generator) -> Rows:
    patients = np.unique(dataset.patients[dataset.test_rows])
    chosen = random.choice(patients, int(random.integers(1, 6)), replace=False)
    return np.flatnonzero((dataset.split == "train") | np.isin(dataset.patients, chosen))


def _other_states(fitted: Fitted, random: np.random.Generator) -> dict[str, EncoderState]:
    """The weights of words as other texts would give them."""
    name = next(name for name, state in fitted.states.items() if "idf" in state.arrays)
    state = fitted.states[name]
    idf = state.arrays["idf"] * (1 + 0.02 * random.random(len(state.arrays["idf"])))
    return {**fitted.states, name: EncoderState(state.facts, {**state.arrays, "idf": idf})}
