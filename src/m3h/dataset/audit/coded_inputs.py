"""Diagnosis codes among the inputs: labels by codes follow from the codes of the same stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from m3h.dataset.audit.times import rows_of, some_rows
from m3h.hospital.link import link
from m3h.hospital.samples import SampleTable
from m3h.hospital.sql import filled, is_text, key_text, quoted
from m3h.hospital.tables import Tables
from m3h.hospital.tabular import chosen
from m3h.study.spec import Diagnoses, Source, Study

#: Share of a sample's codes that must be found in it, and how many times as often as in that of another sample: numbers
#: of three digits and common diagnoses fit by chance.
SHARE, TIMES = 0.1, 3.0
#: Samples of which less proves nothing.
LEAST = 20
#: What a code looks like once dots are gone.
_TOKEN = r"[A-Z]?[0-9][0-9A-Z]{2,6}"


def codes_among_inputs(tables: Tables, study: Study, samples: SampleTable) -> list[dict[str, Any]]:
    """Sources that hold diagnosis codes of the sample's own key, as signals, categories, texts or within texts.

    Each with source, column, ``own`` and ``other``: the share of the codes of its samples that is found in it, and in
    that of another sample. [] for studies without a table of diagnoses.
    """
    if study.diagnoses is None:
        return []
    some = rows_of(samples, some_rows(samples))
    codes = _codes(tables, study.diagnoses, some)
    found: list[dict[str, Any]] = []
    for source in study.sources:
        for column, tokens in _tokens(tables, some, source):
            own, other, count = _shares(tokens, codes)
            if count >= LEAST and own >= SHARE and own >= TIMES * other:
                found.append({"source": source.name, "column": column, "own": round(own, 4), "other": round(other, 4)})
    return found


def _codes(tables: Tables, spec: Diagnoses, samples: SampleTable) -> pl.DataFrame:
    """The codes of each sample: m3h_sample, m3h_token."""
    keys = samples.keys[spec.key].cast(pl.String)
    stored = tables.store(pl.DataFrame({"m3h_sample": range(len(samples)), "m3h_key": keys}), spec)
    types = tables.types(spec)
    return tables.frame(
        f"SELECT DISTINCT m3h_sample, replace(upper({filled(quoted(spec.code))}), '.', '') AS m3h_token "
        f"FROM ({tables.select(spec)}) e JOIN {stored} s "
        f"ON s.m3h_key = {key_text(quoted(spec.key), types[spec.key])} "
        f"WHERE {filled(quoted(spec.code))} IS NOT NULL ORDER BY ALL",
        spec,
    )


def _tokens(tables: Tables, samples: SampleTable, source: Source) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each column with texts that the source reads, and what could be a code in it: m3h_sample, m3h_token."""
    types = tables.types(source)
    read = [source.signal, source.column if source.read_as == "language" else None]
    names = [name for name in read if name] + list(chosen(tables, source) if source.read_as == "tabular" else ())
    for name in names:
        whole = source.signal == name
        if not (is_text(types[name]) or whole):
            continue
        if source.own_table:
            joined = link(tables, samples, source, numbered=False)
            frame = tables.frame(
                f"SELECT DISTINCT m3h_sample, upper({key_text(quoted(name), types[name])}) AS m3h_text "
                f"FROM ({joined.matched}) WHERE NOT m3h_missing AND NOT m3h_later ORDER BY ALL",
                source,
            )
        else:
            text = samples.frame[name].cast(pl.String).str.to_uppercase()
            frame = pl.DataFrame({"m3h_sample": range(len(samples)), "m3h_text": text})
        yield name, _split(frame)


def _split(frame: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("m3h_text").str.replace_all(r"\.", "")
    return (
        frame.drop_nulls()
        .select(pl.col("m3h_sample").cast(pl.Int64), text.str.extract_all(_TOKEN).alias("m3h_token"))
        .explode("m3h_token")
        .unique()
        .sort("m3h_sample", "m3h_token")
    )


def _shares(tokens: pl.DataFrame, codes: pl.DataFrame) -> tuple[float, float, int]:
    """Of the codes of samples that have the source: the share found in it, the share found in that of another sample,
    and the number of samples."""
    there = tokens["m3h_sample"].unique().sort()
    codes = codes.with_columns(pl.col("m3h_sample").cast(pl.Int64)).filter(pl.col("m3h_sample").is_in(there.implode()))
    having = codes["m3h_sample"].unique().sort()
    if len(having) < 2:
        return 0.0, 0.0, len(having)
    tokens = tokens.drop_nulls()
    # each sample beside the codes of the one half the list away, which is another patient's
    other = dict(zip(having.to_list(), [*having[len(having) // 2 :], *having[: len(having) // 2]], strict=True))
    away = codes.with_columns(pl.col("m3h_sample").replace_strict(other, return_dtype=pl.Int64))
    shares = [
        len(tokens.join(given, on=["m3h_sample", "m3h_token"], how="inner")) / len(codes) for given in (codes, away)
    ]
    return shares[0], shares[1], len(having)
