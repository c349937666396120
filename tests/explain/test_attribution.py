from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.explain.attribution import attributions
from m3h.explain.outputs import outputs
from m3h.training.trained import TrainedNetwork

Gated = Callable[[TrainedNetwork, float], TrainedNetwork]


@pytest.mark.parametrize("way", ["paper", "m3h", "no embeddings", "all inputs"])
def test_base_and_values_add_up_to_the_output(way: str, data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    trained = networks[way]
    said = outputs(trained, data, data.test_rows)
    for name, one in attributions(trained, data).items():
        np.testing.assert_allclose(one.outputs, said[name], atol=1e-6)
        np.testing.assert_allclose(one.base + one.values.sum(1) + one.error, one.outputs, atol=1e-9)
        moved = np.abs(one.outputs - one.base).mean()
        assert np.abs(one.error).max() < 0.03 * moved
        np.testing.assert_allclose(sum(one.parts.values()), one.values.sum(1), atol=1e-9)
        assert one.parts["network"].any()
        assert (one.parts["additive"].any() or one.parts["trees"].any()) == (way != "paper")
        assert len(one.features) == one.values.shape[1] == one.inputs.shape[1] == 22


def test_without_a_gate_the_task_model_is_all_and_exact(
    data: Dataset, networks: dict[str, TrainedNetwork], gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is Captum needed then."""
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    for name, one in attributions(gated(networks["m3h"], 0.0), data).items():
        assert not one.parts["network"].any()
        assert np.abs(one.error).max() < (1e-4 if name == "stay" else 1e-5)
    with pytest.raises(SettingError, match=r"m3h\[explain\]"):
        attributions(networks["m3h"], data, tasks=["death"])


def test_half_a_gate_is_half_the_network(data: Dataset, networks: dict[str, TrainedNetwork], gated: Gated) -> None:
    half, whole = (attributions(gated(networks["m3h"], gate), data, tasks=["death"])["death"] for gate in (0.5, 1.0))
    np.testing.assert_allclose(half.parts["network"] * 2, whole.parts["network"], atol=1e-4)
    np.testing.assert_allclose(half.parts["trees"], whole.parts["trees"])


@pytest.mark.parametrize("way", ["paper", "m3h"])
def test_what_no_model_reads_gets_nothing(way: str, data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    """A missing value of the plain network is its mean: nothing happens along the line. An absence is told of the
    source that is absent, and of the rows that lack it."""
    found = attributions(networks[way], data, tasks=["death"])["death"]
    there = data.blocks["note"].present[found.rows]
    note = found.features.columns + 2
    assert found.features.names[note] == "absent" and found.features.sources[note] == "note"
    np.testing.assert_array_equal(found.inputs[:, note], ~there)
    np.testing.assert_array_equal(found.values[:, note - 1], 0)  # labs are never absent
    if way == "paper":
        assert not found.values[there, note].any() and found.values[~there, note].any()
        assert not found.values[:, : found.features.columns][np.isnan(found.inputs[:, : found.features.columns])].any()


def test_the_class_logits_have_no_common_part(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    one = attributions(networks["m3h"], data, tasks=["unit"])["unit"]
    np.testing.assert_allclose(one.values.sum(2), 0, atol=1e-9)
    np.testing.assert_allclose(one.base.sum(), 0, atol=1e-9)


def test_rows_are_chosen_by_the_seed(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    trained = networks["no embeddings"]
    one, same = (attributions(trained, data, tasks=["stay"], most=9)["stay"].rows for _ in range(2))
    other = attributions(trained, replace(data, seed=8), tasks=["stay"], most=9)["stay"].rows
    assert len(one) == 9 and np.all(np.diff(one) > 0) and set(one) <= set(data.test_rows)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    with pytest.raises(SettingError, match="rows cannot be explained"):
        attributions(trained, data, rows=np.array([data.samples]))


def test_the_signal_is_found(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    """The stay follows from demo0 and labs0 and nothing else."""
    one = attributions(networks["m3h"], data, tasks=["stay"])["stay"]
    order = np.argsort(-np.abs(one.values[:, :, 0]).mean(0))
    assert {one.features.names[k] for k in order[:2]} == {"demo0", "labs0"}
