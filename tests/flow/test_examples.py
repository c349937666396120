from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import polars as pl
import pytest

import m3h
from called import call

ROOT = Path(__file__).parents[2]
PREPARE = ROOT / "examples" / "icu2012" / "prepare.py"

FIRST = """Time,Parameter,Value
00:00,RecordID,200001
00:00,Age,54
00:00,Gender,0
00:00,Height,-1
00:00,ICUType,4
00:00,Weight,80.5
00:00,Weight,81
00:07,GCS,15
00:07,HR,73
00:07,HR,73
00:07,HR,75
01:00,Temp,-1
24:00,HR,90
24:01,HR,121
30:00,HR,122
24:05,MAP,59
25:05,NIMAP,59.5
26:05,MAP,0
30:00,Temp,39
31:00,Temp,38.3
26:00,Platelets,80
26:30,K,5.5
40:30,K,5.0
26:00,Urine,200
48:00,Urine,299
48:01,Urine,900
27:00,pH,735
28:00,pH,7.2
29:00,pH,7.29
33:00,MechVent,1
"""
SECOND = """Time,Parameter,Value
00:00,RecordID,200002
00:00,Age,76
00:00,Gender,1
00:00,Height,175.3
00:00,ICUType,2
00:00,Weight,-1
00:30,Weight,76
"""
THIRD = SECOND.replace("200002", "100003").replace("175.3", "1.8").replace("Gender,1", "Gender,-1")
OUTCOMES = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    folder = tmp_path / "downloaded"
    for letter, records in {"a": {"200001": FIRST, "200002": SECOND}, "b": {"100003": THIRD}}.items():
        (folder / f"set-{letter}").mkdir(parents=True)
        for name, text in records.items():
            (folder / f"set-{letter}" / f"{name}.txt").write_text(text)
    (folder / "Outcomes-a.txt").write_text(OUTCOMES + "200001,6,1,5,-1,0\n200002,16,-1,-1,3,1\n")
    (folder / "Outcomes-b.txt").write_text(OUTCOMES + "100003,6,8,19,-1,0\n")
    return folder


def prepare(downloaded: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PREPARE), str(downloaded), str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_icu2012_worked_example(downloaded: Path, tmp_path: Path) -> None:
    done = prepare(downloaded, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "3 stays (2 train)" in done.stdout
    rows = {row["record_id"]: row for row in pl.read_parquet(tmp_path / "out/samples.parquet").iter_rows(named=True)}
    assert list(rows) == [100003, 200001, 200002]
    first, second, third = rows[200001], rows[200002], rows[100003]
    expected = {
        "split": "train",
        "prediction_minute": 1440,
        "death": 0,
        "length_of_stay": 5,
        "sofa": 1,
        "male": 0.0,
        "height_cm": None,
        "weight_kg": 80.5,
        "icu_type": "surgical",
        "age": 54.0,
        "hypotension": 1,  # 59 and 59.5; the 0 is an artefact
        "tachycardia": 1,  # 121 at minute 1441; the 90 at 1440 belongs to the features
        "fever": 0,  # one reading above, one at the limit
        "coma": None,  # no reading after hour 24
        "oliguria": 1,  # 499 mL; what comes after hour 48 does not count
        "thrombocytopenia": None,  # one reading
        "hyperkalemia": 0,  # 5.0 is not above 5.0
        "acidosis": 1,  # 735 is not a pH
        "ventilation": 1,
    }
    assert {name: first[name] for name in expected} == expected
    assert (second["death"], second["length_of_stay"], second["sofa"], second["weight_kg"]) == (1, None, None, None)
    assert (second["height_cm"], second["icu_type"], second["ventilation"]) == (175.3, "cardiac_surgery", 0)
    assert (third["split"], third["male"], third["height_cm"]) == ("test", None, None)

    events = pl.read_parquet(tmp_path / "out/events.parquet")
    assert events.filter(record_id=200001).select("minute", "signal", "value").rows() == [
        (0, "Weight", 81.0),
        (7, "GCS", 15.0),
        (7, "HR", 73.0),
        (7, "HR", 75.0),
        (1440, "HR", 90.0),
    ]
    assert events.filter(record_id=200002).rows() == [(200002, 30, "Weight", 76.0)]


def test_icu2012_bytes_are_the_same_again(downloaded: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert prepare(downloaded, tmp_path / name).returncode == 0
    for file in ("samples.parquet", "events.parquet", "study.toml"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_icu2012_says_what_is_missing(downloaded: Path, tmp_path: Path) -> None:
    (downloaded / "Outcomes-b.txt").unlink()
    done = prepare(downloaded, tmp_path / "out")
    assert done.returncode == 2
    assert "Outcomes-b.txt: this file is missing" in done.stderr
    assert not (tmp_path / "out").exists()


def test_icu2012_refuses_a_file_that_is_no_record(downloaded: Path, tmp_path: Path) -> None:
    (downloaded / "set-a" / "200002.txt").write_text("hello\n")
    done = prepare(downloaded, tmp_path / "out")
    assert done.returncode == 2
    assert "file 2 of 2 is not a record" in done.stderr


def test_icu2012_columns_are_those_of_the_study_file(downloaded: Path, tmp_path: Path) -> None:
    prepare(downloaded, tmp_path / "out")
    study = tomllib.loads((tmp_path / "out/study.toml").read_text())
    columns = pl.read_parquet(tmp_path / "out/samples.parquet").columns
    named = {study["samples"][key] for key in ("id", "patient", "time", "split")} | set(study["samples"]["subgroups"])
    named |= set(study["source"][0]["columns"]) | set(study["tasks"][0]["columns"])
    named |= {task["column"] for task in study["task"] if "column" in task}
    assert named == set(columns)


def test_icu2012_has_the_form_of_the_real_study(downloaded: Path, tmp_path: Path) -> None:
    real = Path(os.environ.get("STUDIES", ROOT.parent / "shared" / "data")) / "icu2012"
    if not real.is_dir():
        pytest.skip("the real studies are not here: set STUDIES to their folder")
    prepare(downloaded, tmp_path / "out")
    ours = pl.read_parquet_schema(tmp_path / "out/samples.parquet")
    theirs = pl.read_parquet_schema(real / "samples.parquet")
    assert ours == theirs
    events = pl.read_parquet_schema(tmp_path / "out/events.parquet")
    assert list(events) == list(pl.read_parquet_schema(real / "events.parquet"))
    contents = [tomllib.loads((folder / "study.toml").read_text()) for folder in (tmp_path / "out", real)]
    contents[0]["study"].pop("notes")
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("name", "task", "later"), [("meds", "mortality", {"events"}), ("omop", "death", {"measurement", "note"})]
)
def test_events_of_other_layouts_run(name: str, task: str, later: set[str], tmp_path: Path) -> None:
    """The small database that the example makes up becomes a run; what is later than the sample stays out."""
    make = ROOT / "examples" / name / "make.py"
    subprocess.run([sys.executable, str(make), str(tmp_path / name)], check=True)
    study, out = tmp_path / name / "study.toml", tmp_path / "run"
    read = m3h.dataset(m3h.Study.read(study), cache=None).facts["sources"]
    assert {source for source in read if read[source]["counts"]["later"]} == later
    call("run", study, "--out", out, "--epochs", "25", "--no-cache")
    scores = pl.read_csv(out / "scores.csv").filter(pl.col("task") == task, pl.col("metric") == "auroc")
    assert scores.filter(pl.col("role") == "single")["value"].item() > 0.65
