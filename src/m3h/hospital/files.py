"""Table files: finding them, their columns, and the SQL that reads them."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from m3h.core.errors import DataError, nearest
from m3h.hospital.sql import literal, quoted

SUFFIXES = (".csv", ".csv.gz", ".parquet")
_DELIMITERS = ",;\t|"


def suffix(name: str) -> str:
    """The known suffix of a table's file name, "" if it has none."""
    return next((known for known in SUFFIXES if name.lower().endswith(known)), "")


def find(folder: Path, name: str) -> tuple[Path, ...]:
    """The files of a table: one file, or all that fit a glob, sorted. Errors: DataError if there are none."""
    if not suffix(name):
        raise DataError("not a table", where=name, expected="a file that ends in .csv, .csv.gz or .parquet")
    found = _fitting(folder, name)
    if not found:
        near = nearest(name, _tables_in((folder / name).parent)) if not _is_glob(name) else ""
        raise DataError(f"no such file{near}", where=name, expected=f"a file in {folder}")
    return found


def find_new(folder: Path, name: str) -> tuple[Path, ...]:
    """The files among new patients' data that stand for a table of the study: same stem, any known suffix."""
    stem = name[: len(name) - len(suffix(name) or Path(name).suffix)]
    stems = [stem, Path(stem).name] if not Path(stem).is_absolute() else [Path(stem).name]
    for candidate in dict.fromkeys(stems):
        found = {known: _fitting(folder, candidate + known) for known in SUFFIXES}
        kinds = [known for known, files in found.items() if files]
        if len(kinds) > 1:
            raise DataError(
                "the same table twice",
                where=Path(candidate).name,
                got=" and ".join(kinds),
                next_step="keep one of them",
            )
        if kinds:
            return found[kinds[0]]
    return ()


def select(files: Sequence[Path]) -> str:
    """SQL that reads the files as one table; several are put together by column name, in their order.

    Every column of a CSV is text: what it means is decided by whoever reads it, never by a look at its first rows.
    Errors: DataError for a file that cannot be read and for column names that differ in case only.
    """
    headers = [(path, header(path)) for path in files]
    check_names(files[0].name, dict.fromkeys(name for _, (names, _) in headers for name in names))
    parts = []
    for (kind, (names, delimiter)), group in groupby(headers, key=lambda item: (_is_csv(item[0]), item[1])):
        paths = ", ".join(_path(path) for path, _ in group)
        if kind:
            columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
            parts.append(
                f"SELECT * FROM read_csv([{paths}], columns={{{columns}}}, auto_detect=false, header=true, "
                f"delim={literal(delimiter)}, quote='\"', escape='\"', nullstr='')"
            )
        else:
            chosen = ", ".join(quoted(name) for name in names)
            parts.append(f"SELECT {chosen} FROM read_parquet([{paths}], union_by_name=true)")
    return " UNION ALL BY NAME ".join(parts)


def header(path: Path) -> tuple[tuple[str, ...], str]:
    """Column names of a file and, for CSV, its delimiter. Errors: DataError for an empty or damaged file."""
    if path.stat().st_size == 0:
        raise _empty(path)
    try:
        if _is_csv(path):
            return _csv_header(path)
        names = tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, EOFError, zlib.error, csv.Error) as error:
        raise damaged(path.name) from error
    check_names(path.name, names)
    return names, ""


def _empty(path: Path) -> DataError:
    return DataError(
        "the file is empty",
        where=path.name,
        expected="a header line and rows",
        next_step="copy or export the file again",
    )


def damaged(name: str) -> DataError:
    """The error for a file that ends early or is not what its name says."""
    kinds = {".csv": "a CSV file", ".csv.gz": "a gzip-compressed CSV file", ".parquet": "a Parquet file"}
    return DataError(
        "truncated or damaged",
        where=name,
        expected=kinds.get(suffix(name), "a readable table"),
        next_step="copy or export the file again",
    )


def _csv_header(path: Path) -> tuple[tuple[str, ...], str]:
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        unpacked = stack.enter_context(gzip.GzipFile(fileobj=raw)) if path.name.lower().endswith(".gz") else raw
        stream = stack.enter_context(
            io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="surrogateescape", newline="")
        )
        first = stream.readline()
        unquoted = "".join(first.split('"')[::2])
        delimiter = max(_DELIMITERS, key=unquoted.count)
        names = next(csv.reader(_again(first, stream), delimiter=delimiter), [])
    if not first.strip():
        raise _empty(path)
    if not all(name.encode(errors="ignore").decode() == name for name in names):
        raise DataError("not UTF-8", where=path.name, next_step="save the table in the encoding UTF-8")
    named = tuple(name.strip() or f"column{number}" for number, name in enumerate(names))
    check_names(path.name, named)
    return named, delimiter


def _again(first: str, rest: Iterable[str]) -> Iterable[str]:
    yield first
    yield from rest


def check_names(where: str, names: Iterable[str]) -> None:
    """SQL knows no upper and lower case in names, so "Age" beside "age" would read one of them twice."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(name.casefold())
        if other is not None:
            how = "of the same name" if other == name else "whose names differ in case only"
            raise DataError(f'two columns {how}: "{other}" and "{name}"', where=where, next_step="rename one of them")
        seen[name.casefold()] = name


def _fitting(folder: Path, name: str) -> tuple[Path, ...]:
    path = folder / name
    if path.is_file():
        return (path,)
    if not _is_glob(name):
        return ()
    base = Path(path.anchor) if Path(name).is_absolute() else folder
    pattern = str(path.relative_to(base))
    return tuple(sorted(found for found in base.glob(pattern) if found.is_file()))


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _is_csv(path: Path) -> bool:
    return suffix(path.name) != ".parquet"


def _tables_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if suffix(path.name)) if folder.is_dir() else []


def _path(path: Path) -> str:
    """A path that the reader does not take for a pattern."""
    return literal("".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path)))
