"""Each extracted table beside the one worked by hand; the input is in conftest.py."""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from m3h.core.errors import DataError, FolderError, SettingError
from m3h.hospital.mimic.build import Made, make_study
from m3h.hospital.mimic.extract import Choices
from mini_mimic import TABLES, Write


def made(folder: Path, **more: Any) -> tuple[Made, Path]:
    out = folder.parent / f"{folder.name}_study"
    return make_study(folder, out, encoders="offline", **more), out


def rows(out: Path, name: str, *columns: str) -> list[tuple[Any, ...]]:
    return pl.read_parquet(out / f"{name}.parquet").select(columns).sort(columns).rows()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_samples_are_images_in_an_admission_with_intensive_care(mimic: Write) -> None:
    found, out = made(mimic())
    columns = (
        "sample_id",
        "subject_id",
        "hadm_id",
        "stay_id",
        "t",
        "thoracic",
        "mortality_48h",
        "length_of_stay",
        "view",
    )
    assert rows(out, "samples", *columns) == [
        # in the first stay; one of the eight is positive: effusion is none of them, uncertain is not positive
        ("aaaaaaaa-1", 10000001, 20000001, 30000011, at("2180-05-06 16:00"), "Cardiomegaly", 0, 9.75, "AP"),
        # the later stay has begun; two are positive; the minute is cut
        ("bbbbbbbb-2", 10000001, 20000001, 30000012, at("2180-05-10 04:00"), None, 0, 6.25, "PA"),
        # dies within 48 hours: the stay ends at death
        ("eeeeeeee-5", 10000002, 20000002, 30000002, at("2150-03-01 20:00"), "Edema", 1, 47 / 24, "AP"),
    ]
    assert found.extracted.samples == 3 and found.extracted.images
    assert dict(found.extracted.counts) == {
        "admissions that end before they begin": 1,
        "admissions of patients under 18": 1,
        "admissions of patients without an age": 0,
        "admissions without intensive care": 2,
        "admissions of patients that the table patients lacks": 0,
        "images without a time": 1,
        "images outside of admissions with intensive care": 2,
        "stays in intensive care of admissions that the table admissions lacks": 0,
        "diagnoses without an admission": 0,
        "rows of chartevents whose charttime cannot be read": 1,
        # five days before; the one of an ECG is of the year before
        "radiology notes without an admission id, written outside of the patient's admissions": 1,
        "radiology notes without an admission id and without a time": 0,
        "radiology notes of admissions that the table admissions lacks": 0,
        "radiology notes of earlier than a day before their admission": 0,
        "ecg notes without an admission id, written outside of the patient's admissions": 1,
        "ecg notes without an admission id and without a time": 0,
        "ecg notes of admissions that the table admissions lacks": 0,
        "ecg notes of earlier than a day before their admission": 0,
        "images of samples that are not among the files": 1,
    }


def test_demographics_are_codes_that_do_not_depend_on_the_data(mimic: Write) -> None:
    _, out = made(mimic())
    columns = ("sample_id", "age", "gender", "ethnicity", "marital_status", "language", "insurance", "race", "years")
    assert rows(out, "samples", *columns) == [
        ("aaaaaaaa-1", 52, 0, 7, 1, 1, 1, "WHITE", "2011 - 2013"),
        ("bbbbbbbb-2", 52, 0, 7, 1, 1, 1, "WHITE", "2011 - 2013"),
        ("eeeeeeee-5", 91, 1, 2, -1, 0, 0, "BLACK/AFRICAN AMERICAN", "2014 - 2016"),
    ]


def test_without_images_samples_are_stays_that_last_long_enough(mimic: Write) -> None:
    found, out = made(mimic(without=("cxr",)), choices=Choices(at_hours=20))
    columns = ("sample_id", "hadm_id", "t", "thoracic", "mortality_48h", "length_of_stay")
    assert rows(out, "samples", *columns) == [
        ("30000002", 20000002, at("2150-03-02 05:00"), None, 1, 38 / 24),
        ("30000012", 20000001, at("2180-05-10 20:00"), None, 0, 134 / 24),
    ]
    assert dict(found.extracted.counts)["stays in intensive care that ended before the sample's time"] == 1
    assert any("thoracic_testing has no labels" in told for told in found.missing)


