import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.report.contents import Contents, read
from m3h.report.figures import attention

Run = Callable[..., Path]


def with_weights(contents: Contents, rows: list[tuple[str, str, str, float]]) -> Contents:
    """Rows of (task_set, task, from_task, weight)."""
    columns = ["task_set", "task", "from_task", "weight"]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(preset=pl.lit("paper"))
    return dataclasses.replace(contents, attention=frame)


def test_rows_are_the_tasks_that_ask(run: Run) -> None:
    contents = with_weights(
        read(run(["death", "coma"])),
        [
            ("s", "coma", "death", 0.3),
            ("s", "coma", "coma", 0.7),
            ("s", "death", "coma", 0.1),
            ("s", "death", "death", 0.9),
        ],
    )
    (matrix,) = attention.matrices(contents)
    assert matrix.tasks == ("death", "coma")
    np.testing.assert_array_equal(matrix.weights, [[0.9, 0.1], [0.3, 0.7]])
    assert attention.own_share(matrix) == pytest.approx(0.8)


def test_sets_of_one_have_no_matrix_and_the_largest_comes_first(run: Run) -> None:
    contents = with_weights(
        read(run(["death", "coma", "fever"])),
        [("one", "death", "death", 1.0)]
        + [("two", task, other, 0.5) for task in ("coma", "fever") for other in ("coma", "fever")]
        + [("three", task, other, 1 / 3) for task in ("a", "b", "c") for other in ("a", "b", "c")],
    )
    assert [matrix.tasks for matrix in attention.matrices(contents)] == [("a", "b", "c"), ("coma", "fever")]


def test_rows_of_a_run_sum_to_one(run: Run) -> None:
    (matrix,) = attention.matrices(read(run(20)))
    np.testing.assert_allclose(matrix.weights.sum(axis=1), 1)
    assert attention.draw(matrix, "a").startswith("<svg")


def test_sets_of_the_search_have_no_matrix_of_their_own(pooled: Run) -> None:
    contents = read(pooled(5, search=True))
    (chosen,) = contents.search.filter(pl.col("chosen") & (pl.col("task") == "death")).get_column("task_set")
    names = chosen.split("+")
    weights = [(chosen, task, other, 0.5) for task in names for other in names]
    joint = [("joint", task, other, 0.2) for task in "abcde" for other in "abcde"]
    found = attention.matrices(with_weights(contents, weights + joint))
    assert [matrix.tasks for matrix in found] == [("a", "b", "c", "d", "e")]
