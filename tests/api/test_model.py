from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mean_absolute_error, roc_auc_score

from m3h.api.model import M3H
from m3h.core.errors import DataError, FolderError, SettingError, TrainingError
from m3h.dataset.build import build
from m3h.dataset.dataset import Dataset, Labels
from m3h.study.presets import PRESETS, Protocol
from m3h.study.spec import Study
from m3h.study.task import Task
from m3h.training.fleet import train
from m3h.training.trial import make_trial

QUICK = Protocol(epochs=1, batch_sizes=(64,), learning_rates=(3e-4,))
COLUMNS = ["sample", "patient", "task", "class", "prediction", "calibrated", "low", "high", "possible"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, small_study: Callable[..., Path]) -> Path:
    """The small study; the days are not to be told from the vitals."""

    def exclude(text: str) -> str:
        return text.replace('column = "days"', 'column = "days"\nexclude_sources = ["vitals"]')

    return small_study(tmp_path_factory.mktemp("small") / "study", text=exclude)


@pytest.fixture(scope="module")
def dataset(study: Path) -> Dataset:
    return build(Study.read(study), cache=None)


@pytest.fixture(scope="module", params=list(PRESETS))
def model(request: pytest.FixtureRequest, dataset: Dataset) -> M3H:
    return M3H(request.param, protocol=QUICK).fit(dataset)


def new_patients(study: Path, dataset: Dataset, folder: Path, *drop: str) -> Path:
    """The study's own tables with the test rows alone, without labels; ``drop`` names tables and columns left out."""
    folder.mkdir()
    ids = dataset.ids[dataset.test_rows].tolist()
    labels = ["died", "outcome", "days", "part"]
    for name in ("samples.csv", "vitals.csv"):
        if name not in drop:
            table = pl.read_csv(study.parent / name).filter(pl.col("visit").is_in(ids))
            table.drop([*labels, *drop], strict=False).write_csv(folder / name)
    if "notes.parquet" not in drop:
        notes = pl.read_parquet(study.parent / "notes.parquet").filter(pl.col("visit").is_in(ids))
        notes.write_parquet(folder / "notes.parquet")
    if "images" not in drop:
        shutil.copytree(study.parent / "images", folder / "images")
    return folder


def test_one_network_per_list_of_excluded_sources(model: M3H) -> None:
    assert model.tasks == ("died", "outcome", "days", "phenotype")
    assert list(model.attention) == ["died+outcome+phenotype", "days"]
    tasks, weights = model.attention["died+outcome+phenotype"]
    assert tasks == ("died", "outcome", "phenotype")
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


def test_predictions_have_a_row_per_test_row_task_and_class(model: M3H, dataset: Dataset) -> None:
    frame = model.predict(dataset)
    rows = dataset.test_rows
    assert frame.columns == COLUMNS
    for task in ("died", "days", "phenotype"):
        part = frame.filter(pl.col("task") == task)
        assert part["sample"].to_list() == dataset.ids[rows].tolist()
        assert part["patient"].to_list() == dataset.patients[rows].tolist()
        assert set(part["class"]) == {""}
    assert frame.filter(pl.col("task") == "died")["prediction"].is_between(0, 1).all()
    assert set(frame.filter(pl.col("task") == "phenotype")["prediction"]) <= {0.0, 1.0, 2.0}
    outcome = frame.filter(pl.col("task") == "outcome")
    assert outcome["class"].to_list() == ["home", "hospice", "rehab"] * len(rows)
    sums = outcome.group_by("sample").agg(pl.col("prediction").sum())["prediction"]
    np.testing.assert_allclose(sums, 1, rtol=1e-12)
    given = model.predictions(dataset, rows)["outcome"].values
    assert given is not None
    np.testing.assert_array_equal(outcome["prediction"].to_numpy().reshape(given.shape), given)


def test_scores_are_those_of_the_predictions(model: M3H, dataset: Dataset) -> None:
    scores = model.score(dataset)
    assert scores.columns == ["task", "kind", "metric", "n", "value", "low", "high"]
    frame, rows = model.predict(dataset), dataset.test_rows
    for task, metric, expected in (("died", "auroc", roc_auc_score), ("days", "mae", mean_absolute_error)):
        truth = dataset.labels[task].values[rows]
        known = ~np.isnan(truth)
        guess = frame.filter(pl.col("task") == task)["prediction"].to_numpy()
        line = scores.row(by_predicate=(pl.col("task") == task) & (pl.col("metric") == metric), named=True)
        assert line["n"] == known.sum()
        assert line["value"] == pytest.approx(expected(truth[known], guess[known]))
        assert line["low"] <= line["value"] <= line["high"]