def test_bedside_values_that_cannot_be_are_missing(mimic: Write) -> None:
    _, out = made(mimic())
    assert rows(out, "chart", "hadm_id", "charttime", "signal", "value") == [
        (20000001, at("2180-05-06 13:00"), "Heart Rate", 80.0),
        (20000001, at("2180-05-06 14:00"), "Heart Rate", 90.0),
        (20000001, at("2180-05-06 15:00"), "Heart Rate", 85.0),
        (20000001, at("2180-05-06 15:30"), "Heart Rate", None),
        (20000001, at("2180-05-10 03:00"), "Heart Rate", 100.0),
        (20000002, None, "O2 saturation pulseoxymetry", 97.0),  # its time does not parse: counted, never used
    ]


def test_results_count_when_known_and_belong_to_the_admission_they_were_taken_in(mimic: Write) -> None:
    _, out = made(mimic())
    known, drawn = at("2180-05-06 12:30"), at("2180-05-06 11:00")
    assert rows(out, "labs", "labevent_id", "hadm_id", "charttime", "known", "signal", "value") == [
        (2, 20000001, drawn, known, "Glucose", 150.0),
        (3, 20000001, drawn, known, "Glucose", 140.0),
        # without an admission, within one, and not stored; number 8 was before it, 9 is of urine
        (7, 20000001, at("2180-05-06 10:30"), at("2180-05-06 10:30"), "Potassium", 4.1),
        (10, 20000001, drawn, known, "Anion Gap", -2.0),
        (11, 20000001, drawn, known, "Chloride", None),
    ]


def test_procedures_are_cut_at_the_samples_time(mimic: Write) -> None:
    _, out = made(mimic())
    assert rows(out, "procedures", "sample_id", "signal", "value") == [
        ("aaaaaaaa-1", "Bronchoscopy", 1.0),
        ("aaaaaaaa-1", "Foley Catheter", 3.0),
        ("bbbbbbbb-2", "Bronchoscopy", 1.0),
        ("bbbbbbbb-2", "Foley Catheter", 6.0),  # the one that begins after the image is not there
    ]


def test_notes_begin_a_day_before_and_are_known_when_stored(mimic: Write) -> None:
    _, out = made(mimic())
    found = pl.read_parquet(out / "radiology.parquet").sort("note_id")
    assert found.select("note_id", "hadm_id").rows() == [(f"10000001-RR-{number}", 20000001) for number in (1, 3, 4, 5)]
    assert found["text"][0] == "the day before\ntwo lines"
    first = at("2180-05-06 16:00")  # the first image; its own report has its time, and counts as after it
    assert (found["known"] <= first).to_list() == [True, False, False, False]
    ecg = pl.read_parquet(out / "ecg.parquet")
    assert ecg.select("hadm_id", "text").rows() == [(20000001, "Sinus rhythm\nNormal ECG")]


def test_images_and_diagnoses_of_the_samples(mimic: Write) -> None:
    _, out = made(mimic())
    assert rows(out, "images", "subject_id", "taken", "image") == [
        (10000001, None, "p10/p10000001/s50000004/dddddddd-4.jpg"),
        (10000001, at("2180-05-06 09:30"), "p10/p10000001/s50000003/cccccccc-3.jpg"),
        (10000001, at("2180-05-06 16:00"), "p10/p10000001/s50000001/aaaaaaaa-1.jpg"),
        (10000001, at("2180-05-10 04:00"), "p10/p10000001/s50000002/bbbbbbbb-2.jpg"),
        (10000002, at("2150-03-01 20:00"), "p10/p10000002/s50000005/eeeeeeee-5.jpg"),
    ]
    assert rows(out, "diagnoses", "hadm_id", "icd_code", "icd_version") == [
        (20000001, "0380", 9),
        (20000001, "4280", 9),
        (20000002, "A419", 10),
    ]


def test_only_images_with_one_finding_on_request(mimic: Write) -> None:
    found, out = made(mimic(), choices=Choices(single_pathology=True))
    assert found.extracted.samples == 2
    assert rows(out, "samples", "sample_id") == [("aaaaaaaa-1",), ("eeeeeeee-5",)]


def test_version_one_has_its_core_and_calls_race_ethnicity(mimic: Write, tmp_path: Path) -> None:
    old = {
        f"core/{name}": TABLES[f"hosp/{name}"].replace(",race,", ",ethnicity,") for name in ("admissions", "patients")
    }
    folder = mimic(without=("hosp/admissions", "hosp/patients"), replaced=old, name="old")
    found, out = made(folder)
    assert found.release == "1.0"
    _, new = made(mimic())
    assert pl.read_parquet(out / "samples.parquet").equals(pl.read_parquet(new / "samples.parquet"))


