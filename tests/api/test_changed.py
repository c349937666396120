"""Changed inputs: the model and the baselines on the same rows, and which signals come in other units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import r2_score

from m3h.api import changed
from m3h.api.changed import Opponent, other_units, robustness_table
from m3h.dataset.dataset import Dataset, Rows
from m3h.evaluation.scores import Prediction
from m3h.experiments.baselines import fit_baseline, trained_baseline
from m3h.explain.changes import Absent, Factor, Unit
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import train
from m3h.training.trial import make_trial
from made import make_dataset


def _features(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["task", "source", "feature", "value"], orient="row")


@pytest.fixture(scope="module")
def data() -> Dataset:
    data = make_dataset(samples=200)
    labs = data.blocks["labs"]
    names = tuple(
        f"{signal}.{statistic}" for signal in ("HR", "BUN") for statistic in ("max", "variance", "mean", "count")
    )
    return replace(data, blocks={**data.blocks, "labs": replace(labs, names=names)})


def test_the_signals_that_matter_most_over_tasks_come_in_other_units(data: Dataset) -> None:
    features = _features(
        ("death", "labs", "HR.max", 0.2), ("death", "labs", "HR.mean", 0.2), ("death", "demo", "demo0", 0.3),
        ("stay", "labs", "BUN.max", 1.0), ("stay", "note", "note1", 90.0), ("stay", "labs", "absent", 9.0),
    )  # fmt: skip
    found = other_units(data, features)
    # of death the signal's two statistics are 4 of 7 parts; of stay the lab is 1 of 100, and text has no unit
    assert found == [
        *(Unit("labs", "HR", factor) for factor in (10.0, 18.0)),
        *(Factor("demo", "demo0", factor) for factor in (10.0, 18.0)),
    ]  # fmt: skip
    assert other_units(data, None) == other_units(data, features.clear()) == []


def test_model_and_baselines_are_asked_alike(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed, "usual_changes", lambda *_: (Absent("labs"),))
    monkeypatch.setattr(changed, "DRAWS", 20)
    protocol = Protocol(epochs=1, batch_sizes=(64,), learning_rates=(3e-3,), update="joint")
    preset = replace(PRESETS["m3h"], copies=2, trees=False)
    network = next(train(data, [make_trial(data, ("stay",), preset=preset, protocol=protocol)]))
    opponents = [
        Opponent(kind, "stay", trained_baseline(data, "stay", kind, seed=1))  # type: ignore[arg-type]
        for kind in ("lightgbm", "linear")
    ] + [Opponent("linear", "death", _never)]
    frame = robustness_table(data, network, "joint", "m3h", ["stay"], opponents)
    assert frame.group_by("role", "preset", maintain_order=True).len().rows() == [
        ("joint", "m3h", 4), ("baseline", "lightgbm", 4), ("baseline", "linear", 4),
    ]  # fmt: skip
    rows, truth = data.test_rows, data.labels["stay"].values[data.test_rows]
    known = ~np.isnan(truth)
    gone = Absent("labs").apply(data, rows)
    for kind in ("lightgbm", "linear"):
        own = dict(
            frame.filter((pl.col("preset") == kind) & (pl.col("metric") == "r2")).select("change", "value").iter_rows()
        )
        # by the other road: trained anew, with the changed rows only asked
        for change, asked in (("none", data), ("labs absent", gone)):
            said = fit_baseline(asked, "stay", kind, seed=1)  # type: ignore[arg-type]
            assert own[change] == pytest.approx(r2_score(truth[known], said[known]), abs=1e-5)


def _never(data: Dataset, rows: Rows) -> np.ndarray:
    raise AssertionError("a task that the network does not answer is not asked")


def test_opponents_answer_for_their_own_task() -> None:
    data = make_dataset(samples=40)
    said: Mapping[str, Prediction] = changed._ask(
        [Opponent("linear", "stay", lambda _data, rows: rows * 2.0)], data, np.array([1, 5])
    )
    values = said["stay"].values
    assert values is not None
    assert values.tolist() == [2.0, 10.0]
