"""From a MIMIC's tables to those of a study: samples with their labels, and the rows of every source."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import duckdb

from m3h.core.errors import DataError
from m3h.hospital.mimic.at_once import Job, at_once
from m3h.hospital.mimic.counts import Count, left_out
from m3h.hospital.mimic.layout import Layout
from m3h.hospital.mimic.rows import NOTES, SERIES, Rows, Source, item_views
from m3h.hospital.mimic.signals import signals
from m3h.hospital.mimic.tables import reading, text, views
from m3h.hospital.mimic.whole import check
from m3h.hospital.tables import connect

Profile = Literal["strict", "haim"]
#: Called with what is being done.
Say = Callable[[str], None]
#: What samples and labels rest on; the last of them are read for the published file's numbers only.
WHOLE = ("admissions", "patients", "icustays", "diagnoses_icd")
OF_IMAGES = ("cxr_metadata", "cxr_chexpert", "cxr_split")
OF_HAIM = ("d_items", "d_labitems")


@dataclass(frozen=True)
class Choices:
    """How samples are made. Where there are no images: ``at_hours`` after the beginning of an ICU stay (None: 24).
    Where there are: ``single_pathology`` keeps those with exactly one of the eight findings."""

    profile: Profile = "strict"
    at_hours: float | None = None
    single_pathology: bool = False

    @property
    def hours(self) -> float:
        """From the beginning of a stay to its sample."""
        return 24.0 if self.at_hours is None else self.at_hours


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
    # the database takes some ten rows for granted in a compressed file: left to itself it may keep the whole of the
    # large table in memory to look the small one up in it; so joins are done as they are written, the large one first
    connection.execute("SET GLOBAL disabled_optimizers = 'join_order,build_side_probe_side'")
    # a join hands on rows in the order in which threads finish, and the study's files would differ from run to run;
    # one file is unpacked by one thread at any rate, and several files are read at once
    connection.execute("SET GLOBAL threads = 1")
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
        self.rows = Rows(layout, out, choices.profile)
        self.left_out: list[Count] = []

    def run(self) -> Extracted:
        self.say("samples")
        views(self.connection, self.layout)
        more = (*(OF_IMAGES if self.images else ()), *(OF_HAIM if self.choices.profile == "haim" else ()))
        check(self.connection, self.layout, (*WHOLE, *more))
        self.connection.execute(f"SET VARIABLE at_hours = {self.choices.hours}::DOUBLE")
        self.connection.execute(text("words.sql"))
        self.connection.register("m3h_signals", signals().to_arrow())
        self.connection.execute("CREATE TABLE signals AS SELECT * FROM m3h_signals")
        item_views(self.connection)
        samples = self._samples()
        self._diagnoses()
        found = self._events()
        sources = [source.name for source in found if source.there]
        self.left_out += [count for source in found for count in source.left_out]
        if self.images:
            self._images()
            sources.append("images")
        empty = {source.name: source.empty for source in found if source.there and source.name in SERIES}
        return Extracted(samples, self.images, tuple(sources), tuple(self.left_out), empty)

    def _events(self) -> list[Source]:
        """The series and the notes, whose files are by far the largest."""
        jobs: dict[str, Job[tuple[Source, ...]]] = {name: partial(self._series, name) for name in SERIES}
        if any(self.layout.has(table) for table in NOTES.values()):
            jobs["notes"] = self.rows.notes
        done = at_once(self.connection, jobs, self.say)
        return [source for sources in done.values() for source in sources]

    def _series(self, name: str, connection: duckdb.DuckDBPyConnection) -> tuple[Source, ...]:
        return (self.rows.series(connection, name),)

    def _samples(self) -> int:
        kind = "images" if self.images else "stays"
        with reading("admissions"):
            self.connection.execute(f"CREATE TABLE cohort AS {self.rows.query('cohort')}")
            self.connection.execute(f"CREATE TABLE samples AS {self.rows.query(f'samples_{kind}')}")
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
                else f"stays in intensive care of at least {self.choices.hours:g} hours",
                next_step="compare the tables, of one version and of the same patients"
                if self.images
                else "choose fewer hours with --at, or compare the tables, of one version and of the same patients",
            )
        self.rows.copy(self.connection, "SELECT * FROM samples ORDER BY sample_id", "samples", "admissions")
        return int(count)

    def _diagnoses(self) -> None:
        where = self.rows.file("diagnoses_icd")
        if not self.rows.copy(self.connection, text("diagnoses.sql"), "diagnoses", where):
            raise DataError(
                "no diagnosis of any sample's admission",
                where=where,
                expected="the table of the same MIMIC as admissions",
                next_step="compare the versions of the two files, or download them again",
            )
        self.connection.execute("DROP TABLE diagnoses_icd")  # the largest that is held, and not asked again

    def _images(self) -> None:
        """The images' table. Errors: DataError where none of the samples' images is among the files."""
        self.rows.copy(self.connection, self.rows.query("images"), "images", self.rows.file("cxr_metadata"))
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
