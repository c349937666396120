from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from m3h.core.errors import DataError
from m3h.dataset.dataset import Dataset
from m3h.evaluation.intervals import patient_draws
from m3h.explain.attribution import attributions
from m3h.explain.importance import feature_importance
from m3h.training.trained import TrainedNetwork


def test_sizes_intervals_and_directions(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    one = attributions(networks["m3h"], data, tasks=["stay"])["stay"]
    found = feature_importance(one, data)
    assert len(found) == len(one.features)
    assert [part.value for part in found] == sorted((part.value for part in found), reverse=True)
    assert {found[0].feature, found[1].feature} == {"demo0", "labs0"}
    assert found[0].direction > 0.8 and found[1].direction > 0.8
    place = one.features.names.index(found[0].feature)
    assert found[0].value == pytest.approx(np.abs(one.values[:, place, 0]).mean())
    known = ~np.isnan(one.inputs[:, place])
    expected = spearmanr(one.inputs[known, place], one.values[known, place, 0]).statistic
    assert found[0].direction == pytest.approx(expected)
    assert all(part.low <= part.value <= part.high for part in found if part.value)
    # by hand: the mean over the rows of the patients drawn
    draws = patient_draws(data.patients[one.rows], 5, 1)
    again = np.repeat(np.arange(len(one.rows)), draws[0])
    drawn = feature_importance(one, data, draws=draws)[0]
    assert drawn.low == drawn.high == pytest.approx(np.abs(one.values[again, place, 0]).mean())


def test_what_has_no_direction(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    several = feature_importance(attributions(networks["paper"], data, tasks=["unit"])["unit"], data)
    assert all(np.isnan(part.direction) for part in several)
    one = attributions(networks["paper"], data, tasks=["death"])["death"]
    never = [part for part in feature_importance(one, data) if (part.source, part.feature) == ("labs", "absent")]
    assert never[0].value == 0 and np.isnan(never[0].direction)
    with pytest.raises(DataError, match=r"draws of shape \(1, 2\)"):
        feature_importance(one, data, draws=np.ones((1, 2), np.uint16))
