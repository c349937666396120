"""The 41 signals of MIMIC's time series: nine at the bedside, 22 of the laboratory, ten procedures (Soenksen 2022)."""

from __future__ import annotations

from functools import cache
from importlib import resources

import polars as pl


@cache
def signals() -> pl.DataFrame:
    """All signals in the order of the published file: source, signal, the label and the item that carries it, and the
    least and greatest value that can be (null: no limit; a laboratory value of 0 is none where there is one)."""
    content = resources.files("m3h.hospital.catalog").joinpath("signals.csv").read_bytes()
    return pl.read_csv(content, schema_overrides={"low": pl.Float64, "high": pl.Float64})


def names(source: str) -> tuple[str, ...]:
    """The signals of a source: chart, labs or procedures."""
    return tuple(signals().filter(pl.col("source") == source)["signal"])
