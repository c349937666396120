from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from m3h.core.errors import DataError, SettingError
from m3h.dataset.dataset import Dataset
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.scores import score
from m3h.explain.coalitions import Coalitions
from m3h.explain.outputs import outputs, prediction_of
from m3h.explain.sources import ask_sources, source_contributions, source_importance
from m3h.training.trained import TrainedNetwork

WAYS = ("paper", "m3h", "no embeddings", "all inputs")
Gated = Callable[[TrainedNetwork, float], TrainedNetwork]
Absent = Callable[..., Dataset]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("gate", [0.0, 0.5])
def test_a_coalition_is_what_the_network_says_without_the_others(
    way: str, gate: float, data: Dataset, networks: dict[str, TrainedNetwork], gated: Gated, absent: Absent
) -> None:
    """The short cut through the task models, against predictions of a dataset without the sources."""
    trained, rows = gated(networks[way], gate), data.test_rows
    asked = Coalitions(trained, data, rows).outputs(range(8))
    for coalition in range(8):
        gone = [name for k, name in enumerate(trained.trial.sources) if not coalition >> k & 1]
        expected = outputs(trained, absent(data, *gone), rows)
        assert list(expected) == list(asked)
        for name, said in expected.items():
            np.testing.assert_allclose(asked[name][coalition], said, atol=2e-4 if name == "stay" else 2e-5)


@pytest.mark.parametrize("way", ["paper", "m3h"])
def test_scores_and_rows_add_up(way: str, data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    trained, rows = networks[way], data.test_rows
    asked = ask_sources(trained, data)
    draws = patient_draws(data.patients[rows], data.seed, 300)
    said = outputs(trained, data, rows)
    for one in source_importance(asked, data, draws=draws):
        labels = data.labels[one.task]
        truth, prediction = labels.values[rows], prediction_of(labels.task.kind, said[one.task])
        expected = score(labels.task.kind, truth, prediction, draws=None, seed=0)[0]
        assert (one.metric, one.n) == (expected.metric, expected.n)
        assert one.with_all == pytest.approx(expected.value, abs=1e-6)
        assert sum(share.value for share in one.shares) == pytest.approx(one.with_all - one.with_none, abs=1e-12)
        assert all(share.low <= share.high and share.error == 0 for share in one.shares)
        if one.metric.endswith("auroc"):
            assert one.with_none == 0.5  # everybody gets the same answer
    for name, one in source_contributions(asked).items():
        np.testing.assert_allclose(one.base + one.values.sum(1), one.outputs, atol=1e-9)
        np.testing.assert_allclose(one.outputs, said[name], atol=2e-4)


def test_intervals_are_of_the_same_draws(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    """By hand for one draw: resample the patients, score all coalitions, split."""
    rows = data.test_rows
    draws = patient_draws(data.patients[rows], 1, 1)
    asked = ask_sources(networks["paper"], data, tasks=["death"])
    (one,) = source_importance(asked, data, draws=draws)
    again, truth = np.repeat(np.arange(len(rows)), draws[0]), data.labels["death"].values[rows]
    scores = [roc_auc_score(truth[again], said[again, 0]) for said in asked.outputs["death"]]
    first = (scores[1] - scores[0]) / 3 + (scores[3] - scores[2] + scores[5] - scores[4]) / 6
    first += (scores[7] - scores[6]) / 3
    assert one.shares[0].low == one.shares[0].high == pytest.approx(first, abs=1e-6)


@pytest.mark.parametrize("way", ["paper", "m3h"])
def test_a_source_that_is_never_there_gets_exactly_nothing(
    way: str, data: Dataset, networks: dict[str, TrainedNetwork], absent: Absent
) -> None:
    asked = ask_sources(networks[way], absent(data, "note"))
    place = asked.sources.index("note")
    for one in source_contributions(asked).values():
        assert not one.values[:, place].any()
        assert one.values.any()
    for one in source_importance(asked, absent(data, "note")):
        assert one.shares[place].value == one.shares[place].low == one.shares[place].high == 0


def test_more_sources_than_can_be_asked_exactly(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    exact = source_contributions(ask_sources(networks["m3h"], data, tasks=["death"]))["death"]
    drawn = source_contributions(ask_sources(networks["m3h"], data, tasks=["death"], exact=2, orders=200))["death"]
    assert drawn.errors.any() and not exact.errors.any()
    np.testing.assert_allclose(drawn.values.sum(1), exact.values.sum(1), atol=1e-9)
    assert np.abs(drawn.values - exact.values).max() <= 6 * drawn.errors.max()


def test_chunks_of_rows_change_nothing(
    data: Dataset, networks: dict[str, TrainedNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ask_sources(networks["m3h"], data).outputs
    monkeypatch.setattr("m3h.explain.coalitions.CELLS", 0)
    monkeypatch.setattr("m3h.explain.coalitions.FEWEST", 40)
    for name, said in ask_sources(networks["m3h"], data).outputs.items():
        np.testing.assert_allclose(said, whole[name], atol=1e-4)


def test_mistakes(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    trained = networks["paper"]
    with pytest.raises(SettingError, match='does not know task "deaht"; did you mean "death"'):
        ask_sources(trained, data, tasks=["deaht"])
    with pytest.raises(SettingError, match='task "group" is a clustering'):
        ask_sources(trained, data, tasks=["group"])
    with pytest.raises(SettingError, match="ascending numbers from 0 to 299"):
        ask_sources(trained, data, rows=np.array([3, 2]))
    with pytest.raises(SettingError, match="no rows"):
        ask_sources(trained, data, rows=np.array([], np.int64))
    with pytest.raises(SettingError, match='lacks source "note"'):
        ask_sources(trained, replace(data, blocks={name: data.blocks[name] for name in ("demo", "labs")}))
    asked = ask_sources(trained, data, tasks=["death"])
    with pytest.raises(DataError, match=r"draws of shape \(1, 3\)"):
        source_importance(asked, data, draws=np.ones((1, 3), np.uint16))
