from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import m3h.dataset
from m3h.core.errors import DataError, SettingError, StudyError
from m3h.dataset.audit import audit
from m3h.dataset.build import build, build_new
from m3h.dataset.dataset import Dataset
from m3h.study.spec import Study

Write = Callable[..., Path]
Tables = dict[str, list[dict[str, Any]]]

GIVEN = 'time = "hour"\nsplit = "part"'


def given(text: str) -> str:
    return text.replace('time = "hour"', GIVEN, 1)


def built(path: Path, **options: Any) -> Dataset:
    return build(Study.read(path), **({"cache": None} | options))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, small_study: Write) -> tuple[Path, Dataset]:
    """The small study as it is, built once."""
    path = small_study(tmp_path_factory.mktemp("small") / "study")
    return path, built(path)


def test_it_holds_what_the_tables_hold(one: tuple[Path, Dataset]) -> None:
    path, dataset = one
    table = pl.read_csv(path.parent / "samples.csv").sort("visit")
    assert dataset.ids.tolist() == table["visit"].to_list()
    assert dataset.patients.tolist() == table["patient"].to_list()
    assert dataset.subgroups["ward"].tolist() == table["ward"].fill_null("").to_list()
    assert list(dataset.blocks) == ["basics", "vitals", "notes", "xray"]
    assert list(dataset.labels) == ["died", "outcome", "days", "phenotype"]
    for name in ("died", "days"):
        expected = table[name].cast(pl.Float64).to_numpy()
        np.testing.assert_array_equal(dataset.labels[name].values, expected)
    outcome = dataset.labels["outcome"]
    words = [outcome.classes[int(v)] if v == v else None for v in outcome.values]
    assert outcome.classes == ("home", "hospice", "rehab")
    assert words == table["outcome"].to_list()
    assert (dataset.labels["phenotype"].values == 0).all()
    age = dataset.blocks["basics"].values[:, dataset.blocks["basics"].names.index("age")]
    np.testing.assert_array_equal(age, table["age"].cast(pl.Float32).to_numpy())
    assert dataset.blocks["xray"].present.tolist() == table["image"].is_not_null().to_list()


def test_patients_are_divided_when_no_split_is_given(one: tuple[Path, Dataset]) -> None:
    _, dataset = one
    assert len(set(dataset.patients[dataset.split == "test"])) == 8
    assert dataset.facts["split"]["by"] == "by patient"
    assert audit(dataset)["samples"]["split"] == "by patient"
    assert dataset.usable() == ("died", "outcome", "days", "phenotype")


def test_a_given_split_is_taken(small_study: Write, tmp_path: Path) -> None:
    dataset = built(small_study(tmp_path / "s", text=given))
    assert set(dataset.patients[dataset.split == "test"]) == {f"p{number:02d}" for number in range(8)}
    assert audit(dataset)["samples"]["split"] == "given"


