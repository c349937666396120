import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.report.contents import Contents, read
from m3h.report.figures import drawing, scatter

Run = Callable[..., Path]


def with_rows(contents: Contents, observed: list[float], predicted: list[float]) -> Contents:
    frame = pl.DataFrame({"truth": observed, "prediction": predicted}).with_columns(
        task=pl.lit("sofa"), role=pl.lit("joint"), preset=pl.lit("paper"), task_set=pl.lit("s"), seed=pl.lit(7)
    )
    return dataclasses.replace(contents, predictions=frame)


def test_joint_is_shown_and_single_where_there_is_no_joint(run: Run) -> None:
    contents = read(run(["sofa", "death"]))
    (panel,) = scatter.panels(contents)
    rows = contents.predictions.filter((pl.col("task") == "sofa") & (pl.col("role") == "joint"))
    assert (panel.task, panel.unit, panel.series) == ("sofa", "days", "joint")
    np.testing.assert_array_equal(panel.predicted, rows.get_column("prediction"))
    single = dataclasses.replace(contents, predictions=contents.predictions.filter(pl.col("role") == "single"))
    assert scatter.panels(single)[0].series == "single"


def test_far_values_do_not_stretch_the_axes_and_are_counted(run: Run) -> None:
    values = [float(index % 10) for index in range(999)]
    (panel,) = scatter.panels(with_rows(read(run(["sofa"])), [*values, 1e6], [*values, 5.0]))
    assert panel.limits == pytest.approx((-0.36, 9.36))
    assert panel.outside == 1
    assert scatter.draw([panel], "a")[0].startswith("<svg")


def test_equal_values_still_have_an_axis(run: Run) -> None:
    (panel,) = scatter.panels(with_rows(read(run(["sofa"])), [3.0, 3.0], [3.0, 3.0]))
    assert panel.limits == (2.0, 4.0)
    assert scatter.draw([panel], "a")[0].startswith("<svg")


def test_a_long_tail_stands_on_logarithmic_axes_and_is_not_cut(run: Run) -> None:
    stays = np.random.default_rng(4).lognormal(2, 1, 2000)
    predicted = np.full(2000, 9.0)
    (panel,) = scatter.panels(with_rows(read(run(["sofa"])), stays.tolist(), predicted.tolist()))
    assert panel.linear == pytest.approx(np.median(stays) / 2)
    assert panel.limits[1] > stays.max() and panel.outside == 0
    assert "Both axes of sofa grow logarithmically" in scatter.told([panel])
    # twice as far is the same step, far from 0
    bent = scatter._bent(np.array([200.0, 400.0, 800.0]), panel.linear)
    assert bent[2] - bent[1] == pytest.approx(bent[1] - bent[0], abs=1e-3)
    far = scatter.panels(with_rows(read(run(["sofa"])), [*stays.tolist(), 1e9], [*predicted.tolist(), -1e9]))[0]
    assert far.limits[1] < 1e4 and far.outside == 1
    assert scatter.told([far]).endswith("triangles at the edge: 1 of 2,001 (sofa).")


def test_values_below_zero_and_even_ones_stand_on_plain_axes(run: Run) -> None:
    even = np.linspace(1, 20, 400)
    for observed in (even, -np.geomspace(1, 1e4, 400), even * 0):
        assert scatter.panels(with_rows(read(run(["sofa"])), observed.tolist(), even.tolist()))[0].linear == 0


def test_rows_beyond_the_axes_are_drawn_at_their_edge(run: Run) -> None:
    values = [float(index % 10) for index in range(996)]
    observed, predicted = [*values, 1e6, -1e6, 5.0, 5.0], [*values, 5.0, 5.0, 1e6, -1e6]
    (panel,) = scatter.panels(with_rows(read(run(["sofa"])), observed, predicted))
    with drawing.canvas(3, 3) as figure:
        axes = figure.add_subplot()
        scatter._paint(axes, panel)
        low, high = panel.limits
        edges = {line.get_marker(): line.get_xydata().tolist() for line in axes.lines[1:]}  # type: ignore[union-attr]
    assert edges == {">": [[high, 5.0]], "<": [[low, 5.0]], "^": [[5.0, high]], "v": [[5.0, low]]}


def test_axes_take_all_rows_where_that_takes_little_more(run: Run) -> None:
    values = [float(index % 10) for index in range(999)]
    (panel,) = scatter.panels(with_rows(read(run(["sofa"])), [*values, 11.0], [*values, 5.0]))
    assert panel.outside == 0 and panel.limits == pytest.approx((-0.44, 11.44))


@pytest.mark.parametrize(
    ("high", "linear", "ticks"),
    [(150.0, 4.0, [0, 10, 30, 100]), (9e6, 0.5, [0, 3, 100, 3000, 100_000, 3_000_000]), (0.02, 0.004, [0, 0.01])],
)
def test_ticks_are_few_and_round(high: float, linear: float, ticks: list[float]) -> None:
    assert scatter.tail_ticks(high, linear) == pytest.approx(ticks)
