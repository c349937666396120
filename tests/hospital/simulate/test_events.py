"""The events of stays and laboratories: items, proportions, odd values, and pieces that never repeat an id."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from m3h.hospital.simulate import events
from m3h.hospital.simulate.layout import layout
from m3h.hospital.simulate.model import read_model
from m3h.hospital.simulate.patients import BLOCK, draw
from m3h.hospital.simulate.signals import read_signals
from m3h.hospital.simulate.stays import draw_stays

Read = Callable[[str], pl.DataFrame]
CHARTS = [220045, 220179, 220180, 220181, 220210, 220277, 223900, 220739, 223901]
LABS = [
    *(50931, 50971, 50983, 50902, 50912, 51006, 50882, 50868, 51222, 51221, 50960, 51265, 50970, 51301, 50893),
    *(51248, 51279, 51249, 51250, 51277, 51256, 51009),
]
PROCEDURES = [229351, 224264, 224385, 225805, 225400, 221223, 225802, 224270, 227712, 225441]


def test_every_signal_is_measured_and_named(read: Read) -> None:
    items = read("icu/d_items")
    for table, wanted in (("icu/chartevents", CHARTS), ("icu/procedureevents", PROCEDURES)):
        found = set(read(table)["itemid"].cast(pl.Int64))
        assert set(wanted) < found <= set(items["itemid"].cast(pl.Int64))
    found = set(read("hosp/labevents")["itemid"].cast(pl.Int64))
    names = read("hosp/d_labitems")
    assert set(LABS) < found < set(names["itemid"].cast(pl.Int64))
    # a label alone does not tell the specimen
    glucose = names.filter(pl.col("label") == "Glucose")
    assert {*glucose["fluid"]} == {"Blood", "Urine"} and len(glucose) == 3


def test_charts(read: Read) -> None:
    table = read("icu/chartevents").with_columns(pl.col("valuenum").cast(pl.Float64))
    stays = read("icu/icustays")
    assert len(table) / len(stays) == pytest.approx(120, rel=0.25)
    timed = table.join(stays, on=["subject_id", "hadm_id", "stay_id"])
    assert len(timed) == len(table)
    assert (timed["charttime"] >= timed["intime"]).all() and (timed["charttime"] < timed["outtime"]).all()
    assert not table["charttime"].is_sorted()
    heart = table.filter(pl.col("itemid") == "220045")["valuenum"].drop_nulls()
    assert 0 < ((heart > 350) | (heart <= 0)).mean() < 0.01
    assert 75 < heart.median() < 100
    verbal = table.filter(pl.col("itemid") == "223900")
    pairs = set(zip(verbal["value"], verbal["valuenum"], strict=True))
    assert {("No Response-ETT", 1.0), ("Oriented", 5.0)} <= pairs and len(pairs) == 5
    rhythm = table.filter(pl.col("itemid") == "220048")
    assert rhythm["valuenum"].null_count() == len(rhythm) and rhythm["value"].null_count() == 0


def test_laboratory(read: Read) -> None:
    table = read("hosp/labevents")
    assert table["labevent_id"].is_unique().all() and table["labevent_id"].cast(pl.Int64).max() < 2**31
    outside = table["hadm_id"].null_count() / len(table)
    assert 0.4 < outside < 0.6
    assert 0.002 < table["storetime"].null_count() / len(table) < 0.02
    unread = table.filter(pl.col("valuenum").is_null())
    assert 0 < len(unread) < 0.01 * len(table) and set(unread["value"]) == {"___"}
    specimen = table.group_by("specimen_id").agg(pl.col("charttime", "subject_id").n_unique())
    assert specimen.select(pl.max("charttime", "subject_id")).row(0) == (1, 1) and len(specimen) < len(table) / 3
    creatinine = table.filter(pl.col("itemid") == "50912")["valuenum"].cast(pl.Float64)
    assert 0.9 < creatinine.median() < 1.4
    impossible = table["valuenum"].cast(pl.Float64).is_in([999999.0]) | table["valuenum"].str.starts_with("-")
    assert 0 < impossible.sum() < 0.005 * len(table)
    ratio = len(table) / len(read("icu/chartevents"))
    assert 0.3 < ratio < 0.9  # 0.38 in MIMIC-IV; with few events a stay there is at least one round


def test_labs_of_an_admission_begin_before_it(read: Read) -> None:
    table = read("hosp/labevents").join(read("hosp/admissions"), on=["subject_id", "hadm_id"])
    assert 0 < (table["charttime"] < table["admittime"]).mean() < 0.5
    normal = table.filter(pl.col("dischtime") > pl.col("admittime"))
    assert (normal["charttime"] <= normal["dischtime"]).mean() > 0.97


def test_procedures(read: Read) -> None:
    table = read("icu/procedureevents")
    fraction = table["storetime"].str.contains(r"\.\d{3}$").mean()
    assert 0.1 < fraction < 0.4
    assert {"min", "hour", "day", "None"} == set(table["valueuom"])
    span = (table["endtime"].str.to_datetime() - table["starttime"].str.to_datetime()).dt.total_seconds()
    for unit, divisor in (("min", 60), ("hour", 3600), ("day", 86400)):
        rows = (table["valueuom"] == unit).to_numpy()
        value = table["value"].cast(pl.Float64).to_numpy()[rows]
        assert np.allclose(span.to_numpy()[rows] / divisor, value, atol=1e-4)
    instant = (table["valueuom"] == "None").to_numpy()
    assert set(span.to_numpy()[instant]) == {1, 60}
    assert (table["statusdescription"].value_counts()["count"] > 0).all()


def test_pieces_are_bounded_and_never_repeat_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PIECE", 1000)
    block = draw(read_model(), layout("2.2"), 1, 0)
    signals, stays = read_signals(), draw_stays(block)
    charts = list(events.chart_tables(block, stays, signals, 100, BLOCK))
    assert len(charts) > 5 and max(len(frame) for frame in charts) < 1000 + 200
    rounds = events.draw_rounds(block, signals, 100)
    labs = list(events.lab_tables(block, rounds, signals, 0, BLOCK))
    more = list(events.lab_tables(block, rounds, signals, len(rounds.time), BLOCK))
    for column in ("labevent_id", "specimen_id"):
        first, second = (set(pl.concat(frames)[column]) for frames in (labs, more))
        assert not first & second
    assert pl.concat(labs)["labevent_id"].is_unique().all() and len(labs) > 2
    few = list(events.chart_tables(block, stays, signals, 100, 1))
    assert len(few) < len(charts)
    assert all(any(frame.equals(other) for other in charts) for frame in few)


def test_more_events_leave_the_patients_as_they_are() -> None:
    block = draw(read_model(), layout("2.2"), 1, 0)
    signals, stays = read_signals(), draw_stays(block)
    few, many = (pl.concat(list(events.chart_tables(block, stays, signals, count, BLOCK))) for count in (50, 500))
    assert len(many) == pytest.approx(10 * len(few), rel=0.02)
    means = [
        frame.filter(pl.col("itemid") == 226512).group_by("subject_id").agg(pl.col("valuenum").median())
        for frame in (many, few)
    ]
    both = means[0].join(means[1], on="subject_id").drop_nulls()
    assert np.corrcoef(both["valuenum"], both["valuenum_right"])[0, 1] > 0.5
