"""The tables of scores and differences, and the shape that every table of the report has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from m3h.evaluation.compare import LEAST_REFERENCE
from m3h.report import numbers, words
from m3h.report.contents import Contents, Verdict, series_of, verdict
from m3h.study.task import HEADLINE

#: What a verdict looks like beside a number, in colour and without.
SIGNS: dict[Verdict, str] = {"ahead": "▲", "behind": "▼", "open": "", "same": "", "none": ""}
_NEAR_ZERO = f"an R² or a silhouette nearer to 0 than {LEAST_REFERENCE:g}"
_OF = {"best": "chosen sets"}


#: Why a score may stand alone.
NO_INTERVAL = (
    "A score without one: a class or answer is so rare among the test patients that more than half of the redraws lack "
    "it and cannot be scored."
)


@dataclass(frozen=True)
class Cell:
    """What stands in one field: a text, a smaller line beneath it, a tone (ahead, behind, quiet) for its look.

    ``lines`` stand one beneath the other in the text's place.
    """

    text: str
    small: str = ""
    tone: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows of cells under column titles. A row of a single cell is a heading across all columns.

    ``texts`` are the places of the columns that hold words; the others hold numbers and are set to the right.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    texts: frozenset[int] = frozenset({0})
    note: str = ""


def cells(texts: Iterable[object]) -> tuple[Cell, ...]:
    """A row of plain cells."""
    return tuple(Cell(str(text)) for text in texts)


def grouped(rows: Iterable[tuple[str, tuple[Cell, ...]]], *, order: Sequence[str] = ()) -> tuple[tuple[Cell, ...], ...]:
    """(group, row) pairs as rows with a heading before each group; groups stand in ``order``, then as they come.

    One group alone needs no heading.
    """
    found: dict[str, list[tuple[Cell, ...]]] = {group: [] for group in order}
    for group, row in rows:
        found.setdefault(group, []).append(row)
    filled = {group: part for group, part in found.items() if part}
    if len(filled) < 2:
        return tuple(row for part in filled.values() for row in part)
    return tuple(line for group, part in filled.items() for line in ((Cell(group),), *part))


def groups(contents: Contents) -> dict[str, str]:
    """The group of each task in tables: its department where any task names one, else its kind."""
    tasks = contents.tasks
    if any(task.get("department") for task in tasks):
        return {task["name"]: task.get("department") or "Other" for task in tasks}
    return {task["name"]: f"Answer: {words.KINDS.get(task['kind'], task['kind'])}" for task in tasks}


def scores(contents: Contents) -> Table:
    """Headline scores: a row per task, a column per series, the interval beneath each value."""
    return _scores(contents, contents.headline, "Headline score of every question with its 95 % interval")


def further_scores(contents: Contents) -> Table | None:
    """The other metrics, in the same form; None where there is no other."""
    headline = set(HEADLINE.items())
    others = contents.scores.filter(
        ~pl.struct("kind", "metric").map_elements(
            lambda pair: (pair["kind"], pair["metric"]) in headline, return_dtype=pl.Boolean
        )
    )
    if others.is_empty():
        return None
    return _scores(contents, others, "Further measures of the same answers")


def _scores(contents: Contents, frame: pl.DataFrame, caption: str) -> Table:
    series = contents.series
    group, people = groups(contents), numbers.counted_patients(contents)
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for (task, metric), part in frame.group_by("task", "metric", maintain_order=True):
        values = {series_of(row["role"], row["preset"]): row for row in part.iter_rows(named=True)}
        tested = part.get_column("n_test").max()
        fields = [_score(values.get(name), people) for name in series]
        head = (Cell(str(task)), Cell(words.metric(str(metric))), Cell(words.whole(_number(tested))))
        rows.append((group.get(str(task), ""), (*head, *fields)))
    bare = frame.filter(pl.col("value").is_not_null() & pl.col("low").is_null()).height
    return Table(
        caption=caption,
        columns=("Question", "Measure", "Test rows", *(words.series(name) for name in series)),
        rows=grouped(rows, order=list(dict.fromkeys(group.values()))),
        texts=frozenset({0, 1}),
        note=f"{words.NOTHING} means not scored. A second line gives the 95 % interval, drawn by patient."
        + (f" {NO_INTERVAL}" if bare else ""),
    )


def _score(row: Mapping[str, Any] | None, people: Mapping[str, int]) -> Cell:
    if row is None or row["value"] is None:
        return Cell(words.NOTHING, tone="quiet")
    digits = 3 if abs(row["value"]) < 100 else 1
    return Cell(words.number(row["value"], digits), numbers.beneath(row, people, digits))


def differences(contents: Contents) -> list[Table]:
    """Joint minus each other series, then the chosen sets minus theirs: a row per task and metric; [] without any."""
    frame = contents.differences.filter(pl.col("difference").is_not_null())
    return [
        _differences(contents, part, str(role))
        for role in frame.get_column("role_a").unique(maintain_order=True).sort(descending=True)
        if not (part := frame.filter(pl.col("role_a") == role)).is_empty()
    ]


def _differences(contents: Contents, frame: pl.DataFrame, role: str) -> Table:
    found = {series_of(row["role_b"], row["preset_b"]) for row in frame.iter_rows(named=True)}
    opponents = [name for name in contents.series if name in found]
    group = groups(contents)
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for (task, metric), part in frame.group_by("task", "metric", maintain_order=True):
        values = {series_of(row["role_b"], row["preset_b"]): row for row in part.iter_rows(named=True)}
        fields: list[Cell] = []
        for name in opponents:
            fields += _difference(values.get(name))
        rows.append((group.get(str(task), ""), (Cell(str(task)), Cell(words.metric(str(metric))), *fields)))
    first = words.series(role)
    titles = [title for name in opponents for title in (f"{first} − {words.series(name)}", "relative")]
    whose = "" if role == "joint" else f" of the {_OF.get(role, role)}"
    return Table(
        caption=f"Paired differences{whose} on the same test patients",
        columns=("Question", "Measure", *titles),
        rows=grouped(rows, order=list(dict.fromkeys(group.values()))),
        texts=frozenset({0, 1}),
        note=f"▲ {first.lower()} is ahead and ▼ {first.lower()} is behind, where the 95 % interval of the difference "
        f"excludes 0. Relative: the difference in % of the other's score; {words.NOTHING} where that is {_NEAR_ZERO}, "
        "for a percentage of next to nothing says nothing.",
    )


def _difference(row: Mapping[str, Any] | None) -> list[Cell]:
    if row is None:
        return [Cell(words.NOTHING, tone="quiet"), Cell("")]
    side = verdict(row["metric"], row["low"], row["high"])
    if side == "same":
        return [Cell("the same", tone="quiet"), Cell("", tone="quiet")]
    tone = side if side in ("ahead", "behind") else ""
    text = f"{SIGNS[side]} {words.signed(row['difference'])}".strip()
    relative = row["relative"]
    percentage = f"{words.signed(relative, 1)}\u00a0%" if relative is not None else words.NOTHING
    return [
        Cell(text, words.interval(row["low"], row["high"], plus=True), tone),
        Cell(percentage, tone=tone),
    ]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
