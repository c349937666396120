"""From a MIMIC's tables to those of a study: samples with their labels, and the rows of every source."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from m3h.core.errors import DataError
from m3h.hospital.mimic.layout import Layout
from m3h.hospital.mimic.signals import signals
from m3h.hospital.mimic.tables import check, reading, text, views
from m3h.hospital.sql import literal
from m3h.hospital.tables import connect

Profile = Literal["strict", "haim"]
#: Called with what is being done.
Say = Callable[[str], None]
#: The tables of notes, as the study names its sources.
NOTES = {"radiology": "radiology", "echo": "echo", "ecg": "ecg"}
#: Small tables in which nothing may be unreadable; in the large ones such rows are counted.
WHOLE = ("admissions", "patients", "icustays")


@dataclass(frozen=True)
class Choices:
    """How samples are made. ``at_hours`` after the beginning of an ICU stay, where there are no images;
    ``single_pathology`` keeps the images with exactly one of the eight findings."""

    profile: Profile = "strict"
    at_hours: float = 24.0
    single_pathology: bool = False


@dataclass(frozen=True)
class Extracted:
    """What was written: ``samples``, whether each is an image, the sources with rows, and what was left out or counted
    (what, how many)."""

    samples: int
    images: bool
    sources: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]


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

    def run(self) -> Extracted:
        views(self.connection, self.layout)
        for name in WHOLE:
            check(self.connection, self.layout, name)
        self.connection.execute(f"SET VARIABLE at_hours = {self.choices.at_hours}::DOUBLE")
        self.connection.execute(text("words.sql"))
        self.connection.register("m3h_signals", signals().to_arrow())
        self.connection.execute("CREATE TABLE signals AS SELECT * FROM m3h_signals")
        samples = self._samples()
        sources = [name for name in ("chart", "labs", "procedures") if self._written(name, name)]
        sources += [name for name, table in NOTES.items() if self.layout.has(table) and self._notes(name, table)]
        if self.images:
            self._copy(self._query("images"), "images", "cxr_metadata")
            sources.append("images")
        self._copy(text("diagnoses.sql"), "diagnoses", "diagnoses_icd")
        return Extracted(samples, self.images, tuple(sources), tuple(self._counts()))

    def _samples(self) -> int:
        self.say("samples")
        kind = "images" if self.images else "stays"
        with reading("admissions"):
            self.connection.execute(f"CREATE TABLE cohort AS {self._query('cohort')}")
            self.connection.execute(f"CREATE TABLE samples AS {self._query(f'samples_{kind}')}")
            if self.choices.single_pathology:
                self.connection.execute("DELETE FROM samples WHERE thoracic IS NULL")
            (count,) = self.connection.execute("SELECT count(*) FROM samples").fetchone() or (0,)
        if not count:
            told = "; ".join(f"{number} {what}" for what, number in self._counts())
            raise DataError(
                "no sample",
                where=f"MIMIC-IV {self.layout.release}",
                got=told,
                expected="images taken during a hospital stay with intensive care"
                if self.images
                else f"stays in intensive care of at least {self.choices.at_hours:g} hours",
            )
        self._copy("SELECT * FROM samples ORDER BY sample_id", "samples", "admissions")
        return int(count)

    def _query(self, name: str) -> str:
        return text(f"{self.choices.profile}/{name}.sql")

    def _written(self, name: str, query: str) -> bool:
        """Whether a source has rows; its table is written if it has."""
        self.say(name)
        where = {"chart": "chartevents", "labs": "labevents", "procedures": "procedureevents"}.get(name, name)
        return self._copy(self._query(query), name, where) > 0

    def _notes(self, name: str, table: str) -> bool:
        self.connection.execute(f"CREATE OR REPLACE VIEW notes AS {text(f'notes_{table}.sql')}")
        return self._written(name, "notes")

    def _copy(self, query: str, name: str, where: str) -> int:
        target = self.out / f"{name}.parquet"
        with reading(where):
            written = self.connection.execute(
                f"COPY ({query}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
            ).fetchone()
        count = int(written[0]) if written else 0
        if not count:
            target.unlink(missing_ok=True)
        return count

    def _counts(self) -> list[tuple[str, int]]:
        """What was left out, and why."""
        kinds = ["counts_images"] if self.images else ["counts_stays"]
        rows = []
        for name in ("counts", *kinds):
            with reading("admissions"):
                rows += self.connection.execute(text(f"{name}.sql")).fetchall()
        return [(str(what), int(number)) for what, number in rows]
