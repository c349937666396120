"""One source of a study, read and aligned with the samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.core.fingerprint import file_fingerprint, fingerprint
from m3h.hospital.events import no_events, read_events
from m3h.hospital.link import check_columns, check_used, described, link
from m3h.hospital.samples import SampleTable
from m3h.hospital.sources import Counts, Images, SourceData, TableColumns, Texts
from m3h.hospital.sql import filled, quoted
from m3h.hospital.tables import Tables
from m3h.hospital.tabular import chosen, read_tabular
from m3h.hospital.values import named
from m3h.study.spec import Source, Study

Grouped = tuple[tuple[Any, ...], ...]


def read_source(
    tables: Tables, study: Study, samples: SampleTable, source: Source, *, texts: Collection[str] | None = None
) -> SourceData:
    """A source as the encoders of its modality take it; a time series is streamed from ``tables`` later.

    ``texts`` names the columns of a tabular source that are categories; None: their values tell (new patients are
    read as the training patients were). Errors: DataError for missing columns, values that do not fit, and a table
    that has no row for any sample.
    """
    if tables.new and not tables.has(source):
        return absent(samples, source, texts=texts)
    readers: Mapping[str, Callable[[], SourceData]] = {
        "tabular": lambda: read_tabular(tables, samples, source, texts),
        "timeseries": lambda: read_events(tables, samples, source),
        "language": lambda: _read_texts(tables, samples, source),
        "vision": lambda: _read_images(tables, samples, source),
    }
    return readers[source.read_as]()


def absent(samples: SampleTable, source: Source, *, texts: Collection[str] | None = None) -> SourceData:
    """A source of which new patients have nothing at all; ``texts`` as in :func:`read_source`."""
    nothing: Grouped = ((),) * len(samples)
    makers: Mapping[str, Callable[[], SourceData]] = {
        "tabular": lambda: _no_columns(samples, source, texts or ()),
        "timeseries": lambda: no_events(samples, source),
        "language": lambda: Texts(nothing, nothing),
        "vision": lambda: Images(nothing, nothing),
    }
    return makers[source.read_as]()


def source_fingerprint(tables: Tables, study: Study, samples: SampleTable, source: Source) -> str:
    """The fingerprint of all that a source is read from: its declaration, the content of its table or columns, the
    bytes of its images, and the samples' ids, keys and times."""
    parts: list[Any] = [source.model_dump(exclude={"name", "encoder"}), samples.ids.tolist(), _moments(samples)]
    if tables.new and not tables.has(source):
        return fingerprint([*parts, "absent"])
    if source.own_table:
        keys = samples.keys.get(source.key or "")
        parts += [tables.fingerprint(source), keys.to_list() if keys is not None else []]
    if source.read_as == "vision":
        data = read_source(tables, study, samples, source)
        parts.append(_image_contents(data, tables.images(source)) if isinstance(data, Images) else [])
    elif not source.own_table:
        columns = chosen(tables, source) or ((source.column,) if source.column else ())
        check_columns([("column", name) for name in columns], tables.types(study.samples), described(tables, source))
        parts.append({name: list(map(str, samples.frame[name].to_list())) for name in columns})
    return fingerprint(parts)


def _moments(samples: SampleTable) -> list[Any]:
    return [] if samples.moment is None else samples.moment.to_list()


def _image_contents(images: Images, folder: Path) -> list[list[str]]:
    distinct = {path for paths in images.paths for path in paths}
    content = {path: file_fingerprint(path) if path.is_file() else "" for path in distinct}
    return [[f"{path.relative_to(folder).as_posix()}:{content[path]}" for path in paths] for paths in images.paths]


def _no_columns(samples: SampleTable, source: Source, texts: Collection[str]) -> TableColumns:
    columns: dict[str, NDArray[Any]] = {}
    for name in (name for name in source.columns if not name.endswith("*")):
        empty = np.full(len(samples), None, dtype=object)
        columns[name] = empty if name in texts else np.full(len(samples), np.nan)
    return TableColumns(columns, rows=len(samples))


