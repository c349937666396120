"""What a person sees while waiting, and the tables at the end. Progress goes to standard error, results to output."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import polars as pl

#: Wide enough for a table when the output is a file.
WIDTH = 120


def console() -> Console:
    """Standard output; plain and wide when it is not a terminal."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=WIDTH)


class Waiting:
    """A progress bar with the time left for steps whose share is known, a spinner for the others."""

    def __init__(self, *, quiet: bool = False) -> None:
        screen = Console(stderr=True)
        self.watched, self.quiet = screen.is_terminal, quiet
        self.told = ("", 0)
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=screen,
            transient=True,
            disable=quiet or not self.watched,
        )
        self.step: TaskID | None = None
        self.text = ""

    def __enter__(self) -> Waiting:
        self.progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.__exit__(kind, error, trace)

    def __call__(self, text: str, share: float | None) -> None:
        """Show that ``text`` is going on, and how far it is; where nobody watches, a line for each step and quarter."""
        if not self.watched and not self.quiet:
            quarter = 0 if share is None else int(4 * share)
            if (text, quarter) != self.told:
                self.told = (text, quarter)
                print(text + (f": {25 * quarter} %" if quarter else ""), file=sys.stderr, flush=True)
        if self.step is None or text != self.text:
            if self.step is not None:
                self.progress.remove_task(self.step)
            self.text, self.step = text, self.progress.add_task(text, total=None if share is None else 1.0)
        if share is not None:
            self.progress.update(self.step, total=1.0, completed=share)


def counted(number: int, word: str) -> str:
    """``1 network``, ``1,024 networks``."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def print_json(content: Any) -> None:
    """A machine-readable result on standard output. Errors: ValueError for NaN and infinity, which JSON lacks."""
    print(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))


def score_table(scores: pl.DataFrame) -> Table:
    """Headline scores with 95 % intervals, a row per task and a column per model."""
    import polars as pl

    from m3h.study.task import HEADLINE

    table = Table(title="Headline scores on the test rows (95 % interval by patient)", title_justify="left")
    table.add_column("task")
    table.add_column("metric")
    headline = scores.filter(pl.col("metric") == pl.col("kind").replace_strict(HEADLINE, default=""))
    models = headline.filter(pl.col("role").is_not_null()).select("role", "preset").unique(maintain_order=True).rows()
    for role, preset in models:
        table.add_column(Text(preset if role == "baseline" else role), justify="right")
    for (task, metric), rows in headline.group_by("task", "metric", maintain_order=True):
        cells = []
        for role, preset in models:
            own = rows.filter((pl.col("role") == role) & (pl.col("preset") == preset))
            cells.append(_cell(own.row(0, named=True)) if len(own) else "")
        table.add_row(*(Text(cell) for cell in (str(task), str(metric), *cells)))
    if headline.filter(pl.col("value").is_not_null() & pl.col("low").is_null()).height:
        table.caption = (
            "no interval: a class or answer is so rare among the test patients that most redraws of them lack it"
        )
        table.caption_justify = "left"
    return table


def _cell(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return "-"
    if row["low"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} ({row['low']:.3f}, {row['high']:.3f})"


def chosen_table(search: pl.DataFrame, differences: pl.DataFrame) -> Table:
    """The set that search chose for each task, and its gain over the task alone on the test rows, by the metric that
    sets are compared by (differences.csv)."""
    import polars as pl

    table = Table(title="Chosen task sets (gain over the task alone on the test rows, 95 %)", title_justify="left")
    for name in ("task", "metric", "set", "gain"):
        table.add_column(name, justify="right" if name == "gain" else "left")
    metrics = dict(differences.select("task", "metric").rows())
    for row in search.filter(pl.col("chosen")).iter_rows(named=True):
        gap = differences.filter(
            (pl.col("task") == row["task"]) & (pl.col("role_a") == "best") & (pl.col("role_b") == "single")
        )
        alone = row["task_set"] == row["task"]
        cell = "-" if alone or not len(gap) else _gain(gap.row(0, named=True), "difference")
        members = "alone" if alone else row["task_set"].replace("+", " + ")
        table.add_row(*(Text(text) for text in (row["task"], metrics.get(row["task"], "-"), members, cell)))
    return table


def tim_table(tim: pl.DataFrame) -> Table:
    """For each task, which other helps it most and which hurts it most."""
    import polars as pl

    table = Table(title="What adding a task does to a task's score (95 %; * stands out)", title_justify="left")
    for name in ("task", "metric", "helped most by", "hurt most by"):
        table.add_column(name)
    for (task, metric), rows in tim.group_by("source", "metric", maintain_order=True):
        known = rows.filter(pl.col("tim").is_not_null()).sort("tim", descending=True, maintain_order=True)
        ends = [known.row(0, named=True), known.row(-1, named=True)] if len(known) else []
        cells = [
            f"{row['target']} {_gain(row, 'tim')}{'*' if (row['q'] or 1) <= 0.05 else ''}"
            if row["tim"] * sign > 0
            else "-"
            for row, sign in zip(ends, (1, -1), strict=False)
        ]
        table.add_row(*(Text(cell) for cell in (str(task), str(metric), *(cells or ["-", "-"]))))
    return table


def _gain(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return "-"
    if row["low"] is None:
        return f"{row[name]:+.3f}"
    return f"{row[name]:+.3f} ({row['low']:+.3f}, {row['high']:+.3f})"


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table with a title; numbers to the right."""
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[number], (int, float)) for row in rows)
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(Text(f"{cell:.3g}" if isinstance(cell, float) else str(cell)) for cell in row))
    return table
