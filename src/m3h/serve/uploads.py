"""Tables that somebody sent: kept in a private folder while they are read, and gone right after."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from m3h.core.errors import M3HError, nearest
from m3h.hospital.files import SUFFIXES, suffix
from m3h.serve.archive import unpack
from m3h.serve.cohort import Cohort, of_dataset
from m3h.serve.limits import Limits, Refusal, size
from m3h.serve.model import ServedModel, part
from m3h.study.spec import Source, Study

TITLE = "Your upload"
_BLOCK = 1 << 20


class Store:
    """A private folder (mode 0700) for what is being read; it vanishes with :meth:`close`, or with the process."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="m3h-serve-")).resolve()
        self.close = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def place(self) -> Iterator[Path]:
        """A folder for one upload, gone at the end of the block."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def read_file(
    model: ServedModel, store: Store, file: BinaryIO, name: str, limits: Limits, weights: Path | None = None
) -> Cohort:
    """The patients of one table or of a zip file of tables; of its ``name`` nothing but the ending is used.

    Errors: Refusal for what is no such file or is beyond ``limits``; those of m3h.api.model.M3H.new_patients.
    """
    kind = ".zip" if name.lower().endswith(".zip") else suffix(name)
    if not kind:
        raise Refusal(
            "no table of this kind can be read",
            status=415,
            where="the file",
            expected=f"a file that ends in {', '.join(SUFFIXES)}, or a .zip of the study's tables",
        )
    with store.place() as folder:
        if kind == ".zip":
            data = folder / "tables"
            data.mkdir()
            unpack(file, data, model.study, limits)
        else:
            data = folder / f"samples{kind}"
            with data.open("xb") as out:
                shutil.copyfileobj(file, out, _BLOCK)
        return _read(model, data, limits, weights)


def read_rows(
    model: ServedModel, store: Store, rows: Sequence[Mapping[str, Any]], limits: Limits, weights: Path | None = None
) -> Cohort:
    """The patients of rows of the samples table: column -> text, number, true, false or None.

    Sample, patient and time may be left out: rows are then numbered, each a patient of its own, at time 0. Errors:
    Refusal where the study has no source in that table, or rows do not fit; those of new_patients.
    """
    spec, study = model.study.samples, model.study
    readable = [source for source in study.sources if not source.own_table and source.folder is None]
    if not readable:
        raise Refusal(
            "no source of this study is in columns of the samples table",
            next_step="send a zip of the study's tables instead",
        )
    _check_rows(study, rows, limits)
    known = _columns(model)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for number, name in enumerate(names):
        if name not in known:
            raise Refusal(f"column {number + 1} of the rows is not one of the study{_near(name, known)}")
    frame: dict[str, list[str | None]] = {name: [_text(row.get(name)) for row in rows] for name in names}
    for source in readable:  # of a source that is there every column is; what a row does not name is missing
        own = _source_columns(model, source)
        if set(own) & set(frame):
            frame |= {name: [None] * len(rows) for name in own if name not in frame}
    frame.setdefault(spec.id, [f"{number:05d}" for number in range(1, len(rows) + 1)])
    frame.setdefault(spec.patient, frame[spec.id])
    if spec.time is not None:
        frame.setdefault(spec.time, ["0"] * len(rows))
    with store.place() as folder:
        data = folder / "samples.csv"
        pl.DataFrame(frame, schema=dict.fromkeys(frame, pl.String)).write_csv(data)
        return _read(model, data, limits, weights)


def _columns(model: ServedModel) -> set[str]:
    """The names of columns that rows may have: those of the study, labels as well."""
    study = model.study
    known = {study.samples.id, study.samples.patient, *study.samples.subgroups}
    known |= {name for name in (study.samples.time, study.samples.split) if name}
    known |= {task.column or task.name for task in study.tasks}
    for source in study.sources:
        if not source.own_table:
            known |= set(_source_columns(model, source))
    return known


def _source_columns(model: ServedModel, source: Source) -> list[str]:
    """The columns of the samples table that a source reads; of those named by a pattern the ones of training."""
    plain = [name for name in (*source.columns, source.column) if name and not name.endswith("*")]
    learned = model.states[source.name].facts.get("columns", []) if source.read_as == "tabular" else []
    return list(dict.fromkeys([*plain, *(str(one["name"] if isinstance(one, Mapping) else one) for one in learned)]))


def _near(name: str, known: set[str]) -> str:
    # a name that resembles none may be anything, also what should not be repeated
    near = nearest(name, known)
    return near if near.startswith("; did you mean") else "; known are " + ", ".join(sorted(known)[:12])


def _check_rows(study: Study, rows: Sequence[Mapping[str, Any]], limits: Limits) -> None:
    if not rows or len(rows) > limits.json_rows:
        raise Refusal(f"{len(rows):,} rows", status=413 if rows else 422, expected=f"1 to {limits.json_rows:,}")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping) or not row:
            raise Refusal(f"row {number} is no object with columns", expected='such as {"age": 63.5}')
        for value in row.values():
            if not (value is None or isinstance(value, (str, int, float))):
                raise Refusal(f"row {number} holds a list or an object", expected="texts, numbers, true, false or null")


def _text(value: str | float | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _read(model: ServedModel, data: Path, limits: Limits, weights: Path | None) -> Cohort:
    for path in [data] if data.is_file() else sorted(data.rglob("*")):
        _check_table(path, limits)
    try:
        read = model.read(data, weights=weights)
        return of_dataset(model, part(read, np.arange(read.samples)), TITLE)
    except M3HError:
        raise
    except Exception as error:
        # whatever is sent, the answer is the sender's to mend and not a failure of this server; what the libraries
        # say of it may hold values
        raise Refusal(
            f"the tables cannot be read ({type(error).__name__})",
            expected="tables as the study has them, in UTF-8",
            next_step="look at them with m3h check and m3h predict",
        ) from error


def _check_table(path: Path, limits: Limits) -> None:
    """Refuse tables that are small here and vast once they are read."""
    kind = suffix(path.name) if path.is_file() else ""
    if kind == ".csv.gz":
        _check_unpacked(path, limits)
    if kind == ".parquet":
        try:
            facts = pq.read_metadata(path)
        except (pa.ArrowException, OSError):
            return  # damaged, which is told by whoever reads it
        if facts.num_rows > limits.rows or facts.num_rows * facts.num_columns > limits.cells:
            raise Refusal("a Parquet file of too many rows", status=413, expected=f"at most {limits.cells:,} cells")


def _check_unpacked(path: Path, limits: Limits) -> None:
    done = 0
    try:
        with gzip.open(path) as stream:
            while block := stream.read(_BLOCK):
                done += len(block)
                if done > limits.unpacked:
                    raise Refusal(
                        "a compressed table is too large", status=413, expected=f"at most {size(limits.unpacked)}"
                    )
    except (OSError, EOFError, zlib.error):
        return  # damaged, which is told by whoever reads it
