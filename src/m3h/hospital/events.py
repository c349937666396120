"""Time series: events joined with samples, cut at each sample's time, sorted and streamed. SQL never adds up floats."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.hospital.link import Link, check_columns, check_used, described, link
from m3h.hospital.samples import SampleTable
from m3h.hospital.sources import Counts, EventBatch, Events
from m3h.hospital.sql import is_number, is_text, key_text, not_number, number, quoted
from m3h.hospital.tables import Tables
from m3h.hospital.values import as_text
from m3h.study.spec import Source

#: Events in one batch, about; a batch is longer where a single sample has more.
BATCH_ROWS = 1_000_000

_USED, _UNMAPPED, _MISSING_TIME, _LATER, _MISSING_VALUE, _TEXT, _INFINITE = range(7)


def read_events(tables: Tables, samples: SampleTable, source: Source) -> Events:
    """A time-series source. ``batches`` and ``signals_of`` read from ``tables``, which must still be open then.

    Ties at one time are ordered by ``available``, the columns of ``order`` and the value, so the order of the
    table's rows never counts. Errors: DataError for missing columns, times that cannot be compared, texts and
    infinities among the values that would be used, and a table with no row for any sample.
    """
    where = described(tables, source)
    types = tables.types(source)
    signal, value = source.signal or "", source.value or ""
    check_columns([("signal", signal), ("value", value), *(("order", name) for name in source.order)], types, where)
    if not is_number(types[value]) and not is_text(types[value]):
        raise DataError(f"{value} holds no numbers", where=where, got=f"type {types[value]}")
    joined = link(tables, samples, source, numbered=False)
    names, judged = _judge(tables, source, joined)
    counts = _count(tables, source, joined, judged, where)
    check_used(tables, source, counts)
    if not source.signals:
        found = tables.rows(f"SELECT DISTINCT m3h_name FROM ({judged}) WHERE m3h_status = {_USED}", source)
        names = tuple(sorted(name for (name,) in found))
    numbering = tables.store(
        pl.DataFrame(
            {"m3h_name": names, "m3h_signal": range(len(names))}, schema={"m3h_name": pl.String, "m3h_signal": pl.Int32}
        ),
        source,
    )
    ties = "".join(f", {column} NULLS FIRST" for column in _ties(source))
    stored = tables.store(
        f"SELECT m3h_sample, m3h_signal, m3h_time, m3h_value FROM ({judged}) j JOIN {numbering} n "
        f"ON j.m3h_name = n.m3h_name WHERE m3h_status = {_USED} "
        f"ORDER BY m3h_sample, m3h_signal, m3h_moment NULLS FIRST, m3h_known NULLS FIRST{ties}, m3h_value",
        source,
    )
    number_time = joined.clock is None or joined.clock.kind != "timestamp"
    return Events(
        samples=len(samples),
        signals=names,
        time_unit=(source.time or "") if number_time else "hours",
        relative=joined.relative,
        batches=partial(_batches, tables, source, stored),
        signals_of=partial(_signals_of, tables, source, stored, names),
        counts=counts,
    )


def _ties(source: Source) -> list[str]:
    """Names of what orders events of one time: each column as a number, where it is one, then as text."""
    return [f"m3h_tie_{number}_{how}" for number in range(len(source.order)) for how in ("number", "text")]


def no_events(samples: SampleTable, source: Source) -> Events:
    """A time-series source of which there is nothing."""
    return Events(
        samples=len(samples),
        signals=tuple(dict.fromkeys(source.signals.values())),
        time_unit="hours" if samples.time_kind == "timestamp" else source.time or "",
        relative=samples.time is not None,
        batches=lambda: iter(()),
        signals_of=lambda rows: (),
    )


def _judge(tables: Tables, source: Source, joined: Link) -> tuple[tuple[str, ...], str]:
    """The signals' names if the study maps them, and SQL that gives each matched row a status."""
    types = tables.types(source)
    signal, value = quoted(source.signal or ""), quoted(source.value or "")
    kind = types[source.value or ""]
    code = key_text(f"m.{signal}", types[source.signal or ""])
    names: tuple[str, ...] = ()
    name, mapping, unmapped = code, "", "false"
    if source.signals:
        names = tuple(dict.fromkeys(source.signals.values()))
        mapped = dict(zip(as_text(pl.Series(list(source.signals))), source.signals.values(), strict=True))
        codes = {"m3h_code": list(mapped), "m3h_mapped": list(mapped.values())}
        mapping = f"LEFT JOIN {tables.store(pl.DataFrame(codes), source)} c ON {code} = c.m3h_code"
        name, unmapped = "c.m3h_mapped", "c.m3h_mapped IS NULL"
    number_sql = number(f"m.{value}", kind)
    status = (
        f"CASE WHEN {unmapped} THEN {_UNMAPPED} WHEN m3h_missing THEN {_MISSING_TIME} WHEN m3h_later THEN {_LATER} "
        f"WHEN {code} IS NULL THEN {_MISSING_VALUE} WHEN {not_number(f'm.{value}', kind)} THEN {_TEXT} "
        f"WHEN {number_sql} IS NULL THEN {_MISSING_VALUE} WHEN isinf({number_sql}) THEN {_INFINITE} ELSE {_USED} END"
    )
    ties = "".join(
        f", TRY_CAST(m.{quoted(column)} AS DOUBLE) AS {tie[0]}, CAST(m.{quoted(column)} AS VARCHAR) AS {tie[1]}"
        for column, tie in zip(source.order, zip(_ties(source)[::2], _ties(source)[1::2], strict=True), strict=True)
    )
    return names, (
        f"SELECT m3h_sample, m3h_moment, m3h_known, m3h_time, {name} AS m3h_name, {number_sql} AS m3h_value{ties}, "
        f"{status} AS m3h_status FROM ({joined.matched}) m {mapping}"
    )


