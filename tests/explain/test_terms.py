from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from m3h.dataset.basis import Basis
from m3h.dataset.pairs import COLUMNS, Pairs
from m3h.encoders.block import Block
from m3h.explain.terms import Features, task_model_terms
from m3h.training.additive import side_by_side
from m3h.training.boosted import fit_boosted
from m3h.training.task_model import TaskModels, fit_task
from made import make_ground


@pytest.mark.parametrize(("kind", "width"), [("binary", 1), ("multiclass", 3), ("regression", 1)])
def test_terms_add_up_to_what_the_task_model_says(kind: str, width: int) -> None:
    """Pairs, indicators of missingness and trees, against the model's own outputs."""
    random = np.random.default_rng(0)
    x = random.normal(size=(700, 6))
    signal = x[:, 0] + x[:, 1] + x[:, 2] + 2 * x[:, 1] * x[:, 2] + 0.5 * random.normal(size=700)
    x[random.random(700) < 0.3, 3] = np.nan
    signal += np.isnan(x[:, 3])
    y = np.digitize(signal, np.linspace(-1, 1, max(width, 2) - 1)).astype(float) if kind != "regression" else signal
    own = make_ground(x, 500)
    plain = fit_task(own, y, kind, width).model  # type: ignore[arg-type]
    trees, _ = fit_boosted(own, y[:500], kind, width, 0, lambda: None)  # type: ignore[arg-type]
    assert any(trees.texts)
    # a share, and a pair, whatever the fit chose
    pairs = Pairs.fit(own.blocks, [(1, 2)], np.arange(500))
    weight = random.normal(size=(COLUMNS, width)).astype(np.float32)
    additive = replace(plain.additive, pairs=pairs, pair_weight=weight)
    fitted = replace(plain, additive=additive, boosted=trees, share=0.4)
    rows = np.arange(500, 700)
    block = own.blocks["labs"]
    some = {"labs": Block("labs", "tabular", block.values[rows], block.present[rows], block.names, block.units)}
    terms = task_model_terms(TaskModels(own.basis, {"a": fitted}), ["a"], some)["a"]
    functions = torch.from_numpy(own.basis.apply(own.blocks, rows))
    said = fitted.outputs(functions, own.blocks, side_by_side(own.blocks, rows), rows)
    np.testing.assert_allclose(terms.base + terms.both.sum(1), said, atol=2e-5)
    # half of the pair falls to each of its features, and the base is the mean over the rows fitted on
    assert np.abs(terms.additive[:, 1]).max() > 0.05 and np.abs(terms.additive[:, 2]).max() > 0.05
    everybody = task_model_terms(TaskModels(own.basis, {"a": fitted}), ["a"], {"labs": _first(block, 500)})["a"]
    np.testing.assert_allclose(everybody.additive.sum(1).mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(everybody.trees.sum(1).mean(0), 0, atol=0.02)


def _first(block: Block, rows: int) -> Block:
    return Block("labs", "tabular", block.values[:rows], block.present[:rows], block.names, block.units)


def test_features_are_columns_then_absences() -> None:
    values, there = np.zeros((3, 2), np.float32), np.array([True, True, False])
    values[2] = np.nan
    values[:2] = [[1, 5], [2, 6]]
    blocks = {
        name: Block(name, "tabular", values, there, (f"{name} a", f"{name} b"), ("mmHg", "")) for name in ("x", "y")
    }
    features = Features.of(blocks)
    assert features.names == ("x a", "x b", "y a", "y b", "absent", "absent")
    assert features.sources == ("x", "x", "y", "y", "x", "y")
    assert features.units == ("mmHg", "", "mmHg", "", "", "")
    assert features.columns == 4 and len(features) == 6
    assert Basis.fit(blocks, np.arange(3)).sources["x"].absent
