"""Leaks in random disguises: the answer among the inputs, an image's own report, and codes of the same stay."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import polars as pl

from planted import Planting, Values, word


def label_in_disguise(study: Planting) -> str:
    """A label as an input: recoded, rescaled, bent, blurred, thresholded, mixed, split or missing where it is 0."""
    random = study.random
    task = str(random.choice(_askable(study)))
    y, kind = study.label(task), study.host.data.labels[task].task.kind
    how = str(random.choice(["rescaled", "bent", "blurred", "mixed", "split", "words", "partly", "missing"]))
    if how == "missing" and kind != "binary":
        how = "bent"
    if how in ("mixed", "split"):
        columns = _mixed(study, y, how)
    elif how == "words":
        columns = [_words(y, kind, random)]
    else:
        columns = [_one(y, kind, how, random)]
    place = str(random.choice(["samples", "table", "series"]))
    if how in ("words", "missing", "mixed", "split") and place == "series":
        place = "table"
    _put(study, columns, place)
    return f"{task}: {how} in {place}"


def _askable(study: Planting) -> list[str]:
    """Tasks with enough labels that a blurred copy can be told from chance at all."""
    found = []
    for name, labels in study.host.data.labels.items():
        rows = study.host.data.train_rows[labels.known[study.host.data.train_rows]]
        if labels.task.kind == "clustering" or labels.unusable:
            continue
        patients = study.host.data.patients[rows]
        few = [len(np.unique(patients[labels.values[rows] == value])) for value in np.unique(labels.values[rows])]
        if labels.task.kind == "regression" or min(few) >= 20:
            found.append(name)
    return found


def _scale(y: Values) -> float:
    return float(np.nanstd(y)) or 1.0


def _one(y: Values, kind: str, how: str, random: np.random.Generator) -> Values:
    x = (y - np.nanmin(y)) * random.uniform(0.01, 50) * random.choice([-1, 1]) + random.normal() * 10
    if how == "bent" and kind == "regression":
        low = (y - np.nanmin(y)) / (np.nanmax(y) - np.nanmin(y))
        bends: list[Callable[[Values], Values]] = [np.sqrt, np.square, lambda v: np.log(v + 0.1), lambda v: v > 0.4]
        x = bends[int(random.integers(len(bends)))](low).astype(float)
        x[np.isnan(y)] = np.nan
    if how == "bent" and kind == "multiclass":
        code = random.permutation(int(np.nanmax(y)) + 1).astype(float)
        x = np.where(np.isnan(y), np.nan, code[np.nan_to_num(y).astype(int)])
    if how == "blurred":
        if kind == "regression" or random.random() < 0.5:
            x = x + random.normal(size=len(x)) * _scale(x) * random.uniform(0, 0.2)
        else:
            wrong = random.random(len(x)) < random.uniform(0, 0.02)
            x[wrong] = x[random.permutation(len(x))][wrong]
    if how == "partly":
        x[random.random(len(x)) < random.uniform(0.1, 0.4)] = np.nan
    if how == "missing":
        x = np.where(y == 1, random.normal(size=len(y)), np.nan)
    return x


def _mixed(study: Planting, y: Values, how: str) -> list[Values]:
    """With another column of the study, or as two columns whose sum it is."""
    random = study.random
    noise = random.normal(size=len(y)) * _scale(y) * random.uniform(0.5, 2)
    if how == "split":
        return [y * 0.5 + noise, y * 0.5 - noise]
    age = study.samples["age"].cast(pl.Float64).to_numpy()
    return [y / _scale(y) * random.choice([-1, 1]) + age / _scale(age) * random.uniform(0.5, 2)]


def _words(y: Values, kind: str, random: np.random.Generator) -> Values:
    """As categories that mean nothing, several for one answer."""
    if kind == "regression":
        cuts = np.nanquantile(y, np.sort(random.uniform(0.1, 0.9, 3)))
        y = np.where(np.isnan(y), np.nan, np.digitize(y, cuts))
    names = {value: [word(random) for _ in range(random.integers(1, 3))] for value in np.unique(y[~np.isnan(y)])}
    return np.array([None if np.isnan(v) else str(random.choice(names[v])) for v in y], dtype=object)


def _put(study: Planting, columns: list[Values], place: str) -> None:
    if place == "samples":
        study.read_columns([study.add_column(values.tolist()) for values in columns])
        return
    names = [word(study.random) for _ in columns]
    frame = study.samples.select("sample_id", pl.col("t").alias("when")).with_columns(
        [pl.Series(name, values.tolist()) for name, values in zip(names, columns, strict=True)]
    )
    if place == "table":
        table = study.add_table(frame.drop("when"))
        study.add_source(modality="tabular", table=table, key="sample_id", columns=names)
        return
    frame = frame.with_columns(pl.lit("level").alias("what")).drop_nulls().filter(pl.col(names[0]).is_not_nan())
    entries = {"key": "sample_id", "time": "when", "signal": "what", "value": names[0]}
    study.add_source(modality="timeseries", table=study.add_table(frame), **entries)


def own_report(study: Planting) -> str:
    """The report of the sample's own image as a text: cut, renamed, blurred, or among other texts."""
    random, t = study.random, pl.col("t")
    reports = study.host.notes.filter(pl.col("note_type") == "RR").select("subject_id", "charttime", "text")
    own = (
        study.samples.select("sample_id", "subject_id", "t", "view")
        .join(reports, on="subject_id")
        # the report of an image follows within two hours; that of the view names it
        .filter((pl.col("charttime") >= t) & (pl.col("charttime") <= t + pl.duration(hours=2)))
        .filter(pl.col("text").str.contains("CHEST"))
        .sort("sample_id", "charttime", "text")
        .unique("sample_id", keep="first", maintain_order=True)
    )
    how = str(random.choice(["whole", "impression", "findings", "shouted", "misspelt", "shortened", "among others"]))
    texts = [_text(text, how, random) for text in own["text"].to_list()]
    frame = own.select("sample_id", pl.col("t").alias("when")).with_columns(pl.Series("words", texts))
    place = str(random.choice(["samples", "table", "timed"]))
    if how == "among others":
        other = reports["text"].to_list()
        extra = [str(other[int(random.integers(len(other)))]).partition("FINDINGS")[0] for _ in texts]
        frame = frame.with_columns(pl.concat_str(pl.Series("x", extra), pl.col("words"), separator="\n").alias("words"))
    name = word(random)
    frame = frame.rename({"words": name})
    if place == "samples":
        study.samples = study.samples.join(frame.select("sample_id", name), on="sample_id", how="left")
        study.add_source(modality="language", column=name)
    else:
        more = {"time": "when"} if place == "timed" else {}
        table = study.add_table(frame if place == "timed" else frame.drop("when"))
        study.add_source(modality="language", table=table, key="sample_id", column=name, **more)
    return f"{how} in {place}"


