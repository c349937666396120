from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from m3h.dataset.dataset import Dataset
from m3h.explain.outputs import ask, chosen_rows, cut, outputs, prediction_of
from m3h.training import predict
from m3h.training.trained import TrainedNetwork

WAYS = ("paper", "m3h", "no embeddings", "all inputs")
Gated = Callable[[TrainedNetwork, float], TrainedNetwork]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("gate", [0.0, 0.5])
def test_outputs_are_those_of_the_predictions(
    way: str, gate: float, data: Dataset, networks: dict[str, TrainedNetwork], gated: Gated
) -> None:
    trained = gated(networks[way], gate)
    expected = predict.apply(trained, data, data.test_rows)[0]
    for name, said in outputs(trained, data, data.test_rows).items():
        found = prediction_of(data.labels[name].task.kind, said).values
        np.testing.assert_allclose(found, expected[name].values, rtol=1e-5)


def test_only_what_is_asked_for_is_said(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    found = ask(networks["m3h"], data, data.test_rows, ["stay", "death"])
    assert list(found) == ["death", "stay"]
    whole = ask(networks["m3h"], data, data.test_rows)
    assert "group" not in whole
    np.testing.assert_array_equal(found["stay"].values, whole["stay"].values)


def test_a_part_of_the_rows_is_all_that_is_kept(data: Dataset) -> None:
    rows = chosen_rows(data, None, 7)
    part = cut(data, rows)
    assert part.samples == 7 and part.ids.tolist() == data.ids[rows].tolist()
    np.testing.assert_array_equal(part.blocks["labs"].values, data.blocks["labs"].values[rows])
    np.testing.assert_array_equal(part.labels["stay"].values, data.labels["stay"].values[rows])
    assert part.subgroups.keys() == data.subgroups.keys()
