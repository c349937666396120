"""Labels from diagnosis codes: 1 where the codes of a sample's key hold what a task asks for.

A sample whose key has no code in the table is unlabelled: nothing is known of it. The same holds for a task that names
codes of one version of the classification only, where the sample's codes are all of the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.hospital.link import check_columns
from m3h.hospital.samples import SampleTable
from m3h.hospital.sql import filled, is_text, key_text, quoted
from m3h.hospital.tables import Tables
from m3h.hospital.values import named, shown
from m3h.study.codes import VERSIONS, Alternative, alternatives
from m3h.study.spec import Diagnoses, Study
from m3h.study.task import Codes, Task

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class CodeCounts:
    """Rows of the diagnoses table, each counted once: ``unmatched`` belong to no sample, ``missing_code`` and
    ``missing_version`` lack one, ``used`` are the rest. ``samples_without`` are samples with no row that is used; they
    are unlabelled in every task by codes."""

    rows: int = 0
    unmatched: int = 0
    missing_code: int = 0
    missing_version: int = 0
    used: int = 0
    samples_without: int = 0


@dataclass(frozen=True)
class CodedLabels:
    """Labels of the tasks by codes: name -> float64 (sample,) of 0 and 1, NaN = unlabelled."""

    values: Mapping[str, Floats] = field(default_factory=dict)
    counts: CodeCounts | None = None


def label(codes: Iterable[Codes], given: Collection[tuple[int, str]]) -> float:
    """The label of one sample in plain Python, from its (version, code): what :func:`read_codes` does in SQL.

    NaN where none of them is of a version that ``codes`` names.
    """
    cleaned = [(version, code.strip(" \t\r\n").upper()) for version, code in given]
    found = alternatives(codes)
    if not {version for version, code in cleaned if code} & _versions(found):
        return float("nan")
    holds = (all(any(group.matches(*one) for one in cleaned) for group in groups) for groups in found)
    return float(any(holds))


def read_codes(tables: Tables, study: Study, samples: SampleTable) -> CodedLabels:
    """The labels of all tasks by codes, in two passes over the table of diagnoses.

    Errors: DataError for columns that are not there, codes that are no texts or hold a dot, versions other than 9 and
    10, and a table with no code for any sample. New patients may have no such table: they are unlabelled.
    """
    tasks = [task for task in study.tasks if task.codes]
    spec = study.diagnoses
    if not tasks:
        return CodedLabels()
    if spec is None:
        raise DataError("no table of diagnosis codes", where=f'task "{tasks[0].name}"', expected="[diagnoses]")
    if tables.new and not (tables.has(spec) and spec.key in samples.keys):
        return CodedLabels({task.name: np.full(len(samples), np.nan) for task in tasks})
    _check(tables, spec, samples)
    keys = _keys(samples.keys[spec.key])
    numbering = tables.store(keys, spec)
    counts = _count(tables, spec, numbering)
    given = tables.store(
        f"SELECT DISTINCT m3h_number, m3h_version, m3h_code FROM ({_rows(tables, spec)}) e "
        f"JOIN {numbering} k ON e.m3h_key = k.m3h_key WHERE m3h_code IS NOT NULL AND m3h_version IS NOT NULL",
        spec,
    )
    at = _places(samples.keys[spec.key], keys)
    hits = _Hits(tables, spec, given, tasks, len(keys))
    values = {task.name: _spread(hits.labels(task), at) for task in tasks}
    known = _spread(hits.known(VERSIONS).astype(np.float64), at)
    without = int((np.isnan(known) | (known == 0)).sum())
    return CodedLabels(values, CodeCounts(**counts, samples_without=without))


def unfit_type(kind: str) -> str | None:
    """Why codes cannot be read from a column of this SQL type, or None."""
    if is_text(kind):
        return None
    return f"codes must be texts, got type {kind}; as numbers they lose leading zeros (0380 becomes 380)"


def _check(tables: Tables, spec: Diagnoses, samples: SampleTable) -> None:
    where, types = f"[diagnoses] ({tables.name(spec)})", tables.types(spec)
    columns = [("key", spec.key), ("code", spec.code), ("version", spec.version)]
    check_columns([(role, column) for role, column in columns if column is not None], types, where)
    check_columns([("key", spec.key)], {name: "" for name in samples.keys}, f"{where}, samples table")
    if reason := unfit_type(types[spec.code]):
        raise DataError(f"{spec.code}: {reason}", where=where, next_step="export the table again, with codes as texts")


def _keys(keys: pl.Series) -> pl.DataFrame:
    distinct = keys.cast(pl.String).drop_nulls().unique().sort()
    return pl.DataFrame({"m3h_key": distinct, "m3h_number": np.arange(len(distinct))})


def _places(keys: pl.Series, numbered: pl.DataFrame) -> pl.Series:
    """For each sample the number of its key, null where it has none."""
    return (
        keys.cast(pl.String)
        .to_frame("m3h_key")
        .join(numbered, on="m3h_key", how="left", maintain_order="left")["m3h_number"]
    )


def _spread(values: Floats, at: pl.Series) -> Floats:
    """Values of keys as values of samples, NaN for a sample without a key."""
    found = np.full(len(at), np.nan)
    there = at.is_not_null().to_numpy()
    found[there] = values[at.drop_nulls().to_numpy()]
    return found


def _rows(tables: Tables, spec: Diagnoses, more: str = "") -> str:
    """SQL of the table's rows: key, version as text and code, each NULL where empty."""
    types = tables.types(spec)
    version = key_text(quoted(spec.version), types[spec.version]) if spec.version else f"'{spec.system}'"
    return (
        f"SELECT {key_text(quoted(spec.key), types[spec.key])} AS m3h_key, {version} AS m3h_version, "
        f"upper({filled(quoted(spec.code))}) AS m3h_code{more} FROM ({tables.select(spec)})"
    )