def test_modules_may_lie_elsewhere(mimic: Write, tmp_path: Path) -> None:
    folder = mimic()
    for module in ("note", "cxr", "ecg"):
        (folder / module).rename(tmp_path / f"elsewhere_{module}")
    found, out = made(
        folder,
        notes=tmp_path / "elsewhere_note",
        cxr=tmp_path / "elsewhere_cxr",
        ecg=tmp_path / "elsewhere_ecg",
    )
    assert found.missing[0] == "echocardiogram notes (not public): the study has no source echo"
    assert [told.partition(": no row of ")[0] for told in found.missing[1:]] == ["chart", "labs", "procedures"]
    assert "Heart Rate" not in found.missing[1] and found.missing[1].endswith("; their columns are empty")
    assert found.extracted.sources == ("chart", "labs", "procedures", "radiology", "ecg", "images")
    assert json.loads((out / "mimic.json").read_text())["samples"] == 3


def test_bad_input_is_told_and_leaves_nothing_behind(mimic: Write, tmp_path: Path) -> None:
    cases = {
        "missing": (mimic(without=("icu/chartevents",), name="missing"), "1 table is missing: chartevents"),
        "column": (
            mimic(replaced={"icu/icustays": TABLES["icu/icustays"].replace("outtime", "endtime")}, name="column"),
            'no column "outtime"',
        ),
        "time": (
            mimic(
                replaced={"icu/icustays": TABLES["icu/icustays"].replace("2180-05-10 00:00:00", "May 10")}, name="time"
            ),
            r"intime cannot be read as a time \(row 1\)",
        ),
    }
    for folder, message in cases.values():
        with pytest.raises(DataError, match=message):
            made(folder)
    with pytest.raises(FolderError, match="no such folder"):
        make_study(tmp_path / "nowhere", tmp_path / "x")
    with pytest.raises(SettingError, match="--at"):
        make_study(tmp_path, tmp_path / "x", choices=Choices(at_hours=-1))
    folder = mimic(name="cut")
    file = folder / "icu" / "chartevents.csv.gz"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match="truncated") as told:
        made(folder)
    assert "chartevents" in str(told.value)
    twice = mimic(name="twice")
    (twice / "copy" / "icu").mkdir(parents=True)
    (twice / "copy" / "icu" / "icustays.csv").write_text(TABLES["icu/icustays"])
    with pytest.raises(DataError, match="the table icustays is there 2 times"):
        made(twice)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith("_study")]


def test_no_sample_says_why(mimic: Write) -> None:
    with pytest.raises(DataError, match="no sample") as told:
        made(mimic(without=("cxr",)), choices=Choices(at_hours=1000))
    assert "stays in intensive care that ended before" in str(told.value)


def test_an_existing_study_is_kept(mimic: Write) -> None:
    folder = mimic()
    made(folder)
    with pytest.raises(FolderError, match="something already"):
        made(folder)


def test_the_order_of_rows_changes_nothing(mimic: Write) -> None:
    def turned(text: str) -> str:
        head, *lines = text.splitlines(keepends=True)
        return head + "".join(reversed(lines))

    quoted = ("note/radiology",)
    other = mimic(replaced={name: turned(text) for name, text in TABLES.items() if name not in quoted}, name="turned")
    (_, one), (_, two) = made(mimic()), made(other)
    for file in sorted(path.name for path in one.glob("*.parquet")):
        a, b = pl.read_parquet(one / file), pl.read_parquet(two / file)
        assert a.sort(a.columns).equals(b.sort(b.columns)), file
    assert (one / "study.toml").read_text() == (two / "study.toml").read_text().replace("/turned/", "/mimic/")
    assert gzip.decompress((other / "icu" / "icustays.csv.gz").read_bytes()) != TABLES["icu/icustays"].encode()


