from __future__ import annotations

import numpy as np
import pytest

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.explain.attribution import attributions
from m3h.explain.deletion import deletion
from m3h.training.trained import TrainedNetwork


@pytest.mark.parametrize("way", ["paper", "m3h"])
def test_the_largest_move_the_output_more_than_chance(
    way: str, data: Dataset, networks: dict[str, TrainedNetwork]
) -> None:
    for task in ("death", "stay"):
        one = attributions(networks[way], data, tasks=[task])[task]
        found = deletion(networks[way], data, one, counts=(1, 5), repeats=3)
        assert [part.count for part in found.largest] == [0, 1, 5]
        assert found.largest[0] == found.random[0] and found.largest[0].moved < 1e-5
        for largest, random in zip(found.largest[1:], found.random[1:], strict=True):
            assert largest.moved > (3 if largest.count == 1 else 1) * random.moved
            assert largest.score < random.score
        assert found.random[-1].score < found.largest[0].score
    again = deletion(networks[way], data, one, counts=(5,), repeats=3)
    assert again.largest[1] == found.largest[-1]


def test_everything_can_be_removed(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    """Then both curves meet, and everybody is the same."""
    one = attributions(networks["m3h"], data, tasks=["death"])["death"]
    found = deletion(networks["m3h"], data, one, counts=(19,), repeats=1)
    assert found.largest[1] == found.random[1]
    assert found.largest[1].score == pytest.approx(0.5) and found.metric == "auroc"


def test_mistakes(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    one = attributions(networks["paper"], data, tasks=["death"], rows=np.array([1, 2]))["death"]
    for counts, repeats in (((0,), 1), ((), 1), ((1,), 0)):
        with pytest.raises(SettingError, match="nothing to remove"):
            deletion(networks["paper"], data, one, counts=counts, repeats=repeats)
