from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from m3h.explain.trees import coalition_outputs, packed, trees_of
from m3h.training.boosted import SETTINGS, Boosted


def boosted(kind: str, outputs: int, settings: dict[str, object] | None = None) -> tuple[Boosted, np.ndarray]:
    """Two folds of trees of six columns, the last of which is always measured; rows to ask have gaps everywhere."""
    random = np.random.default_rng(3)
    x = random.normal(size=(600, 6)).astype(np.float32)
    x[:, :5][random.random((600, 5)) < 0.2] = np.nan
    signal = np.nan_to_num(x[:, 0] * x[:, 3]) + x[:, 5] - np.isnan(x[:, 1])
    y = np.digitize(signal, np.linspace(-1, 1, max(outputs, 2) - 1)).astype(float)
    plan = SETTINGS | {"objective": kind} | ({"num_class": outputs} if outputs > 1 else {}) | (settings or {})
    texts = []
    for half in (slice(0, 300), slice(300, 600)):
        data = lightgbm.Dataset(x[half], y[half], params=plan)
        texts.append(lightgbm.train(plan, data, 12).model_to_string())
    usual = np.full(6, np.nan, np.float32)
    usual[5] = np.median(x[:, 5])
    asked = x[:80].copy()
    asked[random.random(asked.shape) < 0.2] = np.nan
    return Boosted(tuple(texts), random.normal(size=(2, outputs)).astype(np.float32), usual), asked


@pytest.mark.parametrize(("kind", "outputs"), [("binary", 1), ("regression", 1), ("multiclass", 3)])
def test_every_coalition_is_what_lightgbm_says_without_the_other_sources(kind: str, outputs: int) -> None:
    trees, asked = boosted(kind, outputs)
    owner = np.array([0, 0, 1, 2, 2, 3])
    found = coalition_outputs(trees, asked.T.astype(np.float64), owner, range(16))
    for coalition in range(16):
        outside = np.array([not coalition >> source & 1 for source in owner])
        values = np.where(outside, np.float32(np.nan), asked)
        np.testing.assert_allclose(found[coalition], trees.outputs(values), atol=1e-6)


def test_trees_without_conditions_and_no_trees() -> None:
    """A label that never varies grows trees of one leaf."""
    x, plan = np.random.default_rng(0).normal(size=(100, 2)), SETTINGS | {"objective": "regression"}
    text = lightgbm.train(plan, lightgbm.Dataset(x, np.ones(100), params=plan), 3).model_to_string()
    for texts in ((text,), ("",), ()):
        trees = Boosted(texts, np.full((1, 1), 0.5, np.float32), np.full(2, np.nan, np.float32))
        found = coalition_outputs(trees, x.T, np.array([0, 1]), [0, 3])
        np.testing.assert_allclose(found[0], trees.outputs(x.astype(np.float32)), atol=1e-6)
        np.testing.assert_array_equal(found[0], found[1])


def test_trees_of_another_kind_are_refused() -> None:
    large = {"num_leaves": 63, "min_data_in_leaf": 1, "lambda_l2": 0.0}
    for settings in ({"zero_as_missing": True}, large, {"linear_tree": True}):
        trees, _ = boosted("regression", 1, settings)
        with pytest.raises(ValueError, match="not a tree of numbers with a few conditions"):
            list(trees_of(trees.texts[0]))


def test_packed() -> None:
    assert [packed(c, 0b1010) for c in (0b0000, 0b0010, 0b1000, 0b1111, 0b0101)] == [0, 1, 2, 3, 0]