def _count(tables: Tables, spec: Diagnoses, numbering: str) -> dict[str, int]:
    """The rows by what becomes of them. Errors: DataError for rows of samples that do not fit, and if none is used."""
    there, coded = "m3h_number IS NOT NULL", "m3h_code IS NOT NULL"
    joined = f"({_rows(tables, spec)}) e LEFT JOIN {numbering} k ON e.m3h_key = k.m3h_key"
    parts = {
        "rows": "true",
        "unmatched": f"NOT ({there})",
        "missing_code": f"{there} AND NOT ({coded})",
        "missing_version": f"{there} AND {coded} AND m3h_version IS NULL",
        "used": f"{there} AND {coded} AND m3h_version IS NOT NULL",
        "version": f"{there} AND m3h_version NOT IN ('9', '10')",
        "dots": f"{there} AND contains(m3h_code, '.')",
    }
    found = tables.rows(
        f"SELECT {', '.join(f'count(*) FILTER (WHERE {sql})' for sql in parts.values())} FROM {joined}", spec
    )[0]
    counts = dict(zip(parts, map(int, found), strict=True))
    where = f"[diagnoses] ({tables.name(spec)})"
    if counts.pop("version"):
        raise _refusal(tables, spec, numbering, parts["version"], "m3h_version", "neither 9 nor 10")
    if counts.pop("dots"):
        raise _refusal(tables, spec, numbering, parts["dots"], "m3h_code", "codes with a dot")
    if not counts["used"] and not tables.new:
        raise DataError(
            "no code for any sample",
            where=where,
            got=f"{counts['rows']} rows: {counts['unmatched']} belong to no sample, {counts['missing_code']} have no "
            f"code, {counts['missing_version']} no version",
            next_step="compare key with the samples table",
        )
    return counts


