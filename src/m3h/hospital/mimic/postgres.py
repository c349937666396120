"""MIMIC-IV in a PostgreSQL database, as the public loading scripts make it: its tables, read once into Parquet."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from m3h.core.errors import DataError, SettingError, nearest
from m3h.core.installing import extra
from m3h.hospital.mimic.layout import Column, Wanted, wanted
from m3h.hospital.mimic.signals import signals
from m3h.hospital.sql import literal, quoted

#: Tables that are read for some items only.
ITEMS = {"chartevents": "d_items", "procedureevents": "d_items", "labevents": "d_labitems"}
_TYPES = {"BIGINT": "bigint", "DOUBLE": "double precision", "TIMESTAMP": "timestamp", "VARCHAR": "text"}
#: Rows of a row group.
ROWS = 1 << 20


def spool(variable: str, folder: Path) -> dict[str, Path]:
    """Read the tables of the database whose address the environment variable holds into ``folder``; name -> file.

    They are looked for in the schemas whose name begins with mimic. Large tables are streamed, and only the items that
    are signals are read. Errors: SettingError without the variable or the driver; DataError where the database cannot
    be reached or read, or holds a table twice. No message holds the address.
    """
    with _connected(variable) as connection:
        found = _tables(connection)
        paths = {}
        for name, (schema, table) in found.items():
            paths[name] = folder / f"{name}.parquet"
            with _reading(f"{schema}.{table}"):
                _write(connection, _query(connection, wanted()[name], schema, table, found), paths[name])
        return paths


@contextlib.contextmanager
def _connected(variable: str) -> Iterator[Any]:
    address = os.environ.get(variable)
    if not address:
        raise SettingError(
            f"the environment variable {variable} is not set",
            expected="the address of the database, postgresql://user:password@host/name",
        )
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise SettingError("reading from PostgreSQL needs the extra postgres", next_step=extra("postgres")) from None
    with _reading(f"the database of {variable}"), contextlib.closing(dbapi.connect(address)) as connection:
        yield connection


def _tables(connection: Any) -> dict[str, tuple[str, str]]:
    """Where each wanted table is: its schema and name."""
    rows = _rows(
        connection,
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema LIKE 'mimic%' ORDER BY 1, 2",
    )
    found: dict[str, tuple[str, str]] = {}
    for name, table in wanted().items():
        names = {Path(file).name for file in table.files}
        there = [(schema, here) for schema, here in rows if here in names]
        if len(there) > 1:
            raise DataError(
                f"the table {name} is there {len(there)} times",
                got=", ".join(".".join(one) for one in there[:3]),
                next_step="give the reader rights to the schemas of one version only",
            )
        if there:
            found[name] = there[0]
    return found


def _query(connection: Any, table: Wanted, schema: str, name: str, found: Mapping[str, tuple[str, str]]) -> str:
    there = [
        row[0]
        for row in _rows(
            connection,
            "SELECT column_name FROM information_schema.columns "
            f"WHERE table_schema = {literal(schema)} AND table_name = {literal(name)}",
        )
    ]
    columns = ", ".join(_column(one, column, there, f"{schema}.{name}") for one, column in table.columns.items())
    query = f"SELECT {columns} FROM {quoted(schema)}.{quoted(name)}"
    dictionary = ITEMS.get(table.name)
    if dictionary is None:
        return query
    items = ", ".join(map(str, sorted(set(signals()["itemid"]))))
    chosen = f"itemid IN ({items})"
    if dictionary in found:  # the published file chose by the text of the label
        labels = ", ".join(literal(label) for label in sorted(set(signals()["label"])))
        place = ".".join(quoted(part) for part in found[dictionary])
        chosen += f" OR itemid IN (SELECT itemid FROM {place} WHERE label IN ({labels}))"
    return f"{query} WHERE {chosen}"


def _column(name: str, column: Column, there: list[str], where: str) -> str:
    by_name = {one.casefold(): one for one in there}
    found = next((by_name[other.casefold()] for other in column.names if other.casefold() in by_name), None)
    kind = _TYPES[column.kind]
    if found is None and not column.optional:
        raise DataError(f'no column "{name}"{nearest(name, there)}', where=where, expected=" or ".join(column.names))
    return f"CAST({'NULL' if found is None else quoted(found)} AS {kind}) AS {quoted(name)}"


def _rows(connection: Any, query: str) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()]


def _write(connection: Any, query: str, path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query)
        batches = cursor.fetch_record_batch()
        with pq.ParquetWriter(path, batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch, row_group_size=ROWS)


@contextlib.contextmanager
def _reading(where: str) -> Iterator[None]:
    from adbc_driver_manager import Error

    try:
        yield
    except Error as error:
        state = f", state {error.sqlstate}" if error.sqlstate else ""
        raise DataError(
            "PostgreSQL does not answer as it should",
            where=where,
            got=f"{type(error).__name__}{state}",
            next_step="try the same address with psql, and whether this user may read the table",
        ) from None
