"""What is settled before training: what each task's networks read, and what whoever asked should know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import m3h
from m3h.api.engine import Maker
from m3h.api.notes import cautions, notes
from m3h.api.options import Options, overridden
from m3h.api.settled import settled
from m3h.api.work import Work, plain_trials, planned
from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.dataset.split import folds
from m3h.experiments.baselines import fit_baseline
from m3h.study.presets import PRESETS, Protocol, SearchOptions, TimOptions
from m3h.study.spec import Samples, Source, Study
from made import make_dataset


def excluding(**sources: tuple[str, ...]) -> Dataset:
    data = make_dataset(samples=120)
    return data.with_labels(
        {
            name: replace(part, task=replace(part.task, exclude_sources=sources.get(name, ())))
            for name, part in data.labels.items()
        }
    )


def study(data: Dataset, **more: object) -> Study:
    return Study(
        name=data.name,
        seed=data.seed,
        folder=Path(),
        samples=Samples(table="s.csv", id="s", patient="p"),
        sources=tuple(Source(name=name, modality="tabular", columns=("x",)) for name in data.blocks),
        tasks=data.tasks,
        protocol=Protocol(epochs=1, folds=2),
        **more,
    )


DATA = excluding(death=("note",), stay=("labs",))
BOTH = Options(search=True, tim=True)


def made(options: Options, data: Dataset = DATA, **more: object) -> tuple[Study, Work]:
    given = overridden(study(data, **more), options)
    return given, planned(given, data, options)


def test_a_run_asked_for_tasks_by_name_reads_the_same_for_all_of_them() -> None:
    _, work = made(replace(BOTH, tasks=("death", "stay", "group")))
    assert work.search == work.tim and work.search is not None
    assert work.search.tasks == ("death", "stay", "group") and work.search.sources == ("demo",)
    assert work.sets == (("death", "stay", "group"),)
    assert set(work.sources.values()) == {("demo",)}


def test_tasks_beside_the_pool_keep_their_own_sources() -> None:
    _, work = made(Options(search=True), search=SearchOptions(tasks=("death", "unit")))
    assert work.search is not None and work.search.sources == ("demo", "labs")
    assert work.sources == {
        "death": ("demo", "labs"),
        "sepsis": ("demo", "labs", "note"),
        "unit": ("demo", "labs"),
        "stay": ("demo", "note"),
        "group": ("demo", "labs", "note"),
    }
    assert work.sets == (("death", "unit"), ("sepsis", "group"), ("stay",))
    maker = Maker(DATA, PRESETS["paper"], Protocol())
    trials = plain_trials(work, maker, Options())
    assert all(trial.sources == work.sources[name] for trial in trials["joint"] for name in trial.tasks)
    assert {trial.tasks[0]: trial.sources for trial in trials["single"]} == work.sources


def test_without_names_every_task_reads_what_it_may() -> None:
    _, work = made(BOTH)
    assert work.search is not None and work.search.tasks == ("sepsis", "unit", "group")
    assert all(sources == DATA.sources_for((name,)) for name, sources in work.sources.items())
    assert work.sets == (("death",), ("sepsis", "unit", "group"), ("stay",))


def test_the_tasks_option_goes_before_the_section() -> None:
    _, work = made(replace(BOTH, tasks=("unit", "group", "stay")), search=SearchOptions(tasks=("death", "unit")))
    assert work.search is not None and work.search.tasks == ("unit", "stay", "group")


def test_baselines_read_what_the_networks_read() -> None:
    """As if the source that is kept from the pool were not there."""
    _, work = made(Options(search=True), search=SearchOptions(tasks=("death", "unit")))
    bare = replace(DATA, blocks={name: block for name, block in DATA.blocks.items() if name != "note"})
    found = fit_baseline(work.reading(DATA), "unit", "linear", seed=1)
    np.testing.assert_array_equal(found, fit_baseline(bare, "unit", "linear", seed=1))
    assert not np.array_equal(found, fit_baseline(DATA, "unit", "linear", seed=1))


def test_what_is_kept_from_a_pool_is_noted() -> None:
    options = replace(BOTH, tasks=("death", "unit"))
    given, work = made(options)
    told = notes(given, DATA, work, options)
    assert told == [
        f"{part} compares tasks that exclude different sources, so note is kept from all of them: death, unit"
        for part in ("the search", "TIM")
    ]
    given, work = made(BOTH)
    assert notes(given, DATA, work, BOTH) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (Options(search=True, searching={"largest": 9}), "largest 9 limits nothing: 3 tasks are compared"),
        (Options(tim=True, measuring={"limit": 9}), "limit 9 limits nothing: 3 tasks are compared"),
        (Options(tim=True, measuring={"sets": 9}), "9 sets are more than there are: all 7 are trained"),
        (Options(tim=True, measuring={"method": "pairs"}), "sets 4 has no effect with the TIM method pairs"),
        (Options(memory=1000), "memory of 9.31e-07 GB is less than what one network takes with its data, about"),
    ],
)
def test_settings_without_effect_are_noted(options: Options, told: str) -> None:
    given, work = made(options, tim=TimOptions(sets=4))
    found = notes(given, DATA, work, options)
    assert len(found) == 1 and found[0].startswith(told)


def test_a_task_that_no_fold_in_use_can_score_is_told() -> None:
    """One patient of the training part says yes: it is in one of the two folds."""
    data = excluding()
    first, second = folds(data.patients, data.train_rows, 2, data.seed)
    for rows, told in ((first, []), (second, ["the validation fold, where its labels are all equal or missing"])):
        values = np.zeros(data.samples)
        values[[rows[0], data.test_rows[0]]] = 1
        rare = data.with_labels({**data.labels, "sepsis": replace(data.labels["sepsis"], values=values)})
        for count, expected in ((1, told), (2, [])):
            options = Options(tim=True, measuring={"folds": count})
            given, work = made(options, rare)
            found = cautions(given, rare, work)
            assert len(found) == len(expected)
            assert all(
                f"TIM: sepsis cannot be scored on {text}" in one for text, one in zip(expected, found, strict=True)
            )


def test_more_folds_than_patients() -> None:
    data = make_dataset(samples=20)
    given = study(data).model_copy(update={"protocol": Protocol(folds=9)})
    for options in (Options(search=True), Options(tim=True)):
        with pytest.raises(SettingError, match="9 folds of 8 training patients"):
            planned(given, data, options)
    assert planned(given, data, Options()).tasks == tuple(data.labels)


def test_the_settings_in_one_line() -> None:
    given, work = made(Options(grid=True, epochs=4))
    assert settled(given, work, Options()) == ("preset m3h, 4 epochs, best of 4 settings by 2 folds, 5 tasks")


@pytest.mark.parametrize(("ask", "part"), [(m3h.tim, "TIM"), (m3h.search, "the search")])
def test_in_python_too_tasks_that_no_fold_can_score_are_told(ask: Callable[..., object], part: str) -> None:
    """One patient of the training part says yes, in the second of two folds; only the first is asked."""
    data = excluding()
    _, second = folds(data.patients, data.train_rows, 2, data.seed)
    values = np.zeros(data.samples)
    values[[second[0], data.test_rows[0]]] = 1
    rare = data.with_labels({**data.labels, "sepsis": replace(data.labels["sepsis"], values=values)})
    with pytest.warns(UserWarning, match=f"{part}: sepsis cannot be scored on the validation fold"):
        ask(rare, ["sepsis", "death"], protocol=Protocol(epochs=1, folds=2), folds=1)
