"""Features, removals and examples of a trained network, against the modules they are made with and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss

from m3h.api.reasons import example_table, explanations, surest
from m3h.dataset.dataset import Dataset
from m3h.evaluation.scores import Prediction
from m3h.explain.examples import examples
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import train
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import make_trial
from made import make_dataset

TASKS = ("death", "unit", "stay")


def _aged(data: Dataset) -> Dataset:
    """The first column of its table is an age, of which some are above 89; the note's columns are words."""
    demo, note = data.blocks["demo"], data.blocks["note"]
    values = demo.values.copy()
    values[:, 0] = 75 + 15 * values[:, 0]
    words = tuple(f"secret{number}" for number in range(note.width))
    blocks = {
        "demo": replace(demo, values=values, names=("age", *demo.names[1:]), units=("years", *demo.units[1:])),
        "note": replace(note, names=words),
    }
    return replace(data, blocks={**data.blocks, **blocks})


@pytest.fixture(scope="module")
def data() -> Dataset:
    return _aged(make_dataset(samples=200))


@pytest.fixture(scope="module")
def network(data: Dataset) -> TrainedNetwork:
    protocol = Protocol(epochs=1, batch_sizes=(64,), learning_rates=(3e-3,), update="joint")
    preset = replace(PRESETS["m3h"], copies=2, trees=False)
    return next(train(data, [make_trial(data, TASKS, preset=preset, protocol=protocol)]))


def test_features_and_what_removing_them_does(data: Dataset, network: TrainedNetwork) -> None:
    tables = dict(explanations(data, network, "joint", TASKS))
    features, deletion = tables["features.csv"], tables["deletion.csv"]
    for name in TASKS:
        own = features.filter(pl.col("task") == name)
        assert own["value"].is_sorted(descending=True)
        assert own.height <= 30
    assert deletion.height == len(TASKS) * 2 * 4
    nothing = deletion.filter(pl.col("count") == 0)
    assert nothing["moved"].max() == pytest.approx(0, abs=1e-5)
    # with everything gone that was measured, order makes no difference
    every = deletion.filter(pl.col("count") == 20).partition_by("order")
    assert every[0]["moved"].to_list() == pytest.approx(every[1]["moved"].to_list(), abs=1e-5)
    one = {
        order: deletion.filter((pl.col("count") == 1) & (pl.col("order") == order)) for order in ("largest", "random")
    }
    assert (one["largest"]["moved"] > one["random"]["moved"]).all()


def test_surest_is_the_largest_loss(data: Dataset, network: TrainedNetwork) -> None:
    found = surest(data, network, TASKS)
    assert set(found) == {"death", "unit"}
    for name in found:
        truth, said = data.labels[name].values[data.test_rows], network.predictions[name].values
        assert said is not None
        known = ~np.isnan(truth)
        labels = range(2) if name == "death" else range(said.shape[1])
        each = [log_loss([t], [p], labels=labels) for t, p in zip(truth[known], said[known], strict=True)]
        assert found[name] == pytest.approx(max(each), abs=1e-6)


def test_a_certain_mistake_has_a_finite_loss(data: Dataset, network: TrainedNetwork) -> None:
    truth = data.labels["death"].values[data.test_rows]
    wrong = replace(network, predictions={"death": Prediction(values=1 - truth)})
    assert surest(data, wrong, ["death"])["death"] == pytest.approx(-np.log(1e-12))
    unknown = replace(data.labels["death"], values=np.full(data.samples, np.nan))
    assert surest(data.with_labels({"death": unknown}), wrong, ["death"]) == {}


def test_examples_tell_what_pushed_and_name_nobody(data: Dataset, network: TrainedNetwork) -> None:
    frame = example_table(data, network, "joint", TASKS)
    text = frame.write_csv()
    assert not any(one in text for one in ("secret", *data.ids, *data.patients))
    ages = frame.filter(pl.col("feature") == "age")
    assert ages.height
    assert {value for value in ages["measured"] if value.startswith("90")} <= {"90 or older"}
    assert all(float(value) <= 89 for value in ages["measured"] if value and value != "90 or older")
    assert frame.group_by("task", "number").len()["len"].max() == 4
    for name in TASKS:
        chosen = [one for one in examples(network, data, name, count=1, reasons=10**9) if one.group != "borderline"]
        for one, part in zip(chosen, frame.filter(pl.col("task") == name).partition_by("number"), strict=True):
            first = part.row(0, named=True)
            assert first["group"] == one.group
            sums: dict[tuple[str, str], float] = {}
            for reason in one.reasons:
                key = reason.source, "" if reason.source == "note" else reason.feature
                sums[key] = sums.get(key, 0.0) + reason.adds
            largest = sorted(sums.values(), key=abs, reverse=True)[:4]
            assert part["adds"].to_list() == pytest.approx(largest, abs=1e-6)
            if name == "death":
                assert (first["predicted"], first["truth"]) == tuple(
                    ("no", "yes")[int(v)] for v in (one.predicted, one.truth)
                )
                assert first["prediction"] == pytest.approx(one.prediction, abs=1e-6)
            if name == "stay":
                assert first["prediction"] is None
                assert float(first["truth"]) == pytest.approx(one.truth, rel=0.006)


def test_old_ages_are_one(data: Dataset, network: TrainedNetwork) -> None:
    """Everybody made 95: no age is told."""
    demo = data.blocks["demo"]
    values = demo.values.copy()
    values[:, 0] = 95
    old = replace(data, blocks={**data.blocks, "demo": replace(demo, values=values)})
    ages = example_table(old, network, "joint", ["death"]).filter(pl.col("feature") == "age")
    assert set(ages["measured"]) == {"90 or older"}
