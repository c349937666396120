"""What a study says compared with its tables, before anything is read: every mistake at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import polars as pl

from m3h.core.errors import DataError, Problem, nearest
from m3h.core.registry import ENCODERS
from m3h.hospital.codes import unfit_type
from m3h.hospital.sql import key_text, quoted
from m3h.hospital.tables import Tables
from m3h.hospital.values import as_text
from m3h.study.lines import Places, line_of
from m3h.study.spec import Diagnoses, Samples, Source, Study, Table
from m3h.study.task import Task

Place = Callable[[str], str]


def problems(study: Study, tables: Tables, *, labels: bool = True) -> list[Problem]:
    """Tables, columns, image folders, signals and encoders that are not there, each with its place in the file.

    ``labels`` False: label columns may be absent, as among new patients.
    """
    places = Places.of(study)
    found: list[Problem] = []
    columns = _columns(tables, study.samples, lambda key: places.table("samples", key), found)
    if columns is not None:
        found += _samples(study.samples, columns, lambda key: places.table("samples", key), new=tables.new)
    for source in study.sources:
        found += _source(tables, source, columns, _entry(places.source, source.name))
    if labels and study.diagnoses is not None:
        found += _diagnoses(tables, study.diagnoses, columns, lambda key: places.table("diagnoses", key))
    if labels and columns is not None:
        for task in study.tasks:
            found += _task(task, columns, _entry(places.task, task.name))
    return sorted(found, key=lambda problem: line_of(problem.place))


def _entry(place: Callable[[str, str | None], str], name: str) -> Place:
    return lambda key: place(name, key)


def _columns(tables: Tables, spec: Table, place: Place, found: list[Problem]) -> tuple[str, ...] | None:
    try:
        return tables.columns(spec)
    except DataError as error:
        found.append(Problem(place("query" if spec.query else "table"), _one_line(error)))
        return None


def _one_line(error: DataError) -> str:
    parts = [
        f"{error.where}: {error.what}",
        f"expected {error.expected}" if error.expected else "",
        error.next_step or "",
    ]
    return "; ".join(part for part in parts if part)


def _missing(
    place: Place, key: str, wanted: Iterable[str], columns: Iterable[str], table: str = ""
) -> Iterator[Problem]:
    for column in wanted:
        if column not in columns:
            yield Problem(place(key), f'{key}: no column "{column}"{table}{nearest(column, columns)}')


def _samples(spec: Samples, columns: tuple[str, ...], place: Place, *, new: bool) -> Iterator[Problem]:
    yield from _missing(place, "id", [spec.id], columns)
    yield from _missing(place, "patient", [spec.patient], columns)
    yield from _missing(place, "time", [spec.time] if spec.time else [], columns)
    if not new:
        yield from _missing(place, "split", [spec.split] if spec.split else [], columns)
        yield from _missing(place, "subgroups", spec.subgroups, columns)


def _diagnoses(tables: Tables, spec: Diagnoses, samples: tuple[str, ...] | None, place: Place) -> list[Problem]:
    found: list[Problem] = []
    if samples is not None:
        found += _missing(place, "key", [spec.key], samples, " in the samples table")
    if spec.table is None and spec.query is None:
        return found
    columns = _columns(tables, spec, place, found)
    if columns is None:
        return found
    for key, column in (("key", spec.key), ("code", spec.code), ("version", spec.version)):
        found += _missing(place, key, [column] if column is not None else [], columns)
    reason = unfit_type(tables.types(spec)[spec.code]) if spec.code in columns else None
    if reason:
        found.append(Problem(place("code"), f"code: {reason}; export the table again, with codes as texts"))
    return found


def _source(tables: Tables, source: Source, samples: tuple[str, ...] | None, place: Place) -> list[Problem]:
    found: list[Problem] = []
    if source.encoder_name not in ENCODERS:
        known = [name.partition("/")[2] for name in ENCODERS.names() if name.startswith(f"{source.modality}/")]
        message = f'unknown encoder "{source.encoder}" for {source.modality}{nearest(source.encoder, known)}'
        found.append(Problem(place("encoder"), message))
    categories = source.options.get("categories", [])
    if isinstance(categories, list) and source.modality == "tabular":
        found += _missing(place, "options", [str(name) for name in categories], source.columns, " among columns")
    if tables.new and (samples is None or not tables.has(source)):
        return found
    folder = tables.images(source)
    if source.read_as == "vision" and not folder.is_dir():
        found.append(Problem(place("folder"), f"folder: no such folder; expected {folder}"))
    columns = samples
    if source.own_table:
        columns = _columns(tables, source, place, found)
        if samples is not None and source.key:
            found += _missing(place, "key", [source.key], samples, " in the samples table")
    if columns is not None:
        found += _source_columns(tables, source, columns, place)
    return found


def _source_columns(tables: Tables, source: Source, columns: tuple[str, ...], place: Place) -> list[Problem]:
    found = list(_missing(place, "columns", [name for name in source.columns if not name.endswith("*")], columns))
    for pattern in (name for name in source.columns if name.endswith("*")):
        if not any(name.startswith(pattern[:-1]) for name in columns):
            found.append(Problem(place("columns"), f'columns: no column begins with "{pattern[:-1]}"'))
    found += _missing(place, "order", source.order, columns)
    for key in ("column", "key", "time", "available", "signal", "value"):
        name = getattr(source, key)
        if name is not None and (source.own_table or key == "column"):
            found += _missing(place, key, [name], columns)
    # with every_signal the study says itself that a signal may have no row
    all_there = source.options.get("every_signal") is not True
    if source.signals and source.signal in columns and not tables.new and all_there:
        found += _signals(tables, source, place)
    return found


def _signals(tables: Tables, source: Source, place: Place) -> list[Problem]:
    """Codes of the signals map that the table does not have."""
    column = source.signal or ""
    code = key_text(quoted(column), tables.types(source)[column])
    try:
        rows = tables.rows(f"SELECT DISTINCT {code} FROM ({tables.select(source)})", source)
    except DataError as error:
        return [Problem(place("table"), _one_line(error))]
    known = {code for (code,) in rows if code is not None}
    return [
        Problem(place("signals"), f'signals: no row of signal "{code}"{nearest(code, known)}')
        for code in as_text(pl.Series(list(source.signals)))
        if code not in known
    ]


def _task(task: Task, columns: tuple[str, ...], place: Place) -> Iterator[Problem]:
    if task.column is not None:
        yield from _missing(place, "column", [task.column], columns)
