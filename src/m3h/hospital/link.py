"""A table of its own joined with the samples on its key, each row judged: may it reach the sample's encoders?"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from m3h.core.errors import DataError, nearest
from m3h.hospital.moments import MICROSECONDS_PER_HOUR, Clock, clock
from m3h.hospital.samples import SampleTable
from m3h.hospital.sources import Counts
from m3h.hospital.sql import fits_bigint, key_text, quoted
from m3h.hospital.tables import Tables
from m3h.study.spec import Source


@dataclass(frozen=True)
class Link:
    """``matched`` is SQL: the table's rows once for each sample they belong to, with

    ``m3h_sample`` (row of the sample), ``m3h_row`` (row of the table, from 1), ``m3h_moment`` (time, exact),
    ``m3h_known`` (when it was available, exact), ``m3h_time`` (DOUBLE; relative to the sample's time where it has
    one, timestamps in hours), ``m3h_missing`` (no time, or the sample has none) and ``m3h_later`` (than the sample's
    time, or not yet available then).

    ``own`` is SQL of the table's rows alone, with ``m3h_key``, ``m3h_moment`` and ``m3h_known``; ``keyed`` the name of
    a table of the samples: ``m3h_sample``, ``m3h_key`` (of ``own``'s type) and ``m3h_at`` (time, exact). ``missing``
    and ``later`` are ``m3h_missing`` and ``m3h_later`` as conditions on rows e of the one and s of the other.
    """

    matched: str
    rows: int
    unmatched: int
    clock: Clock | None
    relative: bool
    own: str
    keyed: str
    missing: str
    later: str


def link(tables: Tables, samples: SampleTable, source: Source, *, numbered: bool = True) -> Link:
    """Join a source's own table with the samples; without ``numbered`` there are no row numbers, which take time.

    Errors: DataError for missing columns and for times that cannot be compared.
    """
    where = described(tables, source)
    types = tables.types(source)
    key = source.key or ""
    needed = (("key", key), ("time", source.time), ("available", source.available))
    check_columns([(role, column) for role, column in needed if column is not None], types, where)
    if key not in samples.keys:
        raise DataError(
            f'no column "{key}" in the samples table{nearest(key, samples.frame.columns)}',
            where=where,
            expected="key names a column of both tables",
        )
    time = _clock(tables, samples, source, source.time)
    known = _clock(tables, samples, source, source.available)
    relative = time is not None and samples.moment is not None
    moment = samples.moment if samples.moment is not None else pl.Series([None] * len(samples), dtype=pl.Int64)
    key_sql, keys = _key(quoted(key), types[key], samples.keys[key])
    keyed = tables.store(pl.DataFrame({"m3h_sample": range(len(samples)), "m3h_key": keys, "m3h_at": moment}), source)
    own = (
        f"SELECT *, {key_sql} AS m3h_key, "
        f"{time.sql if time else 'CAST(NULL AS BIGINT)'} AS m3h_moment, "
        f"{known.sql if known else 'CAST(NULL AS BIGINT)'} AS m3h_known FROM ({tables.select(source)})"
    )
    row = "row_number() OVER ()" if numbered else "CAST(NULL AS BIGINT)"
    missing, later = _missing(time, known, relative=relative), _later(known, relative=relative)
    matched = (
        f"SELECT e.*, s.m3h_sample, {_time(time, relative=relative)} AS m3h_time, {missing} AS m3h_missing, "
        f"{later} AS m3h_later FROM (SELECT *, {row} AS m3h_row FROM ({own})) e "
        f"JOIN {keyed} s ON e.m3h_key = s.m3h_key"
    )
    rows, unmatched = tables.rows(
        f"SELECT count(*), count(*) FILTER (WHERE s.m3h_key IS NULL) "
        f"FROM (SELECT {key_sql} AS m3h_key FROM ({tables.select(source)})) e "
        f"LEFT JOIN (SELECT DISTINCT m3h_key FROM {keyed}) s ON e.m3h_key = s.m3h_key",
        source,
    )[0]
    return Link(matched, rows, unmatched, time, relative, own, keyed, missing, later)


def _key(column: str, kind: str, keys: pl.Series) -> tuple[str, pl.Series]:
    """How a key is compared, in the table and in the samples: as texts; whole numbers, which is quicker, as they are.

    A sample's key that is no whole number, or not written as one (017), is of no row then.
    """
    if not fits_bigint(kind):
        return key_text(column, kind), keys
    whole = keys.cast(pl.Int64, strict=False)
    return f"CAST({column} AS BIGINT)", whole.set((whole.cast(pl.String) != keys).fill_null(True), None)


def described(tables: Tables, source: Source) -> str:
    """A source and its table, for messages."""
    return f'source "{source.name}" ({tables.name(source)})'


def check_columns(wanted: list[tuple[str, str]], types: dict[str, str], where: str) -> None:
    """Errors: DataError for a column that is not there, with the nearest name."""
    for role, column in wanted:
        if column not in types:
            raise DataError(f'no column "{column}" ({role}){nearest(column, types)}', where=where)


def check_used(tables: Tables, source: Source, counts: Counts) -> None:
    """Errors: DataError for a source with no row for any sample; new patients may well have none."""
    if counts.used or tables.new:
        return
    raise DataError(
        "no row for any sample",
        where=described(tables, source),
        got=f"{counts.rows} rows: {counts.unmatched} belong to no sample, {counts.unmapped} of signals not asked for, "
        f"{counts.missing_time} without a time, {counts.later} later than their sample's time, "
        f"{counts.missing_value} empty",
        next_step="compare key and times with the samples table, or remove the source",
    )


def _clock(tables: Tables, samples: SampleTable, source: Source, column: str | None) -> Clock | None:
    if column is None:
        return None
    found = clock(tables, source, column)
    if samples.moment is None or found.kind == "none" or samples.moment.null_count() == len(samples):
        return found
    if found.kind != samples.time_kind:
        raise DataError(
            f"{column} holds {found.kind}s, the samples' time {samples.time_kind}s",
            where=described(tables, source),
            expected="times of one kind, else nothing tells what came before the prediction moment",
        )
    if found.zoned != samples.zoned:
        has, lacks = (column, "the samples' time") if found.zoned else ("the samples' time", column)
        raise DataError(
            f"{has} has a time zone, {lacks} has none",
            where=described(tables, source),
            expected="a time zone in both or in neither; the difference could be hours",
        )
    return found


def _time(time: Clock | None, *, relative: bool) -> str:
    if time is None:
        return "CAST(NULL AS DOUBLE)"
    value = "(e.m3h_moment - s.m3h_at)" if relative else "e.m3h_moment"
    return f"{value} / {MICROSECONDS_PER_HOUR}.0::DOUBLE" if time.kind == "timestamp" else f"CAST({value} AS DOUBLE)"


def _missing(time: Clock | None, known: Clock | None, *, relative: bool) -> str:
    parts = ["e.m3h_moment IS NULL"] if time else []
    parts += ["s.m3h_at IS NULL"] if relative else []
    parts += ["e.m3h_known IS NULL"] if known else []
    return f"({' OR '.join(parts) or 'false'})"


def _later(known: Clock | None, *, relative: bool) -> str:
    parts = ["e.m3h_moment > s.m3h_at"] if relative else []
    parts += ["e.m3h_known > s.m3h_at"] if relative and known else []
    return f"coalesce({' OR '.join(parts) or 'false'}, false)"