def _text(text: str, how: str, random: np.random.Generator) -> str:
    findings, _, impression = text.partition("IMPRESSION")
    if how == "impression":
        return impression
    if how == "findings":
        return findings.partition("FINDINGS")[2]
    if how == "shouted":
        return re.sub(r"\s+", " ", text).upper()
    words = text.split(" ")
    if how == "misspelt":
        return " ".join(w[:-1] + "x" if random.random() < 0.05 else w for w in words)
    if how == "shortened":
        return " ".join(w for w in words if random.random() > 0.1)
    return text


def codes_of_the_stay(study: Planting) -> str:
    """The codes that the labels are made of, as signals, texts, columns of 0 and 1, groups, or under other names."""
    random = study.random
    codes = study.host.table("diagnoses").select("hadm_id", pl.col("icd_code").str.strip_chars().alias("code"))
    codes = codes.filter(pl.Series(random.random(len(codes)) >= random.uniform(0, 0.2)))
    how = str(random.choice(["signals", "text", "dotted", "columns", "groups", "renamed", "renamed columns"]))
    if how in ("groups", "renamed columns", "columns"):
        own = codes.with_columns(pl.col("code").str.slice(0, 3)) if how != "columns" else codes
        common = own["code"].value_counts(sort=True)["code"].to_list()[:150]
        own = own.filter(pl.col("code").is_in(common)).unique().with_columns(pl.lit(1).alias("is"))
        wide = own.sort("hadm_id", "code").pivot("code", index="hadm_id", values="is").fill_null(0)
        if how == "renamed columns":
            wide = wide.rename({name: word(random) + str(n) for n, name in enumerate(wide.columns) if n})
        table = study.add_table(wide)
        study.add_source(modality="tabular", table=table, key="hadm_id", columns=wide.columns[1:])
        return how
    if how == "dotted":
        codes = codes.with_columns(pl.col("code").str.replace(r"^(.{3})(.+)$", "$1.$2"))
    if how == "renamed":
        known = codes["code"].unique().sort().to_list()
        codes = codes.with_columns(pl.col("code").replace_strict({c: f"n{n}" for n, c in enumerate(known)}))
    if how in ("text", "dotted"):
        frame = codes.group_by("hadm_id").agg(pl.col("code").sort().str.join(" ; ").alias("what"))
        # an encoder of words wants words; they say nothing
        frame = frame.with_columns(pl.format("coded for this stay: {} end of list", "what").alias("what"))
        table = study.add_table(frame)
        study.add_source(modality="language", table=table, key="hadm_id", column="what")
        return how
    # stamped with the admission, as billing systems do
    admitted = pl.col("t") - pl.duration(minutes=(pl.col("hours_since_admission") * 60).cast(pl.Int64))
    frame = study.samples.select("sample_id", "hadm_id", admitted.alias("when")).join(codes, on="hadm_id")
    frame = frame.drop("hadm_id").with_columns(pl.lit(1.0).alias("value"))
    entries = {"key": "sample_id", "time": "when", "signal": "code", "value": "value"}
    study.add_source(modality="timeseries", table=study.add_table(frame), **entries)
    return how