def test_a_loaded_model_says_the_same(model: M3H, study: Path, dataset: Dataset, tmp_path: Path) -> None:
    model.save(tmp_path / "run" / "model")
    data = new_patients(study, dataset, tmp_path / "new")
    for folder in (tmp_path / "run" / "model", tmp_path / "run"):
        loaded = M3H.load(folder)
        assert loaded.tasks == model.tasks
        assert loaded.predict(dataset).equals(model.predict(dataset))
        assert loaded.predict(data).equals(model.predict(data))
        for label, (tasks, weights) in model.attention.items():
            assert loaded.attention[label][0] == tasks
            np.testing.assert_array_equal(loaded.attention[label][1], weights)


def test_equal_models_give_equal_bytes(study: Path, dataset: Dataset, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    build(Study.read(study), cache=cache)
    again = build(Study.read(study), cache=cache)
    for name, data in (("a", dataset), ("b", again)):
        M3H(protocol=QUICK).fit(data, ["died", "phenotype"]).save(tmp_path / name)
    M3H.load(tmp_path / "a").save(tmp_path / "c")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["encoders.safetensors", "model.json", "networks.json", "networks.safetensors"]
    for name in files:
        content = (tmp_path / "a" / name).read_bytes()
        assert (tmp_path / "b" / name).read_bytes() == content, name
        assert (tmp_path / "c" / name).read_bytes() == content, name


def test_a_saved_model_holds_no_patient(model: M3H, study: Path, dataset: Dataset, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    content = b"".join(path.read_bytes() for path in (tmp_path / "m").iterdir())
    assert str(study.parent).encode() not in content
    for name in (*dataset.ids, *dataset.patients):
        assert f'"{name}"'.encode() not in content


def test_new_patients_get_what_the_same_rows_got(model: M3H, study: Path, dataset: Dataset, tmp_path: Path) -> None:
    data = new_patients(study, dataset, tmp_path / "new")
    assert model.predict(data).equals(model.predict(dataset))
    assert model.predict(str(data)).equals(model.predict(dataset))


def test_a_source_whose_table_is_missing_is_absent(model: M3H, study: Path, dataset: Dataset, tmp_path: Path) -> None:
    whole = model.predict(dataset)
    data = new_patients(study, dataset, tmp_path / "new", "vitals.csv")
    assert model.new_patients(data).facts["missing_sources"] == ["vitals"]
    without = model.predict(data)
    for task, same in (("days", True), ("died", False)):  # days is never told from the vitals
        parts = [frame.filter(pl.col("task") == task) for frame in (whole, without)]
        assert parts[0].equals(parts[1]) is same, task


def test_one_samples_file_is_enough(model: M3H, study: Path, dataset: Dataset, tmp_path: Path) -> None:
    data = new_patients(study, dataset, tmp_path / "new", "vitals.csv", "notes.parquet", "images", "image")
    from_folder = model.predict(data)
    table = pl.read_csv(data / "samples.csv")
    table.write_parquet(tmp_path / "others.parquet")
    for file in (data / "samples.csv", tmp_path / "others.parquet"):
        assert model.new_patients(file).facts["missing_sources"] == ["vitals", "notes", "xray"]
        assert model.predict(file).equals(from_folder)


def test_nothing_known_of_anybody_is_an_error(study: Path, dataset: Dataset, tmp_path: Path) -> None:
    trial = make_trial(dataset, ["died"], preset=PRESETS["paper"], protocol=QUICK, sources=["vitals", "notes"])
    model = M3H.from_networks(list(train(dataset, [trial])), dataset)
    data = new_patients(study, dataset, tmp_path / "new", "vitals.csv", "notes.parquet")
    with pytest.raises(DataError, match="nothing is known of any patient for died") as raised:
        model.predict(data)
    assert "no value in any of the sources vitals, notes" in str(raised.value)


def test_the_pipeline_may_hand_in_networks(model: M3H, dataset: Dataset) -> None:
    sets = (["died", "outcome", "phenotype"], ["days"], ["died"])
    trials = [make_trial(dataset, names, preset=model.preset, protocol=QUICK) for names in sets]
    done = {network.trial.label: network for network in train(dataset, trials)}
    networks = [done["+".join(names)] for names in sets]
    made = M3H.from_networks(networks, dataset)
    assert made.predict(dataset).equals(model.predict(dataset))  # the first that knows a task answers
    assert list(made.attention) == ["died+outcome+phenotype", "days", "died"]
    with pytest.raises(TrainingError, match="no network ended well"):
        M3H.from_networks([], dataset)


def test_what_is_given_is_what_is_trained(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data(samples=40)
    one = M3H(protocol=QUICK, alpha=0.5, decoder_widths=(32,), beta="log").fit(data, ["death", "unit"], seed=5)
    again = M3H(protocol=QUICK, alpha=0.5, decoder_widths=(32,), beta="log").fit(data, ["unit", "death"], seed=5)
    other = M3H(protocol=QUICK, alpha=0.5, decoder_widths=(32,), beta="log").fit(data, ["death", "unit"], seed=6)
    assert (one.preset.alpha, one.preset.decoder_widths, one.preset.beta) == (0.5, (32,), "log")
    assert one.predict(data).equals(again.predict(data))
    assert not one.predict(data).equals(other.predict(data))


def test_progress_comes_to_its_end(learning_data: Callable[..., Dataset]) -> None:
    told: list[float] = []
    M3H(protocol=QUICK).fit(learning_data(samples=40), ["death"], progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alhpa": 0.2}, 'unknown key "alhpa"; did you mean "alpha"?'),
        ({"alpha": "much"}, "alpha: got text, expected a number"),
        ({"dropout": 1.5}, "dropout: got 1.5, expected 0 or more and below 1"),
        ({"preset": "papr"}, 'unknown preset "papr"; did you mean "paper"?'),
        ({"device": "cudda"}, 'unknown device "cudda"; did you mean "cuda"?'),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as raised:
        M3H(**options)
    assert message in str(raised.value)


def test_nothing_can_be_asked_before_fitting(dataset: Dataset, tmp_path: Path) -> None:
    model = M3H()
    uses: list[Callable[[], object]] = [
        lambda: model.tasks,
        lambda: model.attention,
        lambda: model.predict(dataset),
        lambda: model.score(dataset),
        lambda: model.save(tmp_path / "m"),
    ]
    for use in uses:
        with pytest.raises(SettingError, match="this model was not fitted"):
            use()
    assert not (tmp_path / "m").exists()


def test_a_dataset_of_other_tasks_or_sources_is_refused(model: M3H, learning_data: Callable[..., Dataset]) -> None:
    data = learning_data(samples=40)
    with pytest.raises(SettingError, match='the dataset lacks source "basics"'):
        model.predict(data)
    with pytest.raises(SettingError, match='the dataset lacks task "died"'):
        model.score(data)
    trained = M3H(protocol=QUICK).fit(data, ["unit"])
    values = data.labels["unit"].values
    renamed = data.with_labels({"unit": Labels(Task("unit", "multiclass"), values, ("c", "b", "a"))})
    with pytest.raises(SettingError, match='task "unit" is not the one the model was trained for'):
        trained.score(renamed)
    with pytest.raises(SettingError, match="its dataset was made without a study"):
        trained.predict("anywhere")


def test_no_tasks_are_an_error(dataset: Dataset) -> None:
    with pytest.raises(SettingError, match="no tasks to train"):
        M3H(protocol=QUICK).fit(dataset, [])
    with pytest.raises(SettingError, match='unknown task "dyed"; did you mean "died"'):
        M3H(protocol=QUICK).fit(dataset, ["dyed"])


def test_missing_data_are_named(model: M3H, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder") as raised:
        model.predict(tmp_path / "nowhere")
    assert "expected: a folder of tables or a samples file" in str(raised.value)


def test_folders_that_hold_no_whole_model_are_refused(model: M3H, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FolderError, match="no model here"):
            M3H.load(place)
    model.save(tmp_path / "m")
    for name in ("encoders.safetensors", "networks.json", "networks.safetensors"):
        shutil.copytree(tmp_path / "m", tmp_path / name)
        (tmp_path / name / name).write_bytes((tmp_path / name / name).read_bytes()[:-1])
        with pytest.raises(FolderError, match=f"{name} is damaged or missing"):
            M3H.load(tmp_path / name)
    facts = json.loads((tmp_path / "m" / "model.json").read_text(encoding="utf-8"))
    for content, message in (
        (json.dumps(facts | {"format": 99}), "a model of another format"),
        ("{", "model.json is damaged or missing"),
        ("{}", "model.json is damaged or missing"),
    ):
        (tmp_path / "m" / "model.json").write_text(content, encoding="utf-8")
        with pytest.raises(FolderError, match=message):
            M3H.load(tmp_path / "m")
