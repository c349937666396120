import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.report.contents import Contents, read
from m3h.report.figures import scatter

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
