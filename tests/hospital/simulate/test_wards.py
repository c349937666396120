"""Patients, admissions, codes and moves: odd spots and proportions of the real tables; codes that mean the tasks."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl

from m3h.hospital.simulate.hospital import simulate
from m3h.hospital.simulate.layout import layout
from m3h.hospital.simulate.model import read_model
from m3h.hospital.simulate.patients import BLOCK, draw, shared_tasks

Read = Callable[[str], pl.DataFrame]
MODEL = read_model()


def timed(table: pl.DataFrame, *names: str) -> pl.DataFrame:
    return table.with_columns(pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S") for name in names)


def test_ids_look_like_the_real_ones_and_fit_together(read: Read) -> None:
    patients, admissions, stays = read("hosp/patients"), read("hosp/admissions"), read("icu/icustays")
    for table, column, first in ((patients, "subject_id", "1"), (admissions, "hadm_id", "2"), (stays, "stay_id", "3")):
        ids = table[column]
        assert ids.is_unique().all() and ids.str.contains(f"^{first}[0-9]{{7}}$").all()
        assert not ids.is_sorted()
    assert set(admissions["subject_id"]) == set(patients["subject_id"])
    both = stays.join(admissions, on=["subject_id", "hadm_id"], how="left", coalesce=True)
    assert both["admittime"].null_count() == 0
    both = timed(both, "intime", "outtime", "admittime", "dischtime")
    assert (both["intime"] >= both["admittime"]).all() and (both["outtime"] <= both["dischtime"]).all()
    los = (both["outtime"] - both["intime"]).dt.total_seconds() / 86400
    assert np.allclose(los, both["los"].cast(pl.Float64), atol=1e-6)
    assert stays.group_by("hadm_id").len()["len"].max() > 1
    assert stays["hadm_id"].n_unique() < len(admissions)


def test_dates_lie_in_the_shifted_centuries(read: Read) -> None:
    table = timed(read("hosp/admissions"), "admittime", "dischtime")
    assert table["admittime"].dt.year().min() >= 2105 and table["dischtime"].dt.year().max() <= 2200


def test_some_admissions_end_before_they_begin(read: Read) -> None:
    table = timed(read("hosp/admissions"), "admittime", "dischtime")
    wrong = table.filter(pl.col("dischtime") <= pl.col("admittime"))
    assert len(wrong) == 300 // BLOCK
    codes = read("hosp/diagnoses_icd")
    assert codes.join(wrong, on="hadm_id").height <= 1


def test_the_dead(read: Read) -> None:
    """deathtime, DIED and the flag agree; 18 of 100 patients die in hospital; a donor's account follows at once."""
    table = timed(read("hosp/admissions"), "admittime", "dischtime", "deathtime")
    died = table["deathtime"].is_not_null()
    assert (died == (table["hospital_expire_flag"] == "1")).all()
    assert (died == (table["discharge_location"] == "DIED").fill_null(False)).all()
    assert table.filter(died)["subject_id"].n_unique() == round(0.18 * 300)
    donors = table.filter(pl.col("deathtime").is_not_null() & (pl.col("admittime") > pl.col("deathtime")))
    assert len(donors) == 300 // BLOCK
    assert ((donors["dischtime"] - donors["admittime"]).dt.total_hours() < 12).all()
    after = table.filter(died).select("subject_id", last="dischtime").join(table, on="subject_id")
    assert (after["admittime"] <= after["last"]).all()
    assert 0.02 < table["discharge_location"].null_count() / len(table) < 0.1


def test_dates_of_death(read: Read, tmp_path: Path) -> None:
    """From version 2.0 on also of those who die at home; in 1.0 only of those who die in hospital."""
    inside = set(read("hosp/admissions").filter(pl.col("hospital_expire_flag") == "1")["subject_id"])
    dead = set(read("hosp/patients").filter(pl.col("dod").is_not_null())["subject_id"])
    assert inside < dead
    simulate(tmp_path / "old", patients=50, seed=4, release="1.0", events_per_stay=1)
    admissions = pl.read_csv(tmp_path / "old" / "core" / "admissions.csv.gz")
    patients = pl.read_csv(tmp_path / "old" / "core" / "patients.csv.gz")
    assert set(patients.filter(pl.col("dod").is_not_null())["subject_id"]) == set(
        admissions.filter(pl.col("hospital_expire_flag") == 1)["subject_id"]
    )
    newborns = patients.filter(pl.col("anchor_age") == 0)
    assert len(newborns) == 2
    codes = pl.read_csv(tmp_path / "old" / "hosp" / "diagnoses_icd.csv.gz", infer_schema=False)
    assert codes["icd_code"].str.strip_chars().is_in(["V3000", "Z3800"]).sum() == 2
    assert admissions["ethnicity"].n_unique() > 1


def test_ages(read: Read) -> None:
    ages = read("hosp/patients")["anchor_age"].cast(pl.Int64)
    assert ages.min() >= 18 and ages.max() == 91 and not ages.is_in([90]).any()


