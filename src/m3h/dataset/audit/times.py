"""Times that a study did not declare: rows that reach a sample though a column says they are of later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.hospital.link import link
from m3h.hospital.moments import MICROSECONDS_PER_HOUR
from m3h.hospital.samples import SampleTable
from m3h.hospital.sql import filled, is_number, is_text, number, quoted
from m3h.hospital.tables import Tables
from m3h.hospital.tabular import chosen
from m3h.study.spec import Source, Study

Floats = NDArray[np.float64]
Found = dict[str, Any]

#: Samples that are looked at, at equal distances; more cost time and tell nothing new.
SAMPLES = 1000
#: Charting within the hour is how wards work; a timestamp counts as later from then on.
GRACE_HOURS = 1.0
#: Share of the samples that a source reaches, with a later row, from which on it is told.
SHARE = 0.01
#: Share of rows that keep an order by which two columns are known to be times of one row.
ORDERED = 0.99
#: Rank correlation of such columns, and share of rows out of order if rows were paired at random.
TOGETHER, APART = 0.9, 0.2


def some_rows(samples: SampleTable) -> NDArray[np.int64]:
    """Rows of the samples that are looked at, ascending: all, or some at equal distances in the order of their ids."""
    return np.unique(np.linspace(0, len(samples) - 1, min(len(samples), SAMPLES)).astype(np.int64))


def rows_of(samples: SampleTable, rows: NDArray[np.int64]) -> SampleTable:
    """These rows of the samples table, ascending."""
    return replace(
        samples,
        ids=samples.ids[rows],
        patients=samples.patients[rows],
        time=None if samples.time is None else samples.time[rows],
        split=None if samples.split is None else samples.split[rows],
        subgroups={name: values[rows] for name, values in samples.subgroups.items()},
        frame=samples.frame[rows],
        moment=None if samples.moment is None else samples.moment[rows],
        keys={name: values[rows] for name, values in samples.keys.items()},
        rows=samples.rows[rows],
    )


def undeclared_times(tables: Tables, study: Study, samples: SampleTable) -> list[Found]:
    """Columns that hold times later than the sample's in rows that reach it, source by source.

    Each with source, column, ``rows`` that are later and ``used``, ``samples`` with such a row and ``reached``. In a
    table of its own these are columns beside the declared ones; of numbers that are read, those that are never below
    the sample's time though the samples' times differ. Empty where samples have no time. A column that only ends the
    row passes where the value was cut at the sample's time.
    """
    if samples.moment is None:
        return []
    some = rows_of(samples, some_rows(samples))
    found: list[Found] = []
    for source in study.sources:
        names = chosen(tables, source) if source.read_as == "tabular" else ()
        found += _own_table(tables, some, source, names) if source.own_table else _read(some, source, names)
    return found


def _own_table(tables: Tables, samples: SampleTable, source: Source, names: tuple[str, ...]) -> Iterator[Found]:
    declared = {source.key, source.time, source.available, source.signal, source.value, source.column, *source.order}
    types = tables.types(source)
    clocks = {
        name: sql
        for name, kind in types.items()
        if name not in declared and (sql := _clock(name, kind, samples, read=name in names))
    }
    if not clocks:
        return
    frame = _rows(tables, samples, source, clocks)
    if frame.is_empty():
        return
    at, time = frame["m3h_at"].to_numpy(), frame["m3h_moment"].to_numpy()
    who = frame["m3h_sample"].to_numpy()
    for index, name in enumerate(clocks):
        moment = frame[f"m3h_clock_{index}"].to_numpy()
        if not _is_time(moment, time if source.time else None, at, who, samples.time_kind == "timestamp"):
            continue
        late = moment > at + (GRACE_HOURS if samples.time_kind == "timestamp" else 0.0)
        if source.value and _cut(moment, time, at, frame["m3h_value"].to_numpy(), late):
            continue
        yield from _told(source, name, late, who)


def _told(source: Source, column: str, late: NDArray[np.bool_], who: NDArray[Any]) -> Iterator[Found]:
    reached, having = len(np.unique(who)), len(np.unique(who[late]))
    if having and having >= SHARE * reached:
        counts = {"rows": int(late.sum()), "used": len(late), "samples": having, "reached": reached}
        yield {"source": source.name, "column": column, "declared": bool(source.time)} | counts


def _clock(name: str, kind: str, samples: SampleTable, *, read: bool) -> str | None:
    """SQL of a column as hours since the epoch, or as a number; None where it cannot be a time of the samples' kind."""
    if samples.time_kind == "number":
        return number(quoted(name), kind) if (is_number(kind) and kind != "BOOLEAN") or is_text(kind) else None
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        fits = kind.endswith("TIME ZONE") == samples.zoned
        value = quoted(name)
    else:
        fits = is_text(kind) and not samples.zoned and not read
        value = f"TRY_CAST({filled(quoted(name))} AS TIMESTAMP)"
    exact = value if samples.zoned else f"CAST({value} AS TIMESTAMP)"
    return f"CASE WHEN isfinite({exact}) THEN epoch_us({exact}) END / {MICROSECONDS_PER_HOUR}.0" if fits else None


