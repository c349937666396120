"""From a MIMIC's tables to those of a study: samples with their labels, and the rows of every source."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from m3h.core.errors import DataError
from m3h.hospital.mimic.counts import Count, left_out, unreadable
from m3h.hospital.mimic.layout import Layout
from m3h.hospital.mimic.signals import names, signals
from m3h.hospital.mimic.tables import reading, text, views
from m3h.hospital.mimic.whole import check
from m3h.hospital.sql import literal
from m3h.hospital.tables import connect

Profile = Literal["strict", "haim"]
#: Called with what is being done.
Say = Callable[[str], None]
#: The tables of notes, as the study names its sources.
NOTES = {"radiology": "radiology", "echo": "echo", "ecg": "ecg"}
#: The table of each series.
SERIES = {"chart": "chartevents", "labs": "labevents", "procedures": "procedureevents"}
#: What samples and labels rest on; the last of them are read for the published file's numbers only.
WHOLE = ("admissions", "patients", "icustays", "diagnoses_icd")
OF_IMAGES = ("cxr_metadata", "cxr_chexpert", "cxr_split")
OF_HAIM = ("d_items", "d_labitems")


@dataclass(frozen=True)
class Choices:
    """How samples are made. ``at_hours`` after the beginning of an ICU stay, where there are no images;
    ``single_pathology`` keeps the images with exactly one of the eight findings."""

    profile: Profile = "strict"
    at_hours: float = 24.0
    single_pathology: bool = False


@dataclass(frozen=True)
class Extracted:
    """What was written: ``samples``, whether each is an image, the sources with rows, what was left out or counted
    (what, how many), and by source the signals without any row."""

    samples: int
    images: bool
    sources: tuple[str, ...]
    counts: tuple[Count, ...]
    empty: Mapping[str, tuple[str, ...]]


def extract(layout: Layout, out: Path, choices: Choices, say: Say) -> Extracted:
    """Write samples.parquet and a table for each source into the folder ``out``.

    Streams the large tables once; what does not fit into memory goes to a temporary folder. Errors: DataError for
    tables that cannot be read, lack a column, or give no sample.
    """
    with _opened() as connection:
        return _Extraction(connection, layout, out, choices, say).run()


@contextmanager
def _opened() -> Iterator[duckdb.DuckDBPyConnection]:
    spill = Path(tempfile.mkdtemp(prefix="m3h-"))
    connection = connect(spill)
    try:
        yield connection
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)


class _Extraction:
    def __init__(
        self, connection: duckdb.DuckDBPyConnection, layout: Layout, out: Path, choices: Choices, say: Say
    ) -> None:
        self.connection, self.layout, self.out, self.choices, self.say = connection, layout, out, choices, say
        self.images = layout.has("cxr_metadata", "cxr_chexpert") and layout.images is not None
        self.left_out: list[Count] = []
        self.empty: dict[str, tuple[str, ...]] = {}

    def run(self) -> Extracted:
        self.say("samples")
        views(self.connection, self.layout)
        more = (*(OF_IMAGES if self.images else ()), *(OF_HAIM if self.choices.profile == "haim" else ()))
        check(self.connection, self.layout, (*WHOLE, *more))
        self.connection.execute(f"SET VARIABLE at_hours = {self.choices.at_hours}::DOUBLE")
        self.connection.execute(text("words.sql"))
        self.connection.register("m3h_signals", signals().to_arrow())
        self.connection.execute("CREATE TABLE signals AS SELECT * FROM m3h_signals")
        samples = self._samples()
        self._diagnoses()
        sources = [name for name, table in SERIES.items() if self._series(name, table)]
        sources += [name for name, table in NOTES.items() if self.layout.has(table) and self._notes(name, table)]
        if self.images:
            self._images()
            sources.append("images")
        return Extracted(samples, self.images, tuple(sources), tuple(self.left_out), self.empty)

    def _samples(self) -> int:
        kind = "images" if self.images else "stays"
        with reading("admissions"):
            self.connection.execute(f"CREATE TABLE cohort AS {self._query('cohort')}")
            self.connection.execute(f"CREATE TABLE samples AS {self._query(f'samples_{kind}')}")
            if self.choices.single_pathology:
                self.connection.execute("DELETE FROM samples WHERE thoracic IS NULL")
            (count,) = self.connection.execute("SELECT count(*) FROM samples").fetchone() or (0,)
            self.left_out += [*left_out(self.connection, "counts"), *left_out(self.connection, f"counts_{kind}")]
        if not count:
            raise DataError(
                "no sample",
                where=f"MIMIC-IV {self.layout.release}",
                got="; ".join(f"{number} {what}" for what, number in self.left_out if number) or "nothing left out",
                expected="images taken during a hospital stay with intensive care"
                if self.images
                else f"stays in intensive care of at least {self.choices.at_hours:g} hours",
                next_step="compare the tables, of one version and of the same patients"
                if self.images
                else "choose fewer hours with --at, or compare the tables, of one version and of the same patients",
            )
        self._copy("SELECT * FROM samples ORDER BY sample_id", "samples", "admissions")
        return int(count)

    def _query(self, name: str) -> str:
        return text(f"{self.choices.profile}/{name}.sql")

    def _diagnoses(self) -> None:
        where = self._file("diagnoses_icd")
        if not self._copy(text("diagnoses.sql"), "diagnoses", where):
            raise DataError(
                "no diagnosis of any sample's admission",
                where=where,
                expected="the table of the same MIMIC as admissions",
                next_step="compare the versions of the two files, or download them again",
            )

    def _series(self, name: str, table: str) -> bool:
        """Whether a series has rows; its table is written if it has."""
        self.say(name)
        rows = self._copy(self._query(name), name, self._file(table))
        # a second look at a large table is for the published numbers alone
        in_passing = self.choices.profile == "strict" and name != "procedures"
        if in_passing and not rows:
            return False
        looked = f"read_parquet({literal(str(self._target(name)))})" if in_passing else table
        with reading(self._file(table)):
            found, good = unreadable(self.connection, looked, table, of_admissions=True)
        self.left_out += found
        if found and not good:
            raise DataError(
                "no row can be used",
                where=self._file(table),
                got="; ".join(f"{number} {what}" for what, number in found),
                expected="ids as digits, numbers with a point, times as YYYY-MM-DD HH:MM:SS",
                next_step="take the published file, or export the table again",
            )
        if rows:
            self.empty[name] = self._without_row(name)
        return rows > 0

    def _without_row(self, source: str) -> tuple[str, ...]:
        found = self.connection.execute(
            f"SELECT DISTINCT signal FROM read_parquet({literal(str(self._target(source)))})"
        ).fetchall()
        return tuple(name for name in names(source) if (name,) not in found)

    def _notes(self, name: str, table: str) -> bool:
        """Whether there are notes of samples' admissions; their table is written if there are."""
        self.say(name)
        self.connection.execute(f"CREATE OR REPLACE VIEW notes AS {text(f'notes_{table}.sql')}")
        self.connection.execute(f"SET VARIABLE notes = {literal(name)}")
        rows = self._copy(self._query("notes"), name, self._file(table))
        with reading(self._file(table)):
            self.left_out += left_out(self.connection, "counts_notes")
            self.left_out += unreadable(self.connection, "notes", table, of_admissions=False)[0]
        return rows > 0

    def _images(self) -> None:
        """The images' table. Errors: DataError where none of the samples' images is among the files."""
        self._copy(self._query("images"), "images", self._file("cxr_metadata"))
        folder = self.layout.images
        assert folder is not None
        self.say("images")
        paths = [str(path) for (path,) in self.connection.execute("SELECT DISTINCT image FROM samples").fetchall()]
        absent = sum(not (folder / path).is_file() for path in paths)
        if absent == len(paths):
            raise DataError(
                "none of the samples' images is there",
                where=str(folder),
                got=f"{absent} images asked for",
                expected="files such as p10/p10000001/s50000001/DICOM_ID.jpg",
                next_step="download them; or, without images, name folders that do not hold MIMIC-CXR-JPG",
            )
        self.left_out.append(("images of samples that are not among the files", absent))

    def _file(self, table: str) -> str:
        return self.layout.tables[table].name

    def _target(self, name: str) -> Path:
        return self.out / f"{name}.parquet"

    def _copy(self, query: str, name: str, where: str) -> int:
        """Write a table, if it has rows; how many it has."""
        with reading(where):
            written = self.connection.execute(
                f"COPY ({query}) TO {literal(str(self._target(name)))} (FORMAT parquet, COMPRESSION zstd)"
            ).fetchone()
        count = int(written[0]) if written else 0
        if not count:
            self._target(name).unlink(missing_ok=True)
        return count
