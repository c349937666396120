"""A small MEDS dataset, made up: sharded events, splits and labels in MEDS's layout.

usage: python examples/meds/make.py OUT_DIR [--subjects 300]

Writes OUT_DIR/data/<split>/<shard>.parquet (subject_id, time, code, numeric_value), metadata/subject_splits.parquet and
labels/mortality.parquet (subject_id, prediction_time, boolean_value), and copies the study beside them. Who is sicker
has a higher heart rate, more creatinine, and dies more often.
"""

from __future__ import annotations

import argparse
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).parent
SPLITS = (("train", 0.7), ("tuning", 0.1), ("held_out", 0.2))
SCHEMA = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "numeric_value": pl.Float32}


def subject(number: int, random: np.random.Generator) -> tuple[list[tuple[object, ...]], tuple[object, ...]]:
    """The events of one subject, and its label."""
    sick = random.normal()
    born = datetime(1940, 1, 1) + timedelta(days=int(random.integers(0, 20_000)))
    admitted = datetime(2020, 1, 1) + timedelta(hours=int(random.integers(0, 10_000)))
    predicted = admitted + timedelta(hours=24)
    events: list[tuple[object, ...]] = [
        (number, None, f"GENDER//{'F' if random.random() < 0.5 else 'M'}", None),
        (number, born, "MEDS_BIRTH", None),
        (number, admitted, "HOSPITAL_ADMISSION//EMERGENCY", None),
    ]
    for code, mean, spread, effect, count in (
        ("VITAL//HEART_RATE//bpm", 85, 8, 9, 12),
        ("LAB//CREATININE//mg/dL", 1.0, 0.1, 0.3, 3),
        ("LAB//SODIUM//mmol/L", 139, 3, 0, 3),
    ):
        for hour in np.sort(random.uniform(0, 40, count)):  # some are after the moment of prediction
            value = mean + effect * sick + spread * random.normal()
            events.append((number, admitted + timedelta(hours=float(hour)), code, max(value, 0.1)))
    died = bool(random.random() < 1 / (1 + np.exp(1.5 - 1.8 * sick)))
    if died:
        events.append((number, predicted + timedelta(days=int(random.integers(1, 9))), "MEDS_DEATH", None))
    return events, (number, predicted, died)


def make(out: Path, subjects: int) -> None:
    """Write the dataset and the study."""
    random = np.random.default_rng(7)
    made = [subject(1000 + number, random) for number in range(subjects)]
    edges = np.cumsum([0.0] + [share for _, share in SPLITS]) * subjects
    split = [name for name, _ in SPLITS]
    for place, name in enumerate(split):
        part = made[round(edges[place]) : round(edges[place + 1])]
        for shard in range(2):
            events = [event for rows, _ in part[shard::2] for event in rows]
            file = out / "data" / name / f"{shard}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            pl.DataFrame(events, schema=SCHEMA, orient="row").write_parquet(file)
    where = np.searchsorted(np.round(edges[1:-1]), np.arange(subjects), side="right")
    splits = {"subject_id": [label[0] for _, label in made], "split": [split[place] for place in where]}
    (out / "metadata").mkdir(exist_ok=True)
    pl.DataFrame(splits).write_parquet(out / "metadata" / "subject_splits.parquet")
    (out / "labels").mkdir(exist_ok=True)
    labels = {"subject_id": pl.Int64, "prediction_time": pl.Datetime("us"), "boolean_value": pl.Boolean}
    pl.DataFrame([label for _, label in made], schema=labels, orient="row").write_parquet(
        out / "labels" / "mortality.parquet"
    )
    for name in ("study.toml", "samples.sql"):
        shutil.copy(HERE / name, out / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A small MEDS dataset, made up.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--subjects", type=int, default=300)
    given = parser.parse_args()
    make(given.out, given.subjects)
