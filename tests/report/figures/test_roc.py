import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import mannwhitneyu

from m3h.report.contents import read
from m3h.report.figures import roc

Run = Callable[..., Path]


def test_curve_of_four_rows_by_hand() -> None:
    made = roc.curve("x", np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8]))
    assert made is not None
    points = list(zip(made.false_positive.tolist(), made.true_positive.tolist(), strict=True))
    assert points == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert made.area == 0.75


def test_area_is_the_rank_statistic_and_thinning_keeps_the_shape() -> None:
    random = np.random.default_rng(4)
    truth = (random.uniform(size=5000) < 0.1).astype(float)
    score = random.normal(size=5000) + truth
    made = roc.curve("x", truth, score)
    assert made is not None
    ranks = mannwhitneyu(score[truth == 1], score[truth == 0]).statistic
    assert made.area == pytest.approx(ranks / (truth.sum() * (1 - truth).sum()))
    assert len(made.false_positive) <= 200
    assert (made.false_positive[0], made.true_positive[0]) == (0, 0)
    assert (made.false_positive[-1], made.true_positive[-1]) == (1, 1)
    assert np.trapezoid(made.true_positive, made.false_positive) == pytest.approx(made.area, abs=0.005)


def test_one_answer_has_no_curve() -> None:
    assert roc.curve("x", np.ones(5), np.arange(5.0)) is None
    assert roc.curve("x", np.empty(0), np.empty(0)) is None


def test_binary_tasks_have_a_curve_per_network(run: Run) -> None:
    panels = roc.binary(read(run(["death", "coma", "sofa"])))
    assert [panel.task for panel in panels] == ["death", "coma"]
    assert [curve.label for curve in panels[0].curves] == ["single", "joint"]
    assert len(roc.draw_binary(panels, "a")) == 1


def test_unlabelled_test_rows_do_not_count(run: Run) -> None:
    contents = read(run(["death"]))
    frame = contents.predictions
    unlabelled = frame.head(20).with_columns(truth=pl.lit(None, dtype=pl.Float64), prediction=pl.lit(0.99))
    more = dataclasses.replace(contents, predictions=pl.concat([frame, unlabelled]))
    assert roc.binary(more)[0].curves[0].area == roc.binary(contents)[0].curves[0].area


def test_classes_come_largest_first_and_the_rest_is_counted(run: Run) -> None:
    contents = read(run(["icu_type"]))
    rows = [
        {"task": "icu_type", "class": f"c{label}", "role": "joint", "truth": float(row % 20 > label), "prediction": row}
        for label in range(10)
        for row in range(20)
    ]
    frame = pl.DataFrame(rows).with_columns(
        pl.col("prediction").cast(pl.Float64), preset=pl.lit("paper"), task_set=pl.lit("s"), seed=pl.lit(7)
    )
    (panel,) = roc.multiclass(dataclasses.replace(contents, predictions=frame))
    assert [curve.label for curve in panel.curves] == [f"c{label}" for label in range(8)]
    assert panel.left_out == 2
    assert roc.draw_multiclass([panel], "a")[0].startswith("<svg")


def test_sheets_hold_sixteen(run: Run) -> None:
    (panel,) = roc.binary(read(run(["death"])))
    assert len(roc.draw_binary([panel] * 17, "a")) == 2
