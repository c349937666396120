"""Scores by the years in which patients came, where the study divides them so."""

from __future__ import annotations

import re

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.tables import Cell, Table

_YEARS = re.compile(r"(?<![a-z])years?(?![a-z])", re.IGNORECASE)


def years(contents: Contents) -> Table | None:
    """A row per question, a column per period; None where no subgroup of the study is called year or years."""
    frame = contents.appraisal["subgroups"]
    name = next((one for one in frame["group"].unique(maintain_order=True) if _YEARS.search(one)), None)
    own = frame.filter(frame["group"] == (name or ""))
    if name is None or own.is_empty():
        return None
    periods = sorted(own["subgroup"].unique())
    rows = []
    for (task,), part in own.group_by("task", maintain_order=True):
        found = {row["subgroup"]: row for row in part.iter_rows(named=True)}
        cells = [
            Cell(words.number(row["value"]), words.interval(row["low"], row["high"]))
            if (row := found.get(period)) is not None and row["value"] is not None
            else Cell(words.NOTHING, tone="quiet")
            for period in periods
        ]
        rows.append((Cell(str(task)), *cells))
    return Table(
        "Over the years",
        ("Question", *periods),
        tuple(rows),
        note="Headline scores of test patients of each period. Patients of every period were also trained on, so this "
        "shows where care or records changed, and not how the model would do in years to come.",
    )
