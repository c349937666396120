"""Small tables of a MIMIC in which nothing may be wrong: every sample and every label rests on them."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from m3h.core.errors import DataError
from m3h.hospital.mimic.layout import Layout, Wanted, wanted
from m3h.hospital.mimic.tables import reading
from m3h.hospital.sql import quoted
from m3h.hospital.values import named

#: Rows that are named in a message.
FEW = 3
_WORDS = {"BIGINT": "a whole number", "DOUBLE": "a number", "TIMESTAMP": "a time"}
_EXPECTED = {"BIGINT": "digits", "DOUBLE": "a number with a point", "TIMESTAMP": "YYYY-MM-DD HH:MM:SS, or nothing"}
_AGAIN = "download the file again, or correct these rows"


def check(connection: duckdb.DuckDBPyConnection, layout: Layout, names: Iterable[str]) -> None:
    """Read each of these tables once, a table in place of its view. Errors: DataError if one has no row, a value that
    cannot be read, an empty id, or two rows of the same id; rows are named by their numbers. A table that is not there
    is passed over."""
    for table in (wanted()[name] for name in names if layout.has(name)):
        where = layout.tables[table.name].name
        with reading(where):
            _keep(connection, quoted(table.name))
            _check_rows(connection, table, where)
            if table.name == "diagnoses_icd":
                _check_leading_zeros(connection, where)


def _keep(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Read a view once: the checks, and all that uses it later, look at it some ten times."""
    connection.execute(f"CREATE TABLE m3h_kept AS SELECT * FROM {name}")
    connection.execute(f"DROP VIEW {name}")
    connection.execute(f"ALTER TABLE m3h_kept RENAME TO {name}")


def _check_rows(connection: duckdb.DuckDBPyConnection, table: Wanted, where: str) -> None:
    if not connection.execute(f"SELECT 1 FROM {quoted(table.name)} LIMIT 1").fetchall():
        raise DataError("the table has no rows", where=where, expected="a header and rows", next_step=_AGAIN)
    found = _first(connection, table.name, "unreadable", "unreadable IS NOT NULL")
    if found:
        name = found[0][0]
        kind = table.columns[name].kind
        raise DataError(
            f"{name} cannot be read as {_WORDS[kind]} ({named(row for other, row in found if other == name)})",
            where=where,
            expected=_EXPECTED[kind],
            next_step=_AGAIN,
        )
    for name in table.filled:
        rows = _rows(connection, table.name, f"{quoted(name)} IS NULL")
        if rows:
            raise DataError(
                f"{name} is empty ({named(rows)})", where=where, expected="one in every row", next_step=_AGAIN
            )
    if table.key:
        key = ", ".join(quoted(name) for name in table.key)
        rows = _rows(connection, table.name, f"count(*) OVER (PARTITION BY {key}) > 1")
        if rows:
            raise DataError(
                f"{' and '.join(table.key)} not unique ({named(rows)})",
                where=where,
                expected=f"one row for each {' and '.join(table.key)}",
                next_step=_AGAIN,
            )


def _rows(connection: duckdb.DuckDBPyConnection, table: str, condition: str) -> list[int]:
    return [row for _, row in _first(connection, table, "NULL", condition)]


def _first(connection: duckdb.DuckDBPyConnection, table: str, shown: str, condition: str) -> list[tuple[str, int]]:
    """Of the first rows that fit: what is to be shown of them, and their numbers, from 1 after the header."""
    found = connection.execute(
        f"SELECT shown, row FROM (SELECT {shown} AS shown, row, {condition} AS hit FROM "
        f"(SELECT *, row_number() OVER () AS row FROM {quoted(table)})) WHERE hit ORDER BY row LIMIT {FEW + 1}"
    ).fetchall()
    return [(str(one), int(row)) for one, row in found]


def _check_leading_zeros(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    """Errors: DataError for codes that were numbers before: 38 for 0038, 4280.0 for 4280."""
    rows = _rows(
        connection,
        "diagnoses_icd",
        r"icd_version = 9 AND regexp_matches(icd_code, '^[0-9]{1,2}([.]|$)|^[0-9]{4,5}[.]')",
    )
    if rows:
        raise DataError(
            f"icd_code was read as a number before: codes of ICD-9 have lost their leading zeros ({named(rows)})",
            where=where,
            expected="texts of 3 to 5 digits, such as 0380",
            next_step="take the published file, or export the table again with icd_code as text",
        )
