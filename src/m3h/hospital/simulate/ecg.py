"""MIMIC-IV-ECG: machine measurements with their report lines, and the list of records. No waveforms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from m3h.hospital.simulate.columns import HOUR, MINUTE, Bools, Floats, Ints, minutes, moments, numbered, picked
from m3h.hospital.simulate.patients import BLOCK, NORMAL, Block, scattered

#: Recordings of a patient, at most; report lines of one.
MOST, LINES = 32, 18
#: A line is printed where its liability exceeds a level by chance.
STATEMENTS = (
    ("severity", 0.6, "Sinus tachycardia"),
    ("heart", 0.5, "Left ventricular hypertrophy"),
    ("heart", 1.1, "Left bundle branch block"),
    ("ischemic_heart_disease", 0.8, "Inferior infarct, age undetermined"),
    ("vascular", 0.6, "Lateral ST-T changes may be due to myocardial ischemia"),
    ("airway", 0.9, "Low QRS voltages in precordial leads"),
    ("kidney", 1.0, "Peaked T waves, consider hyperkalemia"),
    ("mood", 1.0, "Prolonged QT interval"),
    ("ageing", 0.8, "First degree A-V block"),
)


def ecg_tables(block: Block) -> Iterator[tuple[str, pl.DataFrame]]:
    """machine_measurements and record_list of a block, in no order."""
    random, known = block.random("ecg"), block.admissions
    able = known.kind == NORMAL
    rows = np.repeat(np.arange(len(able)), np.where(able, random.integers(0, 4, len(able)), 0))
    reach = (known.disch - known.admit)[rows]
    first = random.random(len(rows)) < 0.6
    early = (random.random(len(rows)) * 12 - 8) * HOUR
    time = minutes(known.admit[rows] + np.where(first, early, random.random(len(rows)) * reach))
    number = numbered(known.patient[rows], order=time)
    kept = number < MOST
    rows, time, number = rows[kept], time[kept], number[kept]
    patient = known.patient[rows]
    study = scattered(40_000_000, (patient + BLOCK * block.number) * MOST + number)
    names = {"patient": patient, "subject_id": block.patients.subject[patient], "study_id": study}
    order = random.permutation(len(rows))
    yield "ecg/machine_measurements", _measurements(block, names, rows, time, random)[order]
    folders = [
        f"files/p{str(who)[:4]}/p{who}/s{what}/{what}" for who, what in zip(names["subject_id"], study, strict=True)
    ]
    yield (
        "ecg/record_list",
        pl.DataFrame(
            names
            | {
                "file_name": pl.Series(values=study).cast(pl.String),
                "ecg_time": moments(time),
                "path": pl.Series(values=folders, dtype=pl.String),
            }
        )[order],
    )


def _measurements(
    block: Block, names: dict[str, Ints], rows: Ints, time: Ints, random: np.random.Generator
) -> pl.DataFrame:
    count = len(rows)
    rate = np.clip(84 + 14 * block.liability("severity")[rows] + 10 * random.standard_normal(count), 35, 190)
    said = np.stack(
        [block.liability(name)[rows] + 0.5 * random.standard_normal(count) > above for name, above, _ in STATEMENTS],
        axis=1,
    )
    reports = _lines(said)
    onset = 40 + random.integers(-8, 9, count)
    wide = onset + 150 + np.where(said[:, 2], 40, 0) + random.integers(-10, 11, count)
    return pl.DataFrame(
        names
        | {
            "cart_id": 6_000_000 + random.integers(0, 80, count) * 1237,
            "ecg_time": moments(time + random.integers(0, MINUTE, count)),
            **{f"report_{line}": pl.Series(values=column, dtype=pl.String) for line, column in enumerate(reports)},
            "bandwidth": picked(["0.005-150 Hz"], np.zeros(count, np.int64)),
            "filtering": picked(["60 Hz notch Baseline filter"], np.zeros(count, np.int64)),
            "rr_interval": np.rint(60_000 / rate).astype(np.int64),
            "p_onset": onset,
            "p_end": onset + 110,
            "qrs_onset": wide,
            "qrs_end": wide + 90 + np.where(said[:, 2], 50, 0),
            "t_end": wide + 380 + np.where(said[:, 7], 90, 0),
            **{axis: _degrees(random, count) for axis in ("p_axis", "qrs_axis", "t_axis")},
        }
    )


def _degrees(random: np.random.Generator, count: int) -> Ints:
    # the machine writes this where it could not measure
    unknown = random.random(count) < 0.03
    measured: Floats = np.rint(30 + 35 * random.standard_normal(count))
    return np.where(unknown, 29999, measured).astype(np.int64)


def _lines(said: Bools) -> list[list[str | None]]:
    """LINES columns of text: rhythm first, then the statements, then the summary; unused ones are null."""
    columns: list[list[str | None]] = [[] for _ in range(LINES)]
    for row in said.tolist():
        texts = [text for (_, _, text), wanted in zip(STATEMENTS, row, strict=True) if wanted]
        rhythm = [] if row[0] else ["Sinus rhythm"]
        lines = [*rhythm, *texts, "Abnormal ECG" if texts else "Normal ECG"]
        for number, column in enumerate(columns):
            column.append(lines[number] if number < len(lines) else None)
    return columns
