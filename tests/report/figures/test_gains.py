from collections.abc import Callable
from pathlib import Path

import pytest

from m3h.report.choices import Choice, choices
from m3h.report.contents import read
from m3h.report.figures import drawing
from m3h.report.figures.gains import draw, panels

Run = Callable[..., Path]


def choice(task: str, metric: str, cv: float | None, test: float | None, *, alone: bool = False) -> Choice:
    low, high = (None, None) if test is None else (test - 0.01, test + 0.01)
    return Choice(task, (task,) if alone else (task, "other"), metric, 5, 0.8, cv, test, low, high)


def test_metrics_of_one_kind_share_an_axis() -> None:
    found = panels([choice("a", "auroc", 0.02, 0.01), choice("b", "r2", 0.3, 0.1), choice("c", "macro_auroc", 0.01, 0)])
    assert [(panel.family, [row.task for row in panel.rows]) for panel in found] == [
        ("AUROC", ["a", "c"]),
        ("R²", ["b"]),
    ]


def test_limits_hold_every_gain_and_interval() -> None:
    (panel,) = panels([choice("a", "auroc", 0.08, 0.01), choice("b", "auroc", 0.02, -0.05)])
    low, high = panel.limits
    assert low < -0.06 and high > 0.08
    assert low == pytest.approx(-0.067) and high == pytest.approx(0.087)


def test_what_is_alone_or_has_no_gain_is_not_drawn() -> None:
    rows = [choice("a", "auroc", None, None), choice("b", "auroc", None, None, alone=True)]
    assert panels(rows) == []
    (panel,) = panels([*rows, choice("c", "auroc", 0.01, None), choice("d", "auroc", None, 0.01)])
    assert [row.task for row in panel.rows] == ["c", "d"]
    assert draw(panel, "a").startswith("<svg")


def test_many_tasks_are_cut_into_parts_that_share_their_limits(pooled: Run) -> None:
    found = [panel for panel in panels(choices(read(pooled(44, search=True)))) if panel.family == "AUROC"]
    assert len(found) > 1
    assert [panel.part for panel in found] == list(range(1, len(found) + 1))
    assert len({panel.limits for panel in found}) == 1
    for panel in found:
        height = float(draw(panel, "a").split('viewBox="')[1].split('"')[0].split()[3])
        assert height <= drawing.PAGE_HEIGHT * 72
