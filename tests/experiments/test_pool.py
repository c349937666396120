"""The pool: tasks that may read the same sources, and what stays out, with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.experiments.pool import make_pool
from made import make_dataset


def excluding(**sources: tuple[str, ...]) -> Dataset:
    data = make_dataset(samples=80)
    return data.with_labels(
        {
            name: replace(part, task=replace(part.task, exclude_sources=sources.get(name, ())))
            for name, part in data.labels.items()
        }
    )


def test_the_largest_group_that_excludes_the_same_sources() -> None:
    data = excluding(death=("note",), sepsis=("note",), unit=("note",), stay=("labs",))
    pool = make_pool(data)
    assert pool.tasks == ("death", "sepsis", "unit")
    assert pool.sources == ("demo", "labs")
    assert pool.left_out == {"stay": "excludes other sources", "group": "excludes other sources"}


def test_asked_tasks_read_what_none_of_them_excludes() -> None:
    data = excluding(death=("note",), stay=("labs",))
    pool = make_pool(data, ("stay", "death"))
    assert pool.tasks == ("death", "stay") and pool.sources == ("demo",)
    assert set(pool.left_out.values()) == {"not asked for"}


def refused(data: Dataset, *asked: str, where: str | None = None) -> str:
    with pytest.raises(SettingError) as caught:
        make_pool(data, asked, where=where)
    assert "next: " in str(caught.value)
    return str(caught.value)


def test_advice_fits_what_was_asked() -> None:
    """A study of one task cannot be helped by naming tasks, one whose tasks all exclude something else can."""
    apart = excluding(death=("note",), sepsis=("labs",), unit=("demo",), stay=("note", "labs"))
    assert "name the tasks to compare with --tasks" in refused(apart)
    assert make_pool(apart, ("death", "sepsis")).sources == ("demo",)
    lone = apart.with_labels({"death": apart.labels["death"]})
    told = refused(lone, where="[tim]")
    assert told.startswith("[tim]: nothing to compare") and "add tasks to the study" in told and "--tasks" not in told
    told = refused(apart, "death", where="--tasks")
    assert told.startswith("--tasks: nothing to compare") and "got: death" in told and "name two tasks or more" in told
    told = refused(apart, "sepsis", "unit", "stay", where="--tasks")
    assert "exclude every source together" in told and "exclude_sources" in told


def test_of_equal_groups_the_one_that_comes_first() -> None:
    pool = make_pool(excluding(death=("note",), sepsis=("labs",), unit=("note",), stay=("labs",)))
    assert pool.tasks == ("death", "unit")


def test_tasks_that_cannot_be_used_are_left_out_with_their_reason() -> None:
    data = excluding()
    bare = replace(data.labels["sepsis"], unusable="no labels")
    pool = make_pool(data.with_labels({**data.labels, "sepsis": bare}))
    assert "sepsis" not in pool.tasks and pool.left_out == {"sepsis": "no labels"}


def test_one_task_is_no_pool() -> None:
    data = excluding()
    with pytest.raises(SettingError, match="two tasks or more"):
        make_pool(data, ("death",))
    with pytest.raises(SettingError, match="did you mean"):
        make_pool(data, ("death", "sepsiss"))
    with pytest.raises(SettingError):
        make_pool(excluding(death=("demo", "labs"), stay=("note",)), ("death", "stay"))