def _count(tables: Tables, source: Source, joined: Link, judged: str, where: str) -> Counts:
    found = dict(tables.rows(f"SELECT m3h_status, count(*) FROM ({judged}) GROUP BY m3h_status", source))
    used = found.get(_USED, 0)
    for status, what in ((_TEXT, "texts where numbers belong"), (_INFINITE, "infinite values")):
        if found.get(status):
            raise DataError(
                f"{source.value}: {found[status]} {what}, {used} numbers",
                where=where,
                expected="finite numbers; empty where nothing was measured",
                next_step="correct the values (36.5, not 36,5), or leave their signals out with a signals map",
            )
    return Counts(
        rows=joined.rows,
        unmatched=joined.unmatched,
        missing_time=found.get(_MISSING_TIME, 0),
        later=found.get(_LATER, 0),
        missing_value=found.get(_MISSING_VALUE, 0),
        used=used,
        unmapped=found.get(_UNMAPPED, 0),
    )


def _signals_of(
    tables: Tables, source: Source, stored: str, names: tuple[str, ...], rows: NDArray[np.bool_]
) -> tuple[str, ...]:
    chosen = pl.DataFrame({"m3h_sample": np.flatnonzero(rows)})
    with tables.reading(source):
        cursor = tables.connection.cursor()
        cursor.register("m3h_chosen", chosen.to_arrow())
        found = cursor.execute(
            f"SELECT DISTINCT m3h_signal FROM {stored} WHERE m3h_sample IN (SELECT m3h_sample FROM m3h_chosen)"
        ).fetchall()
        cursor.close()
    return tuple(names[index] for (index,) in sorted(found))


def _batches(tables: Tables, source: Source, stored: str) -> Iterator[EventBatch]:
    """The stored events in their order, cut between samples."""
    waiting: list[pa.RecordBatch] = []
    for part in _parts(tables, source, stored):
        waiting.append(part)
        if sum(len(other) for other in waiting) < BATCH_ROWS:
            continue
        table = pa.Table.from_batches(waiting)
        sample = table["m3h_sample"].to_numpy()
        cut = int(np.searchsorted(sample, sample[-1]))  # the last sample may go on in the next part
        if cut:
            yield _batch(table.slice(0, cut))
        waiting = table.slice(cut).combine_chunks().to_batches()
    if waiting:
        yield _batch(pa.Table.from_batches(waiting))


def _parts(tables: Tables, source: Source, stored: str) -> Iterator[pa.RecordBatch]:
    with tables.reading(source):
        # a cursor of its own: another query on the connection would end this stream
        cursor: duckdb.DuckDBPyConnection = tables.connection.cursor()
        yield from cursor.sql(f"SELECT * FROM {stored}").to_arrow_reader(BATCH_ROWS // 4)
        cursor.close()


def _batch(table: pa.Table) -> EventBatch:
    sample = table["m3h_sample"].to_numpy().astype(np.int64, copy=False)
    if np.any(sample[1:] < sample[:-1]):
        raise RuntimeError("the database gave events out of order")
    return EventBatch(
        sample=sample,
        signal=table["m3h_signal"].to_numpy().astype(np.int32, copy=False),
        time=table["m3h_time"].to_numpy().astype(np.float64, copy=False),
        value=table["m3h_value"].to_numpy().astype(np.float64, copy=False),
    )
