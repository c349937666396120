"""Make the study icu2012 from the public files of the PhysioNet/CinC Challenge 2012.

python examples/icu2012/prepare.py DOWNLOADED_DIR OUT_DIR

DOWNLOADED_DIR holds set-a/, set-b/, Outcomes-a.txt and Outcomes-b.txt as published in version 1.0.0. OUT_DIR gets
samples.parquet, events.parquet and study.toml. README.md says how each label is defined.
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from m3h.core.atomic import atomic_file
from m3h.core.errors import DataError, M3HError

PREDICTION_MINUTE = 24 * 60
LAST_MINUTE = 48 * 60
#: Readings in hours 24-48 that a condition needs to be known at all, and that must be beyond its limit to be there.
READINGS = 2
OLIGURIA_ML = 500.0
SMALLEST_HEIGHT_CM = 100.0
SMALLEST_WEIGHT_KG = 20.0
SPLITS = {"a": "train", "b": "test"}
ICU_TYPES = {1: "coronary", 2: "cardiac_surgery", 3: "medical", 4: "surgical"}
STATIC = ("Age", "Gender", "Height", "ICUType", "Weight")


@dataclass(frozen=True)
class Condition:
    """Two readings of ``signals`` below or above ``limit``; readings outside ``plausible`` do not count."""

    signals: tuple[str, ...]
    side: str
    limit: float
    plausible: tuple[float, float]


CONDITIONS = {
    "hypotension": Condition(("MAP", "NIMAP"), "below", 60.0, (10.0, 250.0)),
    "tachycardia": Condition(("HR",), "above", 120.0, (10.0, 300.0)),
    "fever": Condition(("Temp",), "above", 38.3, (25.0, 45.0)),
    "coma": Condition(("GCS",), "below", 9.0, (3.0, 15.0)),
    "thrombocytopenia": Condition(("Platelets",), "below", 100.0, (1.0, 3000.0)),
    "anemia": Condition(("HCT",), "below", 25.0, (5.0, 75.0)),
    "hyperglycemia": Condition(("Glucose",), "above", 180.0, (5.0, 3000.0)),
    "hyponatremia": Condition(("Na",), "below", 135.0, (90.0, 200.0)),
    "hyperkalemia": Condition(("K",), "above", 5.0, (1.0, 15.0)),
    "acidosis": Condition(("pH",), "below", 7.3, (6.5, 8.0)),
    "leukocytosis": Condition(("WBC",), "above", 12.0, (0.0, 600.0)),
    "hyperlactatemia": Condition(("Lactate",), "above", 2.0, (0.1, 40.0)),
    "kidney_injury": Condition(("Creatinine",), "above", 2.0, (0.1, 40.0)),
}
LABELS = (
    *("hypotension", "tachycardia", "fever", "coma", "oliguria", "thrombocytopenia", "anemia", "hyperglycemia"),
    *("hyponatremia", "hyperkalemia", "acidosis", "leukocytosis", "hyperlactatemia", "kidney_injury", "ventilation"),
)


def prepare(downloaded: Path, out: Path) -> None:
    """Write the study folder ``out``. Errors: DataError for files that are missing or not of the published form."""
    parts = [(split, read_records(downloaded / f"set-{letter}")) for letter, split in SPLITS.items()]
    outcomes = pl.concat([read_outcomes(downloaded / f"Outcomes-{letter}.txt") for letter in SPLITS])
    charted = pl.concat([records for _, records in parts])
    splits = pl.concat([records.select("record_id").unique().with_columns(split=pl.lit(s)) for s, records in parts])
    samples = build_samples(charted, splits, outcomes)
    tables = {"samples.parquet": samples, "events.parquet": build_events(charted)}
    for name, table in tables.items():
        buffer = io.BytesIO()
        table.write_parquet(buffer, compression="zstd")
        with atomic_file(out / name) as path:
            path.write_bytes(buffer.getvalue())
    with atomic_file(out / "study.toml") as path:
        path.write_bytes(Path(__file__).with_name("study.toml").read_bytes())
    train = samples.filter(split="train").height
    print(f"{samples.height} stays ({train} train), {tables['events.parquet'].height} events: {out / 'study.toml'}")


def read_records(folder: Path) -> pl.DataFrame:
    """Everything charted in one set: record_id, order (line of its file), minute, signal, value.

    Errors: DataError if the folder has no records or a file is not of the form Time,Parameter,Value.
    """
    files = sorted(folder.glob("*.txt"), key=lambda path: path.stem)
    if not files:
        raise DataError("no records here", where=str(folder), expected="text files such as 132539.txt")
    lines = ["record_id,order,time,signal,value"]
    for row, path in enumerate(files, start=1):
        head, *rest = path.read_text(encoding="ascii").splitlines() or [""]
        if head.strip() != "Time,Parameter,Value" or not path.stem.isdecimal():
            raise DataError(f"file {row} of {len(files)} is not a record", where=str(folder))
        lines += [f"{path.stem},{order},{line}" for order, line in enumerate(rest) if line.strip()]
    try:
        table = pl.read_csv(
            "\n".join(lines).encode(),
            schema={
                "record_id": pl.Int64,
                "order": pl.Int64,
                "time": pl.String,
                "signal": pl.String,
                "value": pl.Float64,
            },
        )
        hours, minutes = pl.col("time").str.slice(0, 2), pl.col("time").str.slice(3, 2)
        minute = hours.cast(pl.Int32) * 60 + minutes.cast(pl.Int32)
        return table.select("record_id", "order", minute.alias("minute"), "signal", "value")
    except pl.exceptions.PolarsError as error:
        raise DataError("a line is not Time,Parameter,Value", where=str(folder), expected="00:07,GCS,15") from error


def read_outcomes(file: Path) -> pl.DataFrame:
    """Labels of the whole stay; -1 means missing."""
    if not file.is_file():
        raise DataError("this file is missing", where=str(file))
    table = pl.read_csv(file)
    wanted = {"RecordID": "record_id", "In-hospital_death": "death", "Length_of_stay": "length_of_stay", "SOFA": "sofa"}
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise DataError("columns are missing", where=str(file), expected=", ".join(wanted), got=f"no {missing[0]}")
    known = [pl.when(pl.col(name) >= 0).then(pl.col(name)).alias(name) for name in ("length_of_stay", "sofa")]
    return (
        table.select(pl.col(name).cast(pl.Int64).alias(new) for name, new in wanted.items())
        .with_columns(known)
        .with_columns(pl.col("death").cast(pl.Int8))
    )


def build_samples(charted: pl.DataFrame, splits: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """One row per stay, sorted: split, outcomes, static facts, conditions of hours 24-48 (null = unknown)."""
    table = splits.join(outcomes, on="record_id", how="left").join(_static(charted), on="record_id", how="left")
    if table["death"].null_count():
        raise DataError(
            f"{table['death'].null_count()} records have no outcome", where="Outcomes-a.txt, Outcomes-b.txt"
        )
    later = charted.filter(pl.col("minute") > PREDICTION_MINUTE, pl.col("minute") <= LAST_MINUTE)
    for name in LABELS:
        table = table.join(_label(name, later), on="record_id", how="left")
    order = ("record_id", "split", "prediction_minute", "death", "length_of_stay", "sofa", "male", "height_cm")
    return (
        table.with_columns(
            prediction_minute=pl.lit(PREDICTION_MINUTE, dtype=pl.Int32), ventilation=pl.col("ventilation").fill_null(0)
        )
        .select(*order, "weight_kg", "icu_type", "age", *LABELS)
        .sort("record_id")
    )


def build_events(charted: pl.DataFrame) -> pl.DataFrame:
    """The bedside series of hours 0-24, as charted but for rows of -1 (missing) and repeated lines."""
    rows = charted.join(_descriptors(charted), on=["record_id", "order"], how="anti")
    rows = rows.filter(pl.col("minute") <= PREDICTION_MINUTE, pl.col("value") >= 0)
    columns = ("record_id", "minute", "signal", "value")
    return rows.select(columns).unique().sort(columns)


def _descriptors(charted: pl.DataFrame) -> pl.DataFrame:
    """The static facts at the head of each record: the first row of each at 00:00, and the record's own number."""
    heads = charted.filter(pl.col("minute") == 0, pl.col("signal").is_in([*STATIC, "RecordID"]))
    return heads.sort("record_id", "order").unique(["record_id", "signal"], keep="first", maintain_order=True)


