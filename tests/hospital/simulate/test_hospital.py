"""The whole hospital: what it refuses, the same bytes, growth, flat memory, what is true of it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from m3h.core.errors import FolderError, SettingError
from m3h.hospital.simulate import hospital
from m3h.hospital.simulate.hospital import simulate


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lines(folder: Path) -> dict[str, Counter[str]]:
    """The rows of every table, as text."""
    found = {}
    for path in folder.rglob("*.csv.gz"):
        table = pl.read_csv(path, infer_schema=False)
        found[path.name] = Counter(table.select(pl.concat_str(pl.all(), separator="|", ignore_nulls=True)).to_series())
    return found


@pytest.fixture(scope="module")
def seventy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nested") / "seventy"
    simulate(folder, patients=70, seed=2, events_per_stay=20)
    return folder


RUN = """
import hashlib, resource, sys
from pathlib import Path
from m3h.hospital.simulate.hospital import simulate
simulate(Path(sys.argv[1]), patients=int(sys.argv[2]), seed=2, events_per_stay=20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def in_another_process(folder: Path, patients: int, threads: int) -> int:
    """Peak memory in kB of a process that writes a hospital."""
    told = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), str(patients)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads)),
    )
    return int(told.stdout)


def test_the_same_bytes_in_another_process_with_other_threads(seventy: Path, tmp_path: Path) -> None:
    in_another_process(tmp_path / "again", 70, threads=3)
    assert digests(tmp_path / "again") == digests(seventy)


def test_memory_does_not_grow_with_patients(tmp_path: Path) -> None:
    small, large = (in_another_process(tmp_path / str(count), count, threads=1) for count in (100, 250))
    assert large < 1.15 * small


def test_another_seed_is_another_hospital(seventy: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "other", patients=70, seed=3, events_per_stay=20)
    both = digests(tmp_path / "other"), digests(seventy)
    same = [name for name in both[0] if both[0][name] == both[1].get(name)]
    fixed = ["d_icd_diagnoses", "d_icd_procedures", "d_items", "d_labitems", "provider", "caregiver"]
    assert sorted(Path(name).name for name in same) == sorted(f"{name}.csv.gz" for name in fixed)


@pytest.mark.parametrize("patients", [20, 50])
def test_a_smaller_hospital_is_the_beginning_of_a_larger_one(seventy: Path, tmp_path: Path, patients: int) -> None:
    simulate(tmp_path / "small", patients=patients, seed=2, events_per_stay=20)
    small, large = lines(tmp_path / "small"), lines(seventy)
    assert all(rows <= large[name] for name, rows in small.items())
    assert sum(small["patients.csv.gz"].values()) == patients
    subjects = set(pl.read_csv(tmp_path / "small" / "hosp" / "patients.csv.gz")["subject_id"])
    for name in ("labevents", "chartevents", "radiology", "mimic-cxr-2.0.0-metadata", "admissions"):
        (path,) = seventy.rglob(f"{name}.csv.gz")
        expected = pl.read_csv(path, infer_schema=False).filter(pl.col("subject_id").cast(pl.Int64).is_in(subjects))
        assert sum(small[f"{name}.csv.gz"].values()) == len(expected)
    known = digests(seventy)
    images = {name: digest for name, digest in digests(tmp_path / "small").items() if name.endswith(".jpg")}
    assert images.items() <= known.items() and images


def test_what_is_true_is_written(seventy: Path) -> None:
    found = json.loads((seventy / "truth.json").read_text(encoding="utf-8"))
    assert (found["seed"], found["layout"], found["patients"], found["events_per_stay"]) == (2, "2.2", 70, 20)
    for table, rows in found["rows"].items():
        assert len(pl.read_csv(seventy / f"{table}.csv.gz", infer_schema=False)) == rows, table
    assert found["images"] == len(list(seventy.rglob("*.jpg")))
    names = {task["name"] for task in found["tasks"]}
    assert len(found["tasks"]) == len(names) == 43
    pairs = [frozenset((pair["a"], pair["b"])) for key in ("planted", "unplanted", "observed") for pair in found[key]]
    assert len(pairs) == len(set(pairs)) == 43 * 42 // 2
    assert all(pair["shared"] and 0 < abs(pair["strength"]) < 1 for pair in found["planted"])
    assert len(found["planted"]) > 100 and found["observed"] == [
        {"a": "breast_cancer", "b": "prostate_cancer", "fact": "sex"}
    ]


def test_progress_ends_with_the_last_patient(tmp_path: Path) -> None:
    told: list[float] = []
    simulate(tmp_path / "h", patients=60, seed=0, events_per_stay=1, progress=told.append)
    assert told == [50 / 60, 1.0]


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(FolderError, match="the folder is not empty") as caught:
        simulate(tmp_path, patients=1, seed=0)
    assert caught.value.next_step and [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    target = tmp_path / "empty"
    target.mkdir()
    simulate(target, patients=1, seed=0, events_per_stay=1)
    assert (target / "truth.json").is_file() and [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hospital, "_write_images", full)
    with pytest.raises(FolderError, match="No space left on device"):
        simulate(tmp_path / "h", patients=1, seed=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"patients": 0}, "0 patients"),
        ({"patients": 300_001}, "300001 patients"),
        ({"events_per_stay": 0}, "0 events per stay"),
        ({"release": "2.1"}, 'no layout "2.1"'),
    ],
)
def test_numbers_that_do_not_fit_are_refused(tmp_path: Path, wrong: dict[str, int | str], told: str) -> None:
    given: dict[str, int | str] = {"patients": 1, "seed": 0} | wrong
    with pytest.raises(SettingError, match=told):
        simulate(tmp_path / "h", **given)  # type: ignore[arg-type]
    assert not (tmp_path / "h").exists()
