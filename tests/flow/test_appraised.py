"""What a run says of its model beside scores, against its own predictions, by other roads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, recall_score, roc_auc_score

from called import appraising, call

Writes = Callable[..., Path]

TABLES = (
    *("calibration.csv", "calibration_curve.csv", "decision.csv", "operating.csv", "conformal.csv", "subgroups.csv"),
    *("sources.csv", "features.csv", "deletion.csv", "examples.csv", "robustness.csv", "gates.csv", "held.parquet"),
    *("calibration_groups.csv", "departments.csv", "phenotype_map.csv", "phenotypes.csv", "stability.csv"),
)
M3H = '\n[network]\npreset = "m3h"\n'


@pytest.fixture(scope="module", params=["paper", "m3h"])
def out(request: pytest.FixtureRequest, small_study: Writes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An appraised run of the small study."""
    place = tmp_path_factory.mktemp(request.param)
    study = small_study(place / "study", text=lambda text: text + (M3H if request.param == "m3h" else ""))
    words = ("run", study, "--out", place / "run", "--epochs", 2, "--cache", place / "cache")
    with appraising():
        done = call(*words)
    assert done.status == 0, done.err
    return place / "run"


def table(out: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(out / name) if name.endswith(".parquet") else pl.read_csv(out / name)


def said(out: Path, task: str, file: str = "predictions.parquet") -> pl.DataFrame:
    """The joint network's labelled predictions of a task, in a fixed order."""
    frame = table(out, file).filter((pl.col("task") == task) & (pl.col("role") == "joint"))
    return frame.drop_nulls("truth").sort("sample", "class")


def test_every_table_is_there_and_names_no_patient(out: Path) -> None:
    for name in TABLES:
        assert table(out, name).height > 0, name
    ids = set(table(out, "predictions.parquet")["sample"]) | set(table(out, "held.parquet")["sample"])
    for name in TABLES:
        if name.endswith(".csv"):
            words = set(re.split(r"[,\n\"+]", (out / name).read_text()))
            assert not words & {one for one in ids if not one.isdigit()}, name


def test_the_same_run_leaves_the_same_bytes(out: Path) -> None:
    place = out.parent
    if place.name.startswith("paper"):
        return  # once is enough, of the preset with more parts
    with appraising():
        again = call(
            "run", place / "study" / "study.toml", "--out", place / "again", "--epochs", 2, "--cache", place / "cache"
        )
    assert again.status == 0, again.err
    for name in TABLES:
        assert (out / name).read_bytes() == (place / "again" / name).read_bytes(), name


def test_held_out_rows_are_the_training_rows(out: Path) -> None:
    held, test = table(out, "held.parquet"), table(out, "predictions.parquet")
    assert not set(held["patient"]) & set(test["patient"])
    assert held.select("sample").n_unique() + test.select("sample").n_unique() == 60


def test_raw_calibration_is_that_of_the_predictions(out: Path) -> None:
    frame = said(out, "died")
    own = table(out, "calibration.csv").filter((pl.col("task") == "died") & (pl.col("stage") == "raw"))
    told = dict(own.select("metric", "value").iter_rows())
    truth, predicted = frame["truth"].to_numpy(), frame["prediction"].to_numpy()
    assert told["brier"] == pytest.approx(brier_score_loss(truth, predicted), abs=1e-5)
    assert told["ratio"] == pytest.approx(truth.sum() / predicted.sum(), abs=1e-4)
    curve = table(out, "calibration_curve.csv").filter((pl.col("task") == "died") & (pl.col("stage") == "raw"))
    assert (curve["n"] * curve["observed"]).sum() == pytest.approx(truth.sum(), abs=1e-4)


def test_thresholds_come_from_rows_held_out_and_do_what_is_said(out: Path) -> None:
    points = table(out, "operating.csv").filter((pl.col("task") == "died") & (pl.col("metric") == "sensitivity"))
    held, test = said(out, "died", "held.parquet"), said(out, "died")
    for wanted, value in points.select("wanted", "value").iter_rows():
        ranked = np.sort(held.filter(pl.col("truth") == 1)["prediction"].to_numpy())[::-1]
        cut = ranked[int(np.ceil(wanted * len(ranked) - 1e-9)) - 1]
        # calibration keeps the ranking, so the raw threshold flags the same rows
        flagged = test["prediction"].to_numpy() >= cut
        assert value == pytest.approx(recall_score(test["truth"].to_numpy(), flagged), abs=1e-6)


def test_sets_cover_what_they_cover(out: Path) -> None:
    conformal = table(out, "conformal.csv").filter(pl.col("group").is_null() | (pl.col("group") == ""))
    assert set(conformal["task"]) == {"died", "outcome", "days"}
    assert conformal.filter(pl.col("covered") < 0.5).is_empty()
    groups = table(out, "conformal.csv").filter((pl.col("task") == "died") & (pl.col("level") == 0.9))
    whole = groups.filter(pl.col("group").is_null() | (pl.col("group") == ""))["n"][0]
    by_ward = groups.filter(pl.col("group") == "ward")
    assert by_ward["n"].sum() <= whole


def test_subgroups_are_scored_as_by_hand(out: Path) -> None:
    frame = table(out, "subgroups.csv")
    assert set(frame["group"]) == {"ward", "age"}
    assert frame.filter(pl.col("patients") < 30)["p"].is_null().all()
    assert frame["reason"].str.contains("fewer than 30").any()


def test_risk_by_subgroup_is_that_of_all_or_says_why_not(out: Path) -> None:
    frame = table(out, "calibration_groups.csv").filter(pl.col("task") == "died")
    assert set(frame["group"]) == {"ward", "age"}
    whole = frame.filter((pl.col("group") == "ward") & (pl.col("subgroup").fill_null("") == ""))
    assert whole["n"].sum() == said(out, "died").height
    assert (whole["n"] * whole["observed"]).sum() == pytest.approx(said(out, "died")["truth"].sum(), abs=1e-4)
    few = frame.filter(pl.col("patients") < 30).filter(pl.col("bin").is_null())
    assert few.height > 0 and few["reason"].str.contains("fewer than 30").all()


def test_maps_and_departments_are_of_the_runs_tasks(out: Path) -> None:
    scores, places = table(out, "scores.csv"), table(out, "phenotype_map.csv")
    assert set(places["task"]) == set(scores.filter(pl.col("kind") == "clustering")["task"])
    test_rows = table(out, "predictions.parquet")["sample"].n_unique()
    assert places.group_by("role").len()["len"].to_list() == [test_rows] * 2
    compared = table(out, "differences.csv").filter(pl.col("role_b") == "single")["task"]
    assert set(table(out, "departments.csv")["task"].drop_nulls()) - {""} == set(compared)


def test_sources_add_up_to_the_score(out: Path) -> None:
    scores = table(out, "scores.csv").filter((pl.col("role") == "joint") & (pl.col("metric") == "auroc"))
    own = table(out, "sources.csv").filter(pl.col("task") == "died")
    assert own["with_all"][0] == pytest.approx(scores["value"][0], abs=1e-5)
    assert own["value"].sum() == pytest.approx(own["with_all"][0] - own["with_none"][0], abs=1e-4)
    frame = said(out, "died")
    assert own["with_all"][0] == pytest.approx(roc_auc_score(frame["truth"], frame["prediction"]), abs=1e-5)
    calm = table(out, "robustness.csv").filter((pl.col("task") == "died") & (pl.col("change") == "none"))
    assert dict(calm.select("metric", "value").iter_rows()) == pytest.approx(
        {"auroc": own["with_all"][0], "moved": 0.0}, abs=1e-5
    )


def test_beds_are_forecast_from_the_run(out: Path) -> None:
    done = call("beds", out, "--days", 3, "--ward", 5, "--json")
    assert done.status == 0, done.err
    told: dict[str, Any] = json.loads(done.out)
    assert told["stay"] == "days"
    assert [row["day"] for row in told["days"]] == [1, 2, 3]
    beds = [row["beds"] for row in told["days"]]
    assert beds == sorted(beds, reverse=True)
    assert all(row["low"] <= row["high"] <= told["patients"] for row in told["days"])
    table_ = call("beds", out, "--days", 2, "--ward", 5, "--out", out.parent / f"{out.name}.csv")
    assert "Beds that" in table_.out
    assert pl.read_csv(out.parent / f"{out.name}.csv").height == 2
    wrong = call("beds", out, "--stay", "day")
    assert wrong.status == 2
    assert 'no regression "day"' in wrong.err