def _static(charted: pl.DataFrame) -> pl.DataFrame:
    heads = _descriptors(charted).filter(pl.col("value") >= 0)

    def fact(name: str) -> pl.Expr:
        return pl.col("value").filter(pl.col("signal") == name).first()

    table = heads.group_by("record_id").agg(fact(name).alias(name) for name in STATIC)
    # smaller ones are metres, inches or pounds gone astray: these patients are 15 years and older
    height = pl.when(pl.col("Height") >= SMALLEST_HEIGHT_CM).then(pl.col("Height"))
    weight = pl.when(pl.col("Weight") >= SMALLEST_WEIGHT_KG).then(pl.col("Weight"))
    unit = pl.col("ICUType").cast(pl.Int64).replace_strict(ICU_TYPES, default=None, return_dtype=pl.String)
    return table.select(
        "record_id",
        pl.col("Gender").alias("male"),
        height.alias("height_cm"),
        weight.alias("weight_kg"),
        unit.alias("icu_type"),
        pl.col("Age").alias("age"),
    )


def _label(name: str, later: pl.DataFrame) -> pl.DataFrame:
    """One condition of hours 24-48 per record that has enough readings: 0 or 1."""
    if name == "ventilation":
        rows = later.filter(pl.col("signal") == "MechVent")
        return rows.group_by("record_id").agg((pl.col("value") > 0).any().cast(pl.Int8).alias(name))
    if name == "oliguria":
        rows = later.filter(pl.col("signal") == "Urine", pl.col("value") >= 0)
        there = pl.col("value").sort().sum() < OLIGURIA_ML
    else:
        condition = CONDITIONS[name]
        rows = later.filter(pl.col("signal").is_in(condition.signals), pl.col("value").is_between(*condition.plausible))
        value = pl.col("value")
        beyond = value < condition.limit if condition.side == "below" else value > condition.limit
        there = beyond.sum() >= READINGS
    counted = rows.group_by("record_id").agg(pl.len().alias("readings"), there.cast(pl.Int8).alias(name))
    return counted.filter(pl.col("readings") >= READINGS).drop("readings")


def main() -> int:
    """Read the command line; 2 for mistakes in what it names."""
    parser = argparse.ArgumentParser(description="Make the study icu2012 from the PhysioNet/CinC Challenge 2012 files.")
    parser.add_argument("downloaded", type=Path, help="holds set-a/, set-b/, Outcomes-a.txt and Outcomes-b.txt")
    parser.add_argument("out", type=Path, help="the study folder to write")
    options = parser.parse_args()
    try:
        prepare(options.downloaded, options.out)
    except M3HError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
