"""A study of forty samples with a time, laboratory values and diagnosis codes, whose rows a test may change."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from m3h.study.spec import Study

STUDY = """
[study]
name = "times"
[samples]
table = "samples.csv"
id = "id"
patient = "id"
time = "t"
[diagnoses]
table = "codes.csv"
key = "id"
code = "code"
system = 10
[[source]]
name = "labs"
modality = "timeseries"
table = "labs.csv"
key = "id"
time = "taken"
signal = "what"
value = "value"
{more}
[[task]]
name = "ill"
kind = "binary"
column = "ill"
"""
START = pl.datetime(2030, 1, 1)


def write(folder: Path, labs: pl.DataFrame, more: str = "", numbers: bool = False) -> Study:
    folder.mkdir(exist_ok=True)
    ids = [f"a{number:03d}" for number in range(40)]
    hours = pl.Series("t", range(40))
    samples = pl.DataFrame({"id": ids, "ill": [number % 2 for number in range(40)]}).with_columns(hours)
    codes = pl.DataFrame({"id": ids, "code": [f"I{number:02d}1" for number in range(40)]})
    if not numbers:
        samples = samples.with_columns((START + pl.duration(hours=pl.col("t"))).alias("t"))
    samples.write_csv(folder / "samples.csv")
    codes.write_csv(folder / "codes.csv")
    labs.write_csv(folder / "labs.csv")
    (folder / "study.toml").write_text(STUDY.replace("{more}", more), encoding="utf-8")
    return Study.read(folder / "study.toml")


def rows(**columns: pl.Expr) -> pl.DataFrame:
    """Three rows a sample, taken 3, 2 and 1 hours before its time."""
    frame = pl.DataFrame({"number": [n // 3 for n in range(120)], "before": [3 - n % 3 for n in range(120)]})
    frame = frame.with_columns(pl.format("a{}", pl.col("number").cast(pl.String).str.zfill(3)).alias("id"))
    taken = START + pl.duration(hours=pl.col("number") - pl.col("before"))
    frame = frame.with_columns(taken.alias("taken"), pl.lit("x").alias("what"), pl.lit(1.5).alias("value"))
    return frame.with_columns(**columns)
