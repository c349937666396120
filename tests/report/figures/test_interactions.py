import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m3h.report.contents import read
from m3h.report.figures import drawing
from m3h.report.figures.interactions import depth, draw
from m3h.report.interactions import Group, Matrix, matrix

Run = Callable[..., Path]


def size(svg: str) -> tuple[float, float]:
    """Width and height in inches."""
    values = svg.split('viewBox="')[1].split('"')[0].split()
    return float(values[2]) / 72, float(values[3]) / 72


def three(rank: list[list[float]], tim: list[list[float]], names: tuple[str, str, str] = ("a", "b", "c")) -> Matrix:
    values = np.array(tim)
    return Matrix(
        tasks=names,
        groups=(Group("", 0, 3),),
        apart=3,
        method="exact",
        metrics=("auroc",) * 3,
        tim=values,
        low=values - 0.01,
        high=values + 0.01,
        q=np.full((3, 3), 0.01),
        rank=np.array(rank),
        trials=np.full((3, 3), 9.0),
    )


def test_depth_is_the_rank_over_the_highest_of_all() -> None:
    nan = np.nan
    made = three([[nan, 2, 1], [-1, nan, nan], [0, -1, nan]], [[nan, 0.2, 0.1], [-0.1, nan, nan], [0, -0.3, nan]])
    np.testing.assert_allclose(depth(made), [[0, 1, 0.5], [-0.5, 0, nan], [0, -0.5, 0]])


def test_nothing_measured_is_grey_but_for_the_diagonal() -> None:
    made = three([[np.nan] * 3] * 3, [[np.nan] * 3] * 3)
    assert np.isnan(depth(made)[~np.eye(3, dtype=bool)]).all()
    assert (np.diag(depth(made)) == 0).all()
    assert draw(made, "a").startswith("<svg")


@pytest.mark.parametrize(("value", "more"), [(1.0, "#8c0d25"), (-1.0, "#0b3c75")])
def test_red_helps_and_blue_hurts(value: float, more: str) -> None:
    nan = np.nan

    def drawn(one: float) -> str:
        cells = [[nan, one, nan], [nan] * 3, [nan] * 3]
        return draw(three(cells, cells), "a")

    # the key has each shade too, so that only a difference tells
    assert drawn(value).count(f"fill: {more}") == drawn(-value).count(f"fill: {more}") + 1


@pytest.mark.parametrize(("count", "departments"), [(2, False), (20, True), (44, False)])
def test_any_size_fits_on_a_sheet(pooled: Run, count: int, departments: bool) -> None:
    made = matrix(read(pooled(count, tim="shared", departments=departments)))
    assert made is not None
    width, height = size(draw(made, "a"))
    assert width == pytest.approx(drawing.PAGE_WIDTH, abs=0.01)
    assert height <= drawing.PAGE_HEIGHT


def test_marks_are_drawn_where_the_rate_allows(pooled: Run) -> None:
    made = matrix(read(pooled(20, tim="shared")))
    assert made is not None and made.marked.sum() > 10

    def uses(one: Matrix) -> int:
        return draw(one, "a").count("<use")

    bare = dataclasses.replace(made, q=np.ones_like(made.q))
    assert uses(made) - uses(bare) == made.marked.sum()


def test_same_matrix_gives_the_same_bytes_and_long_names_fit() -> None:
    nan = np.nan
    names = ("a" * 80, "b$_{ c" * 5, "<script>")
    made = three([[nan, 1, -1], [1, nan, -1], [1, -1, nan]], [[nan, 0.1, -0.1], [0.1, nan, -2.5], [1, -1, nan]], names)
    assert draw(made, "a") == draw(made, "a")
    assert "<script" not in draw(made, "a")
