"""The tables of a run against the evaluation functions, scikit-learn and worked cases."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, mean_absolute_error, roc_auc_score

from m3h.dataset.dataset import Dataset
from m3h.evaluation.compare import difference
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.scores import Prediction, score
from m3h.experiments.scoring import (
    ATTENTION,
    DIFFERENCES,
    PREDICTIONS,
    SCORES,
    Model,
    attention_table,
    prediction_table,
    score_tables,
)
from m3h.study.task import METRICS
from made import make_dataset

JOINT = "death+unit+stay+group"


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Five tasks, one of them left out."""
    made = make_dataset(samples=240)
    return made.with_labels({**made.labels, "sepsis": replace(made.labels["sepsis"], unusable="no labels")})


def predictions(data: Dataset, seed: int) -> dict[str, Prediction]:
    """Guesses that follow the truth with noise."""
    random, rows = np.random.default_rng(seed), data.test_rows
    n = len(rows)
    truth = {name: np.nan_to_num(labels.values[rows]) for name, labels in data.labels.items()}
    shares = random.dirichlet((1, 1, 1), n)
    points = random.normal(size=(n, 3))
    return {
        "death": Prediction(values=np.clip(truth["death"] * 0.3 + 0.7 * random.random(n), 0, 1)),
        "unit": Prediction(values=shares),
        "stay": Prediction(values=truth["stay"] + random.normal(size=n)),
        "group": Prediction(
            clusters=(points[:, 0] > 0).astype(np.int64),
            latent=points,
            fixed=points[:, :2],
            reconstruction=shares[:, 0],
        ),
    }


@pytest.fixture(scope="module")
def models(data: Dataset) -> list[Model]:
    single = predictions(data, 1)
    alone = [Model("single", "paper", name, 7, {name: one}) for name, one in single.items()]
    other = Model("baseline", "linear", "death", 7, {"death": predictions(data, 3)["death"]})
    return [*alone, Model("joint", "paper", JOINT, 7, predictions(data, 2)), other]


@pytest.fixture(scope="module")
def tables(data: Dataset, models: list[Model]) -> tuple[pl.DataFrame, pl.DataFrame]:
    return score_tables(data, models)


def rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)


def test_scores_are_those_of_the_evaluation(data: Dataset, models: list[Model], tables) -> None:
    """Every metric of every model, on draws of the test rows' patients from the study's seed."""
    scores = tables[0]
    assert dict(scores.schema) == SCORES
    rows = data.test_rows
    draws = patient_draws(data.patients[rows], data.seed)
    expected = []
    for name, labels in data.labels.items():
        for model in models:
            if name in model.predictions:
                kind, truth = labels.task.kind, labels.values[rows]
                for one in score(kind, truth, model.predictions[name], draws=draws, seed=data.seed):
                    numbers = (rounded(one.value), rounded(one.low), rounded(one.high), rounded(one.sd_paper))
                    facts = (data.name, name, kind, one.metric, model.preset, model.task_set, model.role, one.n)
                    expected.append((*facts, *numbers, 7))
    found = scores.filter(pl.col("role").is_not_null()).rows()
    assert found == expected
    assert [row[3] for row in found if row[1] == "group"] == [*METRICS["clustering"]] * 2


def test_scores_are_those_of_scikit_learn(data: Dataset, models: list[Model], tables) -> None:
    joint = models[4].predictions
    found = {
        (task, metric): value
        for task, metric, value in tables[0].filter(role="joint")["task", "metric", "value"].rows()
    }
    death = data.labels["death"].values[data.test_rows]
    assert found["death", "auroc"] == pytest.approx(roc_auc_score(death, joint["death"].values), abs=1e-6)
    assert found["death", "brier"] == pytest.approx(brier_score_loss(death, joint["death"].values), abs=1e-6)
    stay = data.labels["stay"].values[data.test_rows]
    known = ~np.isnan(stay)
    expected = mean_absolute_error(stay[known], joint["stay"].values[known])
    assert found["stay", "mae"] == pytest.approx(expected, abs=1e-6)
    counts = dict(tables[0].filter(role="joint")["task", "n_test"].rows())
    assert (counts["death"], counts["stay"]) == (len(death), known.sum())


def test_a_task_that_was_left_out_has_an_empty_value(data: Dataset, tables) -> None:
    (row,) = tables[0].filter(task="sepsis").rows(named=True)
    known = int((~np.isnan(data.labels["sepsis"].values[data.test_rows])).sum())
    given = {"study": "made", "task": "sepsis", "kind": "binary", "metric": "auroc", "n_test": known}
    assert row == dict.fromkeys(SCORES) | given
    assert "sepsis" not in tables[1]["task"]


