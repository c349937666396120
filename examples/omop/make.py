"""A small OMOP database, made up: person, visit_occurrence, measurement, note and death as CSV.

usage: python examples/omop/make.py OUT_DIR [--persons 300]

Copies the study beside them. Who is sicker has a lower oxygen saturation, more lactate and notes that say so, and dies
more often.
"""

from __future__ import annotations

import argparse
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).parent
#: Concepts: oxygen saturation, lactate, heart rate.
MEASURED = ((40762499, 96, 1.0, -2.0, 8), (3047181, 1.5, 0.3, 0.8, 2), (3027018, 85, 9.0, 6.0, 8))
WORDS = {True: "increasing oxygen requirement, transfer discussed", False: "resting, comfortable, plan unchanged"}
Row = dict[str, object]


def person(number: int, random: np.random.Generator) -> dict[str, list[Row]]:
    """The rows of one person in every table."""
    sick = random.normal()
    began = datetime(2021, 1, 1) + timedelta(minutes=int(random.integers(0, 600_000)))
    stay = float(random.gamma(3, 1.5) + 1.2)
    died = bool(random.random() < 1 / (1 + np.exp(1.5 - 1.8 * sick)))
    visit = 5000 + number
    stayed = {"visit_start_datetime": began, "visit_end_datetime": began + timedelta(days=stay)}
    about = {"gender_concept_id": int(random.choice([8507, 8532])), "year_of_birth": 1935 + int(random.integers(0, 60))}
    rows: dict[str, list[Row]] = {
        "person": [{"person_id": number, **about}],
        "visit_occurrence": [{"visit_occurrence_id": visit, "person_id": number, **stayed}],
        "measurement": [],
        "note": [],
        "death": [{"person_id": number, "death_datetime": began + timedelta(days=stay)}] if died else [],
    }
    for concept, mean, spread, effect, count in MEASURED:
        for hour in random.uniform(0, 36, count):
            when = began + timedelta(hours=float(hour))
            known = random.random() < 0.9  # one in ten has a date without a time
            rows["measurement"].append(
                {
                    "measurement_id": int(random.integers(1, 1 << 40)),
                    "person_id": number,
                    "measurement_concept_id": concept,
                    "measurement_date": when.date(),
                    "measurement_datetime": when if known else None,
                    "value_as_number": round(mean + effect * sick + spread * float(random.normal()), 2),
                    "visit_occurrence_id": visit,
                }
            )
    for hour in (4.0, 30.0):
        said = WORDS[bool(sick + 0.5 * random.normal() > 0.5)]
        when = began + timedelta(hours=hour)
        note = {"note_id": int(random.integers(1, 1 << 40)), "person_id": number, "note_date": when.date()}
        rows["note"].append({**note, "note_datetime": when, "note_text": said, "visit_occurrence_id": visit})
    return rows


def make(out: Path, persons: int) -> None:
    """Write the tables and the study."""
    random = np.random.default_rng(8)
    made = [person(1000 + number, random) for number in range(persons)]
    out.mkdir(parents=True, exist_ok=True)
    for name in made[0]:
        rows = [row for one in made for row in one[name]]
        pl.DataFrame(rows, infer_schema_length=None).write_csv(out / f"{name}.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    for name in ("study.toml", "samples.sql", "measurement.sql"):
        shutil.copy(HERE / name, out / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A small OMOP database, made up.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--persons", type=int, default=300)
    given = parser.parse_args()
    make(given.out, given.persons)
