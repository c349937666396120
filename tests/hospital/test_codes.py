"""Labels from diagnosis codes: SQL and plain Python agree, and what is not known is unlabelled."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from m3h.core.errors import DataError
from m3h.hospital.catalog.tasks import paper_tasks
from m3h.hospital.check import problems
from m3h.hospital.codes import CodeCounts, CodedLabels, label, read_codes
from m3h.hospital.samples import read_samples
from m3h.hospital.tables import Tables
from m3h.study.spec import Study
from m3h.study.task import Codes, Task

Write = Callable[[pl.DataFrame, Path], None]

STUDY = """
[samples]
table = "samples.{s}"
id = "id"
patient = "person"
[diagnoses]
table = "codes.{s}"
key = "stay"
code = "icd"
version = "v"
[[source]]
name = "age"
modality = "tabular"
columns = ["age"]
[[task]]
name = "failure"
kind = "binary"
codes = {{ icd9 = "428", icd10 = "I50" }}
[[task]]
name = "nine"
kind = "binary"
codes = {{ icd9 = "038;4280-4281" }}
[[task]]
name = "pair"
kind = "binary"
codes = [{{ icd10_all_of = "Y95 & J12-J18;A481" }}, {{ icd9 = "99731" }}]
"""
SAMPLES = {"id": [1, 2, 3, 4, 5, 6, 7], "person": list("aabcdef"), "stay": [10, 10, 11, 12, None, 13, 14]}
#: Stay 14 has no row, 13 none that counts, 99 is of no sample.
ROWS = [
    *((10, " i500 ", "10"), (10, "I10", "10"), (11, "0389", "9"), (11, "4280", "9"), (11, "Y95", "10")),
    *((12, "Y95", "10"), (12, "J159", "10"), (12, "J159", "10"), (13, "", "10"), (13, "I500", ""), (99, "4280", "9")),
]


def make(folder: Path, rows: list[tuple[Any, str, Any]], suffix: str = "csv", text: str = STUDY) -> Study:
    frames = {"samples": pl.DataFrame(SAMPLES).with_columns(age=50.0)}
    frames["codes"] = pl.DataFrame(rows, schema=["stay", "icd", "v"], orient="row", strict=False)
    for name, frame in frames.items():
        path = folder / f"{name}.{suffix}"
        frame.write_parquet(path) if suffix == "parquet" else frame.write_csv(path)
    (folder / "study.toml").write_text(text.format(s=suffix))
    return Study.read(folder / "study.toml")


def labels(study: Study, *, data: Path | None = None) -> CodedLabels:
    with Tables(study, data=data) as tables:
        return read_codes(tables, study, read_samples(tables, study))


def plain(found: CodedLabels) -> dict[str, list[float | None]]:
    return {name: [None if math.isnan(v) else v for v in values.tolist()] for name, values in found.values.items()}


EXPECTED = {
    "failure": [1, 1, 1, 0, None, None, None],
    # the codes of stay 12, and of 10, are of the other version: nothing is known in version 9
    "nine": [None, None, 1, None, None, None, None],
    "pair": [0, 0, 0, 1, None, None, None],
}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_worked_example(tmp_path: Path, suffix: str) -> None:
    found = labels(make(tmp_path, ROWS, suffix))
    assert plain(found) == EXPECTED
    expected = CodeCounts(rows=11, unmatched=1, missing_code=1, missing_version=1, used=8, samples_without=3)
    assert found.counts == expected


def test_the_order_of_rows_and_numbers_as_texts_change_nothing(tmp_path: Path) -> None:
    turned = [(float(stay), icd, float(v) if v else None) for stay, icd, v in reversed(ROWS)]
    found = labels(make(tmp_path, turned, "parquet"))
    assert plain(found) == EXPECTED
    assert found.counts == labels(make(tmp_path, ROWS)).counts


def test_one_version_throughout(tmp_path: Path) -> None:
    text = STUDY.replace('version = "v"', "system = 10").replace('icd9 = "038', 'icd10 = "038')
    found = labels(make(tmp_path, ROWS, text=text))
    # the code in a row without a version now has one
    assert plain(found)["failure"] == [1, 1, 0, 0, None, 1, None]
    assert plain(found)["nine"] == [0, 0, 1, 0, None, 0, None]


CODED = tuple(task for task in paper_tasks() if task.codes)


def drawn(seed: int) -> list[tuple[int, str, int]]:
    """Codes that tokens of the catalog begin with, codes beside them, and noise, in both versions."""
    random = np.random.default_rng(seed)
    text = ";".join(f"{part.icd9};{part.icd10};{part.icd10_all_of}" for task in CODED for part in task.codes)
    ends = sorted({end for token in text.replace("&", ";").split(";") for end in token.strip().split("-")} - {""})
    rows = []
    for stay in range(300):
        for _ in range(int(random.integers(0, 9))):
            code = ends[random.integers(len(ends))]
            cut = code[: random.integers(1, len(code) + 1)] if random.random() < 0.3 else code
            code = cut + "".join(random.choice(list("0159AXZ"), random.integers(0, 3)))
            rows.append((stay, code if random.random() < 0.9 else f" {code.lower()}\t", int(random.choice([9, 10]))))
    return rows


@pytest.mark.parametrize("seed", [1, 2])
def test_two_roads_meet_on_all_tasks_of_the_catalog(tmp_path: Path, seed: int) -> None:
    rows = drawn(seed)
    pl.DataFrame({"id": range(300), "person": range(300), "stay": range(300)}).write_csv(tmp_path / "samples.csv")
    pl.DataFrame(rows, schema=["stay", "icd", "v"], orient="row").write_csv(tmp_path / "codes.csv")
    head = STUDY.format(s="csv").partition("[[task]]")[0]
    (tmp_path / "study.toml").write_text(
        head + "".join(f'[[tasks]]\ncatalog = "{n}"\n' for n in ("diseases", "operations"))
    )
    found = plain(labels(Study.read(tmp_path / "study.toml")))
    given: dict[int, list[tuple[int, str]]] = {stay: [] for stay in range(300)}
    for stay, code, version in rows:
        given[stay].append((version, code))
    # samples are sorted by id as text
    order = sorted(range(300), key=str)
    for task in CODED:
        expected = [label(task.codes, given[stay]) for stay in order]
        assert found[task.name] == [None if math.isnan(value) else value for value in expected], task.name
    assert sum(sum(value or 0 for value in values) for values in found.values()) > 300
    assert sum(value is None for value in found["stroke"]) == sum(not codes for codes in given.values()) > 0


def message(study: Study) -> str:
    with pytest.raises(DataError) as caught:
        labels(study)
    return str(caught.value)


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (
            [(10, "428.0", "9"), (10, "V10", "9"), (99, "1.1", "9")],
            ["icd: 1 values are codes with a dot (row 1)", '"428.0"', "replace(code, '.', '')"],
        ),
        (
            [(99, "1", "8"), (10, "1", "ICD"), (10, "1", "11")],
            ["v: 2 values are neither 9 nor 10 (rows 2, 3)", '"11", "ICD"', "expected: 9 or 10"],
        ),
        (
            [(99, "1", "9"), (10, "", "9")],
            ["no code for any sample", "2 rows: 1 belong to no sample, 1 have no code, 0 no version", "compare key"],
        ),
        (
            [(10, 4280, "9")],
            ["icd: codes must be texts, got type BIGINT", "as numbers they lose leading zeros (0380 becomes 380)"],
        ),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, rows: list[Any], parts: list[str]) -> None:
    found = message(make(tmp_path, rows, "parquet"))
    assert found.startswith("[diagnoses] (codes.parquet): ")
    assert [part for part in parts if part not in found] == [], found


def test_mistakes_are_told_with_their_places_before_anything_is_read(tmp_path: Path) -> None:
    def told(text: str, rows: list[Any] = ROWS) -> list[str]:
        study = make(tmp_path, rows, "parquet", text)
        with Tables(study) as tables:
            return [str(problem) for problem in problems(study, tables)]

    assert told(STUDY) == []
    assert told(STUDY.replace('key = "stay"', 'key = "sty"').replace('version = "v"', 'version = "ve"')) == [
        'line 8, [diagnoses]: key: no column "sty" in the samples table; did you mean "stay"?',
        'line 8, [diagnoses]: key: no column "sty"; did you mean "stay"?',
        'line 10, [diagnoses]: version: no column "ve"; did you mean "v"?',
    ]
    assert told(STUDY, [(10, 4280, 9)]) == [
        "line 9, [diagnoses]: code: codes must be texts, got type BIGINT; as numbers they lose leading zeros (0380 "
        "becomes 380); export the table again, with codes as texts"
    ]
    assert "line 7, [diagnoses]: no.csv: no such file" in told(STUDY.replace("codes.{s}", "no.csv"))[0]


def test_a_query_can_be_the_table(tmp_path: Path) -> None:
    (tmp_path / "codes.sql").write_text("SELECT stay, replace(icd, '.', '') AS icd, v FROM 'codes.csv'")
    rows = [(stay, icd.replace("I500", "I50.0"), v) for stay, icd, v in ROWS]
    assert (
        plain(labels(make(tmp_path, rows, text=STUDY.replace('table = "codes.{s}"', 'query = "codes.sql"'))))
        == EXPECTED
    )


def test_new_patients_have_no_such_table_or_have_one(tmp_path: Path) -> None:
    study = make(tmp_path, ROWS)
    new = tmp_path / "new"
    new.mkdir()
    pl.DataFrame(SAMPLES).write_csv(new / "samples.csv")
    for data in (new, new / "samples.csv"):
        found = labels(study, data=data)
        assert found.counts is None and all(np.isnan(values).all() for values in found.values.values())
    pl.DataFrame([(11, "I50", "10")], schema=["stay", "icd", "v"], orient="row").write_parquet(new / "codes.parquet")
    assert plain(labels(study, data=new))["failure"] == [None, None, 1, None, None, None, None]
    pl.DataFrame(SAMPLES).drop("stay").write_csv(new / "samples.csv")
    assert np.isnan(labels(study, data=new).values["failure"]).all()


def test_labels_of_one_sample_in_plain_python() -> None:
    task = Task("t", "binary", codes=(Codes("428", "I50"),))
    assert label(task.codes, [(9, "I500"), (10, " i50")]) == 1
    assert label(task.codes, [(9, "I500"), (10, "428")]) == 0
    assert math.isnan(label(task.codes, [])) and math.isnan(label(task.codes, [(9, " ")]))
    assert math.isnan(label([Codes(icd9="428")], [(10, "I50")]))
