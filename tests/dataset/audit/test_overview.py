from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from m3h.dataset.audit import audit
from m3h.dataset.dataset import Dataset, Labels
from m3h.encoders.block import Block
from m3h.study.task import Task

Make = Callable[..., Dataset]


def alarms(report: dict[str, Any], kind: str) -> list[str]:
    return [alarm["text"] for alarm in report["alarms"] if alarm["kind"] == kind]


def tabular(columns: dict[str, Any], source: str = "labs") -> dict[str, Block]:
    values = np.stack(list(columns.values()), axis=1).astype(np.float32)
    present = ~np.isnan(values).all(axis=1)
    return {source: Block(source, "tabular", values, present, tuple(columns), ("",) * len(columns))}


def test_it_is_plain_json(by_hand: Make) -> None:
    report = audit(by_hand())
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert list(report) == ["samples", "sources", "tasks", "diagnoses", "subgroups", "table_one", "alarms"]


def test_samples(by_hand: Make) -> None:
    assert audit(by_hand())["samples"] == {
        "rows": 40,
        "patients": 20,
        "train_rows": 30,
        "test_rows": 10,
        "train_patients": 15,
        "test_patients": 5,
        "split": "by patient",
    }


def test_sources(by_hand: Make) -> None:
    labs, notes = audit(by_hand())["sources"]
    assert (labs["encoder"], notes["encoder"]) == ("tabular", "mine")
    assert (labs["width"], labs["coverage_train"], labs["coverage_test"]) == (3, 1.0, 0.0)
    assert labs["counts"] == {"rows": 1200, "missing_time": 3, "later": 9, "used": 1188}
    assert (labs["unreadable"], notes["unreadable"]) == (0, 2)


def test_tasks_of_each_kind(by_hand: Make) -> None:
    died, outcome, days, phenotype = audit(by_hand())["tasks"]
    # sample 5 is unlabelled; 0, 3, ..., 27 are positive on the training side, 30, 33, 36, 39 on the other
    assert died["train"] == {"labelled": 29, "patients": 15, "positive": 10, "prevalence": 10 / 29}
    assert died["test"] == {"labelled": 10, "patients": 5, "positive": 4, "prevalence": 0.4}
    assert (died["department"], died["excluded_sources"]) == ("ward", ["notes"])
    assert outcome["train"]["shares"] == {"home": 0.5, "rehab": 0.5}
    assert outcome["unknown_class"] == 2
    known = [number / 2 for number in range(30) if number % 4]
    assert days["train"]["labelled"] == len(known)
    assert days["train"]["mean"] == pytest.approx(statistics.mean(known))
    assert days["train"]["sd"] == pytest.approx(statistics.stdev(known))
    assert days["train"]["median"] == pytest.approx(statistics.median(known))
    q1, _, q3 = statistics.quantiles(known, n=4, method="inclusive")
    assert (days["train"]["q1"], days["train"]["q3"]) == (pytest.approx(q1), pytest.approx(q3))
    assert phenotype["train"] == {"labelled": 30, "patients": 15}
    assert phenotype["unusable"].startswith("3 samples")


def test_table_one_counts_known_values_only(by_hand: Make) -> None:
    dataset = by_hand()
    rows = {row["column"]: row for row in audit(dataset)["table_one"]}
    assert list(rows) == ["sodium", "lactate", "ph"]
    values = dataset.blocks["labs"].values[:30, 1].astype(float)
    known = values[~np.isnan(values)].tolist()
    assert rows["lactate"]["train"]["known"] == len(known) == 25
    assert rows["lactate"]["train"]["mean"] == pytest.approx(statistics.mean(known))
    nothing = {"known": 0, "mean": None, "sd": None, "median": None, "q1": None, "q3": None}
    assert rows["lactate"]["test"] == nothing


def test_subgroups_name_the_missing(by_hand: Make) -> None:
    (ward,) = audit(by_hand())["subgroups"]
    assert ward["levels"] == [
        {"level": "icu", "train": 15, "test": 5},
        {"level": "missing", "train": 8, "test": 2},
        {"level": "surgery", "train": 7, "test": 3},
    ]


def test_rare_levels_are_taken_together(by_hand: Make) -> None:
    levels = np.array([f"l{min(number, 24):02d}" for number in range(40)])
    rows = audit(by_hand(subgroups={"ward": levels}))["subgroups"][0]["levels"]
    assert len(rows) == 21
    assert rows[0] == {"level": "l24", "train": 6, "test": 10}
    assert rows[-1] == {"level": "other", "train": 5, "test": 0}
    assert sum(row["train"] + row["test"] for row in rows) == 40


def test_alarms_of_sources_and_tasks(by_hand: Make) -> None:
    report = audit(by_hand())
    assert alarms(report, "no coverage") == ['source "labs": has nothing for any sample of the test part']
    assert alarms(report, "times left out") == [
        'source "labs": left out: 3 rows without a time, 9 later than the sample\'s time (1,200 rows in the table)'
    ]
    assert alarms(report, "unreadable images") == [
        'source "notes": 2 samples have an image that cannot be read; taken as absent'
    ]
    assert alarms(report, "unusable task") == ['task "phenotype": left out: 3 samples for 4 clusters in the test part']
    assert alarms(report, "unknown classes") == [
        'task "outcome": test rows with a class that no training row has, taken as unlabelled: 2'
    ]
    assert alarms(report, "feature equals label") == []


