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
from m3h.hospital import event_batches
from m3h.hospital.event_batches import Readers
from m3h.hospital.link import Link, check_columns, check_used, described, link
from m3h.hospital.samples import SampleTable
from m3h.hospital.sources import Counts, EventBatch, Events
from m3h.hospital.sql import fits_bigint, is_number, is_text, key_text, not_number, number, quoted
from m3h.hospital.tables import Tables
from m3h.hospital.values import as_text
from m3h.study.spec import Source

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
    codes, names = _codes(tables, source, types[signal])
    judged = _judge(source, types, joined, codes)
    counts, used = _count(tables, source, joined, judged, where)
    check_used(tables, source, counts)
    if not source.signals:
        names = tuple(names[index] for index in used)
    place = np.zeros(max(used, default=0) + 1, dtype=np.int32)
    place[used] = used if source.signals else range(len(used))
    stored = _Stored(tables, source, joined, judged)
    clock = joined.clock
    return Events(
        samples=len(samples),
        signals=names,
        time_unit="hours" if clock is not None and clock.kind == "timestamp" else source.time or "",
        relative=joined.relative,
        batches=partial(stored.batches, place),
        signals_of=partial(stored.signals_of, place, names),
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


def _codes(tables: Tables, source: Source, kind: str) -> tuple[str, tuple[str, ...]]:
    """A table of the signal column's values (m3h_raw) and their numbers (m3h_signal; NULL = none), and the names that
    are numbered: those of the study's map, or all that there are, sorted.

    What a value means is worked out once, not for each of a million rows.
    """
    signal = quoted(source.signal or "")
    raw = tables.store(
        f"SELECT DISTINCT {signal} AS m3h_raw, {key_text(signal, kind)} AS m3h_code FROM ({tables.select(source)})",
        source,
    )
    if source.signals:
        names = tuple(dict.fromkeys(source.signals.values()))
        place = {name: index for index, name in enumerate(names)}
        number_of = {
            code: place[name]
            for code, name in zip(as_text(pl.Series(list(source.signals))), source.signals.values(), strict=True)
        }
    else:
        found = tables.rows(f"SELECT DISTINCT m3h_code FROM {raw} WHERE m3h_code IS NOT NULL", source)
        names = tuple(sorted(name for (name,) in found))
        number_of = {name: index for index, name in enumerate(names)}
    numbers = tables.store(
        pl.DataFrame(
            {"m3h_code": list(number_of), "m3h_signal": list(number_of.values())},
            schema={"m3h_code": pl.String, "m3h_signal": pl.Int32},
        ),
        source,
    )
    join = f"SELECT m3h_raw, m3h_signal FROM {raw} JOIN {numbers} USING (m3h_code)"
    return tables.store(join, source), names


def _judge(source: Source, types: dict[str, str], joined: Link, codes: str) -> str:
    """SQL of the table's rows, each with its key, times, signal, value, ties, and what becomes of the value."""
    value, kind = f"m.{quoted(source.value or '')}", types[source.value or ""]
    number_sql = number(value, kind)
    of_value = (
        f"CASE WHEN c.m3h_signal IS NULL THEN {_UNMAPPED if source.signals else _MISSING_VALUE} "
        f"WHEN {not_number(value, kind)} THEN {_TEXT} WHEN {number_sql} IS NULL THEN {_MISSING_VALUE} "
        f"WHEN isinf({number_sql}) THEN {_INFINITE} ELSE {_USED} END"
    )
    names = _ties(source)
    ties = "".join(
        f", {expression} AS {name}"
        for column, number_name, text_name in zip(source.order, names[::2], names[1::2], strict=True)
        for name, expression in zip((number_name, text_name), _tie(f"m.{quoted(column)}", types[column]), strict=True)
    )
    return (
        f"SELECT m3h_key, m3h_moment, m3h_known, c.m3h_signal, {number_sql} AS m3h_value{ties}, "
        f"{of_value} AS m3h_of_value FROM ({joined.own}) m "
        f"LEFT JOIN {codes} c ON m.{quoted(source.signal or '')} = c.m3h_raw"
    )


def _tie(column: str, kind: str) -> tuple[str, str]:
    """A column as a number and as text; of whole numbers the text only where two of them are one as DOUBLE."""
    text = f"CAST({column} AS VARCHAR)"
    if fits_bigint(kind):
        text = f"CASE WHEN abs(CAST({column} AS DOUBLE)) >= {2**53} THEN {text} END"
    return f"TRY_CAST({column} AS DOUBLE)", text


def _count(tables: Tables, source: Source, joined: Link, judged: str, where: str) -> tuple[Counts, list[int]]:
    """What became of the rows, and the numbers of the signals that reach a sample, ascending."""
    status = (
        f"CASE WHEN m3h_of_value = {_UNMAPPED} THEN {_UNMAPPED} WHEN {joined.missing} THEN {_MISSING_TIME} "
        f"WHEN {joined.later} THEN {_LATER} ELSE m3h_of_value END"
    )
    rows = tables.rows(
        f"SELECT {status} AS status, m3h_signal, count(*) FROM ({judged}) e "
        f"JOIN {joined.keyed} s ON e.m3h_key = s.m3h_key GROUP BY ALL",
        source,
    )
    found = dict.fromkeys(range(_INFINITE + 1), 0)
    for of, _, count in rows:
        found[of] += count
    for of, what in ((_TEXT, "texts where numbers belong"), (_INFINITE, "infinite values")):
        if found[of]:
            raise DataError(
                f"{source.value}: {found[of]} {what}, {found[_USED]} numbers",
                where=where,
                expected="finite numbers; empty where nothing was measured",
                next_step="correct the values (36.5, not 36,5), or leave their signals out with a signals map",
            )
    counts = Counts(
        rows=joined.rows,
        unmatched=joined.unmatched,
        missing_time=found[_MISSING_TIME],
        later=found[_LATER],
        missing_value=found[_MISSING_VALUE],
        used=found[_USED],
        unmapped=found[_UNMAPPED],
    )
    return counts, sorted(signal for of, signal, _ in rows if of == _USED)


class _Stored:
    """Events that reach a sample, kept once whatever the number of samples that share them; in order of key, signal,
    time and what decides ties."""

    def __init__(self, tables: Tables, source: Source, joined: Link, judged: str) -> None:
        self.tables, self.source, self.joined = tables, source, joined
        # what reaches the last sample of a key is all that reaches any
        self.groups = tables.store(
            "SELECT m3h_key, CAST(row_number() OVER (ORDER BY min(m3h_sample)) - 1 AS INTEGER) AS m3h_group, "
            f"max(m3h_at) AS m3h_at FROM {joined.keyed} WHERE m3h_key IS NOT NULL GROUP BY m3h_key",
            source,
        )
        self.reaching = f"NOT {joined.missing} AND NOT {joined.later}"
        ties = "".join(f", {column} NULLS FIRST" for column in _ties(source))
        known = "" if source.available is None else ", m3h_known"
        self.name = tables.store(
            f"SELECT m3h_group, m3h_signal, m3h_moment{known}, m3h_value FROM ({judged}) e "
            f"JOIN {self.groups} s ON e.m3h_key = s.m3h_key "
            f"WHERE m3h_of_value = {_USED} AND {self.reaching} "
            f"ORDER BY m3h_group, m3h_signal, m3h_moment{known}{ties}, m3h_value",
            source,
        )
        self.readers = self._readers()

    def _readers(self) -> Readers:
        timed = " AND s.m3h_at IS NOT NULL" if self.joined.relative else ""
        found = self.tables.frame(
            f"SELECT m3h_group, m3h_sample, s.m3h_at FROM {self.joined.keyed} s JOIN {self.groups} g "
            f"ON s.m3h_key = g.m3h_key{timed} ORDER BY m3h_group, m3h_sample",
            self.source,
        )
        clock = self.joined.clock
        return Readers(
            group=found["m3h_group"].to_numpy().astype(np.int64),
            sample=found["m3h_sample"].to_numpy().astype(np.int64),
            at=found["m3h_at"].to_numpy(),
            relative=self.joined.relative,
            hours=clock is not None and clock.kind == "timestamp",
            timed=clock is not None,
        )

    def batches(self, place: NDArray[np.int32]) -> Iterator[EventBatch]:
        """The events of each sample; ``place`` gives each stored signal its number."""
        return self.readers.batches(self._parts(), place)

    def _parts(self) -> Iterator[pa.RecordBatch]:
        with self.tables.reading(self.source):
            # a cursor of its own: another query on the connection would end this stream
            cursor: duckdb.DuckDBPyConnection = self.tables.connection.cursor()
            yield from cursor.sql(f"SELECT * FROM {self.name}").to_arrow_reader(event_batches.BATCH_ROWS // 4)
            cursor.close()

    def signals_of(self, place: NDArray[np.int32], names: tuple[str, ...], rows: NDArray[np.bool_]) -> tuple[str, ...]:
        """The signals of which an event reaches one of the samples where ``rows`` is True."""
        chosen = rows[self.readers.sample]
        of_group = pl.DataFrame({"m3h_group": self.readers.group[chosen], "m3h_at": self.readers.at[chosen]})
        last = of_group.group_by("m3h_group").agg(pl.col("m3h_at").max())
        with self.tables.reading(self.source):
            cursor = self.tables.connection.cursor()
            cursor.register("m3h_chosen", last.to_arrow())
            found = cursor.execute(
                f"SELECT DISTINCT m3h_signal FROM {self.name} e JOIN m3h_chosen s ON e.m3h_group = s.m3h_group "
                f"WHERE {self.reaching}"
            ).fetchall()
            cursor.close()
        return tuple(names[place[index]] for (index,) in sorted(found))
