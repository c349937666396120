"""Leaks in random disguises: what was not known at the sample's time, and one person on both sides of the split."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from planted import Planting, word

SIGNALS = {"labs": ("Creatinine", "Glucose", "Hemoglobin", "Sodium", "Urea Nitrogen"), "chart": ("Heart Rate",)}


def known_later(study: Planting) -> str:
    """An input that was not known at the sample's time: stored later, of the whole stay, or the stay's own length."""
    how = str(study.random.choice(["stored later", "without a time", "of the whole stay", "total stay"]))
    makers = {
        "stored later": _stored_later,
        "without a time": _without_time,
        "of the whole stay": _whole_stay,
        "total stay": _total_stay,
    }
    return f"{how}: {makers[how](study)}"


def _stamp(random: np.random.Generator, name: str) -> pl.Expr:
    """A time as a timestamp or as text."""
    return pl.col(name) if random.random() < 0.5 else pl.col(name).dt.to_string("%Y-%m-%d %H:%M:%S").alias(name)


def _stored_later(study: Planting) -> str:
    random = study.random
    source = str(random.choice(["labs", "chart"]))
    table = study.host.table(source).select("hadm_id", "charttime", "signal", "value")
    hours = random.uniform(3, 36)
    delay = (random.exponential(hours, len(table)) * 60).astype(int)
    stored = word(random)
    table = table.with_columns((pl.col("charttime") + pl.duration(minutes=pl.Series(delay))).alias(stored))
    frame = table.with_columns(_stamp(random, stored))
    entries = {"time": "charttime", "signal": "signal", "value": "value", "key": "hadm_id"}
    study.add_source(modality="timeseries", table=study.add_table(frame), **entries)
    return f"{source}, {hours:.0f} hours"


def _without_time(study: Planting) -> str:
    random = study.random
    hours = random.uniform(4, 100)
    late, value = word(random), word(random)
    delay = (random.exponential(hours, len(study.samples)) * 60).astype(int)
    frame = study.samples.select(
        "sample_id",
        (pl.col("t") + pl.duration(minutes=pl.Series(delay))).alias(late),
        pl.Series(value, random.normal(size=len(study.samples)) * 20 + study.samples["age"].to_numpy()),
    ).with_columns(_stamp(random, late))
    study.add_source(modality="tabular", table=study.add_table(frame), key="sample_id", columns=[value])
    return f"{hours:.0f} hours"


def _whole_stay(study: Planting) -> str:
    random = study.random
    source = str(random.choice(list(SIGNALS)))
    signal = str(random.choice(SIGNALS[source]))
    what = str(random.choice(["max", "min", "mean", "last"]))
    ways = {"max": pl.max("value"), "min": pl.min("value"), "mean": pl.mean("value"), "last": pl.last("value")}
    table = study.host.table(source).filter(pl.col("signal") == signal).sort("hadm_id", "charttime", "value")
    found = table.group_by("hadm_id", maintain_order=True).agg(ways[what])
    x = study.samples.join(found, on="hadm_id", how="left")["value"].to_numpy().astype(float)
    x = x * random.uniform(0.1, 10) * random.choice([-1, 1]) + random.normal()
    x += random.normal(size=len(x)) * np.nanstd(x) * random.uniform(0, 0.1)
    x[random.random(len(x)) < random.uniform(0, 0.2)] = np.nan
    study.read_columns([study.add_column(x)])
    return f"{what} of {signal}"


def _total_stay(study: Planting) -> str:
    random = study.random
    total = study.samples["hours_since_admission"].to_numpy() / 24 + study.label("length_of_stay")
    x = total * random.choice([1, 24, 1440]) * (1 + random.normal(size=len(total)) * random.uniform(0, 0.03))
    columns = [study.add_column(x)]
    if random.random() < 0.5:
        columns.append("hours_since_admission")
    study.read_columns(columns)
    return "with the time since" if len(columns) > 1 else "alone"


def one_person_twice(study: Planting) -> str:
    """Training patients who stand under another id in the test part: all of them, with other values, or by an image or
    a text alone."""
    random, data = study.random, study.host.data
    study.samples = study.samples.with_columns(pl.Series("side", data.split.tolist()))
    study.edits.append(('patient = "subject_id"', 'patient = "subject_id"\nsplit = "side"'))
    how = str(random.choice(["all", "same stay", "blurred", "image", "text"]))
    patients = np.unique(data.patients[data.train_rows])
    tested = len(np.unique(data.patients[data.test_rows]))
    count = max(3, round(tested * random.uniform(0.05, 0.2)))
    chosen = random.choice(patients, count, replace=False).tolist()
    rows = study.samples.filter(pl.col("subject_id").cast(pl.String).is_in(chosen))
    twins = rows.with_columns(
        (pl.col("sample_id") + "-2").alias("sample_id"),
        (pl.col("subject_id") + 90_000_000).alias("subject_id"),
        pl.lit("test").alias("side"),
    )
    _copy_rows(study, "procedures", "sample_id", lambda key: key + "-2", rows["sample_id"])
    if how in ("same stay", "blurred"):
        years = pl.Series(random.integers(-1, 2, len(twins)))
        twins = twins.with_columns(
            (pl.col("age") + years).alias("age"), pl.Series("insurance", random.integers(0, 3, len(twins)))
        )
    if how in ("blurred", "image", "text"):
        twins = _other_stay(study, twins, how)
    if how == "image":
        images = [_redrawn(study, str(name)) if name else None for name in twins["image"].to_list()]
        twins = twins.with_columns(pl.Series("image", images, dtype=pl.String))
    if how == "text":
        twins = twins.with_columns(pl.lit(None, dtype=pl.String).alias("image"))
    study.samples = pl.concat([study.samples, twins.cast(dict(study.samples.schema))])
    return f"{how}, {count} of {tested}"


def _copy_rows(study: Planting, name: str, key: str, renamed: object, keys: pl.Series, blur: float = 0.0) -> None:
    table = (
        study.host.table(name)
        if not (study.folder / f"{name}.parquet").exists()
        else pl.read_parquet(study.folder / f"{name}.parquet")
    )
    own = table.filter(pl.col(key).is_in(keys.implode())).with_columns(renamed(pl.col(key)).alias(key))  # type: ignore[operator]
    if blur and "value" in own.columns:
        noise = 1 + study.random.normal(size=len(own)) * blur
        own = own.with_columns(pl.col("value") * pl.Series(noise)).filter(
            pl.Series(study.random.random(len(own)) > 0.1)
        )
    pl.concat([table, own]).write_parquet(study.folder / f"{name}.parquet")


def _other_stay(study: Planting, twins: pl.DataFrame, how: str) -> pl.DataFrame:
    """Under another stay's number, with the tables that the disguise leaves the twins."""
    keys = twins["hadm_id"].unique().sort()
    for name in {"blurred": ("chart", "labs", "radiology", "ecg", "diagnoses"), "image": ("diagnoses",)}.get(
        how, ("radiology", "diagnoses")
    ):
        if (study.folder / f"{name}.parquet").exists():
            _copy_rows(study, name, "hadm_id", lambda key: key + 50_000_000, keys, 0.01 if how == "blurred" else 0.0)
    years = pl.Series(study.random.integers(-20, 20, len(twins)))
    if how in ("image", "text"):
        twins = twins.with_columns((pl.col("age") + years).clip(18, 99).alias("age"))
    return twins.with_columns((pl.col("hadm_id") + 50_000_000).alias("hadm_id"))


def _redrawn(study: Planting, name: str) -> str:
    """The image under another name: the same bytes, the same pixels, somewhat brighter, or smaller."""
    text = (study.host.folder / "study.toml").read_text(encoding="utf-8")
    folder = Path(text.partition('folder = "')[2].partition('"')[0])
    how = str(study.random.choice(["bytes", "pixels", "brighter", "smaller"]))
    place = Path("twins") / study.folder.name / f"{Path(name).stem}{'.png' if how == 'pixels' else '.jpg'}"
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    if how == "bytes":
        shutil.copy(folder / name, folder / place)
        return place.as_posix()
    with Image.open(folder / name) as image:
        if how == "pixels":
            image.save(folder / place)
        elif how == "brighter":
            share = study.random.uniform(0.95, 1.05)
            image.point(lambda v: v * share).save(folder / place, quality=95)
        else:
            side = int(image.width * 0.9)
            image.resize((side, side)).save(folder / place, quality=95)
    return place.as_posix()
