"""A whole run on a small study: what it leaves, that it repeats itself, and what its options change."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from called import Called, call

Writes = Callable[..., Path]

TASKS = ("died", "outcome", "days", "phenotype")
JOINT = "+".join(TASKS)
TABLES = (
    *("scores.csv", "differences.csv", "attention.csv", "predictions.parquet"),
    *("departments.csv", "phenotype_map.csv"),
)
COLUMNS = {
    "scores.csv": "study,task,kind,metric,preset,task_set,role,n_test,value,low,high,sd_paper,seed",
    "differences.csv": "task,metric,role_a,preset_a,role_b,preset_b,difference,relative,low,high",
    "attention.csv": "preset,task_set,task,from_task,weight",
    "predictions.parquet": "sample,patient,task,class,preset,task_set,role,seed,truth,prediction",
    "departments.csv": "department,task,metric,verdict,questions,counted,ahead,behind,open,equal,single,joint,relative,"
    "relative_low,relative_high,least,most,width_ratio",
    "phenotype_map.csv": "task,role,preset,method,x,y,cluster,beside",
}
METRICS = {
    "died": {"auroc", "auprc", "brier"},
    "outcome": {"macro_auroc"},
    "days": {"r2", "mae"},
    "phenotype": {"silhouette", "silhouette_fixed", "reconstruction_mse"},
}


@dataclass(frozen=True)
class Made:
    """A finished run of the small study with its baselines."""

    study: Path
    out: Path
    cache: Path
    called: Called

    @property
    def facts(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.out / "run.json").read_text())
        return content


@pytest.fixture(scope="module")
def made(small_study: Writes, tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("made")
    study, out, cache = small_study(place / "study"), place / "runs" / "small", place / "cache"
    done = call("run", study, "--out", out, "--epochs", 1, "--baseline", "--cache", cache)
    assert done.status == 0, done.err
    return Made(study, out, cache, done)


def trained(made: Made, study: Path, out: Path, *words: object) -> dict[str, Any]:
    """``m3h train`` for one epoch with the cache of the finished run; its run.json."""
    done = call("train", study, "--out", out, "--epochs", 1, "--cache", made.cache, *words)
    assert done.status == 0, done.err
    content: dict[str, Any] = json.loads((out / "run.json").read_text())
    return content


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def prints(folder: Path) -> dict[str, str]:
    """Every table and every file of the model by its content."""
    files = [folder / name for name in TABLES] + sorted((folder / "model").rglob("*"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_folder_holds_what_is_promised(made: Made) -> None:
    names = {path.name for path in made.out.iterdir()}
    assert names == {*TABLES, "model", "report.html", "tripod.csv", "run.json", "ledger.sqlite"}
    assert [path.name for path in made.out.parent.iterdir()] == ["small"]
    for name, columns in COLUMNS.items():
        path = made.out / name
        frame = pl.read_parquet(path) if name.endswith(".parquet") else pl.read_csv(path)
        assert ",".join(frame.columns) == columns
    assert {path.suffix for path in (made.out / "model").iterdir()} == {".json", ".safetensors"}


def test_every_model_has_every_score_of_every_task(made: Made) -> None:
    scores = rows_of(made.out / "scores.csv")
    found = {(row["task"], row["role"], row["preset"], row["task_set"]) for row in scores}
    expected = {(task, "single", "paper", task) for task in TASKS} | {(task, "joint", "paper", JOINT) for task in TASKS}
    expected |= {(task, "baseline", name, task) for task in TASKS[:3] for name in ("lightgbm", "linear")}
    assert found == expected
    for task, role, preset, _ in expected:
        own = [row for row in scores if (row["task"], row["role"], row["preset"]) == (task, role, preset)]
        assert {row["metric"] for row in own} == METRICS[task]
        assert len(own) == len(METRICS[task])


def test_every_number_is_one(made: Made) -> None:
    """And lies where its metric can; an interval holds no value upside down."""
    scores = rows_of(made.out / "scores.csv")
    for row in scores:
        value, low, high = (float(row[name]) for name in ("value", "low", "high"))
        assert low <= high and float(row["sd_paper"]) >= 0
        assert 0 < int(row["n_test"]) <= 12
        assert (row["study"], row["seed"]) == ("small", "3")
        if row["metric"] in ("auroc", "auprc", "macro_auroc", "brier"):
            assert 0 <= low <= high <= 1 and 0 <= value <= 1
        if row["metric"] in ("mae", "reconstruction_mse"):
            assert value > 0
    values = {(row["task"], row["role"], row["preset"], row["metric"]): float(row["value"]) for row in scores}
    gaps = rows_of(made.out / "differences.csv")
    assert {(row["task"], row["role_b"], row["preset_b"]) for row in gaps} == {
        *((task, "single", "paper") for task in TASKS),
        *((task, "baseline", name) for task in TASKS[:3] for name in ("lightgbm", "linear")),
    }
    for row in gaps:
        a = values[row["task"], row["role_a"], row["preset_a"], row["metric"]]
        b = values[row["task"], row["role_b"], row["preset_b"], row["metric"]]
        assert float(row["difference"]) == pytest.approx(a - b, abs=2e-6)
        if row["metric"] in ("r2", "silhouette_fixed") and abs(b) < 0.05:
            assert row["relative"] == ""
        else:  # the scores are rounded to six decimals
            assert float(row["relative"]) == pytest.approx(100 * (a - b) / abs(b), rel=1e-3, abs=0.02)
        assert float(row["low"]) <= float(row["high"])


def test_attention_sums_to_one_for_each_task_that_asks(made: Made) -> None:
    frame = pl.read_csv(made.out / "attention.csv")
    assert frame.select("task", "from_task").rows() == [(asks, answers) for asks in TASKS for answers in TASKS]
    sums = frame.group_by("task").agg(pl.col("weight").sum())["weight"].to_list()
    assert sums == pytest.approx([1.0] * len(TASKS), abs=1e-5)


def test_predictions_are_those_of_the_test_rows(made: Made) -> None:
    """The scores can be computed from them by anyone."""
    from sklearn.metrics import mean_absolute_error, roc_auc_score

    frame = pl.read_parquet(made.out / "predictions.parquet")
    samples = {row["visit"]: row for row in rows_of(made.study.parent / "samples.csv")}
    joint = frame.filter(role="joint", task="outcome")
    assert joint.height == 12 * 3
    assert joint.group_by("sample").agg(pl.col("prediction").sum())["prediction"].to_list() == pytest.approx([1.0] * 12)
    for sample, patient, class_, truth in joint.select("sample", "patient", "class", "truth").rows():
        assert samples[sample]["patient"] == patient
        label = samples[sample]["outcome"]
        assert truth == (None if label == "" else float(label == class_))
    values = {
        (row["task"], row["role"], row["preset"], row["metric"]): float(row["value"])
        for row in rows_of(made.out / "scores.csv")
    }
    for role, preset in (("single", "paper"), ("joint", "paper"), ("baseline", "lightgbm"), ("baseline", "linear")):
        died = frame.filter(role=role, preset=preset, task="died").drop_nulls("truth")
        assert [float(samples[sample]["died"]) for sample in died["sample"]] == died["truth"].to_list()
        theirs = roc_auc_score(died["truth"], died["prediction"])
        assert values["died", role, preset, "auroc"] == pytest.approx(theirs, abs=1e-6)
        days = frame.filter(role=role, preset=preset, task="days").drop_nulls("truth")
        theirs = mean_absolute_error(days["truth"], days["prediction"])
        assert values["days", role, preset, "mae"] == pytest.approx(theirs, abs=1e-6)


def test_run_json_says_what_was_done(made: Made) -> None:
    facts = made.facts
    assert {"m3h", "created", "command", "study", "counts", "settings", "grid", "versions", "data"} <= set(facts)
    assert {"seconds", "peak_memory_mb", "task_sets", "left_out", "warnings", "failed", "audit"} <= set(facts)
    assert facts["study"] == {"name": "small", "title": "Sixty visits of forty patients", "seed": 3, "notes": ""}
    assert facts["counts"] == {"samples": 60, "patients": 40, "sources": 4, "tasks": 4, "networks": 5}
    assert facts["settings"]["setting"] == "one setting: batch 256, learning rate 0.0003, 1 epochs"
    assert facts["settings"]["grid"] is False and facts["grid"] == []
    assert [(one["role"], tuple(one["tasks"])) for one in facts["task_sets"]].count(("joint", TASKS)) == 1
    assert sorted(one["role"] for one in facts["task_sets"]) == ["joint"] + ["single"] * 4
    assert set(facts["data"]["tables"]) == {"samples", "basics", "vitals", "notes", "xray"}
    assert sum(facts["clusters"]["phenotype"]["sizes"]) == 12
    stages = {"encode", "audit", "train", "baseline", "evaluate", "appraise", "write"}
    assert set(facts["seconds"]) == set(facts["peak_memory_mb"]) == stages
    assert facts["left_out"] == facts["failed"] == []
    assert facts["audit"]["samples"]["test_rows"] == 12


def test_the_screen_ends_with_scores_and_the_reports_place(made: Made) -> None:
    for name in (*TASKS, "single", "joint", "lightgbm", "linear"):
        assert name in made.called.out
    assert made.called.out.splitlines()[-1] == f"report: {made.out / 'report.html'}"
    assert "Traceback" not in made.called.err


def test_the_report_is_one_file_that_can_be_written_again(made: Made) -> None:
    page = made.out / "report.html"
    before = page.read_bytes()
    assert before.lower().startswith(b"<!doctype html>")
    files = prints(made.out)
    done = call("report", made.out, "--json")
    assert (done.status, done.json) == (0, {"report": str(page)})
    assert page.read_bytes() == before
    assert prints(made.out) == files


def test_two_runs_give_the_same_bytes(made: Made, tmp_path: Path) -> None:
    """Scores, predictions and weights; the second encodes anew what the first left in the cache."""
    done = call("run", made.study, "--out", tmp_path / "again", "--epochs", 1, "--baseline", "--no-cache", "--json")
    assert done.status == 0, done.err
    assert prints(tmp_path / "again") == prints(made.out)
    assert done.json["counts"] == made.facts["counts"]
    assert done.json["report"] == str(tmp_path / "again" / "report.html")
    told = {(row["task"], row["role"], row["preset"], row["metric"]): row["value"] for row in done.json["scores"]}
    for row in rows_of(made.out / "scores.csv"):
        assert told[row["task"], row["role"], row["preset"], row["metric"]] == float(row["value"])


def test_the_order_of_the_tables_rows_changes_no_score(made: Made, small_study: Writes, tmp_path: Path) -> None:
    shuffled = small_study(tmp_path / "shuffled", order=5)
    assert (shuffled.parent / "samples.csv").read_text() != (made.study.parent / "samples.csv").read_text()
    words = ("--epochs", 1, "--baseline", "--cache", made.cache)
    assert call("run", shuffled, "--out", tmp_path / "run", *words).status == 0
    for name in TABLES:
        assert (tmp_path / "run" / name).read_bytes() == (made.out / name).read_bytes()


def test_train_leaves_the_joint_network_alone(made: Made, tmp_path: Path) -> None:
    """The same network, and so the same scores, as in the whole run; no single ones and no report."""
    facts = trained(made, made.study, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {*TABLES, "model", "run.json", "ledger.sqlite"}
    assert [one["role"] for one in facts["task_sets"]] == ["joint"]
    scores = rows_of(tmp_path / "run" / "scores.csv")
    assert scores == [row for row in rows_of(made.out / "scores.csv") if row["role"] == "joint"]
    assert rows_of(tmp_path / "run" / "differences.csv") == []


def test_an_earlier_run_is_replaced(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "run"
    trained(made, made.study, out)
    (out / "report.html").write_text("by an earlier run")
    facts = trained(made, made.study, out, "--tasks", "days,died", "--seed", 9)
    assert {path.name for path in out.iterdir()} == {*TABLES, "model", "run.json", "ledger.sqlite"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert facts["study"]["seed"] == 9
    scores = rows_of(out / "scores.csv")
    assert {(row["task"], row["task_set"], row["seed"]) for row in scores} == {
        ("died", "died+days", "9"),
        ("days", "died+days", "9"),
    }


def test_the_grid_chooses_among_four_settings(made: Made, tmp_path: Path) -> None:
    facts = trained(made, made.study, tmp_path / "run", "--grid", "--tasks", "died,days")
    assert facts["settings"]["grid"] is True
    assert facts["settings"]["setting"] == "best of 4 settings by 5-fold cross-validation on training rows"
    tried = {(one["batch_size"], one["learning_rate"]): one["score"] for one in facts["grid"]}
    assert set(tried) == {(512, 1e-4), (512, 3e-4), (256, 1e-4), (256, 3e-4)}
    assert all(one["tasks"] == ["died", "days"] for one in facts["grid"])
    (network,) = facts["task_sets"]
    assert tried[network["batch_size"], network["learning_rate"]] == max(tried.values())
    assert "choose" in facts["seconds"]


def test_tasks_that_may_not_read_a_source_are_trained_apart(made: Made, small_study: Writes, tmp_path: Path) -> None:
    def text(toml: str) -> str:
        barred = 'exclude_sources = ["notes", "xray"]'
        toml = toml.replace('column = "days"', f'column = "days"\n{barred}')
        return toml.replace('column = "died"', f'column = "died"\n{barred}')

    facts = trained(made, small_study(tmp_path / "s", text=text), tmp_path / "run")
    assert [(one["tasks"], one["sources"]) for one in facts["task_sets"]] == [
        (["died", "days"], ["basics", "vitals"]),
        (["outcome", "phenotype"], ["basics", "vitals", "notes", "xray"]),
    ]
    sets = {row["task"]: row["task_set"] for row in rows_of(tmp_path / "run" / "scores.csv")}
    assert sets == dict.fromkeys(("died", "days"), "died+days") | dict.fromkeys(
        ("outcome", "phenotype"), "outcome+phenotype"
    )


def test_a_task_that_cannot_be_used_is_left_out_with_its_reason(
    made: Made, small_study: Writes, tmp_path: Path
) -> None:
    """It changes nothing of the others."""

    def edit(tables: dict[str, list[dict[str, object]]]) -> None:
        for row in tables["samples"]:
            row["sepsis"] = 0

    study = small_study(
        tmp_path / "s",
        edit=edit,
        text=lambda toml: f'{toml}\n[[task]]\nname = "sepsis"\nkind = "binary"\ncolumn = "sepsis"\n',
    )
    done = call("train", study, "--out", tmp_path / "run", "--epochs", 1, "--cache", made.cache)
    assert done.status == 0, done.err
    assert "left out: sepsis: all labels are of one class" in done.out
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["left_out"] == [{"task": "sepsis", "reason": "all labels are of one class"}]
    assert facts["counts"]["tasks"] == 4
    scores = rows_of(tmp_path / "run" / "scores.csv")
    (empty,) = [row for row in scores if row["task"] == "sepsis"]
    assert {name: value for name, value in empty.items() if value} == {
        "study": "small",
        "task": "sepsis",
        "kind": "binary",
        "metric": "auroc",
        "n_test": "12",
    }
    assert [row for row in scores if row["task"] != "sepsis"] == [
        row for row in rows_of(made.out / "scores.csv") if row["role"] == "joint"
    ]
