"""What was left out of a MIMIC, and why."""

from __future__ import annotations

import duckdb

from m3h.hospital.mimic.tables import text
from m3h.hospital.sql import literal

#: What was left out, and how many.
Count = tuple[str, int]


def left_out(connection: duckdb.DuckDBPyConnection, name: str) -> list[Count]:
    """The counts of one of this package's SQL files."""
    return [(str(what), int(number)) for what, number in connection.execute(text(f"{name}.sql")).fetchall()]


def unreadable(
    connection: duckdb.DuckDBPyConnection, rows: str, table: str, *, of_admissions: bool
) -> tuple[list[Count], int]:
    """How many of ``rows`` (SQL) cannot be read, by column, and how many can be.

    ``of_admissions``: a row without an admission can be read and yet not be used.
    """
    whose, no_admission = literal(f"rows of {table} whose "), literal(f"rows of {table} without an admission")
    why = f"CASE WHEN unreadable IS NOT NULL THEN {whose} || unreadable || ' cannot be read'"
    why += f" WHEN hadm_id IS NULL THEN {no_admission} END" if of_admissions else " END"
    found = connection.execute(f"SELECT {why} AS why, count(*) FROM {rows} GROUP BY 1 ORDER BY 1").fetchall()
    counts = {why: int(number) for why, number in found}
    good = counts.pop(None, 0)
    return list(counts.items()), good
