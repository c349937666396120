"""Calibration: the fit finds planted laws, what is timed is what is least known, and nothing real is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from m3h.dataset.dataset import Dataset, Labels
from m3h.experiments import calibrate as calibration
from m3h.experiments.calibrate import BATCHES, Features, Fleet, Reader, Speed, Timed, calibrate, few_rows, fitted
from m3h.study.presets import PRESETS, Protocol
from m3h.training.batches import trial_rows
from m3h.training.forming import form_fleets
from m3h.training.trial import Trial, make_trial
from made import make_dataset

PRESET = replace(PRESETS["paper"], hidden=16, modality_width=16, shared_width=16, task_hidden=16, token_width=8)
PROTOCOL = Protocol(epochs=4, batch_sizes=(32,), folds=3)
SETS = (("death",), ("sepsis",), ("stay",), ("death", "stay"), ("unit", "group"), ("death", "sepsis", "unit", "stay"))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset(samples=160)


def trial(data: Dataset, tasks: Sequence[str], fold: int | None = 0, **more: object) -> Trial:
    return make_trial(data, tasks, preset=PRESET, protocol=replace(PROTOCOL, **more), fold=fold)


@pytest.fixture(scope="module")
def fleets(data: Dataset) -> list[Fleet]:
    return form_fleets(data, [trial(data, tasks) for tasks in SETS])


def planted(one: Features) -> tuple[float, float]:
    """Seconds of a step, and of the rest, by a law with something of everything."""
    step = 0.002 + 0.001 * one.passes + 1e-9 * one.arithmetic
    return step, 0.05 + 0.01 * one.finishing + 0.2 * one.grouping


def test_a_fit_finds_the_law_behind_exact_times() -> None:
    columns = [[1.0, 2.0, 1.0], [4.0, 1.0, 1.0], [9.0, 5.0, 1.0], [16.0, 3.0, 1.0], [2.0, 0.0, 1.0]]
    times = [3 * a + 0.5 * b + 7 for a, b, _ in columns]
    assert fitted(columns, times, [100.0, 10.0, 1.0]) == pytest.approx(312)
    assert fitted(columns[:1], times[:1], [2.0, 50.0, 1.0]) == pytest.approx(2 * times[0]), "in proportion to the first"
    assert fitted([[0.0, 4.0]], [8.0], [3.0, 5.0]) == pytest.approx(10), "an empty column tells nothing"


def test_no_part_of_a_step_takes_less_than_nothing() -> None:
    noisy = [(1.0, 0.9), (2.0, 2.2), (3.0, 3.5), (4.0, 4.8)]  # a line through these begins below 0
    times = [time for _, time in noisy]
    for arithmetic in (0.001, 100.0):
        assert fitted([[a, 1.0] for a, _ in noisy], times, [arithmetic, 1.0]) > 0


def test_features_of_a_fleet_follow_from_the_plan(data: Dataset, fleets: list[Fleet]) -> None:
    by_tasks = {
        tuple(sorted({name for t in fleet for name in t.tasks})): Reader(data).features(fleet) for fleet in fleets
    }
    singles, pair, four = by_tasks["death", "sepsis"], by_tasks["death", "stay"], by_tasks[tuple(sorted(SETS[-1]))]
    rows = len(trial_rows(data, trial(data, SETS[0]))[0])
    assert singles.steps == rows / 32 * 4 == pair.steps
    assert (singles.passes, singles.finishing, singles.grouping, singles.kept) == (2, 2, 0, 0)
    assert (pair.passes, pair.finishing, by_tasks["group", "unit"].grouping) == (3, 2, 1)
    assert (four.kind[-1], pair.kind[-1]) == ("joint", "sequential")
    assert Reader(data).features((trial(data, SETS[0], fold=None),)).kept == 1
    alone = Reader(data).features((trial(data, SETS[0]),))
    assert singles.arithmetic == pytest.approx(2 * alone.arithmetic)
    assert Reader(data).features((trial(data, SETS[0], batch_sizes=(10_000,)),)).steps == 4, "one short batch an epoch"


def test_times_of_fleets_that_were_not_timed_follow_the_law(data: Dataset, fleets: list[Fleet]) -> None:
    known = [Reader(data).features(fleet) for fleet in fleets if len(fleet[0].tasks) < 4]
    known += [replace(known[0], passes=n, arithmetic=known[0].arithmetic * n * n, finishing=n) for n in (3, 4)]
    speed = Speed(Reader(data), tuple(Timed(one, *planted(one)) for one in known))
    other = (trial(data, ("sepsis", "unit"), epochs=11),)
    step, rest = planted(Reader(data).features(other))
    assert speed.seconds([other]) == pytest.approx([Reader(data).features(other).steps * step + rest])


def test_a_timed_fleet_takes_what_it_took(data: Dataset, fleets: list[Fleet]) -> None:
    known = Reader(data).features(fleets[0])
    speed = Speed(Reader(data), (Timed(known, 0.25, 3.0), Timed(replace(known, passes=9), 0.1, 1.0)))
    longer = tuple(replace(t, epochs=8) for t in fleets[0])
    assert speed.seconds([fleets[0], longer]) == pytest.approx([known.steps * 0.25 + 3, known.steps * 0.5 + 3])


def test_rows_are_prepared_anew_when_they_change(data: Dataset) -> None:
    work = [(trial(data, SETS[0], fold),) for fold in (0, 0, 1, None, None, 0)]
    known = tuple(Timed(Reader(data).features(fleet), 0.0, 1.0) for fleet in work)
    assert Speed(Reader(data), known, preparing=0.5).seconds(work) == [1.5, 1.0, 1.5, 1.5, 1.0, 1.5]


def test_every_kind_is_timed_and_then_what_is_least_known(
    data: Dataset, fleets: list[Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[Fleet] = []

    def timing(dataset: Dataset, fleet: Fleet) -> tuple[float, float, float]:
        timed.append(fleet)
        return *planted(Reader(dataset).features(fleet)), 0.5

    monkeypatch.setattr(calibration, "_time", timing)
    speed = calibrate(data, fleets * 2, budget=-1.0)
    assert [fleet[0].update for fleet in timed] in (["joint", "sequential"], ["sequential", "joint"])
    assert speed.preparing == 0.5
    timed.clear()
    told: list[float] = []
    speed = calibrate(data, fleets * 2, budget=1e9, progress=told.append)
    assert len(timed) == len({Reader(data).features(fleet) for fleet in fleets}) == len(fleets), "each once"
    assert told[-1] == 1.0 and told == sorted(told)
    exact = [Reader(data).features(fleet).steps * planted(Reader(data).features(fleet))[0] for fleet in fleets]
    rest = [planted(Reader(data).features(fleet))[1] for fleet in fleets]
    wanted = [a + b for a, b in zip(exact, rest, strict=True)]
    assert speed.seconds(fleets) == pytest.approx([wanted[0] + 0.5, *wanted[1:]])


def test_real_fleets_are_timed_on_the_threads_asked_for(data: Dataset, fleets: list[Fleet]) -> None:
    before, seen = torch.get_num_threads(), []
    speed = calibrate(data, fleets, threads=1, budget=0.0, progress=lambda _: seen.append(torch.get_num_threads()))
    assert set(seen[:-1]) == {1} and torch.get_num_threads() == before
    assert len(speed.timed) >= 2
    assert all(0 < one.step < 60 and 0 < one.rest < 60 for one in speed.timed) and 0 < speed.preparing < 60
    assert all(0 < seconds < 3600 for seconds in speed.seconds(fleets))


def test_the_few_rows_are_training_rows_with_every_label(data: Dataset) -> None:
    one = trial(data, SETS[0], fold=1)
    few = few_rows(data, one)
    assert few.samples == BATCHES * 32 and set(few.split) == {"train"} and few.fingerprint != data.fingerprint
    rows = set(trial_rows(data, one)[0].tolist())
    labs = {data.blocks["labs"].values[row].tobytes() for row in rows}
    assert all(row.tobytes() in labs for row in few.blocks["labs"].values)
    assert all(labels.known.all() for labels in few.labels.values())
    assert few_rows(data, replace(one, batch_size=10_000)).samples == len(rows)


def test_tasks_without_any_label_here_are_timed_too(data: Dataset) -> None:
    nothing = data.labels["sepsis"]
    empty = data.with_labels(data.labels | {"sepsis": replace(nothing, values=np.full(data.samples, np.nan))})
    filled: Labels = few_rows(empty, trial(data, ("sepsis",))).labels["sepsis"]
    assert set(filled.values) == {0.0, 1.0}
