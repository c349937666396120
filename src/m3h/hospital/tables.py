"""A study's tables as SQL relations: CSV, CSV.GZ and Parquet files, globs of them, and SQL files over them."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import polars as pl

from m3h.core.errors import DataError
from m3h.core.fingerprint import file_fingerprint, fingerprint
from m3h.core.stopping import interrupted_at_a_stop
from m3h.hospital import files
from m3h.hospital.damage import csv_damage
from m3h.hospital.sql import literal
from m3h.study.read import parse
from m3h.study.spec import Diagnoses, Samples, Source, Study, Table

_OFFLINE = {
    # nothing is fetched or sent: without these a query that names a web address would load an extension for it
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
}

#: A study file among the tables of new patients, which tells where their images lie.
_STUDY = "study.toml"


class Tables:
    """The tables of one study behind one DuckDB connection; a context manager.

    ``data`` holds NEW patients: a folder with tables of the study's names (any of .csv, .csv.gz, .parquet), or one
    samples file. There labels, and whole sources, may be missing, and nothing of the study's own folder is read.
    What does not fit into memory goes to a private temporary folder that vanishes with the connection.
    Errors: DataError for files that are not there or cannot be read; no message carries a value of a table.
    """

    def __init__(self, study: Study, *, data: Path | None = None) -> None:
        if data is not None and not data.exists():
            raise DataError("no such file or folder", where=str(data), expected="a folder of tables or a samples file")
        self.study = study
        self.new = data is not None
        self._samples_file = data if data is not None and not data.is_dir() else None
        base = study.folder if data is None else (data.parent if self._samples_file else data)
        self.folder = base.resolve()
        self._selects: dict[str, str] = {}
        self._stored = 0
        self._spill = Path(tempfile.mkdtemp(prefix="m3h-"))
        self.connection = self._connect()
        self._close = weakref.finalize(self, _close, self.connection, self._spill)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = connect(self._spill)
        if self._samples_file is None:
            place = self.folder
            if "," in str(place):  # the search path is a list with commas
                place = self._spill / "study"
                place.symlink_to(self.folder)
            connection.execute(f"SET GLOBAL file_search_path = {literal(str(place))}")
        connection.execute("SET GLOBAL lock_configuration = true")
        return connection

    def __enter__(self) -> Tables:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and remove what it spilled."""
        self._close()

    def has(self, spec: Table) -> bool:
        """False for what is missing among new patients' data: its table, its columns or its image folder."""
        if not self.new or isinstance(spec, Samples):
            return True
        if isinstance(spec, Diagnoses):
            return self._has_table(spec)
        if spec.folder is not None and not self.images(spec).is_dir():
            return False
        if spec.own_table:
            return self._has_table(spec)
        wanted = {*spec.columns, *([spec.column] if spec.column else [])}
        there = self.columns(self.study.samples)
        return any(
            name in wanted or any(name.startswith(one[:-1]) for one in wanted if one.endswith("*")) for name in there
        )

    def images(self, source: Source) -> Path:
        """The folder of a source's images. Of new patients that of the same name among their tables, or else the one
        that a study file there names for the source, as m3h mimic writes it."""
        folder = self.folder / (source.folder or "")
        if self._samples_file is None and self.new and not folder.is_dir() and (self.folder / _STUDY).is_file():
            theirs, _ = parse(self.folder / _STUDY)
            for other in theirs.sources if theirs else ():
                if other.name == source.name and other.folder is not None:
                    return self.folder / other.folder
        return folder

    def _has_table(self, spec: Source | Diagnoses) -> bool:
        if self._samples_file is not None:
            return False
        if files.find_new(self.folder, spec.table or spec.query or ""):
            return True
        if spec.query is None:
            return False
        try:
            self.connection.sql(self._query(spec.query))
        except (duckdb.IOException, duckdb.CatalogException):
            return False
        return True

    def columns(self, spec: Table) -> tuple[str, ...]:
        """Names of the table's columns; for a source without a table of its own those of the samples table."""
        return tuple(self.types(spec))

    def types(self, spec: Table) -> dict[str, str]:
        """Column names and their SQL types."""
        relation = self.relation(spec)
        return dict(zip(relation.columns, map(str, relation.types), strict=True))

    def relation(self, spec: Table) -> duckdb.DuckDBPyRelation:
        """The table, not yet read; rows stand in the order of the files."""
        with self.reading(spec):
            return self.connection.sql(self.select(spec))

    def select(self, spec: Table) -> str:
        """The SELECT that gives the table; put it in brackets to build on it."""
        name = self.name(spec)
        if name not in self._selects:
            self._selects[name] = self._select(self._owner(spec))
        return self._selects[name]

    def name(self, spec: Table) -> str:
        """The table as the study names it, for messages."""
        owner = self._owner(spec)
        return owner.table or owner.query or "samples"

    def _owner(self, spec: Table) -> Table:
        return self.study.samples if isinstance(spec, Source) and not spec.own_table else spec

    def _files(self, spec: Table) -> tuple[Path, ...]:
        """The files of a table; empty where it is a query to be run."""
        if self._samples_file is not None:
            if not isinstance(spec, Samples):
                raise DataError("not among the new patients' data", where=self.name(spec))
            return files.find(self._samples_file.parent, self._samples_file.name)
        if not self.new:
            return files.find(self.folder, spec.table) if spec.table is not None else ()
        found = files.find_new(self.folder, spec.table or spec.query or "")
        if not found and spec.table is not None:
            raise DataError(
                "not among the new patients' data",
                where=self.name(spec),
                expected=f"a table of this name in {self.folder}",
            )
        return found

    def _select(self, spec: Table) -> str:
        found = self._files(spec)
        if found:
            return files.select(found)
        query = self._query(spec.query or "")
        self._stored += 1
        view = f"m3h_stored_{self._stored}"
        with self.reading(spec):
            files.check_names(self.name(spec), self.connection.sql(query).columns)
            self.connection.execute(f"CREATE VIEW {view} AS {query}")
        return f"SELECT * FROM {view}"

    def _query(self, name: str) -> str:
        path = self.study.folder / name
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise DataError("no such file", where=name, expected=f"an SQL file in {self.study.folder}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError("cannot be read as text in UTF-8", where=name) from error
        try:
            statements = self.connection.extract_statements(text)
        except duckdb.Error as error:
            raise _query_error(error, name) from None
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise DataError("not one query", where=name, got=f"{len(statements)} statements", expected="one SELECT")
        return str(statements[0].query)

    def fingerprint(self, spec: Table) -> str:
        """The fingerprint of the table's content: the bytes of its files; a query's text and its rows, in any order."""
        owner = self._owner(spec)
        found = self._files(owner)
        if found:
            return fingerprint([file_fingerprint(path) for path in found])
        rows = self.rows(
            f"SELECT count(*), sum(CAST(hash(t) AS HUGEINT)), sum(CAST(hash(t, 1) AS HUGEINT)) "
            f"FROM ({self.select(owner)}) t",
            owner,
        )
        return fingerprint([self.types(owner), [str(value) for value in rows[0]]])

    def rows(self, query: str, spec: Table) -> list[tuple[Any, ...]]:
        """Run a query; ``spec`` is the table that an error is blamed on."""
        with self.reading(spec):
            return self.connection.execute(query).fetchall()

    def frame(self, query: str, spec: Table) -> pl.DataFrame:
        """Run a query into a frame."""
        with self.reading(spec):
            found: pl.DataFrame = self.connection.sql(query).pl()
            return found

    def store(self, content: pl.DataFrame | str, spec: Table) -> str:
        """Keep a frame, or a query's rows in their order, as a table beside the study's; its name."""
        self._stored += 1
        name = f"m3h_stored_{self._stored}"
        with self.reading(spec):
            if isinstance(content, str):
                self.connection.execute(f"CREATE TABLE {name} AS {content}")
            else:
                self.connection.register("m3h_given", content.to_arrow())
                self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM m3h_given")
                self.connection.unregister("m3h_given")
        return name

    @contextlib.contextmanager
    def replaced(self, spec: Table, query: str) -> Iterator[None]:
        """Within, the rows of a query, which are kept, stand in place of the table's."""
        name, whole, stored = self.name(spec), self.select(spec), self.store(query, spec)
        self._selects[name] = f"SELECT * FROM {stored}"
        try:
            yield
        finally:
            self._selects[name] = whole
            self.connection.execute(f"DROP TABLE {stored}")

    @contextlib.contextmanager
    def reading(self, spec: Table) -> Iterator[None]:
        """What the database cannot read becomes a DataError that names the file and no value."""
        try:
            yield
        except duckdb.Error as error:
            raise _data_error(error, self._owner(spec), self.name(spec)) from None


def connect(spill: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that fetches and sends nothing; what does not fit goes to the folder ``spill``."""
    # with what arrays and libraries take beside it, a process stays below 2 GB on a small machine
    limit = max(1250, 250 * (os.cpu_count() or 1))
    limits = {"memory_limit": f"{limit}MB", "temp_directory": str(spill / "spill")}
    connection = duckdb.connect(":memory:", config={**_OFFLINE, **limits})
    interrupted_at_a_stop(connection)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def _close(connection: duckdb.DuckDBPyConnection, spill: Path) -> None:
    connection.close()
    shutil.rmtree(spill, ignore_errors=True)


def _data_error(error: duckdb.Error, spec: Table, name: str) -> DataError:
    found = csv_damage(error, name)
    if found is not None:
        return found
    if isinstance(error, duckdb.OutOfMemoryException):
        return DataError("does not fit into memory and temporary disk space", where=name)
    if spec.query is not None:
        return _query_error(error, name)
    return files.damaged(name)


def _query_error(error: duckdb.Error, name: str) -> DataError:
    # what the database says of a query's words and files may be shown; what it says of values may not
    of_words = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
    if isinstance(error, of_words) or "No files found" in str(error):
        return DataError(f"the query does not work: {str(error).splitlines()[0]}", where=name)
    if "extension" in str(error):
        return DataError("the query needs an extension or a web address; only local files are read", where=name)
    return DataError(f"the query failed while it ran ({type(error).__name__})", where=name)