def test_a_split_with_a_patient_on_both_sides_is_refused(small_study: Write, tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        tables["samples"][0]["part"] = "train"

    with pytest.raises(DataError, match="1 patients have samples on both sides of the split") as raised:
        built(small_study(tmp_path / "s", text=given, edit=edit))
    assert "p00" not in str(raised.value)


def one_class(tables: Tables) -> None:
    for row in tables["samples"]:
        row["died"] = 0


def test_a_task_of_one_class_is_left_out_and_an_error_only_if_named(small_study: Write, tmp_path: Path) -> None:
    path = small_study(tmp_path / "s", edit=one_class)
    dataset = built(path, tasks=["days"])
    assert dataset.labels["died"].unusable == "all labels are of one class"
    assert dataset.usable() == ("outcome", "days", "phenotype")
    with pytest.raises(SettingError, match='task "died" cannot be used: all labels are of one class'):
        built(path, tasks=["days", "died"])


def test_an_unknown_task_is_refused_before_anything_is_read(small_study: Write, tmp_path: Path) -> None:
    path = small_study(tmp_path / "s")
    study = Study.read(path)
    (path.parent / "samples.csv").unlink()
    with pytest.raises(SettingError, match='unknown task "outcomes"; did you mean "outcome"'):
        build(study, cache=None, tasks=["outcomes"])


def test_no_usable_task_is_an_error_with_the_reasons(small_study: Write, tmp_path: Path) -> None:
    def text(study: str) -> str:
        head, *tasks = study.split("[[task]]")
        return head + "[[task]]" + tasks[0]

    with pytest.raises(DataError, match="no task can be trained and scored") as raised:
        built(small_study(tmp_path / "s", edit=one_class, text=text))
    assert '"died": all labels are of one class' in str(raised.value)


def test_no_positive_patient_in_the_test_part_is_told(small_study: Write, tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        for row in tables["samples"]:
            row["died"] = int(row["part"] == "train" and row["visit"] > "v50")

    dataset = built(small_study(tmp_path / "s", text=given, edit=edit))
    assert dataset.labels["died"].unusable == "no patient with a positive label in the test part"


def test_a_class_that_only_test_rows_have_is_unlabelled_and_counted(small_study: Write, tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        tables["samples"][3]["outcome"] = "moon"

    dataset = built(small_study(tmp_path / "s", text=given, edit=edit))
    outcome = dataset.labels["outcome"]
    assert outcome.classes == ("home", "hospice", "rehab")
    assert outcome.unknown_class == 1
    assert np.isnan(outcome.values[3])


def test_a_duplicate_id_is_refused(small_study: Write, tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        tables["samples"][7]["visit"] = "v03"

    with pytest.raises(DataError, match=r"samples.csv: 1 sample ids stand more than once \(rows 4, 8\)") as raised:
        built(small_study(tmp_path / "s", edit=edit))
    assert "v03" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("samples", "samples.csv: no samples"), ("vitals", r'source "vitals" \(vitals.csv\): no row for any sample')],
)
def test_an_empty_table_is_refused(small_study: Write, tmp_path: Path, name: str, message: str) -> None:
    path = small_study(tmp_path / "s")
    table = path.parent / f"{name}.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match=message):
        built(path)


def test_mistakes_of_columns_and_options_are_told_together(small_study: Write, tmp_path: Path) -> None:
    def text(study: str) -> str:
        changed = study.replace('columns = ["age", "ward"]', 'columns = ["agee", "ward"]\noptions = {max_category = 3}')
        return changed.replace('value = "value"', 'value = "valeu"')

    with pytest.raises(StudyError) as raised:
        built(small_study(tmp_path / "s", text=text))
    message = str(raised.value)
    assert message.startswith(str(tmp_path / "s" / "study.toml"))
    for part in ('did you mean "age"?', 'did you mean "value"?', 'did you mean "max_categories"?'):
        assert part in message


def test_a_broken_image_is_counted_and_with_strict_an_error(small_study: Write, tmp_path: Path) -> None:
    path = small_study(tmp_path / "s")
    image = path.parent / "images" / "v01.png"
    image.write_bytes(image.read_bytes()[:60])
    dataset = built(path)
    assert dataset.blocks["xray"].unreadable == (1,)
    assert not dataset.blocks["xray"].present[1]
    assert dataset.facts["sources"]["xray"]["unreadable"] == 1
    assert [alarm["kind"] for alarm in audit(dataset)["alarms"]].count("unreadable images") == 1
    with pytest.raises(DataError, match="1 sample has an image that cannot be read") as raised:
        built(path, strict=True)
    assert "rows 2 of the samples table" in str(raised.value)
    assert "v01" not in str(raised.value)


def test_strict_refuses_a_broken_image_also_from_the_cache(small_study: Write, tmp_path: Path) -> None:
    path = small_study(tmp_path / "s")
    (path.parent / "images" / "v01.png").write_bytes(b"no image")
    built(path, cache=tmp_path / "cache")
    with pytest.raises(DataError, match="cannot be read"):
        built(path, cache=tmp_path / "cache", strict=True)


def test_the_cache_changes_nothing_but_the_time(small_study: Write, tmp_path: Path) -> None:
    path = small_study(tmp_path / "s")
    told: list[str] = []
    first = built(path, cache=tmp_path / "cache", progress=lambda text, share: told.append(text))
    assert told == ["reading samples and labels"] + [f"encoding {name}" for name in first.blocks] + [
        "looking for leaks in the tables"
    ]
    again = built(path, cache=str(tmp_path / "cache"), progress=lambda text, share: told.append(text))
    assert told.count("xray was encoded before and is taken from the cache") == 1
    assert again.facts == first.facts
    for name, block in first.blocks.items():
        np.testing.assert_array_equal(again.blocks[name].values, block.values, strict=True)


def test_the_fingerprint_is_that_of_the_inputs(one: tuple[Path, Dataset], small_study: Write, tmp_path: Path) -> None:
    path, dataset = one
    moved = tmp_path / "elsewhere"
    shutil.copytree(path.parent, moved)
    (moved / "study.toml").rename(moved / "renamed.toml")
    assert built(moved / "renamed.toml").fingerprint == dataset.fingerprint
    trained_otherwise = built(small_study(tmp_path / "p", text=lambda text: text + "[protocol]\nepochs = 3\n"))
    assert trained_otherwise.fingerprint == dataset.fingerprint

    def other_label(tables: Tables) -> None:
        tables["samples"][0]["days"] = 77.5

    changes: dict[str, dict[str, Any]] = {
        "a label": {"edit": other_label},
        "an event": {"edit": lambda tables: tables["vitals"].pop()},
        "the seed": {"text": lambda text: text.replace("seed = 3", "seed = 4")},
        "the split": {"text": given},
        "an option": {
            "text": lambda text: text.replace('"age", "ward"]', '"age", "ward"]\noptions={max_categories=9}')
        },
        "the test share": {"text": lambda text: text + "[protocol]\ntest_share = 0.3\n"},
    }
    prints = {name: built(small_study(tmp_path / name, **change)).fingerprint for name, change in changes.items()}
    assert len({dataset.fingerprint, *prints.values()}) == 1 + len(changes), prints


def test_the_recipe_is_the_study_without_its_place(one: tuple[Path, Dataset]) -> None:
    path, dataset = one
    assert str(path.parent) not in json.dumps(dataset.recipe)
    study = Study.read(path)
    again = Study(**dataset.recipe, folder=path.parent, file=study.file)
    assert again == study


def test_the_package_is_the_function(one: tuple[Path, Dataset]) -> None:
    path, dataset = one
    assert m3h.dataset(Study.read(path), cache=None).fingerprint == dataset.fingerprint


def new_patients(path: Path, folder: Path, *drop: str, without: tuple[str, ...] = ()) -> Path:
    """The tables of a study as those of new patients, some columns of the samples and some tables left out."""
    folder.mkdir()
    pl.read_csv(path.parent / "samples.csv").drop(drop).write_csv(folder / "samples.csv")
    for name in ("vitals.csv", "notes.parquet"):
        if name not in without:
            shutil.copy(path.parent / name, folder / name)
    shutil.copytree(path.parent / "images", folder / "images")
    return folder


def learned(path: Path, dataset: Dataset, data: Path) -> Dataset:
    classes = {name: labels.classes for name, labels in dataset.labels.items()}
    return build_new(Study.read(path), dataset.states, data, classes)


def test_new_patients_are_encoded_as_those_of_training(one: tuple[Path, Dataset], tmp_path: Path) -> None:
    path, dataset = one
    new = learned(path, dataset, new_patients(path, tmp_path / "new", "part"))
    assert set(new.split) == {"test"}
    assert new.facts["missing_sources"] == []
    for name, block in dataset.blocks.items():
        assert new.blocks[name].names == block.names
        np.testing.assert_array_equal(new.blocks[name].values, block.values, strict=True)
        np.testing.assert_array_equal(new.blocks[name].present, block.present)
    for name, labels in dataset.labels.items():
        np.testing.assert_array_equal(new.labels[name].values, labels.values)


def test_new_patients_may_lack_labels_and_whole_sources(one: tuple[Path, Dataset], tmp_path: Path) -> None:
    path, dataset = one
    data = new_patients(path, tmp_path / "new", "part", "died", "outcome", "days", "image", without=("vitals.csv",))
    new = learned(path, dataset, data)
    assert new.facts["missing_sources"] == ["vitals", "xray"]
    for name in ("vitals", "xray"):
        assert not new.blocks[name].present.any()
        assert np.isnan(new.blocks[name].values).all()
        assert new.blocks[name].names == dataset.blocks[name].names
    np.testing.assert_array_equal(new.blocks["notes"].values, dataset.blocks["notes"].values)
    for name in ("died", "outcome", "days"):
        assert not new.labels[name].known.any()
        assert new.labels[name].unusable == "no labels"
    assert new.labels["outcome"].classes == dataset.labels["outcome"].classes


def test_a_new_patients_class_that_training_did_not_have_is_counted(one: tuple[Path, Dataset], tmp_path: Path) -> None:
    path, dataset = one
    data = new_patients(path, tmp_path / "new", "part")
    table = pl.read_csv(data / "samples.csv")
    changed = table.with_columns(
        outcome=pl.when(pl.col("visit") == "v02").then(pl.lit("moon")).otherwise(pl.col("outcome"))
    )
    changed.write_csv(data / "samples.csv")
    outcome = learned(path, dataset, data).labels["outcome"]
    assert outcome.unknown_class == 1
    assert np.isnan(outcome.values[2])
    known = np.delete(np.arange(60), 2)
    np.testing.assert_array_equal(outcome.values[known], dataset.labels["outcome"].values[known])


def test_a_text_column_stays_one_when_new_patients_have_nothing_or_numbers_in_it(
    one: tuple[Path, Dataset], tmp_path: Path
) -> None:
    path, dataset = one
    data = new_patients(path, tmp_path / "new", "part")
    table = pl.read_csv(data / "samples.csv")
    names = dataset.blocks["basics"].names
    wards = [number for number, name in enumerate(names) if name.startswith("ward=")]
    table.with_columns(ward=pl.lit(None, dtype=pl.String)).write_csv(data / "samples.csv")
    nothing = learned(path, dataset, data).blocks["basics"]
    assert nothing.names == names
    assert np.isnan(nothing.values[:, wards]).all()
    table.with_columns(ward=pl.lit(7)).write_csv(data / "samples.csv")
    values = learned(path, dataset, data).blocks["basics"].values
    assert (values[:, names.index("ward=unknown")] == 1).all()
    assert (values[:, wards].sum(axis=1) == 1).all()
