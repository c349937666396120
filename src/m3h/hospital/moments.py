"""Times in tables: numbers or timestamps, decided by the column's type or, for texts, by all of its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m3h.core.errors import DataError
from m3h.hospital.sql import filled, is_float, is_number, number, quoted
from m3h.hospital.tables import Tables
from m3h.study.spec import Samples, Source

TimeKind = Literal["none", "number", "timestamp"]

#: Timestamps are compared and subtracted in whole microseconds, so that shifting all dates changes no bit.
MICROSECONDS_PER_HOUR = 3_600_000_000

_ZONE = r":[0-9]{2}(\.[0-9]+)?\s*(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$"


@dataclass(frozen=True)
class Clock:
    """How a time column is read: ``sql`` gives DOUBLE for numbers, BIGINT microseconds since the epoch for timestamps.

    ``kind`` is "none" where every value is missing. ``zoned``: the timestamps carry a time zone.
    """

    kind: TimeKind
    sql: str
    zoned: bool = False


_ISO = "ISO timestamps throughout, such as 2024-03-01 14:30:00"


def clock(tables: Tables, spec: Samples | Source, column: str) -> Clock:
    """How ``column`` of a table tells time. Errors: DataError for values that are no times, naming rows."""
    kind = tables.types(spec)[column]
    name = quoted(column)
    if is_number(kind):
        if is_float(kind):
            _refuse(tables, spec, column, f"isinf({name})", "infinite times", "finite numbers")
        return Clock("number", number(name, kind))
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        _refuse(tables, spec, column, f"NOT isfinite(CAST({name} AS TIMESTAMP))", "infinite times", "timestamps")
        return _timestamps(name, zoned=kind.endswith("TIME ZONE"))
    if kind == "VARCHAR":
        return _of_texts(tables, spec, column)
    raise DataError(
        f"{column} is no time", where=tables.name(spec), got=f"type {kind}", expected="numbers, dates or timestamps"
    )


def _timestamps(value: str, *, zoned: bool) -> Clock:
    exact = value if zoned else f"CAST({value} AS TIMESTAMP)"
    return Clock("timestamp", f"epoch_us({exact})", zoned)


def _of_texts(tables: Tables, spec: Samples | Source, column: str) -> Clock:
    text = filled(quoted(column))
    moment = f"TRY_CAST({text} AS TIMESTAMP)"
    value = f"TRY_CAST({text} AS DOUBLE)"
    query = (
        f"SELECT count({text}), count({value}), count({moment}), "
        rf"count(*) FILTER (WHERE regexp_matches({text}, '{_ZONE}')) FROM ({tables.select(spec)})"
    )
    given, numbers, moments, zoned = tables.rows(query, spec)[0]
    if numbers >= moments:
        fine, expected = value, "numbers throughout"
        found = Clock("number" if given else "none", number(quoted(column), "VARCHAR"))
        infinite = f"isinf({value})"
    else:
        if zoned:  # the plain type reads past an offset
            moment = f"TRY_CAST({text} AS TIMESTAMPTZ)"
        fine, expected = moment, _ISO
        found = _timestamps(moment, zoned=zoned > 0)
        infinite = f"NOT isfinite({moment})"
    wanted = f"numbers, or {_ISO}" if expected.startswith("numbers") else expected
    _refuse(tables, spec, column, f"{text} IS NOT NULL AND {fine} IS NULL", "values that are no time", wanted)
    _refuse(tables, spec, column, infinite, "infinite times", expected)
    if found.zoned and zoned != given:
        raise DataError(
            f"{column}: {zoned} of {given} timestamps have a time zone, the others none",
            where=tables.name(spec),
            next_step="write all of them with a time zone, or none",
        )
    return found


def _refuse(tables: Tables, spec: Samples | Source, column: str, condition: str, what: str, expected: str) -> None:
    """Raise for rows where ``condition`` holds, with their number and the first three of them."""
    base = f"({tables.select(spec)})"
    count = tables.rows(f"SELECT count(*) FROM {base} WHERE {condition}", spec)[0][0]
    if not count:
        return
    numbered = f"(SELECT *, row_number() OVER () AS m3h_row FROM {base})"
    first = tables.rows(f"SELECT m3h_row FROM {numbered} WHERE {condition} ORDER BY m3h_row LIMIT 3", spec)
    rows = ", ".join(str(row) for (row,) in first) + (", ..." if count > 3 else "")
    raise DataError(f"{column}: {count} {what} (row {rows})", where=tables.name(spec), expected=expected)
