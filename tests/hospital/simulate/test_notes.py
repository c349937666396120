"""Notes: ids, times, copied texts, the image's own report, and what is said of whom."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from m3h.hospital.simulate.model import read_model

Read = Callable[[str], pl.DataFrame]


def test_radiology(read: Read) -> None:
    table = read("note/radiology")
    ids = table.select(pl.format("{}-{}-{}", "subject_id", "note_type", "note_seq")).to_series()
    assert (ids == table["note_id"]).all() and table["note_id"].is_unique().all()
    assert set(table["note_type"]) == {"RR", "AR"}
    assert 0.1 < table["hadm_id"].null_count() / len(table) < 0.5
    assert table["text"].str.contains("\n").any() and table["text"].str.contains("___").all()
    copies = len(table) - table.select("subject_id", "text").n_unique()
    assert 0.02 * len(table) < copies < 0.2 * len(table)
    named = table.join(read("hosp/admissions"), on=["subject_id", "hadm_id"])
    assert (named["charttime"] >= named["admittime"]).all()


def test_every_chest_study_has_its_report_at_or_after_the_image(read: Read) -> None:
    images = read("cxr/mimic-cxr-2.0.0-metadata").select(
        "subject_id",
        "study_id",
        taken=pl.format(
            "{} {}", "StudyDate", pl.col("StudyTime").cast(pl.Float64).cast(pl.Int64).cast(pl.String).str.zfill(6)
        ).str.to_datetime("%Y%m%d %H%M%S"),
    )
    first = images.group_by("study_id", "subject_id").agg(pl.col("taken").min())
    reports = read("note/radiology").filter(pl.col("text").str.starts_with("EXAMINATION:  CHEST ("))
    reports = reports.with_columns(pl.col("charttime").str.to_datetime())
    assert len(reports) == len(first)
    gap = first.sort("taken").join_asof(
        reports.sort("charttime"), left_on="taken", right_on="charttime", by="subject_id", strategy="forward"
    )
    wait = (gap["charttime"] - gap["taken"]).dt.total_minutes()
    assert wait.null_count() == 0 and wait.min() >= 0 and wait.max() <= 91


def test_the_report_says_what_the_image_shows(read: Read) -> None:
    """A finding's sentence stands in as many chest reports as the labels have it, but for those left open."""
    labels = read("cxr/mimic-cxr-2.0.0-chexpert")
    reports = read("note/radiology").filter(pl.col("text").str.starts_with("EXAMINATION:  CHEST ("))
    for item in read_model().findings.values():
        told = reports["text"].str.to_lowercase().str.contains(item.sentence.lower(), literal=True).sum()
        labelled = (labels[item.name] == "1.0").sum()
        assert labelled <= told + 1 and labelled > 0.85 * told - 3, item.name


def test_notes_name_conditions_of_those_who_have_them(read: Read) -> None:
    codes = read("hosp/diagnoses_icd").with_columns(pl.col("icd_code").str.strip_chars())
    cirrhosis = read_model().tasks["chronic_liver_disease"]
    have = set(codes.filter(pl.col("icd_code").is_in([*cirrhosis.icd9, *cirrhosis.icd10]))["subject_id"])
    notes = read("note/radiology").with_columns(
        named=pl.col("text").str.contains("cirrhosis"), has=pl.col("subject_id").is_in(have)
    )
    share = dict(notes.group_by("has").agg(pl.col("named").mean()).iter_rows())
    assert share[True] > 0.05 and share[True] > 2 * share[False]


def test_details_discharges_and_echo(read: Read) -> None:
    notes, details = read("note/radiology"), read("note/radiology_detail")
    assert set(details["note_id"]) == set(notes["note_id"])
    parents = details.filter(pl.col("field_name") == "parent_note_id")
    assert len(parents) == (notes["note_type"] == "AR").sum() > 0
    assert set(parents["field_value"]) <= set(notes["note_id"])
    discharges = read("note/discharge")
    assert set(discharges["note_type"]) == {"DS"} and discharges["hadm_id"].is_unique().all()
    assert 0.6 < len(discharges) / len(read("hosp/admissions")) < 0.85
    assert discharges["text"].str.contains("Discharge Diagnosis").all()
    echo = read("note/echo")
    assert echo["text"].str.contains("LVEF = ").all() and echo["hadm_id"].null_count() == 0


def test_ecg(read: Read) -> None:
    table, records = read("ecg/machine_measurements"), read("ecg/record_list")
    assert set(table["study_id"]) == set(records["study_id"]) and table["study_id"].is_unique().all()
    assert table["report_0"].null_count() == 0 and table["report_17"].null_count() == len(table)
    ends = table["report_1"].str.contains("ECG$") | table["report_2"].str.contains("ECG$").fill_null(False)
    assert 0.3 < ends.mean() < 1
    fast = table.filter(pl.col("report_0") == "Sinus tachycardia")["rr_interval"].cast(pl.Int64).mean()
    other = table.filter(pl.col("report_0") != "Sinus tachycardia")["rr_interval"].cast(pl.Int64).mean()
    assert isinstance(fast, float) and isinstance(other, float) and fast < other
