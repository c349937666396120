"""Baselines: they learn what is there, repeat themselves, and read nothing that they must not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from m3h.core.errors import SettingError, TrainingError
from m3h.dataset.dataset import Dataset, Labels
from m3h.encoders.block import Block
from m3h.evaluation.metrics import auroc, macro_auroc, r2
from m3h.experiments.baselines import fit_baseline
from m3h.study.task import Task

MODELS = ("lightgbm", "linear")
TRAIN, SAMPLES = 700, 1000


def hospital(holes=0.2, rows=SAMPLES, train=TRAIN):
    """Two sources; the answers are sums of columns, so that both models can learn them."""
    random = np.random.default_rng(2)
    drawn = random.normal(size=(rows, 6))
    risk = drawn[:, 0] + drawn[:, 3]
    stays = 3 + risk + 0.3 * random.normal(size=rows)
    wards = np.digitize(drawn[:, 1] + 0.5 * random.normal(size=rows), [-0.5, 0.5]).astype(float)
    deaths = (risk + random.normal(size=rows) > 1).astype(float)
    deaths[random.random(rows) < 0.1] = np.nan
    values = np.where(random.random((rows, 6)) < holes, np.nan, drawn).astype(np.float32)
    present = random.random(rows) > 0.1
    values[~present, 3:] = np.nan
    tasks = {
        "death": Labels(Task("death", "binary"), deaths),
        "stay": Labels(Task("stay", "regression", unit="days"), stays),
        "ward": Labels(Task("ward", "multiclass"), wards, classes=("low", "middle", "high")),
        "blind": Labels(Task("blind", "binary", exclude_sources=("bedside",)), (drawn[:, 3] > 0).astype(float)),
        "groups": Labels(Task("groups", "clustering"), np.zeros(rows)),
        "broken": Labels(Task("broken", "binary"), np.zeros(rows), unusable="one class"),
    }
    names = ('weight [kg], "dry"', "größe {cm}", "a:b,c")  # JSON characters, which LightGBM refuses as names
    return Dataset(
        name="hospital",
        title="",
        seed=1,
        ids=np.array([f"{row:05}" for row in range(rows)]),
        patients=np.array([f"{row:05}" for row in range(rows)]),
        split=np.where(np.arange(rows) < train, "train", "test"),
        blocks={
            "facts": Block("facts", "tabular", values[:, :3], np.ones(rows, dtype=bool), names, ("",) * 3),
            "bedside": Block("bedside", "timeseries", values[:, 3:], present, names, ("",) * 3),
        },
        labels=tasks,
    )


@pytest.fixture(scope="module")
def dataset():
    return hospital()


@pytest.mark.parametrize("model", MODELS)
def test_each_kind_is_learned_from_both_sources(dataset, model):
    rows = dataset.test_rows

    def truth(task):
        return dataset.labels[task].values[rows]

    risk = fit_baseline(dataset, "death", model, seed=1)
    known = ~np.isnan(truth("death"))
    assert risk.shape == (300,) and risk.dtype == np.float64 and risk.min() >= 0 and risk.max() <= 1
    assert auroc(truth("death")[known], risk[known])[0] > 0.75
    assert r2(truth("stay"), fit_baseline(dataset, "stay", model, seed=1))[0] > 0.6
    shares = fit_baseline(dataset, "ward", model, seed=1)
    assert shares.shape == (300, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert macro_auroc(truth("ward"), shares)[0] > 0.7


def test_linear_is_scikit_learn_on_standardised_columns():
    dataset = hospital(holes=0.0)
    train, test = dataset.train_rows, dataset.test_rows
    values = np.concatenate([block.values for block in dataset.blocks.values()], axis=1).astype(np.float64)
    known = train[dataset.labels["death"].known[train]]

    def road(rows):
        scaler = StandardScaler().fit(values[rows])  # leaves NaN out of mean and deviation
        return np.nan_to_num(scaler.transform(values[rows])), np.nan_to_num(scaler.transform(values[test]))

    inputs, asked = road(known)
    by_hand = LogisticRegression(C=1 / 6, tol=1e-8, max_iter=5000).fit(inputs, dataset.labels["death"].values[known])
    np.testing.assert_allclose(
        fit_baseline(dataset, "death", "linear", seed=1), by_hand.predict_proba(asked)[:, 1], atol=1e-3
    )
    inputs, asked = road(train)
    ridge = Ridge(alpha=6).fit(inputs, dataset.labels["stay"].values[train])
    np.testing.assert_allclose(fit_baseline(dataset, "stay", "linear", seed=1), ridge.predict(asked), atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("task", ["death", "stay", "ward"])
def test_the_same_digits_every_time_and_with_any_number_of_threads(dataset, model, task):
    first = fit_baseline(dataset, task, model, seed=1, threads=1)
    np.testing.assert_array_equal(first, fit_baseline(dataset, task, model, seed=1, threads=1))
    np.testing.assert_array_equal(first, fit_baseline(dataset, task, model, seed=1, threads=3))


@pytest.mark.parametrize("model", MODELS)
def test_an_excluded_source_and_rows_outside_training_change_nothing(dataset, model):
    expected = fit_baseline(dataset, "blind", model, seed=1)
    test = dataset.test_rows
    poisoned = dict(dataset.blocks)
    bedside = poisoned["bedside"]
    poisoned["bedside"] = Block(
        "bedside", "timeseries", np.full_like(bedside.values, 1e6), bedside.present, bedside.names, bedside.units
    )
    labels = dict(dataset.labels)
    flipped = labels["blind"].values.copy()
    flipped[test] = 1 - flipped[test]
    labels["blind"] = Labels(labels["blind"].task, flipped)
    other = Dataset(
        **{name: getattr(dataset, name) for name in ("name", "title", "seed", "ids", "patients", "split")},
        blocks=poisoned,
        labels=labels,
    )
    np.testing.assert_array_equal(expected, fit_baseline(other, "blind", model, seed=1))


@pytest.mark.parametrize("model", MODELS)
def test_rows_can_be_chosen(dataset, model):
    asked = np.array([999, 3, 3, 701])
    some = fit_baseline(dataset, "death", model, seed=1, predict_rows=asked)
    everyone = fit_baseline(dataset, "death", model, seed=1, predict_rows=np.arange(SAMPLES))
    np.testing.assert_allclose(some, everyone[asked], rtol=1e-12)
    half = fit_baseline(dataset, "death", model, seed=1, train_rows=dataset.train_rows[:350], predict_rows=asked)
    assert (half != some).any()


@pytest.mark.parametrize("model", MODELS)
def test_a_class_that_no_training_row_has_is_improbable(dataset, model):
    train = dataset.train_rows
    rows = train[dataset.labels["ward"].values[train] != 1]
    shares = fit_baseline(dataset, "ward", model, seed=1, train_rows=rows)
    assert shares.shape == (300, 3) and shares[:, 1].max() < 1e-3
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_what_cannot_be_done_is_refused_with_the_reason(dataset):
    with pytest.raises(SettingError, match="clustering, which has no baseline"):
        fit_baseline(dataset, "groups", "linear", seed=1)
    with pytest.raises(SettingError, match='unknown baseline "lightgmb"; did you mean "lightgbm"'):
        fit_baseline(dataset, "death", "lightgmb", seed=1)
    with pytest.raises(SettingError, match='unknown task "deaht"; did you mean "death"'):
        fit_baseline(dataset, "deaht", "linear", seed=1)
    with pytest.raises(SettingError, match="one class"):
        fit_baseline(dataset, "broken", "linear", seed=1)
    alive = np.flatnonzero(dataset.labels["death"].values == 0)
    with pytest.raises(TrainingError, match="of 1 classes"):
        fit_baseline(dataset, "death", "linear", seed=1, train_rows=alive)
    with pytest.raises(TrainingError, match="0 labelled rows"):
        fit_baseline(dataset, "stay", "linear", seed=1, train_rows=alive[:0])


STUDIES = Path(os.environ.get("STUDIES", Path(__file__).parents[3] / "shared" / "data"))
ICU = STUDIES / "icu2012" / "study.toml"


@pytest.mark.skipif(not ICU.is_file(), reason="the real studies are not here: set STUDIES to their folder")
def test_the_opponents_are_not_broken_on_real_patients():
    import m3h

    dataset = m3h.dataset(m3h.Study.read(ICU))
    # measured apart from this library, on plain statistics of the same series: death 0.837, sofa 0.896
    for task, model, metric, least in (
        ("death", "lightgbm", auroc, 0.825),
        ("sofa", "lightgbm", r2, 0.88),
        ("death", "linear", auroc, 0.815),
        ("sofa", "linear", r2, 0.80),
    ):
        labels = dataset.labels[task]
        rows = dataset.test_rows[labels.known[dataset.test_rows]]
        predicted = fit_baseline(dataset, task, model, seed=dataset.seed, threads=1, predict_rows=rows)
        assert metric(labels.values[rows], predicted)[0] > least, (task, model)
