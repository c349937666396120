"""Boosted trees: held-out rows are held out, missing values are what they were, and their number is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from m3h.training.boosted import MOST, Boosted, fit_boosted
from made import make_ground


def nothing() -> None:
    pass


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(800, 6))


def test_they_learn_what_features_say_together(x: np.ndarray) -> None:
    y = (np.sign(x[:, 0] * x[:, 1]) + 0.3 * x[:, 2] > 0).astype(float)
    own = make_ground(x, 600)
    trees, held = fit_boosted(own, y[:600], "binary", 1, 0, nothing)
    assert roc_auc_score(y[:600], held[:, 0]) > 0.9
    assert roc_auc_score(y[600:], trees.outputs(own.values[600:])[:, 0]) > 0.9


def test_labels_of_a_patient_do_not_reach_what_is_said_of_him(x: np.ndarray) -> None:
    """The first fold's trees are the same whatever the labels that it holds out, as long as their number is."""
    own = make_ground(x, 600)
    y = (x[:, 0] + np.random.default_rng(1).normal(size=len(x)) > 0).astype(float)[:600]
    other, part = y.copy(), np.flatnonzero(own.held[0])
    other[part[:3]] = 1 - other[part[:3]]
    one, another = (fit_boosted(own, labels, "binary", 1, 0, nothing)[0] for labels in (y, other))
    trees = [text.texts[0].split("end of trees")[0].split("Tree=") for text in (one, another)]
    shared = min(len(part) for part in trees) - 1
    assert shared > 10
    assert trees[0][1:shared] == trees[1][1:shared]
    assert one.texts[1] != another.texts[1]


def test_their_number_is_chosen_by_rows_held_out(x: np.ndarray) -> None:
    random = np.random.default_rng(2)
    own = make_ground(x, 600)
    none, held = fit_boosted(own, random.integers(0, 2, 600).astype(float), "binary", 1, 0, nothing)
    assert none.texts == ()
    assert 1 < len(np.unique(held)) <= 4  # each fold says what is usual in the others
    np.testing.assert_allclose(none.outputs(own.values[600:]), np.full((200, 1), none.start.mean()), rtol=1e-6)
    much, _ = fit_boosted(own, x[:600, 0] ** 2 + x[:600, 1], "regression", 1, 0, nothing)
    assert much.texts[0].count("Tree=") == MOST


def test_a_missing_value_of_what_was_always_measured_counts_as_the_usual_one(x: np.ndarray) -> None:
    shifted = x + 100  # LightGBM itself takes 0 for what is missing where nothing was
    own = make_ground(shifted, 600)
    trees, _ = fit_boosted(own, x[:600, 0] * 5, "regression", 1, 0, nothing)
    asked = own.values[600:].copy()
    asked[:, 0] = np.nan
    usual = own.values[600:].copy()
    usual[:, 0] = np.median(own.values[:600, 0])
    np.testing.assert_array_equal(trees.outputs(asked), trees.outputs(usual))
    assert np.abs(trees.outputs(asked)).max() < 1.5  # of labels with a deviation of 5


def test_absence_is_learned_where_it_says_something(x: np.ndarray) -> None:
    holed = x.copy()
    absent = np.random.default_rng(3).random(len(x)) < 0.4
    holed[absent, 2] = np.nan
    own = make_ground(holed, 600)
    trees, _ = fit_boosted(own, absent[:600].astype(float), "binary", 1, 0, nothing)
    assert np.isnan(trees.usual[2])
    assert roc_auc_score(absent[600:], trees.outputs(own.values[600:])[:, 0]) > 0.99


@pytest.mark.parametrize(("kind", "width"), [("binary", 1), ("multiclass", 3), ("regression", 1)])
def test_too_little_to_learn_from_gives_what_is_usual(kind: str, width: int, x: np.ndarray) -> None:
    own = make_ground(x, 40)
    nobody, _ = fit_boosted(own, np.full(40, np.nan), kind, width, 0, nothing)  # type: ignore[arg-type]
    assert np.isfinite(nobody.outputs(own.values)).all()
    ones, held = fit_boosted(own, np.ones(40), kind, width, 0, nothing)  # type: ignore[arg-type]
    assert np.isfinite(ones.outputs(own.values)).all() and np.isfinite(held).all()
    assert ones.outputs(own.values[:0]).shape == (0, width)


def test_constant_columns_are_no_trouble() -> None:
    own = make_ground(np.zeros((100, 3)), 80)
    trees, _ = fit_boosted(own, np.arange(80) % 2.0, "binary", 1, 0, nothing)
    np.testing.assert_allclose(trees.outputs(own.values), 0.0, atol=0.05)


def test_what_is_saved_says_the_same(x: np.ndarray) -> None:
    own = make_ground(x, 600)
    y = np.digitize(x[:600, 0], (-0.5, 0.5)).astype(float)
    trees, _ = fit_boosted(own, y, "multiclass", 3, 0, nothing)
    again = Boosted.from_arrays(trees.arrays())
    assert again.texts == trees.texts and len(again.texts) == 4
    np.testing.assert_array_equal(again.outputs(own.values), trees.outputs(own.values))