def test_codes_keep_their_zeros_and_some_are_padded(read: Read) -> None:
    codes = read("hosp/diagnoses_icd")
    text = codes["icd_code"]
    assert text.str.contains(r"^0\d{2,3} *$").any() and not text.str.contains(r"\.").any()
    padded = text.str.ends_with(" ")
    assert 0.03 < padded.mean() < 0.07 and text.str.len_chars().max() == 7
    assert set(codes["icd_version"]) == {"9", "10"}
    per = codes.group_by("hadm_id").agg(pl.col("icd_version").n_unique().alias("kinds"), pl.len())
    assert 0 < (per["kinds"] == 2).mean() < 0.04
    assert 8 < per["len"].mean() < 14  # of 431,231 admissions 4,756,326 codes
    known = set(zip(*read("hosp/d_icd_diagnoses").select("icd_code", "icd_version").get_columns(), strict=True))
    assert set(zip(text.str.strip_chars_end(" "), codes["icd_version"], strict=True)) <= known


def matches(code: str, text: str) -> bool:
    """A second reading of the tokens: a prefix, or a range of the first characters."""
    for token in filter(None, text.split(";")):
        low, _, high = token.partition("-")
        if low <= code[: len(low)] <= (high or low) and len(code) >= len(low):
            return True
    return False


def catalog(name: str) -> dict[str, dict[str, str]]:
    text = resources.files("m3h.hospital.catalog").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return {row["task_id"]: row for row in csv.DictReader(text.splitlines())}


def test_each_code_means_its_task_and_no_other() -> None:
    diseases, operations = catalog("diseases"), catalog("operations")
    assert {name for name in diseases if name != "thoracic_testing"} == {
        name for name, task in MODEL.tasks.items() if task.icd9
    }
    for version in ("icd9", "icd10"):
        for name, task in (MODEL.tasks | MODEL.groups).items():
            for code in getattr(task, version):
                for part in code.split("+"):
                    found = {other for other, row in diseases.items() if matches(part, row[version])}
                    # a pneumonia of the hospital is a pneumonia
                    implied = (
                        {"pneumonia"} if name == "hai_pneumonia" and part in ("99731", "J95851", "J189") else set()
                    )
                    assert found == ({name} if name in diseases else implied), (name, part)
                    groups = {other for other, row in operations.items() if matches(part, row[version])}
                    assert groups == ({name} if name in MODEL.groups and part not in ("Y95", "J189") else set())
        for code in (MODEL.background[version], [MODEL.background[f"donor{version[3:]}"]]):
            assert not any(matches(one, row[version]) for one in code for row in diseases.values())


def test_codes_give_back_what_the_patients_have(read: Read) -> None:
    """Two roads to the labels: the patients as they are drawn, and the codes read by the catalog's tokens."""
    diseases = catalog("diseases")
    codes = read("hosp/diagnoses_icd").with_columns(pl.col("icd_code").str.strip_chars())
    listed = codes.group_by("hadm_id").agg(pl.struct("icd_code", "icd_version"))
    by_admission = dict(zip(listed["hadm_id"], listed["icd_code"].to_list(), strict=True))
    names = [name for name in shared_tasks(MODEL) if name in diseases]
    seen = dict.fromkeys(names, 0)
    for number in range(300 // BLOCK):
        block = draw(MODEL, layout("2.2"), 4, number)
        for row in np.flatnonzero(block.admissions.kind == 0).tolist():
            rows = by_admission.get(str(block.admissions.hadm[row]), [])
            for name in names:
                label = any(matches(one["icd_code"], diseases[name][f"icd{one['icd_version']}"]) for one in rows)
                seen[name] += label
                if name == "pneumonia":  # also where the hospital gave it
                    assert label or not block.positive(name)[row]
                else:
                    assert label == block.positive(name)[row], name
    assert min(seen.values()) >= 0.05 * 300


def test_hospital_acquired_infections_come_in_four_groups(read: Read) -> None:
    operations = catalog("operations")
    codes = read("hosp/diagnoses_icd").with_columns(pl.col("icd_code").str.strip_chars())
    rows = codes.select("hadm_id", "icd_code", "icd_version").rows()
    for name in MODEL.groups:
        found = {hadm for hadm, code, version in rows if matches(code, operations[name][f"icd{version}"])}
        if name == "hai_pneumonia":
            found |= {hadm for hadm, code, _ in rows if code == "Y95"}
        assert 0.02 * 300 < len(found) < 0.15 * 300, name


def test_moves_and_services(read: Read) -> None:
    moves = read("hosp/transfers")
    assert set(moves["eventtype"]) == {"ed", "admit", "transfer", "discharge"}
    assert moves["transfer_id"].is_unique().all() and moves["hadm_id"].null_count() > 0
    assert (moves["outtime"].is_null() == (moves["eventtype"] == "discharge")).all()
    assert (moves["eventtype"] == "transfer").sum() == len(read("icu/icustays"))
    services = read("hosp/services")
    assert services["prev_service"].null_count() == len(read("hosp/admissions"))


def test_cultures(read: Read) -> None:
    table = read("hosp/microbiologyevents")
    grown = table["org_name"].is_not_null()
    assert (table["interpretation"].is_not_null() == grown).all() and 0.05 < grown.mean() < 0.6
    assert set(table["interpretation"].drop_nulls()) == {"S", "R"}
    assert 0.15 < table["hadm_id"].null_count() / len(table) < 0.35
    assert table["microevent_id"].is_unique().all()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d 00:00:00", day) for day in table["chartdate"])
