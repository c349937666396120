"""The published embeddings of HAIM-MIMIC-MM (PhysioNet haim-multimodal, cxr_ic_fusion_1103.csv) as a study.

A row of the file is an image seen from one stay in intensive care; the key file tells whose stay. Damaged rows and
repeated images are left out and counted. What the file holds where there was nothing (a time series of zeros, the
embedding of the empty text, zeros for images of one moment) becomes missing.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from m3h.core.atomic import atomic_folder
from m3h.core.errors import DataError, FolderError, nearest
from m3h.hospital import files
from m3h.hospital.catalog.tasks import THORACIC
from m3h.hospital.mimic.extract import Say
from m3h.hospital.mimic.layout import Column, Layout, find
from m3h.hospital.mimic.study_file import table_text, tasks_text
from m3h.hospital.mimic.tables import reading, text, typed, views
from m3h.hospital.mimic.whole import check
from m3h.hospital.sql import filled, literal, quoted
from m3h.hospital.tables import connect


@dataclass(frozen=True)
class Part:
    """A source of the file: the prefix of its columns and how many there are; what it holds where there is nothing."""

    name: str
    modality: str
    prefix: str
    width: int
    empty: str = ""  # "zeros", or "commonest": the vector that most rows share


PARTS = (
    Part("demographics", "tabular", "de_", 6),
    Part("chart", "timeseries", "ts_ce_", 99, "zeros"),
    Part("labs", "timeseries", "ts_le_", 242, "zeros"),
    Part("procedures", "timeseries", "ts_pe_", 110, "zeros"),
    Part("ecg", "language", "n_ecg_", 768, "commonest"),
    Part("echo", "language", "n_ech_", 768, "commonest"),
    Part("radiology", "language", "n_rad_", 768, "commonest"),
    Part("image_dense", "vision", "vd_", 1024),
    Part("image_predictions", "vision", "vp_", 18),
    Part("images_dense", "vision", "vmd_", 1024, "zeros"),
    Part("images_predictions", "vision", "vmp_", 18, "zeros"),
)
FACTS = ("haim_id", "img_id", "img_charttime", "img_deltacharttime", "img_length_of_stay", "death_status")
KEYS = ("subject_id", "hadm_id", "stay_id")
#: A vector that fewer rows than this share of them have in common is nobody's absence.
COMMON = 0.01


@dataclass(frozen=True)
class Made:
    """A study that was made: its file, how many samples, and rows that were left out (why, how many)."""

    study: Path
    samples: int
    counts: tuple[tuple[str, int], ...]


def make_study(file: Path, keys: Path, out: Path, *, mimic: Path | None = None, say: Say = lambda text: None) -> Made:
    """Write the folder ``out``: study.toml, samples.parquet, a table for each of the 11 sources, and haim.json.

    ``keys`` is haim_mimiciv_key_ids.csv: its row number is haim_id. With ``mimic``, the folder of MIMIC-IV, diagnoses
    are attached, and the tasks that follow from them. Errors: FolderError where ``out`` is not empty; DataError for
    files of other columns or without a whole row.
    """
    for path, what in ((file, "cxr_ic_fusion_1103.csv"), (keys, "haim_mimiciv_key_ids.csv")):
        if not path.is_file():
            raise DataError(
                "no such file",
                where=str(path),
                expected=f"the published file {what}",
                next_step="download it from PhysioNet, haim-multimodal 1.0.1, and name it",
            )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderError(
            "there is something already", where=str(out), next_step="choose another --out, or remove it first"
        )
    spill = Path(tempfile.mkdtemp(prefix="m3h-"))
    connection = connect(spill)
    try:
        with atomic_folder(out, replace=True) as fresh:
            counts = _Published(connection, file, keys, fresh, say).write(mimic)
            samples = dict(counts)["samples"]
            told = tuple((what, number) for what, number in counts if what != "samples")
            (fresh / "study.toml").write_text(_study(diagnoses=mimic is not None), encoding="utf-8")
            facts = {"file": file.name, "samples": samples, "left out": dict(told)}
            (fresh / "haim.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)
    return Made(out / "study.toml", samples, told)


class _Published:
    def __init__(self, connection: duckdb.DuckDBPyConnection, file: Path, keys: Path, out: Path, say: Say) -> None:
        self.connection, self.file, self.keys, self.out, self.say = connection, file, keys, out, say
        self.names, self.delimiter = files.header(file)
        self.columns = {part.name: _columns(part, self.names, file.name) for part in PARTS}
        _check_columns((*FACTS, *THORACIC), self.names, file)

    def write(self, mimic: Path | None) -> list[tuple[str, int]]:
        counts = self._read()
        connection = self.connection
        connection.execute(text("words.sql").partition("-- Whose a row")[0])
        with reading(self.keys.name):
            connection.execute(f"CREATE TABLE keys AS {self._key_rows()}")
        classes = ", ".join(quoted(name) for name in THORACIC)
        connection.execute(
            "CREATE TABLE samples AS SELECT r.img_id || '@' || r.img_charttime AS sample_id, k.subject_id, k.hadm_id, "
            f"k.stay_id, r.img_charttime, thoracic_class({classes}) AS thoracic, r.img_length_of_stay / 24 AS "
            "length_of_stay, CAST(r.death_status = 1 AND r.img_length_of_stay < 48 AS INTEGER) AS mortality_48h, row "
            "FROM rows r JOIN keys k USING (haim_id) "
            "WHERE k.subject_id IS NOT NULL AND k.hadm_id IS NOT NULL ORDER BY sample_id"
        )
        (kept,) = connection.execute("SELECT count(*) FROM samples").fetchone() or (0,)
        if not kept:
            raise DataError(
                "no whole row whose key is known",
                where=self.file.name,
                got="; ".join(f"{number} {what}" for what, number in counts),
                expected=f"rows whose haim_id is a row of {self.keys.name}, counted from 0",
                next_step="give the key file that was published with this file",
            )
        counts.append(("rows whose key is not in the key file", counts.pop(0)[1] - kept))
        self._copy("SELECT * EXCLUDE (row) FROM samples ORDER BY sample_id", "samples")
        for part in PARTS:
            self.say(part.name)
            self._part(part)
        if mimic is not None:
            self.say("diagnoses")
            self._diagnoses(find(mimic, needed=("diagnoses_icd",)))
        return [("samples", int(kept)), *counts]

    def _diagnoses(self, layout: Layout) -> None:
        views(self.connection, layout)
        check(self.connection, layout, ("diagnoses_icd",))
        where = layout.tables["diagnoses_icd"].name
        with reading(where):
            written = self._copy(text("diagnoses.sql"), "diagnoses")
        if not written:
            raise DataError(
                "no diagnosis of any sample's admission",
                where=where,
                got=f"the admissions of {self.keys.name} are not among its rows",
                expected="MIMIC-IV 1.0, of which the published file was made, or a later one",
                next_step="name another folder with --mimic, or leave it out",
            )

    def _read(self) -> list[tuple[str, int]]:
        """Keep the whole rows, each image and time once; how many there are, then how many were left out."""
        self.say(self.file.name)
        listed = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in self.names)
        numbers = [name for columns in self.columns.values() for name in columns]
        numbers += ["haim_id", "img_deltacharttime", "img_length_of_stay", "death_status"]
        floats = ", ".join(f"{_number(name)} AS {quoted(name)}" for name in (*numbers, *THORACIC))
        # one expression over a list: thousands of conditions take the database minutes to plan
        values = f"[{', '.join(quoted(name) for name in numbers)}]"
        parts = [f"len(list_filter({values}, lambda x: coalesce(isfinite(x), false))) = {len(numbers)}"]
        parts += ["img_id IS NOT NULL", "TRY_CAST(img_charttime AS TIMESTAMP) IS NOT NULL"]
        # an unmentioned finding is empty; one that is no number is damage
        no_number = [f"({filled(quoted(name))} IS NOT NULL AND {_number(name)} IS NULL)" for name in THORACIC]
        whole = " AND ".join([*parts, "NOT broken"])
        with reading(self.file.name):
            self.connection.execute(
                f"CREATE TABLE every AS SELECT row_number() OVER () AS row, img_id, img_charttime, {floats}, "
                f"({' OR '.join(no_number)}) AS broken "
                f"FROM read_csv({literal(str(self.file))}, columns={{{listed}}}, auto_detect=false, header=true, "
                f"delim={literal(self.delimiter)}, quote='\"', escape='\"', nullstr='', strict_mode=false, "
                "ignore_errors=true, store_rejects=true)"
            )
            found = self.connection.execute(
                "SELECT (SELECT count(DISTINCT line) FROM reject_errors), count(*), "
                f"count(*) FILTER (WHERE NOT ({whole})) FROM every"
            ).fetchone()
            rejected, read, damaged = (int(number) for number in found or (0, 0, 0))
            # a quote that does not close swallows the lines after it, and is one row to the database
            rejected = max(rejected, _lines(self.file) - 1 - read)
            self.connection.execute(
                f"CREATE TABLE rows AS SELECT * FROM every WHERE {whole} "
                "QUALIFY row_number() OVER (PARTITION BY img_id, img_charttime ORDER BY row) = 1"
            )
            self.connection.execute("DROP TABLE every")
            (kept,) = self.connection.execute("SELECT count(*) FROM rows").fetchone() or (0,)
        again = read - damaged - int(kept)
        return [
            ("whole rows", int(kept)),
            ("damaged rows", rejected + damaged),
            ("repeated rows of an image and time", again),
        ]

    def _key_rows(self) -> str:
        names, _ = files.header(self.keys)
        _check_columns(KEYS, names, self.keys)
        chosen = ", ".join(f"{typed(filled(name), Column('BIGINT', (name,), False))} AS {name}" for name in KEYS)
        return f"SELECT row_number() OVER () - 1 AS haim_id, {chosen} FROM ({files.select([self.keys])})"

    def _part(self, part: Part) -> None:
        columns = self.columns[part.name]
        values = f"[{', '.join(quoted(name) for name in columns)}]"
        there: dict[str, Callable[[], str]] = {
            "": lambda: "true",
            "zeros": lambda: f"len(list_filter({values}, lambda x: x <> 0)) > 0",
            "commonest": lambda: self._not_commonest(values),
        }
        condition = there[part.empty]()
        listed = ", ".join(f"r.{quoted(name)}" for name in columns)
        self._copy(
            f"SELECT s.sample_id, {listed} FROM samples s JOIN rows r ON s.row = r.row WHERE {condition} "
            "ORDER BY s.sample_id",
            part.name,
        )

    def _not_commonest(self, values: str) -> str:
        found = self.connection.execute(
            f"SELECT hash({values}), count(*) FROM rows r GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
        ).fetchone()
        (rows,) = self.connection.execute("SELECT count(*) FROM rows").fetchone() or (0,)
        if found is None or found[1] < max(2, COMMON * rows):
            return "true"
        return f"hash({values}) <> {found[0]}"

    def _copy(self, query: str, name: str) -> int:
        target = literal(str(self.out / f"{name}.parquet"))
        with reading(name):
            written = self.connection.execute(
                f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION zstd)"
            ).fetchone()
        return int(written[0]) if written else 0


def _check_columns(wanted: Iterable[str], names: Collection[str], file: Path) -> None:
    for name in wanted:
        if name not in names:
            raise DataError(
                f'no column "{name}"{nearest(name, names)}',
                where=file.name,
                expected="the columns of the published file",
                next_step="give the file as it was published",
            )


def _lines(file: Path) -> int:
    """How many lines with something in them a file has."""
    with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as stream:
        return sum(not line.isspace() for line in stream)


def _number(name: str) -> str:
    return f"TRY_CAST({quoted(name)} AS FLOAT)"


def _columns(part: Part, names: tuple[str, ...], where: str) -> list[str]:
    """The columns of a part, in the order of their numbers: vd_ is not vmd_."""
    fitting = re.compile(rf"^{re.escape(part.prefix)}\d+$")
    found = sorted((name for name in names if fitting.match(name)), key=lambda name: int(name[len(part.prefix) :]))
    if found != [f"{part.prefix}{number}" for number in range(part.width)]:
        raise DataError(
            f"{len(found)} columns {part.prefix}0, {part.prefix}1, ...",
            where=where,
            expected=f"{part.width}, from {part.prefix}0 to {part.prefix}{part.width - 1}",
            next_step="give the published file cxr_ic_fusion_1103.csv",
        )
    return found


def _study(*, diagnoses: bool) -> str:
    samples = {"table": "samples.parquet", "id": "sample_id", "patient": "subject_id"}
    codes = {"table": "diagnoses.parquet", "key": "hadm_id", "code": "icd_code", "version": "icd_version"}
    parts = [
        table_text("[study]", {"name": "haim", "title": "HAIM-MIMIC-MM as published", "seed": 2024}),
        table_text("[samples]", samples),
        *([table_text("[diagnoses]", codes)] if diagnoses else []),
    ]
    for part in PARTS:
        keys = {"name": part.name, "modality": part.modality, "encoder": "columns", "table": f"{part.name}.parquet"}
        parts.append(table_text("[[source]]", {**keys, "key": "sample_id", "columns": [f"{part.prefix}*"]}))
    return "\n".join([*parts, tasks_text(catalogs=diagnoses)])
