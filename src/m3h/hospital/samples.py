"""The samples table: who, which patient, when, on which side of the split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core.errors import DataError, nearest
from m3h.hospital.moments import MICROSECONDS_PER_HOUR, Clock, TimeKind, clock
from m3h.hospital.sql import key_text, quoted
from m3h.hospital.tables import Tables
from m3h.hospital.values import as_text, named, shown
from m3h.study.spec import Samples, Study

Strings = NDArray[np.str_]


@dataclass(frozen=True)
class SampleTable:
    """The samples, sorted by id as text.

    ``ids`` (unique) and ``patients`` are texts (sample,). ``time`` float64 (sample,): the study's numbers, or hours
    since the epoch for timestamps; NaN = missing, and then no row of a table with times reaches that sample; None if
    the study has no time. ``split`` "train" or "test" (sample,), or None. ``subgroups`` texts, "" = missing.
    ``frame`` the table itself. ``moment`` is the time without
    rounding (whole microseconds for timestamps, null = missing), ``zoned`` whether it has a time zone, ``keys`` the
    columns that tables of their own are joined on, as texts; ``rows`` (sample,) the row numbers in the table,
    counted from 1, for messages.
    """

    ids: Strings
    patients: Strings
    time: NDArray[np.float64] | None
    time_kind: TimeKind
    split: Strings | None
    subgroups: Mapping[str, Strings]
    frame: pl.DataFrame
    moment: pl.Series | None = None
    zoned: bool = False
    keys: Mapping[str, pl.Series] = field(default_factory=dict)
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.ids):
            object.__setattr__(self, "rows", np.arange(1, len(self.ids) + 1))

    def __len__(self) -> int:
        return len(self.ids)


def read_samples(tables: Tables, study: Study) -> SampleTable:
    """The samples of a study. Errors: DataError for missing columns, an empty table, ids that are missing or stand
    twice, samples without a patient, times that are none, split values other than train and test, and patients on
    both sides of the split; rows are named, ids never.

    New patients have no split, and subgroup columns may be absent.
    """
    spec = study.samples
    types = tables.types(spec)
    name = tables.name(spec)
    for role, column in _obligatory(spec, new=tables.new):
        if column not in types:
            raise DataError(f'no column "{column}" ({role}){nearest(column, types)}', where=name)
    frame, time = _read(tables, study, types)
    if frame.is_empty():
        raise DataError("no samples", where=name, expected="a row for each prediction moment of each patient")
    _check_ids(frame, name)
    frame = frame.sort("m3h_id")
    split = None
    if spec.split is not None and not tables.new:
        split = _split(frame, spec.split, name)
    moment = frame["m3h_moment"] if time is not None else None
    return SampleTable(
        ids=_strings(frame["m3h_id"]),
        patients=_strings(frame["m3h_patient"]),
        time=None if moment is None or time is None else _hours(moment, time),
        time_kind="none" if time is None else ("number" if time.kind == "none" else time.kind),
        split=split,
        subgroups={
            column: _strings(as_text(frame[column]).fill_null("")) for column in spec.subgroups if column in types
        },
        frame=frame.select(list(types)),
        moment=moment,
        zoned=time is not None and time.zoned,
        keys={column: frame[f"m3h_key_{column}"] for column in _keys(study) if column in types},
        rows=frame["m3h_row"].to_numpy().astype(np.int64),
    )


def _obligatory(spec: Samples, *, new: bool) -> list[tuple[str, str]]:
    found = [("id", spec.id), ("patient", spec.patient)]
    if spec.time is not None:
        found.append(("time", spec.time))
    if not new:
        found += [("split", spec.split)] if spec.split is not None else []
        found += [("subgroups", column) for column in spec.subgroups]
    return found


def _keys(study: Study) -> list[str]:
    found = {source.key for source in study.sources if source.own_table and source.key is not None}
    return sorted(found | ({study.diagnoses.key} if study.diagnoses is not None else set()))


def _read(tables: Tables, study: Study, types: Mapping[str, str]) -> tuple[pl.DataFrame, Clock | None]:
    spec = study.samples
    columns = [
        "*",
        f"{key_text(quoted(spec.id), types[spec.id])} AS m3h_id",
        f"{key_text(quoted(spec.patient), types[spec.patient])} AS m3h_patient",
        *(f"{key_text(quoted(key), types[key])} AS {quoted(f'm3h_key_{key}')}" for key in _keys(study) if key in types),
        "row_number() OVER () AS m3h_row",
    ]
    time = None
    if spec.time is not None:
        time = clock(tables, spec, spec.time)
        columns.append(f"{time.sql} AS m3h_moment")
    return tables.frame(f"SELECT {', '.join(columns)} FROM ({tables.select(spec)})", spec), time


def _check_ids(frame: pl.DataFrame, name: str) -> None:
    for role in ("id", "patient"):
        missing = frame.filter(pl.col(f"m3h_{role}").is_null())
        if not missing.is_empty():
            raise DataError(
                f"{len(missing)} of {len(frame)} samples have no {role} ({named(missing['m3h_row'])})",
                where=name,
                expected=f"a {role} in every row",
            )
    double = frame.filter(pl.col("m3h_id").is_duplicated())
    if not double.is_empty():
        ids = double["m3h_id"].n_unique()
        raise DataError(
            f"{ids} sample ids stand more than once ({named(double['m3h_row'])})",
            where=name,
            expected="one row for each sample id",
            next_step="remove the duplicates, or name another column as id",
        )


def _split(frame: pl.DataFrame, column: str, name: str) -> Strings:
    side = as_text(frame[column])
    wrong = ~side.is_in(["train", "test"]).fill_null(False)
    if wrong.any():
        raise DataError(
            f"{column}: {wrong.sum()} values are neither train nor test ({named(frame['m3h_row'].filter(wrong))})",
            where=name,
            got=shown(side.filter(wrong).fill_null("")),
            expected="train or test",
        )
    sides = frame.select("m3h_patient", side.alias("m3h_side")).unique()
    both = int(sides["m3h_patient"].is_duplicated().sum()) // 2
    if both:
        raise DataError(
            f"{column}: {both} patients have samples on both sides of the split",
            where=name,
            expected="all samples of one patient on one side",
            next_step="correct the split column, or leave split out of [samples] to have patients split anew",
        )
    return _strings(side)


def _hours(moment: pl.Series, time: Clock) -> NDArray[np.float64]:
    values = moment.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)
    return values / MICROSECONDS_PER_HOUR if time.kind == "timestamp" else values


def _strings(series: pl.Series) -> Strings:
    texts: list[Any] = series.to_list()
    return np.array(texts, dtype=np.str_)