def _rows(tables: Tables, samples: SampleTable, source: Source, clocks: dict[str, str]) -> pl.DataFrame:
    """The rows that reach the samples: their time and the sample's (hours, or numbers), value and other times."""
    joined = link(tables, samples, source, numbered=False)
    moment = samples.moment if samples.moment is not None else pl.Series([None] * len(samples), dtype=pl.Int64)
    stored = tables.store(pl.DataFrame({"m3h_one": range(len(samples)), "m3h_when": moment}), source)
    unit = f"{MICROSECONDS_PER_HOUR}.0" if samples.time_kind == "timestamp" else "1.0"
    value = number(quoted(source.value), tables.types(source)[source.value]) if source.value else "NULL"
    columns = [
        "m3h_sample",
        f"CAST(m3h_when / {unit} AS DOUBLE) AS m3h_at",
        f"CAST(m3h_moment / {unit} AS DOUBLE) AS m3h_moment",
        f"CAST({value} AS DOUBLE) AS m3h_value",
        *(f"CAST({sql} AS DOUBLE) AS m3h_clock_{index}" for index, sql in enumerate(clocks.values())),
    ]
    frame = tables.frame(
        f"SELECT {', '.join(columns)} FROM ({joined.matched}) JOIN {stored} ON m3h_sample = m3h_one "
        f"WHERE NOT m3h_missing AND NOT m3h_later AND m3h_when IS NOT NULL ORDER BY ALL",
        source,
    )
    return frame.with_columns(pl.all().exclude("m3h_sample").fill_null(float("nan")))


def _is_time(moment: Floats, time: Floats | None, at: Floats, who: NDArray[Any], stamped: bool) -> bool:
    """Whether a column tells time: timestamps do; numbers do that keep step with the row's time or the sample's."""
    known = ~np.isnan(moment)
    if known.sum() < 3:
        return False
    if stamped:
        return True
    if time is not None:
        return _in_step(moment[known], time[known])
    return _always_after(moment[known], at[known])


def _in_step(moment: Floats, time: Floats) -> bool:
    """Whether numbers are those of another clock of the same rows: never before, close, and in the same order."""
    if moment.min() == moment.max() or time.min() == time.max():
        return False
    ordered = (moment >= time).mean() >= ORDERED and np.median(moment - time) <= np.ptp(time)
    order = np.corrcoef(np.argsort(np.argsort(moment)), np.argsort(np.argsort(time)))[0, 1]
    return bool(ordered and order >= TOGETHER)


def _always_after(moment: Floats, at: Floats) -> bool:
    """Whether numbers are times after the samples': never before their own, often before that of another sample."""
    other = seeds.generator(0, "audit", "times").permutation(len(at))
    return bool((moment >= at).mean() >= ORDERED and (moment < at[other]).mean() >= APART)


def _cut(moment: Floats, time: Floats, at: Floats, value: Floats, late: NDArray[np.bool_]) -> bool:
    """Whether the value is the row's length, and ends at the sample's time where the row goes on beyond it."""
    length = moment - time
    counted = ~np.isnan(value) & (length > 1 / 60)
    early = counted & ~late
    if early.sum() < 3 or not (counted & late).any():
        return False
    unit = float(np.median(value[early] / length[early]))
    fits = np.abs(value - unit * length) <= 0.01 * np.abs(unit * length) + 1e-9
    ends = np.abs(value - unit * (at - time)) <= 0.01 * np.abs(unit * length) + 1e-9
    lengths = fits[early]
    return bool(lengths.mean() >= 0.5 and (ends[counted & late]).mean() >= 0.5 * lengths.mean())


def _read(samples: SampleTable, source: Source, names: tuple[str, ...]) -> Iterator[Found]:
    """Columns of the samples table that are read and hold a number never below the sample's time."""
    if samples.time_kind != "number" or samples.time is None:
        return
    for name in names:
        series = samples.frame[name]
        if not (series.dtype.is_numeric() or series.dtype == pl.String):
            continue
        value = series.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        known = ~np.isnan(value) & ~np.isnan(samples.time)
        moment, at = value[known], samples.time[known]
        if known.sum() >= 20 and _always_after(moment, at):
            yield from _told(source, name, moment > at, np.flatnonzero(known))
