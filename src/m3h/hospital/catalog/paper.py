"""What the paper reached on each of its 44 questions (Bertsimas & Ma 2024, arXiv 2404.18975)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Interval:
    """A score and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Result:
    """One question: its group, the metric (higher is better for all of them), and the scores of the task alone and of
    the best set of tasks that holds it."""

    task: str
    group: str
    metric: str
    single: Interval
    multi: Interval


def rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV file of this folder, each by its header."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines(keepends=True), strict=True)


def results() -> dict[str, Result]:
    """The 44 results by task, in the paper's order: operations, phenotypes, then diseases by department."""
    return {
        row["task_id"]: Result(
            row["task_id"], row["group"], row["metric"], _interval(row, "single"), _interval(row, "multi")
        )
        for row in rows("paper-results.csv")
    }


def _interval(row: dict[str, str], name: str) -> Interval:
    return Interval(*(float(row[f"{name}_{part}"]) for part in ("score", "lo", "hi")))