def test_constant_and_identical_columns(by_hand: Make) -> None:
    rng = np.random.default_rng(0)
    moving = rng.normal(size=40)
    moving[4] = np.nan
    late = np.zeros(40)
    late[35] = 1.0
    columns = {
        "moving": moving,
        "twin": moving.copy(),
        "late": late,
        "empty": np.full(40, np.nan),
        "sparse": np.where(np.arange(40) == 2, 5.0, np.nan),
        "other": rng.normal(size=40),
        "ward=unknown": np.zeros(40),
    }
    # constant columns are told once only, and that for unheard categories is not told at all
    report = audit(by_hand(blocks=tabular(columns)))
    assert report["sources"][0]["constant_columns"] == ["late", "empty", "sparse"]
    assert report["sources"][0]["identical_columns"] == [["moving", "twin"]]
    assert alarms(report, "constant column") == [
        'source "labs": 3 columns never change among the training rows (of 7): late, empty, sparse'
    ]
    assert alarms(report, "identical columns") == [
        'source "labs": a group of columns is identical among the training rows: moving = twin'
    ]


def labelled(by_hand: Make, kind: str, values: np.ndarray, columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    labels = Labels(Task("asked", kind, **more), values.astype(float), classes=("a", "b", "c"))
    return audit(by_hand(blocks=tabular(columns), labels={"asked": labels}))


def test_a_binary_label_among_the_columns_is_found(by_hand: Make) -> None:
    label = np.array([0.0, 1.0, 1.0, 0.0] * 10)
    flipped = np.where(label == 1, -3.0, 8.0)
    partly = np.where(np.arange(40) % 5 == 0, np.nan, label)
    nearly = label.copy()
    nearly[0] = 1.0
    few = np.where(np.arange(40) < 19, label, np.nan)
    columns = {"same": label, "flipped": flipped, "partly": partly, "nearly": nearly, "few": few, "wide": label * 3}
    columns["wide"] = label * 3 + np.arange(40) / 100
    found = alarms(labelled(by_hand, "binary", label, columns), "feature equals label")
    assert [text.split('"')[3] for text in found] == ["same", "flipped", "partly"]
    assert found[0] == (
        'task "asked": column "same" of source "labs" gives the answer away; '
        "name the source in exclude_sources or drop the column"
    )


def test_an_excluded_source_may_hold_the_answer(by_hand: Make) -> None:
    label = np.array([0.0, 1.0] * 20)
    report = labelled(by_hand, "binary", label, {"same": label}, exclude_sources=("labs",))
    assert alarms(report, "feature equals label") == []


def test_a_rare_event_that_a_column_hits_by_chance_is_no_leak(by_hand: Make) -> None:
    label = (np.arange(40) == 7).astype(float)
    assert alarms(labelled(by_hand, "binary", label, {"chance": label}), "feature equals label") == []


def test_a_multiclass_label_is_found_recoded_and_class_by_class(by_hand: Make) -> None:
    label = np.arange(40) % 3
    columns = {
        "recoded": np.array([7.0, -1.0, 2.5])[label],
        "is_b": (label == 1).astype(float),
        "merged": np.array([1.0, 1.0, 2.0])[label] + (np.arange(40) == 0),
    }
    found = alarms(labelled(by_hand, "multiclass", label, columns), "feature equals label")
    assert [text.split('"')[3] for text in found] == ["recoded", "is_b"]


def test_a_regression_label_is_found_in_other_units_and_transformed(by_hand: Make) -> None:
    rng = np.random.default_rng(3)
    label = np.round(np.exp(rng.normal(size=40)), 1)
    label[6] = np.nan
    columns = {
        "units": 88.4 * label - 32,
        "log": np.log(np.nan_to_num(label, nan=1.0)),
        "negative": -label,
        "noisy": label + rng.normal(size=40) * 0.01,
        "rounded": np.round(label),
        "constant": np.full(40, 2.0),
    }
    columns["log"][3] = np.nan
    found = alarms(labelled(by_hand, "regression", label, columns), "feature equals label")
    assert [text.split('"')[3] for text in found] == ["units", "log", "negative"]


def test_test_rows_are_not_looked_at_for_leaks(by_hand: Make) -> None:
    label = np.array([0.0, 1.0] * 20)
    column = label.copy()
    column[30:] = 0.0
    assert len(alarms(labelled(by_hand, "binary", label, {"c": column}), "feature equals label")) == 1


def test_no_message_names_a_sample_or_patient(by_hand: Make) -> None:
    dataset = by_hand()
    text = json.dumps(audit(replace(dataset, ids=np.char.add("secret", dataset.ids))))
    assert "secret" not in text
    assert not any(f'"{patient}"' in text for patient in dataset.patients)
