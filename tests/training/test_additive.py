"""Additive models: they find what labels were made of, and never say of a patient what they learned from him."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score, roc_auc_score

from m3h.training.additive import Ground, fit_additive
from m3h.training.objective import Objective
from m3h.training.sparse import SparsePath
from made import make_ground


@pytest.fixture
def made() -> tuple[np.ndarray, np.random.Generator]:
    random = np.random.default_rng(0)
    return random.normal(size=(1200, 10)), random


def test_it_finds_the_features_and_their_shapes(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    y = 50 + 10 * (np.abs(x[:, 2]) + np.sign(x[:, 5]) + 0.3 * random.normal(size=len(x)))
    own = make_ground(x, 800)
    model, said = fit_additive(own, (y[:800] - 50) / 10, "regression", 1)
    assert r2_score(y[800:], said[800:, 0] * 10 + 50) > 0.85  # |x| and a step, which no straight line knows
    group = np.repeat(own.basis.features(own.blocks), own.basis.counts)
    strength = np.array([np.abs(model.weight[group == number]).sum() for number in range(10)])
    assert set(np.argsort(-strength)[:2].tolist()) == {2, 5}


def test_it_finds_what_two_features_say_together(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    y = ((x[:, 1] > 0) ^ (x[:, 4] > 0)).astype(float) * 2 + 0.5 * x[:, 1] + 0.5 * x[:, 4] + random.normal(size=len(x))
    model, said = fit_additive(make_ground(x, 800), y[:800], "regression", 1)
    assert [1, 4] in model.pairs.pairs.tolist()
    assert r2_score(y[800:], said[800:, 0]) > 0.25  # single features cannot know more than 0.2 of it


def test_labels_of_a_patient_do_not_reach_what_is_said_of_him(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    y = random.integers(0, 2, len(x)).astype(float)  # nothing to learn: whoever saw a label says it back
    own = make_ground(x, 800)
    said = fit_additive(own, y[:800], "binary", 1)[1][:, 0]
    assert abs(roc_auc_score(y[:800], said[:800]) - 0.5) < 0.08
    other, part = y.copy(), np.flatnonzero(own.held[0])
    other[part] = 1 - other[part]
    np.testing.assert_array_equal(of_first_fold(own, y)[part], of_first_fold(own, other)[part])


def of_first_fold(own: Ground, y: np.ndarray) -> np.ndarray:
    """What the model of the first fold says of all rows, at one penalty."""
    of = Objective(y[own.train], "binary", 1, ~own.held[0])
    path = SparsePath(own.functions[:, torch.from_numpy(own.train)], torch.from_numpy(own.basis.counts), of)
    path.go(0.3)
    return path.adds(own.functions).numpy()


def test_embeddings_of_which_each_says_a_little_take_the_ridge() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(700, 80))
    y = x @ random.normal(size=80) / 9 + random.normal(size=700)
    model, said = fit_additive(make_ground(x, 500, "language"), y[:500], "regression", 1)
    assert model.chosen[3] >= 0.5
    assert r2_score(y[500:], said[500:, 0]) > 0.3


def test_tasks_without_labels_or_with_one_class_say_what_is_usual() -> None:
    x = np.random.default_rng(2).normal(size=(60, 3))
    own = make_ground(x, 60)
    _, nothing = fit_additive(own, np.full(60, np.nan), "binary", 1)
    assert (nothing == 0).all()
    _, ones = fit_additive(own, np.ones(60), "binary", 1)
    assert np.isfinite(ones).all()
    assert (ones > 2).all()
