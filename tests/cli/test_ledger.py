from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from called import call
from m3h.experiments.ledger import Ledger
from outcomes import TRIAL, ended, trials


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a ledger of 25 trials: 20 folds, a final training, a failed one and those of another study."""
    folder = tmp_path_factory.mktemp("run")
    final = replace(TRIAL, tasks=("stay [d]",), weights=(1.0,), fold=None)
    failed = replace(TRIAL, fold=4)
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.record([ended(trial) for trial in trials(20)], study="made")
        ledger.record([ended(final, scores={"stay [d]": {"r2": 0.125}}, network=b"weights")], study="made")
        ledger.record([ended(failed, scores={}, failed="the loss was not finite in step 3")], study="made")
        ledger.record([ended(trial) for trial in trials(3, seed=8)], study="other")
    return folder


def test_the_newest_are_shown(run_folder: Path) -> None:
    done = call("ledger", run_folder)
    assert done.status == 0
    assert sum(line.startswith("│ 20") for line in done.out.splitlines()) == 20
    assert done.out.index("other") < done.out.index("failed:") < done.out.index("[d]")
    assert "r2 0.125" in done.out and "24 finished, 1 failed, 0 claimed" in done.out


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["--limit", "3"], 3),
        (["--study", "other"], 3),
        (["--task", "death"], 24),
        (["--task", "stay [d]"], 1),
        (["--status", "failed"], 1),
        (["--status", "finished", "--fold", "4"], 0),
        (["--fold", "final"], 1),
        (["--fold", "4"], 1),
        (["--preset", "paper"], 25),
        (["--preset", "other"], 0),
        ([], 25),
    ],
)
def test_filters(run_folder: Path, words: list[str], number: int) -> None:
    found = call("ledger", run_folder / "ledger.sqlite", "--json", *words).json
    assert len(found["trials"]) == number
    assert found["counts"] == {"finished": 24, "failed": 1, "claimed": 0}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--task", "deaht"], 'no trial matches: unknown task "deaht"; did you mean "death"?'),
        (["--study", "others"], 'no trial matches: unknown study "others"; did you mean "other"?'),
        (["--preset", "m3h"], 'no trial matches: unknown preset "m3h"; known are paper'),
        (["--task", "death", "--fold", "77"], "no trial matches all of these filters"),
    ],
)
def test_nothing_that_matches_is_told(run_folder: Path, words: list[str], told: str) -> None:
    done = call("ledger", run_folder, *words)
    assert done.status == 0 and done.out.splitlines()[0] == told and "finished (UTC)" not in done.out
    assert call("ledger", run_folder, *words, "--json").json["notes"] == [told]
    assert call("ledger", run_folder, "--json").json["notes"] == []


def test_an_empty_file_is_an_empty_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").touch()
    done = call("ledger", tmp_path)
    assert done.status == 0, done.err
    assert done.out.splitlines() == ["the ledger holds no trial", "0 finished, 0 failed, 0 claimed"]
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


def test_json_has_all_fields(run_folder: Path) -> None:
    one = call("ledger", run_folder, "--json", "--fold", "final").json["trials"][0]
    assert (one["tasks"], one["fold"], one["learning_rate"], one["weights"]) == ("stay [d]", None, 1e-4, [1.0])
    assert one["scores"] == [{"task": "stay [d]", "metric": "r2", "value": 0.125}]
    assert one["finished"].endswith("Z") and len(one["id"]) == 32


def test_csv_has_a_row_per_score(run_folder: Path, tmp_path: Path) -> None:
    done = call("ledger", run_folder, "--csv", tmp_path / "new" / "scores.csv", "--study", "made")
    rows = 20 * 5 + 1 + 1
    assert done.status == 0 and f"{rows} rows in" in done.out
    read = pl.read_csv(tmp_path / "new" / "scores.csv")
    assert read.height == rows and read["study"].unique().to_list() == ["made"]
    assert read.filter(pl.col("metric") == "mae")["value"].unique().to_list() == [1e-300]


def test_mistakes_are_named(run_folder: Path, tmp_path: Path) -> None:
    for words, text in [
        ([tmp_path], "there is no ledger here"),
        ([run_folder, "--status", "fail"], 'did you mean "failed"?'),
        ([run_folder, "--fold", "-1"], '--fold "-1"'),
        ([run_folder, "--fold", "last"], 'a number from 0, or "final"'),
        ([run_folder, "--csv", tmp_path], "a folder stands where a file should be"),
        ([run_folder, "--mlflow", run_folder / "ledger.sqlite"], "a file stands where a folder should be"),
    ]:
        done = call("ledger", *words)
        assert done.status == 2 and text in done.err, words
    assert list(run_folder.iterdir()) == [run_folder / "ledger.sqlite"]


EXPORTS = """
import socket, sqlite3, sys
def refuse(*_): raise AssertionError("a socket was opened")
socket.socket.connect = socket.getaddrinfo = refuse
from m3h.cli.main import main
folder, store, wrong = sys.argv[1:]
def export(*words):
    try:
        main(["ledger", folder, "--mlflow", *words])
    except SystemExit as end:
        print("status", end.code, flush=True)
