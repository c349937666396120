"""MIMIC-IV-Note: radiology reports with their details, discharge summaries, and reports of echocardiograms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from m3h.hospital.simulate.chest import VIEWS, Images, Studies
from m3h.hospital.simulate.columns import HOUR, MINUTE, NONE, ids, minutes, moments, numbered
from m3h.hospital.simulate.patients import NORMAL, Block, shared_tasks
from m3h.hospital.simulate.stays import Stays
from m3h.hospital.simulate.words import (
    ADDENDUM,
    Story,
    chest_report,
    discharge_summary,
    echo_report,
    other_report,
    said,
    stories,
)

#: Shares of other reports whose text is an earlier one's carried on, and of reports that get an addendum.
COPIED, AMENDED = 0.2, 0.04


@dataclass
class Notes:
    """Notes of one kind while they are written; ``exam`` is the examination's name."""

    patient: list[int] = field(default_factory=list)
    admission: list[int] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    exam: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def add(self, patient: int, admission: int, time: int, stored: int, kind: str, exam: str, text: str) -> None:
        """One more note; ``admission`` is a row of the block, -1 where the note names none."""
        self.patient.append(patient)
        self.admission.append(admission)
        self.time.append(time)
        self.stored.append(stored)
        self.kind.append(kind)
        self.exam.append(exam)
        self.text.append(text)


def note_tables(block: Block, stays: Stays, studies: Studies, images: Images) -> Iterator[tuple[str, pl.DataFrame]]:
    """radiology, radiology_detail, discharge and echo of a block, in no order."""
    inside, outside = stories(block, block.model)
    radiology = _radiology(block, studies, images, inside, outside)
    table = _table(block, radiology)
    random = block.random("note rows")
    order = random.permutation(len(table))
    yield "note/radiology", table[order]
    yield "note/radiology_detail", _details(table)
    for name, notes in (("discharge", _discharges(block, inside)), ("echo", _echoes(block, stays, inside))):
        rows = _table(block, notes)
        yield f"note/{name}", rows[random.permutation(len(rows))]


def _radiology(block: Block, studies: Studies, images: Images, inside: Story, outside: Story) -> Notes:
    random, known, notes = block.random("radiology"), block.admissions, Notes()
    for row in range(len(studies.patient)):
        patient, admission, time = (int(values[row]) for values in (studies.patient, studies.admission, studies.time))
        phrases = said(inside, admission, random) if admission >= 0 else said(outside, patient, random)
        view = VIEWS[int(images.view[row])][2]
        text = chest_report(block, patient, phrases, studies.shown[row], view, random)
        # what is taken before the admission belongs to no admission
        named = admission if admission >= 0 and time >= known.admit[admission] else -1
        wait = int(random.integers(0, 90)) * MINUTE if random.random() < 0.5 else 0
        written = time // MINUTE * MINUTE + MINUTE + wait
        notes.add(patient, named, written, written + int(20 + 400 * random.random()) * MINUTE, "RR", view, text)
        if random.random() < AMENDED:
            notes.add(patient, named, written, written + 9 * HOUR, "AR", view, ADDENDUM)
    for row in np.flatnonzero(known.kind == NORMAL).tolist():
        _others(block, row, inside, notes, random)
    return notes


def _others(block: Block, row: int, story: Story, notes: Notes, random: np.random.Generator) -> None:
    """Reports of other examinations: around the arrival, then now and then; some carry an earlier text on."""
    known = block.admissions
    patient, admit, disch = int(known.patient[row]), int(known.admit[row]), int(known.disch[row])
    count = int(random.integers(1, 4))
    early = admit + (random.random(count) * 12 - 10) * HOUR
    late = admit + random.random(int(random.poisson((disch - admit) / (120 * HOUR)))) * (disch - admit)
    before: tuple[str, str] | None = None
    for time in minutes(np.sort(np.r_[early, late])).tolist():
        if before is None or random.random() >= COPIED:
            before = other_report(block, patient, said(story, row, random), random)
        stored = time + int(25 + 100 * random.random()) * MINUTE
        named = row if time >= admit else -1
        notes.add(patient, named, time, NONE if random.random() < 0.01 else stored, "RR", *before)