def test_differences_are_paired(data: Dataset, models: list[Model], tables) -> None:
    """Joint minus single and minus each baseline, on the same draws."""
    gaps = tables[1]
    assert dict(gaps.schema) == DIFFERENCES
    sides = gaps["task", "role_a", "preset_a", "role_b", "preset_b"].rows()
    assert sides == [
        ("death", "joint", "paper", "single", "paper"),
        ("death", "joint", "paper", "baseline", "linear"),
        *((name, "joint", "paper", "single", "paper") for name in ("unit", "stay", "group")),
    ]
    rows = data.test_rows
    draws = patient_draws(data.patients[rows], data.seed)
    pairs = {("death", "linear"): models[5]} | {
        (name, "paper"): models[i] for i, name in enumerate(models[4].predictions)
    }
    for row in gaps.rows(named=True):
        name, other = row["task"], pairs[row["task"], row["preset_b"]]
        labels = data.labels[name]
        one = difference(
            labels.task.kind, labels.values[rows], models[4].predictions[name], other.predictions[name], draws=draws
        )
        assert row["metric"] == one.metric
        assert (row["difference"], row["relative"]) == (rounded(one.difference), rounded(one.relative))
        assert (row["low"], row["high"]) == (rounded(one.low), rounded(one.high))
        assert row["low"] < row["difference"] < row["high"]


def test_a_model_against_itself_differs_by_nothing(data: Dataset) -> None:
    same = predictions(data, 2)
    gaps = score_tables(data, [Model("single", "paper", "x", 7, same), Model("joint", "paper", JOINT, 7, same)])[1]
    assert gaps["difference", "relative", "low", "high"].rows() == [(0.0, 0.0, 0.0, 0.0)] * 4


def test_what_a_tasks_scores_are_does_not_depend_on_its_name(models: list[Model], data: Dataset, tables) -> None:
    called = {name: f"{name}_2" for name in data.labels}
    other = make_dataset(samples=240, names=called)
    renamed = [
        replace(model, predictions={called[name]: one for name, one in model.predictions.items()}) for model in models
    ]
    found = score_tables(other, renamed)[0].filter(pl.col("role").is_not_null())
    numbers = ["metric", "n_test", "value", "low", "high", "sd_paper"]
    assert found[numbers].equals(tables[0].filter(pl.col("role").is_not_null())[numbers])


def test_predictions_have_a_row_per_sample_and_class(data: Dataset, models: list[Model]) -> None:
    frame = prediction_table(data, models)
    assert dict(frame.schema) == PREDICTIONS
    rows = data.test_rows
    n = len(rows)
    assert frame.height == 2 * (n + 3 * n + n + n) + n
    unit = frame.filter(task="unit", role="joint")
    assert unit["class"].to_list() == ["a"] * n + ["b"] * n + ["c"] * n
    assert unit["sample"].to_list() == data.ids[rows].tolist() * 3
    assert unit["patient"].to_list() == data.patients[rows].tolist() * 3
    values = models[4].predictions["unit"].values
    assert values is not None
    assert unit["prediction"].to_list() == values.T.ravel().tolist()
    truth = np.array(unit["truth"].to_list()).reshape(3, n)
    assert (truth.argmax(axis=0) == data.labels["unit"].values[rows]).all() and (truth.sum(axis=0) == 1).all()


def test_what_is_not_known_is_empty_in_predictions(data: Dataset, models: list[Model]) -> None:
    frame = prediction_table(data, models)
    group = frame.filter(task="group", role="single")
    assert group["truth"].null_count() == len(data.test_rows)
    assert set(group["prediction"]) == {0.0, 1.0}
    stay = frame.filter(task="stay", role="single")
    unlabelled = np.isnan(data.labels["stay"].values[data.test_rows])
    assert stay["truth"].is_null().to_list() == unlabelled.tolist() and unlabelled.any()
    assert prediction_table(data, []).schema == frame.schema


def test_attention_is_listed_by_asking_and_answering_task() -> None:
    def network(tasks: tuple[str, ...], weights: list[list[float]], failed: str = "") -> SimpleNamespace:
        trial = SimpleNamespace(tasks=tasks, label="+".join(tasks))
        return SimpleNamespace(trial=trial, attention=np.array(weights), failed=failed)

    networks = [
        network(("a", "b"), [[0.75, 0.25], [0.12345649, 0.87654351]]),
        network(("c",), [[1.0]]),
        network(("a", "c"), [], failed="NaN"),
    ]
    frame = attention_table(networks, "paper")  # type: ignore[arg-type]
    assert dict(frame.schema) == ATTENTION
    assert frame.rows() == [
        ("paper", "a+b", "a", "a", 0.75),
        ("paper", "a+b", "a", "b", 0.25),
        ("paper", "a+b", "b", "a", 0.123456),
        ("paper", "a+b", "b", "b", 0.876544),
    ]
    assert dict(attention_table([], "paper").schema) == ATTENTION