export(store, "--limit", "5")
with sqlite3.connect(store + "/mlflow.db") as database:  # as if one export had been broken off
    database.execute("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = (SELECT min(run_uuid) FROM runs)")
database.close()
export(store, "--limit", "6")
print("now a wrong store", file=sys.stderr)
export(wrong)
"""


def test_mlflow_gets_a_run_per_trial_once_and_without_the_network(run_folder: Path, tmp_path: Path) -> None:
    """In a process of its own: loading MLflow changes logging and the environment."""
    store, wrong = tmp_path / "mlflow", tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "mlflow.db").write_text("no database " * 100)
    command = [sys.executable, "-c", EXPORTS, str(run_folder), str(store), str(wrong)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, _, after = done.stderr.partition("now a wrong store\n")
    quarters = [f"exporting to MLflow: {share} %" for share in (25, 50, 75, 100)]
    assert set(before.splitlines()) <= {"exporting to MLflow", *quarters}, before  # and nothing that MLflow says
    assert "5 runs added, 0 already there" in done.stdout
    assert "2 runs added, 4 already there" in done.stdout and done.stdout.endswith("status 2\n")
    assert "MLflow could not write its store" in after and "next: " in after
    database = sqlite3.connect(store / "mlflow.db")
    runs = dict(
        database.execute(
            "SELECT tags.value, runs.run_uuid FROM runs JOIN tags USING (run_uuid)"
            " WHERE key = 'm3h.trial' AND lifecycle_stage = 'active' ORDER BY runs.run_uuid"
        ).fetchall()
    )
    assert database.execute("SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'").fetchone() == (6,)
    names = database.execute("SELECT name FROM experiments WHERE name <> 'Default' ORDER BY name").fetchall()
    assert names == [("made",), ("other",)]
    with Ledger(run_folder / "ledger.sqlite", writing=False) as ledger:
        rows = ledger.table(limit=6).to_dicts()
    assert set(runs) == {row["id"] for row in rows}
    for row in rows:
        run = runs[row["id"]]
        kept = database.execute("SELECT key, value, is_nan FROM metrics WHERE run_uuid = ?", (run,)).fetchall()
        wanted = {f"{one['metric']}/{one['task']}".replace("[d]", ":5b:d:5d:"): one["value"] for one in row["scores"]}
        wanted["seconds"] = row["seconds"]
        assert {key: None if missing else value for key, value, missing in kept} == wanted
        parameters = dict(database.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)).fetchall())
        assert parameters["tasks"] == row["tasks"] and parameters["learning_rate"] == "0.0001"
        assert parameters["fold"] == ("final" if row["fold"] is None else str(row["fold"]))
        status, end = database.execute("SELECT status, end_time FROM runs WHERE run_uuid = ?", (run,)).fetchone()
        assert status == ("FAILED" if row["failed"] else "FINISHED")
        assert end == int(row["finished"].timestamp() * 1000)
    database.close()
    assert b"weights" not in (store / "mlflow.db").read_bytes()


def test_without_mlflow_it_says_what_to_install(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    monkeypatch.setattr("os.environ", {})
    done = call("ledger", run_folder, "--mlflow", tmp_path / "store")
    assert done.status == 2 and "pip install 'm3h[mlflow]'" in done.err
    assert not (tmp_path / "store").exists()


def test_listing_loads_no_torch(run_folder: Path) -> None:
    code = (
        "import sys\nfrom m3h.cli.ledger import ledger\nledger(__import__('pathlib').Path(sys.argv[1]), as_json=True)"
    )
    code += "\nassert not {'torch', 'duckdb'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(run_folder)], capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["trials"]) == 25