@pytest.mark.parametrize("profile", ["strict", "haim"])
def test_the_number_of_cores_changes_no_byte(mimic: Write, monkeypatch: pytest.MonkeyPatch, profile: Any) -> None:
    text = TABLES["icu/chartevents"]
    rows = text.splitlines(keepends=True)[1:]
    folder = mimic(replaced={"icu/chartevents": text + "".join(rows) * 20_000})  # several row groups
    found = []
    for cores in (1, 4):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        out = folder.parent / f"{cores}"
        make_study(folder, out, encoders="offline", choices=Choices(profile=profile))
        found.append({file.name: file.read_bytes() for file in sorted(out.iterdir())})
    assert found[0] == found[1] and len(pl.read_parquet(folder.parent / "4" / "chart.parquet")) > 100_000


HAIM = Choices(profile="haim")


def in_order(out: Path, name: str, sample: str, signal: str) -> list[Any]:
    found = pl.read_parquet(out / f"{name}.parquet").filter(pl.col("sample_id") == sample, pl.col("signal") == signal)
    return found.sort("at")["value"].to_list()


def test_haim_repeats_an_image_for_every_stay_and_drops_who_goes_home_soon(mimic: Write) -> None:
    _, out = made(mimic(), choices=HAIM)
    columns = ("sample_id", "stay_id", "thoracic", "mortality_48h", "length_of_stay", "age", "gender", "marital_status")
    assert rows(out, "samples", *columns) == [
        ("0-aaaaaaaa-1", 30000011, "Cardiomegaly", 0, 9.75, 50, 0, 0),
        ("0-bbbbbbbb-2", 30000011, None, 0, 6.25, 50, 0, 0),
        ("1-aaaaaaaa-1", 30000012, "Cardiomegaly", 0, 9.75, 50, 0, 0),
        ("1-bbbbbbbb-2", 30000012, None, 0, 6.25, 50, 0, 0),
        # to discharge, not to death: 48 hours
        ("2-eeeeeeee-5", 30000002, "Edema", 0, 2.0, 91, 1, -1),
    ]
    codes = pl.read_parquet(out / "samples.parquet").sort("sample_id").select("ethnicity", "language", "insurance")
    # ranks among all admissions: ASIAN - CHINESE, BLACK/CAPE VERDEAN, PORTUGUESE; ?, ENGLISH; Medicaid, Medicare
    assert codes.rows()[0] == (2, 1, 1) and codes.rows()[-1] == (1, 0, 0)


def test_haim_takes_values_in_the_order_of_the_file_and_appends_a_zero(mimic: Write) -> None:
    _, out = made(mimic(), choices=HAIM)
    assert in_order(out, "chart", "0-aaaaaaaa-1", "Heart Rate") == [90, 80, 85, 9999, 0]
    assert in_order(out, "chart", "1-bbbbbbbb-2", "Heart Rate") == [100, 0]
    assert in_order(out, "chart", "2-eeeeeeee-5", "Heart Rate") == [0]
    # a value whose time is missing is kept
    assert in_order(out, "chart", "2-eeeeeeee-5", "O2 saturation pulseoxymetry") == [97, 0]
    # by the text of the label: glucose of the urine too; by admission alone, stored or not
    assert in_order(out, "labs", "1-aaaaaaaa-1", "Glucose") == [140, 150, 300, 0]
    assert in_order(out, "labs", "1-aaaaaaaa-1", "Potassium") == [0]
    # never cut at the sample's time, in whatever unit
    assert in_order(out, "procedures", "1-aaaaaaaa-1", "Foley Catheter") == [4, 0]
    assert in_order(out, "procedures", "0-aaaaaaaa-1", "Foley Catheter") == [360, 0]


def test_haim_reads_all_notes_and_the_first_images_of_the_file(mimic: Write) -> None:
    _, out = made(mimic(), choices=HAIM)
    notes = pl.read_parquet(out / "radiology.parquet").filter(pl.col("sample_id") == "0-aaaaaaaa-1").sort("at")
    assert notes["note_id"].to_list() == [f"10000001-RR-{number}" for number in (1, 4, 3, 5)]
    hours = (notes["at"] - at("2180-05-06 16:00")).dt.total_minutes() / 60 + 87_600
    assert hours.to_list() == [-14.0, 5.0, 6.0, 89.0]  # since the admission at 10:00
    images = pl.read_parquet(out / "images.parquet").filter(pl.col("sample_id") == "0-aaaaaaaa-1").sort("taken")
    # two images up to 16:00, of 09:30 and 16:00; the file's first two are those of 16:00 and of four days later
    assert [path[-14:-4] for path in images["image"]] == ["bbbbbbbb-2", "aaaaaaaa-1"]
