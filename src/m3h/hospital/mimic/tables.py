"""The tables of a MIMIC as typed views, so that a query does not see which version it reads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import duckdb

from m3h.core.errors import DataError, nearest
from m3h.hospital import files
from m3h.hospital.mimic.layout import Column, Layout, Wanted, wanted
from m3h.hospital.sql import filled, quoted

#: Rows that are named in a message.
FEW = 3


def views(connection: duckdb.DuckDBPyConnection, layout: Layout) -> None:
    """Make a view of every table that may be read; one that is not there is empty.

    Ids and numbers as numbers, times as timestamps, all else as texts without blanks around them, empty = NULL.
    Errors: DataError for a file that cannot be read or lacks a column.
    """
    for table in wanted().values():
        path = layout.tables.get(table.name)
        columns = ", ".join(f"CAST(NULL AS {one.kind}) AS {quoted(name)}" for name, one in table.columns.items())
        select = f"SELECT {columns} WHERE false" if path is None else _select(table, path)
        connection.execute(f"CREATE VIEW {quoted(table.name)} AS {select}")


def _select(table: Wanted, path: Path) -> str:
    there, _ = files.header(path)
    by_name = {name.casefold(): name for name in there}
    parts = []
    for name, column in table.columns.items():
        found = next((by_name[other.casefold()] for other in column.names if other.casefold() in by_name), None)
        if found is None and not column.optional:
            raise DataError(
                f'no column "{name}"{nearest(name, there)}', where=path.name, expected=" or ".join(column.names)
            )
        parts.append(f"{typed(found, column)} AS {quoted(name)}")
    return f"SELECT {', '.join(parts)} FROM ({files.select([path])})"


def typed(found: str | None, column: Column) -> str:
    """A text column in its type; what does not fit is NULL."""
    if found is None:
        return f"CAST(NULL AS {column.kind})"
    text = filled(quoted(found))
    if column.kind == "VARCHAR":
        return text
    if column.kind == "BIGINT":  # a table saved with a missing id turns 17 into 17.0
        return f"coalesce(TRY_CAST({text} AS BIGINT), CAST(TRY_CAST({text} AS DOUBLE) AS BIGINT))"
    return f"TRY_CAST({text} AS {column.kind})"


def check(connection: duckdb.DuckDBPyConnection, layout: Layout, name: str) -> None:
    """Errors: DataError if ids, numbers or times of a small table are there and cannot be read."""
    path = layout.tables[name]
    there = {column.casefold(): column for column in files.header(path)[0]}
    for column in wanted()[name].columns.values():
        found = next((there[other.casefold()] for other in column.names if other.casefold() in there), None)
        if found is None or column.kind == "VARCHAR":
            continue
        with reading(path.name):
            rows = connection.execute(
                f"SELECT row FROM (SELECT *, row_number() OVER () AS row FROM ({files.select([path])})) "
                f"WHERE {filled(quoted(found))} IS NOT NULL AND {typed(found, column)} IS NULL ORDER BY row LIMIT {FEW}"
            ).fetchall()
        if rows:
            raise DataError(
                f"{found} cannot be read as {_WORDS[column.kind]} (row {', '.join(str(row) for (row,) in rows)})",
                where=path.name,
                expected=_EXPECTED[column.kind],
                next_step="download the file again, or correct these rows",
            )


_WORDS = {"BIGINT": "a whole number", "DOUBLE": "a number", "TIMESTAMP": "a time"}
_EXPECTED = {"BIGINT": "digits", "DOUBLE": "a number with a point", "TIMESTAMP": "YYYY-MM-DD HH:MM:SS, or nothing"}


def text(name: str) -> str:
    """One of the SQL files of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@contextlib.contextmanager
def reading(where: str) -> Iterator[None]:
    """What the database cannot read becomes a DataError without any value."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise DataError("does not fit into memory and temporary disk space", where=where) from None
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException) as error:
        names = [part for part in str(error).replace('"', " ").split() if files.suffix(part)]
        where = Path(names[0]).name if names else where
        raise DataError(
            "truncated, damaged, or not what its name says",
            where=where,
            got=type(error).__name__,
            next_step="compare the file with SHA256SUMS.txt, and download it again",
        ) from None
