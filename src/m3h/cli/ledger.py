"""m3h ledger: what has been trained, listed, filtered and exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.cli import options as o

if TYPE_CHECKING:
    import polars as pl

    from m3h.experiments.ledger.tables import Fold, Status

FILE = "ledger.sqlite"
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A ledger, or a run folder that has one.", show_default=False)
]
Study = Annotated[str | None, typer.Option("--study", help="Only trials of this study.")]
TaskName = Annotated[str | None, typer.Option("--task", help="Only trials with this task.")]
StatusName = Annotated[str | None, typer.Option("--status", help="Only trials that are finished, or failed.")]
FoldName = Annotated[
    str | None, typer.Option("--fold", metavar="N", help='Only this validation fold; "final": trained on all folds.')
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many, newest first.", show_default="20 on screen")
]
Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write a row per trial, task and metric to this file.")
]
Mlflow = Annotated[
    Path | None, typer.Option("--mlflow", metavar="DIR", help="Export to the MLflow store in this folder.")
]


def ledger(
    file: File,
    study: Study = None,
    task: TaskName = None,
    status: StatusName = None,
    fold: FoldName = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Only trials with this network preset.")] = None,
    limit: Limit = None,
    csv: Csv = None,
    mlflow: Mlflow = None,
    as_json: o.Json = False,
) -> None:
    """What has been trained: lists the trials of a ledger, or exports them. Changes nothing in it."""
    from m3h.cli.screen import Waiting, console, print_json
    from m3h.experiments.ledger import Ledger

    exporting = as_json or csv is not None or mlflow is not None
    with Ledger(file / FILE if file.is_dir() else file, writing=False) as opened:
        counts = opened.counts()
        table = opened.table(
            study=study,
            task=task,
            status=status_of(status),
            fold=fold_of(fold),
            preset=preset,
            limit=limit if limit is not None or exporting else 20,
        )
        known = {} if len(table) else opened.names()
    nothing = none_matches(known, study=study, task=task, preset=preset)
    written: list[str] = []
    if csv is not None:
        from m3h.experiments.ledger.tables import write_scores

        written.append(f"{write_scores(table, csv)} rows in {csv}")
    if mlflow is not None:
        from m3h.experiments.ledger.mlflow import export

        with Waiting(quiet=as_json) as say:
            added, total = export(table, mlflow, lambda share: say("exporting to MLflow", share))
        written.append(f"{added} runs added, {total - added} already there in {mlflow}")
    if as_json:
        print_json({"counts": counts, "trials": plain(table), "written": written, "notes": nothing})
        return
    screen = console()
    if not exporting and not nothing:
        screen.print(listing(table))
    for line in [*nothing, *written, ", ".join(f"{number} {name}" for name, number in counts.items())]:
        screen.print(line, markup=False, highlight=False, soft_wrap=True)


def none_matches(known: Mapping[str, Sequence[str]], **asked: str | None) -> list[str]:
    """What to say where a listing is empty: ``known`` names that the ledger has, by what they name; {} where it is not
    empty, then nothing is said. ``asked`` are the names asked for."""
    from m3h.core.errors import nearest

    if not known:
        return []
    if not any(known.values()):
        return ["the ledger holds no trial"]
    unknown = [(what, name) for what, name in asked.items() if name is not None and name not in known[what]]
    return [f'no trial matches: unknown {what} "{name}"{nearest(name, known[what])}' for what, name in unknown] or [
        "no trial matches all of these filters"
    ]


def status_of(text: str | None) -> Status | None:
    """The status that is asked for. Errors: SettingError for any other word."""
    from m3h.core.errors import SettingError, nearest

    known: dict[str | None, Status | None] = {None: None, "finished": "finished", "failed": "failed"}
    if text not in known:
        raise SettingError(f'unknown --status "{text}"{nearest(str(text), ("finished", "failed"))}')
    return known[text]


def fold_of(text: str | None) -> Fold | None:
    """The fold that is asked for. Errors: SettingError for what is neither a number nor "final"."""
    from m3h.core.errors import SettingError

    if text is None:
        return None
    if text == "final":
        return "final"
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    raise SettingError(f'--fold "{text}"', expected='a number from 0, or "final"')


def plain(table: pl.DataFrame) -> list[dict[str, Any]]:
    """The listing as JSON data."""
    import polars as pl

    return table.with_columns(pl.col("finished").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")).to_dicts()


def listing(table: pl.DataFrame) -> Any:
    """The listing as a table for the terminal; of each task the headline score."""
    from m3h.cli.screen import plain_table

    columns = ("finished (UTC)", "study", "tasks", "preset", "fold", "rep", "rate", "batch", "s", "scores")
    rows = [
        (
            f"{row['finished']:%Y-%m-%d %H:%M}",
            row["study"],
            row["tasks"],
            row["preset"] + (f" ({row['overrides']})" if row["overrides"] else ""),
            "final" if row["fold"] is None else row["fold"],
            row["replicate"],
            f"{row['learning_rate']:g}",
            row["batch_size"],
            f"{row['seconds']:.1f}",
            f"failed: {row['failed']}" if row["failed"] else headlines(row["scores"]),
        )
        for row in table.iter_rows(named=True)
    ]
    return plain_table("Trials, newest first", columns, rows)


def headlines(scores: list[dict[str, Any]]) -> str:
    """The scores of the headline metrics, in the order of the tasks."""
    from m3h.study.task import HEADLINE

    return ", ".join(
        f"{one['metric']} {'-' if one['value'] is None else format(one['value'], '.3f')}"
        for one in scores
        if one["metric"] in HEADLINE.values()
    )
