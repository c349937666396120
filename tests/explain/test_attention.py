from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from m3h.dataset.dataset import Dataset
from m3h.explain.attention import attention_facts
from m3h.training import predict
from m3h.training.trained import TrainedNetwork


@pytest.mark.parametrize("way", ["paper", "m3h"])
def test_facts_are_those_of_the_rows(
    way: str, data: Dataset, networks: dict[str, TrainedNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = networks[way]
    monkeypatch.setattr("m3h.explain.attention.CHUNK", 13)
    rows = data.test_rows[:20]
    facts = attention_facts(trained, data, rows)
    expected = predict.apply(trained, data, rows)[1]
    np.testing.assert_allclose(facts.weights, expected, atol=1e-6)
    np.testing.assert_allclose(facts.weights.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(facts.own, np.diag(facts.weights))
    # row by row
    each = [attention_facts(trained, data, np.array([row])) for row in rows]
    stacked = np.stack([one.weights for one in each])
    np.testing.assert_allclose(facts.between_rows, stacked.std(0), atol=1e-7)
    entropy = -(stacked * np.log(stacked)).sum(2).mean(0) / np.log(5)
    np.testing.assert_allclose(facts.entropy, entropy, atol=1e-6)
    assert all(not one.between_rows.any() for one in each)
    assert facts.rows == len(rows) and facts.tasks == trained.trial.tasks
    assert facts.between_copies.any() == (way == "m3h")
    assert 0 < facts.between_rows.max() < 0.1


def test_a_shut_gate_is_told(
    data: Dataset, networks: dict[str, TrainedNetwork], gated: Callable[[TrainedNetwork, float], TrainedNetwork]
) -> None:
    paper, half = attention_facts(networks["paper"], data), attention_facts(networks["m3h"], data)
    assert paper.reaches.all() and (paper.gates == 1).all() and "gate" not in paper.caution()
    assert half.gates.tolist() == [0.5, 0.5, 0.5, 0.5, 1.0]
    shut = attention_facts(gated(networks["m3h"], 0.0), data)
    assert shut.reaches.tolist() == [False, False, False, False, True]
    assert "For 4 of 5 tasks the gate is shut" in shut.caution()
    assert "all tasks" in attention_facts(gated(networks["no embeddings"], 0.0), data).caution()


def test_without_a_choice_attention_is_even(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    """alpha 0 and beta 0: every task asks all alike."""
    trained = networks["paper"]
    preset = replace(trained.shape.preset, alpha=0.0, beta=0.0)
    facts = attention_facts(replace(trained, shape=replace(trained.shape, preset=preset)), data)
    np.testing.assert_allclose(facts.entropy, 1, atol=1e-6)
    np.testing.assert_allclose(facts.own, 0.2, atol=1e-6)
    assert facts.between_rows.max() < 1e-6
