"""m3h tasks: the catalog, and a study's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from called import call
from m3h.hospital.catalog.tasks import paper_tasks

STUDY = """
[samples]
table = "samples.csv"
id = "id"
patient = "person"
[diagnoses]
table = "codes.csv"
key = "id"
code = "icd"
version = "v"
[[source]]
name = "age"
modality = "tabular"
columns = ["age"]
[[task]]
name = "died [x]"
kind = "binary"
column = "dead"
department = "Ward [1]"
[[tasks]]
catalog = "diseases"
only = ["stroke"]
[[task]]
name = "groups"
kind = "clustering"
clusters = 4
"""


def test_the_catalog_lists_all_44_with_names_that_can_be_copied() -> None:
    done = call("tasks")
    assert done.status == 0 and done.err == ""
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.out.splitlines() if "│" in line]
    # a long title or department goes on in a line of its own, a name never does
    cells = {line[0]: line[1:] for line in lines if line[0]}
    assert set(cells) == {task.name for task in paper_tasks()}
    assert cells["sepsis"] == ["Sepsis", "Critical Care", "binary", "auroc", "diagnosis codes"]
    assert cells["thoracic_testing"][-2:] == ["macro_auroc", "column thoracic"]
    assert cells["patient_phenotyping"][-1] == "none, 15 groups"
    assert "0380" not in done.out and "I20-I25" not in done.out


def test_codes_are_shown_when_asked_for() -> None:
    done = call("tasks", "--codes")
    assert done.status == 0
    for text in ("hai_pneumonia", "Y95 & A481; J12-J18", "410-414", "I20-I25", "E08-E11; E13"):
        assert text in done.out


def test_json_holds_what_the_tasks_hold() -> None:
    found = {task["name"]: task for task in call("tasks", "--json").json["tasks"]}
    assert list(found) == [task.name for task in paper_tasks()]
    stay = found["length_of_stay"]
    assert (stay["column"], stay["unit"], stay["metric"]) == ("length_of_stay", "days", "r2")
    assert next(part["name"] for part in found["hospital_acquired_infection"]["codes"]) == "hai_crbsi"
    assert found["hiv"]["codes"] == [
        {"icd9": "042;07953;V08", "icd10": "B20;B9735;O987;Z21", "icd10_all_of": "", "name": ""}
    ]
    assert (found["patient_phenotyping"]["clusters"], "clusters" in found["hiv"]) == (15, False)


def test_the_tasks_of_a_study_need_none_of_its_tables(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    done = call("tasks", tmp_path / "study.toml", "--codes")
    assert done.status == 0
    for text in ("died [x]", "Ward [1]", "column dead", "stroke", "none, 4 groups", "I97810"):
        assert text in done.out
    found = call("tasks", tmp_path / "study.toml", "--json").json["tasks"]
    assert [task["name"] for task in found] == ["died [x]", "stroke", "groups"]
    assert [task["labels"] for task in found] == ["column dead", "diagnosis codes", "none, 4 groups"]


def test_mistakes_of_the_study_are_told(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY.replace('["stroke"]', '["strok"]'))
    done = call("tasks", tmp_path / "study.toml")
    assert done.status == 2 and 'only: unknown task "strok"; did you mean "stroke"?' in done.err


def test_the_catalog_needs_no_database_and_no_networks() -> None:
    code = (
        "import sys\nsys.argv = ['m3h', 'tasks', '--json']\n"
        "try:\n    from m3h.cli.main import main\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print('loaded:', sorted({'torch', 'duckdb', 'polars'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("loaded: []"), done.stderr
