"""What learning together changes, department by department: relative improvements, and how sure the scores become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from m3h.experiments.scoring import table_of

#: The department of questions that name none.
OTHER = "Other"
DEPARTMENTS = {
    **dict.fromkeys(("department", "task", "metric", "verdict"), pl.String),
    **dict.fromkeys(("questions", "counted", "ahead", "behind", "open", "equal"), pl.Int64),
    **dict.fromkeys(("single", "joint", "relative", "relative_low", "relative_high"), pl.Float64),
    **dict.fromkeys(("least", "most", "width_ratio"), pl.Float64),
}
Row = dict[str, Any]


def department_table(departments: Mapping[str, str], scores: pl.DataFrame, differences: pl.DataFrame) -> pl.DataFrame:
    """departments.csv from scores.csv and differences.csv; ``departments`` names each task's, "" for none.

    A row per task that has both networks: scores by the metric they are compared by, ``relative`` the improvement of
    joint over single in % of single's score (empty where that is next to nothing), ``relative_low`` to
    ``relative_high`` the 95 % interval of the paired difference in the same %, ``width_ratio`` the width of the joint
    score's 95 % interval over that of the single one's (below 1: joint is surer). ``verdict``: ahead or behind where
    the interval of the difference excludes 0, open where it does not, equal where both score the same on every draw,
    none without an interval, same where no other task is in the joint network, so that both are one.

    Before them, with an empty task, a row of their department: ``questions`` compared, how many are ``ahead``,
    ``behind``, ``open`` and ``equal``; of the ``counted`` ones that have a relative improvement its mean
    (``relative``), ``least`` and ``most``; and the geometric mean of the ratios. Those of a single network count
    nowhere. Last come all departments together, under an empty name, if there are several.
    """
    tasks = [row for name, of in departments.items() for row in _task(name, of or OTHER, scores, differences)]
    names = list(dict.fromkeys(row["department"] for row in tasks))
    found: list[Row] = []
    for name in names:
        own = [row for row in tasks if row["department"] == name]
        found += [_summary(name, own), *own]
    if len(names) > 1:
        found.append(_summary("", tasks))
    return table_of(found, DEPARTMENTS)


def _task(name: str, department: str, scores: pl.DataFrame, differences: pl.DataFrame) -> list[Row]:
    """The row of one task; none without a difference of joint and single."""
    pair = (pl.col("task") == name) & (pl.col("role_a") == "joint") & (pl.col("role_b") == "single")
    gaps = differences.filter(pair & pl.col("difference").is_not_null())
    if gaps.is_empty():
        return []
    gap = gaps.row(0, named=True)
    single, joint = (_score(scores, name, gap["metric"], role) for role in ("single", "joint"))
    same = joint["task_set"] == name
    of = abs(single["value"])
    limits = [None if gap["relative"] is None or end is None else 100 * end / of for end in (gap["low"], gap["high"])]
    return [
        {"department": department, "task": name, "metric": gap["metric"]}
        | {"verdict": "same" if same else _verdict(gap["low"], gap["high"])}
        | {"single": single["value"], "joint": joint["value"], "relative": gap["relative"]}
        | {"relative_low": limits[0], "relative_high": limits[1], "width_ratio": _ratio(single, joint)}
    ]


def _verdict(low: float | None, high: float | None) -> str:
    """Of a difference's interval; all metrics that networks are compared by are better when higher."""
    if low is None or high is None:
        return "none"
    if low <= 0 <= high:
        return "equal" if low == high else "open"
    return "ahead" if low > 0 else "behind"


def _score(scores: pl.DataFrame, task: str, metric: str, role: str) -> Row:
    own = (pl.col("task") == task) & (pl.col("metric") == metric) & (pl.col("role") == role)
    return scores.filter(own).row(0, named=True)


def _ratio(single: Row, joint: Row) -> float | None:
    """The joint score's interval over the single one's; None where one is missing or has no width."""
    if any(row[end] is None for row in (single, joint) for end in ("low", "high")):
        return None
    before, after = (float(row["high"] - row["low"]) for row in (single, joint))
    return after / before if before > 0 and after > 0 else None


def _summary(department: str, tasks: Sequence[Row]) -> Row:
    apart = [row for row in tasks if row["verdict"] != "same"]
    relative = [row["relative"] for row in apart if row["relative"] is not None]
    ratios = [row["width_ratio"] for row in apart if row["width_ratio"] is not None]
    counts = {side: sum(row["verdict"] == side for row in apart) for side in ("ahead", "behind", "open", "equal")}
    return (
        {"department": department, "task": "", "metric": "", "verdict": ""}
        | {"questions": len(apart), "counted": len(relative)}
        | counts
        | {"relative": float(np.mean(relative)) if relative else None}
        | {"least": min(relative, default=None), "most": max(relative, default=None)}
        | {"width_ratio": float(np.exp(np.mean(np.log(ratios)))) if ratios else None}
    )
