from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from m3h.core.errors import DataError, SettingError
from m3h.dataset.dataset import Dataset, Rows
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.scores import Prediction, score
from m3h.experiments.baselines import fit_baseline
from m3h.explain.changes import Absent, Holes, Noise, Offset
from m3h.explain.outputs import ask
from m3h.explain.robustness import Point, curve
from m3h.training.trained import TrainedNetwork


def values(points: tuple[Point, ...], task: str, metric: str) -> list[float]:
    return [point.value for point in points if (point.task, point.metric) == (task, metric)]


@pytest.mark.parametrize("way", ["paper", "m3h"])
def test_worse_input_worse_scores(way: str, data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    rows = data.test_rows
    draws = patient_draws(data.patients[rows], data.seed, 200)
    changes = [Noise(0.1), Noise(1.0), Holes(0.3), Holes(0.9), Absent("demo")]
    points = curve(lambda some, asked: ask(networks[way], some, asked), data, rows, changes, draws)
    assert {point.task for point in points} == {"death", "sepsis", "unit", "stay"}
    first = [point for point in points if point.change == "none"]
    for point in first:
        labels = data.labels[point.task]
        said = ask(networks[way], data, rows)[point.task]
        if point.metric != "moved":
            expected = score(labels.task.kind, labels.values[rows], said, draws=draws, seed=0)[0]
            assert (point.metric, point.value, point.low, point.high) == (
                expected.metric, expected.value, expected.low, expected.high,
            )  # fmt: skip
        else:
            assert point.value == point.low == point.high == 0
    moved = values(points, "stay", "moved")
    assert moved[0] == 0 < moved[1] < moved[2] and moved[3] < moved[4]
    scores = values(points, "stay", "r2")
    assert scores[0] > scores[2] and scores[0] > scores[3] > scores[4] and scores[0] > scores[5]
    assert all(point.low <= point.high for point in points)


def test_a_worked_example(data: Dataset) -> None:
    """A model that says what it reads moves by as much as its input does."""
    rows = data.test_rows
    spread = np.nanstd(data.blocks["demo"].values[data.train_rows, 0])

    def reads(some: Dataset, asked: Rows) -> Mapping[str, Prediction]:
        return {"stay": Prediction(values=np.nan_to_num(some.blocks["demo"].values[asked, 0].astype(np.float64)))}

    measured = ~np.isnan(data.blocks["demo"].values[rows, 0])
    points = curve(reads, data, rows, [Offset("demo", "demo0", 2.0)], np.ones((1, len(rows)), np.uint16))
    assert (points[3].change, points[3].amount, points[3].metric) == ("demo: demo0 plus", 2.0, "moved")
    assert points[3].value == pytest.approx(2 * spread * measured.mean(), rel=1e-4)
    assert points[3].low == points[3].high == points[3].value


def test_a_baseline_is_asked_the_same_way(data: Dataset) -> None:
    rows = data.test_rows
    draws = patient_draws(data.patients[rows], data.seed, 50)

    def linear(some: Dataset, asked: Rows) -> Mapping[str, Prediction]:
        return {"stay": Prediction(values=fit_baseline(some, "stay", "linear", seed=0, predict_rows=asked))}

    points = curve(linear, data, rows, [Absent("note"), Absent("labs")], draws)
    plain, without_note, without_labs = values(points, "stay", "r2")
    assert plain > without_labs and abs(plain - without_note) < plain - without_labs


def test_mistakes(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    rows, draws = data.test_rows, np.ones((1, len(data.test_rows)), np.uint16)

    def asked(some: Dataset, which: Rows) -> Mapping[str, Prediction]:
        return ask(networks["paper"], some, which)

    with pytest.raises(DataError, match="draws of shape"):
        curve(asked, data, rows[1:], [], draws)
    for task in ("group", "stays"):
        with pytest.raises(SettingError, match=f'task "{task}" has no predictions that could move'):
            curve(asked, data, rows, [], draws, [task])
    assert {point.task for point in curve(asked, data, rows, [], draws, ["stay"])} == {"stay"}
