"""Whether a model's scaling follows from its training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from m3h.dataset.audit.refit import encoder_alarms, scaler_alarms, side_alarms
from m3h.dataset.dataset import Dataset
from m3h.dataset.scale import Scaler
from m3h.encoders.block import EncoderState
from made import make_dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_dataset()


def found(dataset: Dataset, rows: np.ndarray) -> list[str]:
    scaler = Scaler.fit(dataset.blocks, rows)
    return [alarm["text"] for alarm in scaler_alarms(dataset, scaler, dataset.train_rows, "network of death")]


def test_an_honest_scaler_raises_nothing(dataset: Dataset) -> None:
    assert found(dataset, dataset.train_rows) == []
    assert found(dataset, np.random.default_rng(0).permutation(dataset.train_rows)) == []


def test_it_says_which_rows_the_scaler_follows_from(dataset: Dataset) -> None:
    for rows, words in (
        (np.arange(dataset.samples), "training and test rows together"),
        (dataset.test_rows, "from the test rows"),
    ):
        texts = found(dataset, rows)
        assert len(texts) == len(dataset.blocks)
        assert all(words in text and "network of death" in text for text in texts)


def test_a_single_test_row_among_the_training_rows_is_seen(dataset: Dataset) -> None:
    rows = np.append(dataset.train_rows, dataset.test_rows[0])
    assert any("demo" in text for text in found(dataset, rows))


def test_a_deviation_alone_is_seen_and_rounding_is_not(dataset: Dataset) -> None:
    scaler = Scaler.fit(dataset.blocks, dataset.train_rows)
    near = {name: values * (1 + 1e-9) for name, values in scaler.deviations.items()}
    assert not list(scaler_alarms(dataset, replace(scaler, deviations=near), dataset.train_rows, "n"))
    wide = {name: values * 1.001 for name, values in scaler.deviations.items()}
    alarms = list(scaler_alarms(dataset, replace(scaler, deviations=wide), dataset.train_rows, "n"))
    assert [alarm["sources"] for alarm in alarms] == [["demo"], ["labs"], ["note"]]
    assert alarms[0]["number"] == pytest.approx(0.001)


def test_a_source_of_another_width_is_told(dataset: Dataset) -> None:
    scaler = Scaler({"demo": np.zeros(2)}, {"demo": np.ones(2)})
    assert [a["sources"] for a in scaler_alarms(dataset, scaler, dataset.train_rows, "n")] == [["demo"]]


def test_what_an_encoder_learned_must_be_what_it_learns(dataset: Dataset) -> None:
    state = EncoderState({"words": ["a", "b"]}, {"idf": np.array([1.0, 2.0])})
    data = replace(dataset, states={"note": state})
    assert not list(encoder_alarms(data, {"note": EncoderState({"words": ["a", "b"]}, {"idf": np.array([1.0, 2.0])})}))
    for other in (
        EncoderState({"words": ["a", "c"]}, state.arrays),
        EncoderState(state.facts, {"idf": np.array([1.0, 2.1])}),
        EncoderState(state.facts, {}),
    ):
        assert [a["kind"] for a in encoder_alarms(data, {"note": other})] == ["encoder of other rows"]


def test_training_patients_among_those_tested_are_counted(dataset: Dataset) -> None:
    tested = dataset.ids[dataset.test_rows]
    assert not list(side_alarms(dataset, tested))
    more = np.concatenate([tested, dataset.ids[dataset.train_rows[:4]]])
    assert [(a["kind"], a["number"]) for a in side_alarms(dataset, more)] == [("tested on training rows", 2)]
    assert [a["kind"] for a in side_alarms(dataset, np.append(tested, "nobody"))] == ["tested on unknown rows"]
