"""The patient groups: what distinguishes each, and whether they come again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.tables import Cell, Table

#: Features of a group that are shown.
SHOWN = 5
#: The share measured is told where it is below this.
ALL = 0.95
#: From each adjusted Rand index on, what it is called.
_ALIKE = (
    (0.8, "come again almost unchanged"),
    (0.6, "come again for the most part"),
    (0.4, "come again in part"),
    (-1.0, "hardly come again: another draw of training patients makes other groups, so read little into a single one"),
)
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Grouping:
    """One clustering: how ``stable`` it is, in words, and a ``table`` of its groups."""

    task: str
    stable: str
    table: Table


def groupings(contents: Contents) -> list[Grouping]:
    """The clusterings that the run described, in the study's order."""
    stable = {row["task"]: row for row in contents.appraisal["stability"].iter_rows(named=True)}
    frame = contents.appraisal["phenotypes"].sort("cluster", "rank", maintain_order=True)
    return [
        Grouping(str(task), _stable(stable.get(str(task))), _table(str(task), part))
        for (task,), part in frame.group_by("task", maintain_order=True)
    ]


def _stable(row: Row | None) -> str:
    if row is None or row["value"] is None:
        return "Whether the groups come again could not be measured."
    alike = next(text for least, text in _ALIKE if row["value"] >= least)
    return (
        f"Redrawn {words.counted(row['resamples'], 'time')} from the training patients, the groups {alike} (adjusted "
        f"Rand index {words.number(row['value'], 2)}, middle 95\u00a0% {words.interval(row['low'], row['high'], 2)}; "
        "1 is the same groups, 0 is chance)."
    )


def _table(task: str, frame: pl.DataFrame) -> Table:
    rows: list[tuple[Cell, ...]] = []
    small = 0
    for (cluster,), part in frame.group_by("cluster", maintain_order=True):
        first = part.row(0, named=True)
        if first["patients"] is None:
            small += 1
            continue
        size = f"{words.counted(first['patients'], 'patient')}, {words.percent(first['share'])} of the test rows"
        rows.append((Cell(f"Group {cluster}: {size}"),))
        rows += [_feature(row) for row in part.head(SHOWN).iter_rows(named=True) if row["rank"] is not None]
    few = f" {words.counted(small, 'group')} of fewer than 10 patients {'is' if small == 1 else 'are'} left out."
    return Table(
        task,
        ("Feature", "In the group", "All others", "Apart by"),
        tuple(rows),
        frozenset({0}),
        "Means of the test rows, with the share that was measured where that is below 95\u00a0%. Apart by: the "
        "difference of the means in standard deviations; 0.2 is small, 0.8 is large. The groups were made from such "
        "features, so these are no tests." + (few if small else ""),
    )


def _feature(row: Row) -> tuple[Cell, ...]:
    unit = f"\u00a0{row['unit']}" if row["unit"] else ""
    return (
        Cell(f"{'▲' if row['smd'] > 0 else '▼'} {row['source']}: {row['feature']}"),
        Cell(f"{words.measure(row['mean'])}{unit}", _measured(row["measured"])),
        Cell(f"{words.measure(row['mean_others'])}{unit}", _measured(row["measured_others"])),
        Cell(words.signed(row["smd"], 2)),
    )


def _measured(share: float | None) -> str:
    return "" if share is None or share >= ALL else f"{words.percent(share, 0)} measured"