def _refusal(tables: Tables, spec: Diagnoses, numbering: str, condition: str, column: str, what: str) -> DataError:
    """The error for rows of samples that do not fit, with their numbers and at most three values."""
    rows = tables.rows(
        f"SELECT m3h_row, {column} FROM ({_rows(tables, spec, ', row_number() OVER () AS m3h_row')}) e "
        f"LEFT JOIN {numbering} k ON e.m3h_key = k.m3h_key WHERE {condition} ORDER BY m3h_row",
        spec,
    )
    name = spec.version if column == "m3h_version" else spec.code
    by_query = "read the table by a query: replace(code, '.', '')" if column == "m3h_code" else None
    return DataError(
        f"{name}: {len(rows)} values are {what} ({named(row for row, _ in rows)})",
        where=f"[diagnoses] ({tables.name(spec)})",
        got=shown(sorted({value for _, value in rows})),
        expected="9 or 10" if by_query is None else "codes without a dot, as I509 and 0380",
        next_step=by_query,
    )


class _Hits:
    """Which keys match which group of tokens: groups are numbered over all tasks, in order."""

    def __init__(self, tables: Tables, spec: Diagnoses, given: str, tasks: Iterable[Task], keys: int) -> None:
        self.keys = keys
        self.found: dict[str, list[tuple[Alternative, list[int]]]] = {}
        numbers = iter(range(10**9))
        for task in tasks:
            groups = alternatives(task.codes)
            self.found[task.name] = [(groups_, [next(numbers) for _ in groups_]) for groups_ in groups]
        tokens = tables.store(_tokens(chain.from_iterable(self.found.values())), spec)
        # tokens are laid beside distinct codes, of which there are few however many rows there are
        matched = (
            f"SELECT DISTINCT c.m3h_version, c.m3h_code, t.number FROM (SELECT DISTINCT m3h_version, m3h_code "
            f"FROM {given}) c JOIN {tokens} t ON c.m3h_version = t.version AND length(c.m3h_code) >= t.length "
            f"AND left(c.m3h_code, t.length) >= t.low AND left(c.m3h_code, t.length) <= t.high"
        )
        hits = tables.frame(
            f"SELECT DISTINCT m.number, g.m3h_number AS key FROM {given} g JOIN ({matched}) m "
            f"ON g.m3h_version = m.m3h_version AND g.m3h_code = m.m3h_code",
            spec,
        )
        self._hits = {number: part["key"].to_numpy() for (number,), part in hits.group_by("number")}
        seen = tables.frame(f"SELECT DISTINCT m3h_version AS version, m3h_number AS key FROM {given}", spec)
        self._seen = {version: part["key"].to_numpy() for (version,), part in seen.group_by("version")}

    def labels(self, task: Task) -> Floats:
        """The task's label of each key, NaN = unlabelled."""
        groups = self.found[task.name]
        positive = np.zeros(self.keys, dtype=bool)
        for _, numbers in groups:
            positive |= np.logical_and.reduce([self._flags(self._hits.get(number)) for number in numbers])
        known = self.known(_versions(alternative for alternative, _ in groups))
        return np.where(known, positive.astype(np.float64), np.nan)

    def known(self, versions: Iterable[int]) -> Flags:
        """Which keys have a code of any of these versions."""
        flags: Flags = np.logical_or.reduce([self._flags(self._seen.get(str(version))) for version in versions])
        return flags

    def _flags(self, keys: NDArray[np.int64] | None) -> Flags:
        flags = np.zeros(self.keys, dtype=bool)
        if keys is not None:
            flags[keys] = True
        return flags


def _versions(found: Iterable[Alternative]) -> set[int]:
    return {group.version for alternative in found for group in alternative}


def _tokens(found: Iterable[tuple[Alternative, list[int]]]) -> pl.DataFrame:
    def rows() -> Iterator[tuple[int, str, int, str, str]]:
        for groups, numbers in found:
            for group, number in zip(groups, numbers, strict=True):
                for token in group.tokens:
                    yield number, str(group.version), token.length, token.low, token.high

    return pl.DataFrame(list(rows()), schema=["number", "version", "length", "low", "high"], orient="row")
