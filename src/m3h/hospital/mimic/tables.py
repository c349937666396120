"""The tables of a MIMIC as typed views, so that a query does not see which version it reads."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import duckdb

from m3h.core.errors import DataError, FolderError, M3HError, nearest
from m3h.hospital import files
from m3h.hospital.codes import unfit_type
from m3h.hospital.damage import csv_damage
from m3h.hospital.mimic.layout import Column, Layout, Wanted, wanted
from m3h.hospital.sql import filled, literal, quoted


def views(connection: duckdb.DuckDBPyConnection, layout: Layout) -> None:
    """Make a view of every table that may be read; one that is not there is empty.

    Ids and numbers as numbers, times as timestamps, all else as texts without blanks around them, empty = NULL.
    What cannot be read is NULL too, and the column ``unreadable`` then names the first column of the row with which
    that is so: of a table that is whole any column, of others those that are counted.
    Errors: DataError for a file that cannot be read or lacks a column.
    """
    for table in wanted().values():
        path = layout.tables.get(table.name)
        columns = ", ".join(f"CAST(NULL AS {one.kind}) AS {quoted(name)}" for name, one in table.columns.items())
        empty = f"SELECT {columns}, CAST(NULL AS VARCHAR) AS unreadable WHERE false"
        connection.execute(
            f"CREATE VIEW {quoted(table.name)} AS {empty if path is None else _select(connection, table, path)}"
        )


def _select(connection: duckdb.DuckDBPyConnection, table: Wanted, path: Path) -> str:
    there, _ = files.header(path)
    by_name = {name.casefold(): name for name in there}
    texts, values = [], []
    for name, column in table.columns.items():
        found = next((by_name[other.casefold()] for other in column.names if other.casefold() in by_name), None)
        if found is None and not column.optional:
            raise DataError(
                f'no column "{name}"{nearest(name, there)}',
                where=path.name,
                expected=" or ".join(column.names),
                next_step="give the tables of MIMIC-IV 1.0 to 3.1 as they were published",
            )
        texts.append(f"{'NULL' if found is None else _text(found, column)} AS {quoted(_raw(name))}")
        values.append(f"{typed(quoted(_raw(name)), column)} AS {quoted(name)}")
    inner = f"SELECT {', '.join(texts)} FROM ({files.select([path])})"
    _check_codes(connection, table, path)
    typed_rows = f"SELECT *, {', '.join(values)} FROM ({inner})"
    return f"SELECT {_names(table)}, {_unreadable(table)} AS unreadable FROM ({typed_rows})"


def _check_codes(connection: duckdb.DuckDBPyConnection, table: Wanted, path: Path) -> None:
    """Errors: DataError where diagnosis codes are numbers."""
    if table.name == "diagnoses_icd" and files.suffix(path.name) == ".parquet":
        kinds = {
            name.casefold(): str(kind)
            for name, kind, *_ in connection.execute(f"DESCRIBE {files.select([path])}").fetchall()
        }
        if reason := unfit_type(kinds["icd_code"]):
            raise DataError(
                f"icd_code: {reason}", where=path.name, next_step="export the table again, with codes as texts"
            )


def _names(table: Wanted) -> str:
    return ", ".join(quoted(name) for name in table.columns)


def _raw(name: str) -> str:
    return f"{name} as text"


def _text(found: str, column: Column) -> str:
    # blanks around a number or a time are looked at where it cannot be read as it stands: cutting them off takes longer
    # than all the rest of reading a table of millions of rows
    return filled(quoted(found)) if column.kind == "VARCHAR" else f"CAST({quoted(found)} AS VARCHAR)"


def typed(text: str, column: Column) -> str:
    """A text in the type of its column, blanks around it cut off; what does not fit is NULL."""
    if column.kind == "VARCHAR":
        return f"CAST({text} AS VARCHAR)"
    plain = f"TRY_CAST({text} AS {column.kind})"
    cut = _cut(text)
    if column.kind == "BIGINT":  # a table saved with a missing id turns 17 into 17.0; 17.5 is none
        plain = f"CASE WHEN NOT contains({text}, '.') THEN {plain} END"
        cut = f"CASE WHEN contains({cut}, '.') THEN regexp_extract({cut}, '^(-?[0-9]+)[.]0*$', 1) ELSE {cut} END"
    slow = f"TRY_CAST({cut} AS {column.kind})"
    if column.kind == "DOUBLE":
        plain, slow = (f"CASE WHEN isfinite({one}) THEN {one} END" for one in (plain, slow))
    if column.kind == "TIMESTAMP":  # MIMIC's times have no zone; the database would shift one that has to UTC
        plain, slow = (
            f"CASE WHEN {_usual(one)} OR NOT {_zoned(one)} THEN {done} END"
            for one, done in ((text, plain), (cut, slow))
        )
    return f"coalesce({plain}, CASE WHEN {text} IS NOT NULL THEN {slow} END)"


def _usual(text: str) -> str:
    """Whether a time has the form 2150-01-31 23:59:59, which is quicker to see than that it has no zone."""
    return f"(length({text}) = 19 AND {text}[17] = ':')"


def _zoned(text: str) -> str:
    return f"(length({text}) > 10 AND regexp_matches({text}, '([A-Za-z]|[0-9][+-][0-9]{{2}}(:?[0-9]{{2}})?)$'))"


def _cut(text: str) -> str:
    # a Parquet file holds NaN where a number is missing
    return f"nullif({filled(text)}, 'nan')"


def _unreadable(table: Wanted) -> str:
    names = [name for name in table.columns if table.whole] or list(table.counted)
    kinds = [(name, table.columns[name].kind) for name in names]
    cases = [
        f"WHEN {quoted(name)} IS NULL AND {quoted(_raw(name))} IS NOT NULL AND {_cut(quoted(_raw(name)))} IS NOT NULL "
        f"THEN {literal(name)}"
        for name, kind in kinds
        if kind != "VARCHAR"
    ]
    return f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS VARCHAR)"


def text(name: str) -> str:
    """One of the SQL files of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@contextlib.contextmanager
def reading(where: str) -> Iterator[None]:
    """What the database cannot read becomes a DataError without any value; ``where`` names the table."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise DataError(
            "does not fit into memory and temporary disk space",
            where=where,
            next_step="free memory, or space in the folder of temporary files (TMPDIR)",
        ) from None
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise csv_damage(error, where) or _damaged(error, where) from None


def _damaged(error: duckdb.Error, where: str) -> M3HError:
    text = str(error)
    if "Could not write" in text or "No space left" in text:
        return FolderError(
            "cannot be written: is the disk full?", where=where, next_step="free space, or choose another --out"
        )
    suffixes = "|".join(re.escape(one) for one in sorted(files.SUFFIXES, key=len, reverse=True))
    names = re.findall(rf"[^/\\\"\n]+(?:{suffixes})", text)
    return DataError(
        "truncated, damaged, or not what its name says",
        where=names[0] if names else where,
        got=type(error).__name__,
        expected="the published file, whole",
        next_step="compare the file with SHA256SUMS.txt, and download it again",
    )