def _read_texts(tables: Tables, samples: SampleTable, source: Source) -> Texts:
    grouped, times, counts, _ = _column(tables, samples, source)
    return Texts(grouped, times, counts)


def _read_images(tables: Tables, samples: SampleTable, source: Source) -> Images:
    folder = tables.images(source)
    where = described(tables, source)
    if not folder.is_dir():
        raise DataError("no such folder of images", where=where, expected=f"a folder {folder}")
    grouped, times, counts, rows = _column(tables, samples, source)
    leaving = [row for names, numbers in zip(grouped, rows, strict=True) for row in _leaving(names, numbers)]
    if leaving:
        raise DataError(
            f"{source.column}: {len(leaving)} paths leave the folder of images ({named(leaving)})",
            where=where,
            expected="paths within the folder, without .. and not absolute",
        )
    paths = tuple(tuple(folder / name for name in names) for names in grouped)
    return Images(paths, times, counts)


def _leaving(names: tuple[str, ...], rows: tuple[int, ...]) -> list[int]:
    def outside(name: str) -> bool:
        windows = PureWindowsPath(name)
        return PurePosixPath(name).is_absolute() or bool(windows.anchor) or ".." in windows.parts

    return [row for name, row in zip(names, rows, strict=True) if outside(name)]


def _column(tables: Tables, samples: SampleTable, source: Source) -> tuple[Grouped, Grouped, Counts, Grouped]:
    """For each sample its non-empty values of ``source.column``, their times and the table's row numbers."""
    column = source.column or ""
    where = described(tables, source)
    check_columns([("column", column)], tables.types(source), where)
    if source.own_table:
        return _linked_column(tables, samples, source, column)
    series = samples.frame[column].cast(pl.String)
    given = (series.str.strip_chars() != "").fill_null(False).to_list()
    values = tuple((value,) if there else () for value, there in zip(series.to_list(), given, strict=True))
    rows = tuple((int(row),) if there else () for row, there in zip(samples.rows, given, strict=True))
    times = tuple((float("nan"),) if there else () for there in given)
    used = sum(given)
    counts = Counts(rows=len(given), missing_value=len(given) - used, used=used)
    check_used(tables, source, counts)
    return values, times, counts, rows


def _linked_column(
    tables: Tables, samples: SampleTable, source: Source, column: str
) -> tuple[Grouped, Grouped, Counts, Grouped]:
    joined = link(tables, samples, source)
    text = filled(quoted(column))
    missing_time, later, missing, used = tables.rows(
        f"SELECT count(*) FILTER (WHERE m3h_missing), count(*) FILTER (WHERE NOT m3h_missing AND m3h_later), "
        f"count(*) FILTER (WHERE NOT m3h_missing AND NOT m3h_later AND {text} IS NULL), "
        f"count(*) FILTER (WHERE NOT m3h_missing AND NOT m3h_later AND {text} IS NOT NULL) FROM ({joined.matched})",
        source,
    )[0]
    counts = Counts(joined.rows, joined.unmatched, missing_time, later, missing, used)
    check_used(tables, source, counts)
    frame = tables.frame(
        f"SELECT m3h_sample, CAST({quoted(column)} AS VARCHAR) AS m3h_value, m3h_time, m3h_row "
        f"FROM ({joined.matched}) WHERE NOT m3h_missing AND NOT m3h_later AND {text} IS NOT NULL "
        f"ORDER BY m3h_sample, m3h_moment NULLS FIRST, m3h_value, m3h_row",
        source,
    )
    at = np.searchsorted(frame["m3h_sample"].to_numpy(), np.arange(len(samples) + 1))
    time = frame["m3h_time"].fill_null(float("nan"))

    def grouped(series: pl.Series) -> Grouped:
        values = series.to_list()
        return tuple(tuple(values[start:end]) for start, end in pairwise(at.tolist()))

    return grouped(frame["m3h_value"]), grouped(time), counts, grouped(frame["m3h_row"])
