"""What is kept ready says what the model says, and what is read back and edited encodes as tables do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.api.model import M3H
from m3h.core.errors import FolderError, SettingError
from m3h.dataset.build import build
from m3h.dataset.dataset import Dataset
from m3h.serve import edits
from m3h.serve.edits import Column, Value
from m3h.serve.insight import drivers, intervals
from m3h.serve.model import ServedModel, part, taken
from m3h.serve.served import Served
from m3h.study.presets import Protocol
from m3h.study.spec import Study
from serve.sending import Made


@pytest.fixture(scope="module")
def everyone(served: Served, made: Made) -> Dataset:
    return served.model.read(made.data)


def test_it_says_what_the_model_says(served: Served, everyone: Dataset, made: Made) -> None:
    expected = M3H.load(made.run).predictions(everyone, np.arange(everyone.samples))
    found = served.model.answers(everyone)
    assert list(found) == list(expected) == ["died", "outcome", "days", "phenotype"]
    for name, one in expected.items():
        values = one.clusters if one.clusters is not None else one.values
        assert np.array_equal(found[name], values)


def test_trees_that_are_read_once_say_the_same_bytes(small_study: Callable[..., Path], tmp_path: Path) -> None:
    study = Study.read(small_study(tmp_path / "study", text=lambda text: text + '\n[network]\npreset = "m3h"\n'))
    data = build(study, cache=None)
    made = M3H("m3h", protocol=Protocol(epochs=1)).fit(data, ["died", "days"])
    made.save(tmp_path / "model")
    ready, plain = ServedModel.load(tmp_path / "model"), M3H.load(tmp_path / "model")
    rows = np.arange(data.samples)
    for _ in range(2):
        found = ready.answers(data)
        for name, one in plain.predictions(data, rows).items():
            assert np.array_equal(found[name], one.values)
    models = ready.model._need().networks[0].task_models
    assert models is not None and models.models["died"].boosted is not None


def test_a_patient_alone_is_answered_as_among_others(served: Served, everyone: Dataset) -> None:
    whole = served.model.answers(everyone)
    for row in (0, 17, 59):
        alone = served.model.answers(taken(everyone, np.array([row])))
        for name, values in alone.items():
            assert np.allclose(values[0], whole[name][row], atol=1e-6)


def test_a_part_keeps_its_names(everyone: Dataset) -> None:
    some = part(everyone, np.array([3, 5]))
    assert some.ids.tolist() == everyone.ids[[3, 5]].tolist() and not some.labels


def test_where_no_model_is(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no model here"):
        ServedModel.load(tmp_path)


def test_the_columns_are_those_of_the_tabular_source(served: Served) -> None:
    assert served.columns == (
        Column("age", None, ("basics",)),
        Column("ward", ("heart", "medicine", "surgery"), ("basics",)),
    )


def test_values_are_read_back_as_the_table_has_them(served: Served, everyone: Dataset, made: Made) -> None:
    table = pl.read_csv(made.data / "samples.csv").sort("visit")
    for row, expected in enumerate(table.select("age", "ward").iter_rows(named=True)):
        assert edits.values(served.model, everyone, row) == expected


@pytest.mark.parametrize(
    "changes", [{"age": 31.5}, {"age": None}, {"ward": "surgery"}, {"ward": "unknown", "age": 99.0}, {"ward": None}]
)
def test_two_roads_meet(
    changes: dict[str, Value], served: Served, everyone: Dataset, made: Made, tmp_path: Path
) -> None:
    """An edit in memory is what the edited table gives."""
    row = 7
    data = made.data
    frame = pl.read_csv(data / "samples.csv").sort("visit")
    for name, value in changes.items():
        given = "a new ward" if value == "unknown" else value
        edited = pl.when(pl.col("visit") == everyone.ids[row]).then(pl.lit(given)).otherwise(pl.col(name))
        frame = frame.with_columns(edited.alias(name))
    for path in data.iterdir():
        if path.name not in ("samples.csv", "study.toml"):
            (tmp_path / path.name).symlink_to(path)
    frame.write_csv(tmp_path / "samples.csv")
    expected = served.model.answers(served.model.read(tmp_path))
    rows = edits.edited(served.model, everyone, row, changes)
    found = served.model.answers(rows)
    before = served.model.answers(everyone)
    for name, values in found.items():
        assert np.allclose(values[0], before[name][row], atol=1e-6)
        assert np.allclose(values[1], expected[name][row], atol=1e-6)
    assert rows.blocks["basics"].present[1] or changes.get("age", 1.0) is None or changes.get("ward", "") is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"aeg": 3.0}, 'did you mean "age"'),
        ({"age": float("inf")}, "not a number"),
        ({"age": 1e39}, "not a number"),
        ({"age": "old"}, "not a number"),
        ({"ward": "cellar"}, "not one of the categories known from training"),
        ({"ward": 3.0}, "not one of the categories known from training"),
    ],
)
def test_what_does_not_fit_a_column(changes: dict[str, Value], told: str, served: Served, everyone: Dataset) -> None:
    with pytest.raises(SettingError) as raised:
        edits.edited(served.model, everyone, 0, changes)
    assert told in str(raised.value)


def test_what_somebody_writes_into_a_field() -> None:
    number, category = Column("age", None, ("a",)), Column("ward", ("x",), ("a",))
    assert [edits.parsed(number, text) for text in ("", " 36.5 ", "1e2")] == [None, 36.5, 100.0]
    assert [edits.parsed(category, text) for text in ("", "x")] == [None, "x"]
    for text in ("36,5", "old", "--"):
        with pytest.raises(SettingError, match="not a number"):
            edits.parsed(number, text)
    assert edits.same(63.1, float(np.float32(63.1))) and edits.same(None, None) and not edits.same(1.0, None)


def test_a_driver_is_what_the_table_without_it_gives(
    served: Served, everyone: Dataset, made: Made, tmp_path: Path
) -> None:
    row = next(n for n in range(60) if all(edits.values(served.model, everyone, n).values()))
    found = {(one.kind, one.name): one for one in drivers(served.model, everyone, row, "died")}
    assert {("column", "age"), ("column", "ward"), ("source", "basics")} <= set(found)
    before = served.model.mended(served.model.answers(everyone))["died"][row]
    data = made.data
    for path in data.iterdir():
        if path.name not in ("samples.csv", "study.toml"):
            (tmp_path / path.name).symlink_to(path)
    gone = pl.when(pl.col("visit") == everyone.ids[row]).then(None).otherwise(pl.col("age")).alias("age")
    pl.read_csv(data / "samples.csv").with_columns(gone).write_csv(tmp_path / "samples.csv")
    without = served.model.mended(served.model.answers(served.model.read(tmp_path)))["died"][row]
    one = found["column", "age"]
    assert one.said[0] == pytest.approx(before, abs=1e-6) and one.without[0] == pytest.approx(without, abs=1e-6)
    assert one.change[0] == pytest.approx(before - without, abs=1e-6)
    sizes = [abs(float(part.change[0])) for part in found.values()]
    assert sizes == sorted(sizes, reverse=True)


def test_a_driver_of_classes_has_a_change_for_each(served: Served, everyone: Dataset) -> None:
    found = drivers(served.model, everyone, 3, "outcome")
    assert all(one.change.shape == (3,) and abs(one.change.sum()) < 1e-6 for one in found)


def test_what_is_shown_is_calibrated_and_has_the_intervals_of_the_model(served: Served, everyone: Dataset) -> None:
    raw = served.model.answers(everyone)
    shown = served.model.mended(raw)
    bounds = intervals(served.model, shown)
    assert set(served.model.reliance) == set(bounds) == {one.name for one in served.model.tasks} - {"phenotype"}
    np.testing.assert_array_equal(shown["phenotype"], raw["phenotype"])
    for name, (low, high) in bounds.items():
        np.testing.assert_array_equal(shown[name], served.model.reliance[name].calibrator.apply(raw[name]))
        assert low.shape == high.shape == raw[name].shape
        known = ~np.isnan(low)
        assert (low[known] <= shown[name][known]).all() and (shown[name][known] <= high[known]).all()
