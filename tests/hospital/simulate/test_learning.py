"""Tasks can be learned from the tables, by a linear model on plain averages and words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from m3h.hospital.simulate.layout import layout
from m3h.hospital.simulate.model import read_model
from m3h.hospital.simulate.patients import BLOCK, draw, shared_tasks

Read = Callable[[str], pl.DataFrame]
Arrays = tuple[list[str], np.ndarray, np.ndarray, np.ndarray]
MODEL = read_model()


@pytest.fixture(scope="module")
def truths() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Admission ids, (admission, task) and the days in hospital, as drawn."""
    ids, has, days = [], [], []
    for number in range(300 // BLOCK):
        block = draw(MODEL, layout("2.2"), 4, number)
        rows = block.admissions.kind == 0
        ids += [str(one) for one in block.admissions.hadm[rows]]
        has.append(block.admissions.has[rows])
        days.append((block.admissions.disch - block.admissions.admit)[rows] / 86400)
    return ids, np.concatenate(has), np.concatenate(days)


def averages(table: pl.DataFrame, ids: list[str]) -> np.ndarray:
    """Medians of each item in each admission, missing ones at the median of all."""
    wide = (
        table.drop_nulls(["hadm_id", "valuenum"])
        .with_columns(pl.col("valuenum").cast(pl.Float64))
        .group_by("hadm_id", "itemid")
        .agg(pl.col("valuenum").median())
        .pivot("itemid", index="hadm_id", values="valuenum", sort_columns=True)
    )
    aligned = pl.DataFrame({"hadm_id": ids}).join(wide, on="hadm_id", how="left", maintain_order="left")
    values = aligned.drop("hadm_id").with_columns(pl.all().fill_null(pl.all().median())).to_numpy()
    return np.asarray(StandardScaler().fit_transform(values))


def score(features: np.ndarray, truth: np.ndarray, train: np.ndarray) -> float:
    model = LogisticRegression(C=0.05, max_iter=500).fit(features[train], truth[train])
    return float(roc_auc_score(truth[~train], model.decision_function(features[~train])))


@pytest.mark.parametrize(
    ("task", "least"),
    [
        *(("chronic_kidney_disease", 0.7), ("anemia", 0.7), ("diabetes", 0.7), ("sepsis", 0.7)),
        *(("chronic_liver_disease", 0.6), ("mortality_48h", 0.65), ("copd", 0.65), ("heart_failure", 0.6)),
    ],
)
def test_vital_signs_and_blood_tell(
    read: Read, truths: tuple[list[str], np.ndarray, np.ndarray], task: str, least: float
) -> None:
    ids, has, _ = truths
    features = np.hstack([averages(read(table), ids) for table in ("icu/chartevents", "hosp/labevents")])
    train = np.array([int(one) % 2 == 0 for one in ids])
    assert score(features, has[:, shared_tasks(MODEL).index(task)], train) > least


def test_words_tell_of_diseases_but_not_all(read: Read, truths: tuple[list[str], np.ndarray, np.ndarray]) -> None:
    """The words of an admission's reports; rare diseases have few positives, so the mean over all is asked for. Were it
    close to 1, no other source and no other task could help."""
    ids, has, _ = truths
    notes = read("note/radiology").drop_nulls("hadm_id").group_by("hadm_id").agg(pl.col("text").str.join(" "))
    text = pl.DataFrame({"hadm_id": ids}).join(notes, on="hadm_id", how="left", maintain_order="left")
    words = CountVectorizer(binary=True, min_df=5).fit_transform(text["text"].fill_null("").to_list()).toarray()
    train = np.array([int(one) % 2 == 0 for one in ids])
    found = [score(words, column, train) for column in has.T]
    assert 0.65 < np.mean(found) < 0.85


def test_the_length_of_a_stay_can_be_foretold(read: Read, truths: tuple[list[str], np.ndarray, np.ndarray]) -> None:
    ids, _, days = truths
    features = np.hstack([averages(read(table), ids) for table in ("icu/chartevents", "hosp/labevents")])
    train = np.array([int(one) % 2 == 0 for one in ids])
    target = np.log(days)
    model = RidgeCV(np.logspace(0, 4, 9)).fit(features[train], target[train])
    assert np.corrcoef(model.predict(features[~train]), target[~train])[0, 1] > 0.25