def _discharges(block: Block, story: Story) -> Notes:
    random, known, notes = block.random("discharge"), block.admissions, Notes()
    tasks = shared_tasks(block.model)
    for row in np.flatnonzero(known.kind == NORMAL).tolist():
        if random.random() < 0.77:  # of 431,231 admissions 331,793 have one
            names = [tasks[number] for number in np.flatnonzero(known.has[row]).tolist()]
            text = discharge_summary(block, row, names, said(story, row, random))
            day = int(known.disch[row]) // 86400 * 86400
            notes.add(int(known.patient[row]), row, day, day + int(30 * random.random()) * HOUR, "DS", "", text)
    return notes


def _echoes(block: Block, stays: Stays, story: Story) -> Notes:
    random, known, notes = block.random("echo"), block.admissions, Notes()
    failing = block.liability("heart_failure")
    for row in np.unique(stays.admission).tolist():
        if random.random() < 0.2 + 0.5 * (failing[row] > 0):
            time = int(known.admit[row] + (random.random() * 14 - 6) * HOUR) // MINUTE * MINUTE
            noise = float(failing[row] + 0.4 * random.standard_normal())
            text = echo_report(noise, said(story, row, random))
            stored = time + int(30 + 60 * random.random()) * MINUTE
            notes.add(int(known.patient[row]), row, time, stored, "EC", "", text)
    return notes


def _table(block: Block, notes: Notes) -> pl.DataFrame:
    patient = np.array(notes.patient, np.int64)
    time = np.array(notes.time, np.int64)
    kinds = np.array(notes.kind, dtype="U2")
    group = patient * 8 + np.unique(kinds, return_inverse=True)[1]
    sequence = numbered(group, order=time) + 1
    subject = block.patients.subject[patient]
    hadm = np.r_[block.admissions.hadm, NONE][np.array(notes.admission, np.int64)]
    names = [f"{who}-{kind}-{number}" for who, kind, number in zip(subject, notes.kind, sequence, strict=True)]
    return pl.DataFrame(
        {
            "patient": patient,
            "note_id": pl.Series(values=names, dtype=pl.String),
            "subject_id": subject,
            "hadm_id": ids(hadm),
            "note_type": pl.Series(values=notes.kind, dtype=pl.String),
            "note_seq": sequence,
            "charttime": moments(time),
            "storetime": moments(np.array(notes.stored, np.int64)),
            "text": pl.Series(values=notes.text, dtype=pl.String),
            "exam": pl.Series(values=notes.exam, dtype=pl.String),
        }
    )


def _details(table: pl.DataFrame) -> pl.DataFrame:
    """exam_code and exam_name of each report, parent_note_id of each addendum; the report it belongs to is the latest
    of the same patient at its time."""
    reports = table.filter(pl.col("note_type") == "RR")
    named = ["patient", "note_id", "subject_id"]
    code = pl.format("C{}", pl.col("exam").str.len_chars()).alias("field_value")
    parts = [
        reports.select(*named, pl.lit("exam_code").alias("field_name"), code),
        reports.select(*named, pl.lit("exam_name").alias("field_name"), pl.col("exam").alias("field_value")),
    ]
    parents = reports.select("patient", "charttime", "exam", parent="note_id").unique(
        ["patient", "charttime", "exam"], keep="first", maintain_order=True
    )
    amended = table.filter(pl.col("note_type") == "AR").join(
        parents, on=["patient", "charttime", "exam"], how="left", maintain_order="left"
    )
    parts.append(
        amended.select(*named, pl.lit("parent_note_id").alias("field_name"), pl.col("parent").alias("field_value"))
    )
    return pl.concat(parts).with_columns(field_ordinal=pl.lit(1, pl.Int64))
