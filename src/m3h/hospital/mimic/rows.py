"""The rows of a MIMIC's events and notes, written as the tables of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from m3h.core.errors import DataError
from m3h.hospital.mimic.counts import Count, left_out, unreadable
from m3h.hospital.mimic.layout import Layout
from m3h.hospital.mimic.signals import names, signals
from m3h.hospital.mimic.tables import reading, text
from m3h.hospital.sql import literal, quoted

#: The tables of notes, as the study names its sources.
NOTES = {"radiology": "radiology", "echo": "echo", "ecg": "ecg"}
#: The table of each series.
SERIES = {"chart": "chartevents", "labs": "labevents", "procedures": "procedureevents"}


@dataclass(frozen=True)
class Source:
    """What was found of a source: whether it has rows (its table is written if it has), what was left out or counted
    (what, how many), and its signals without any row."""

    name: str
    there: bool
    left_out: tuple[Count, ...] = ()
    empty: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Rows:
    """Writes tables of a study into the folder ``out``; ``profile`` names the folder of queries."""

    layout: Layout
    out: Path
    profile: str

    def series(self, connection: duckdb.DuckDBPyConnection, name: str) -> Source:
        """The rows of a series. Errors: DataError for a table that cannot be read, or not one row of it."""
        table = SERIES[name]
        rows = self.copy(connection, self.query(name), name, self.file(table))
        # a second look at a large table is for the published numbers alone
        in_passing = self.profile == "strict" and name != "procedures"
        if in_passing and not rows:
            return Source(name, False)
        looked = f"read_parquet({literal(str(self.target(name)))})" if in_passing else table
        with reading(self.file(table)):
            found, good = unreadable(connection, looked, table, of_admissions=True)
        if found and not good:
            raise DataError(
                "no row can be used",
                where=self.file(table),
                got="; ".join(f"{number} {what}" for what, number in found),
                expected="ids as digits, numbers with a point, times as YYYY-MM-DD HH:MM:SS",
                next_step="take the published file, or export the table again",
            )
        return Source(name, rows > 0, tuple(found), self._without_row(connection, name) if rows else ())

    def _without_row(self, connection: duckdb.DuckDBPyConnection, source: str) -> tuple[str, ...]:
        found = connection.execute(
            f"SELECT DISTINCT signal FROM read_parquet({literal(str(self.target(source)))})"
        ).fetchall()
        return tuple(name for name in names(source) if (name,) not in found)

    def notes(self, connection: duckdb.DuckDBPyConnection) -> tuple[Source, ...]:
        """The notes of all kinds that are there, of samples' admissions. Errors: DataError for a damaged table."""
        return tuple(self._notes(connection, name) for name, table in NOTES.items() if self.layout.has(table))

    def _notes(self, connection: duckdb.DuckDBPyConnection, name: str) -> Source:
        table = NOTES[name]
        connection.execute(f"CREATE OR REPLACE VIEW notes AS {text(f'notes_{table}.sql')}")
        connection.execute(f"SET VARIABLE notes = {literal(name)}")
        rows = self.copy(connection, self.query("notes"), name, self.file(table))
        with reading(self.file(table)):
            found = left_out(connection, "counts_notes")
            found += unreadable(connection, "notes", table, of_admissions=False)[0]
        return Source(name, rows > 0, tuple(found))

    def query(self, name: str) -> str:
        """One of the profile's queries."""
        return text(f"{self.profile}/{name}.sql")

    def file(self, table: str) -> str:
        """The name of a table's file, for messages."""
        return self.layout.tables[table].name

    def target(self, name: str) -> Path:
        """Where a table of the study is written."""
        return self.out / f"{name}.parquet"

    def copy(self, connection: duckdb.DuckDBPyConnection, query: str, name: str, where: str) -> int:
        """Write a table, if it has rows; how many it has. Errors: DataError that names ``where``."""
        with reading(where):
            written = connection.execute(
                f"COPY ({query}) TO {literal(str(self.target(name)))} (FORMAT parquet, COMPRESSION zstd)"
            ).fetchone()
        count = int(written[0]) if written else 0
        if not count:
            self.target(name).unlink(missing_ok=True)
        return count


def item_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make views chart_rows and lab_rows: the large tables without the rows of items that are no signal.

    The items stand in the view as numbers, not as a table to look them up in: so they are looked at before any other
    column of a row is made a number or a time. Rows whose item cannot be read stay, to be counted.
    """
    items = signals().select("source", "itemid").rows()
    for view, source in (("chart_rows", "chart"), ("lab_rows", "labs")):
        ours = ", ".join(str(int(item)) for of, item in items if of == source)
        connection.execute(
            f"CREATE VIEW {view} AS SELECT * FROM {quoted(SERIES[source])} WHERE coalesce(itemid IN ({ours}), true)"
        )
