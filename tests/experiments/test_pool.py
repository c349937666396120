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


def test_a_pool_among_the_tasks_of_a_run() -> None:
    pool = make_pool(excluding(), (), ("death", "group"))
    assert pool.tasks == ("death", "group") and pool.left_out["sepsis"] == "not asked for"


def test_tasks_that_cannot_be_used_are_left_out_with_their_reason() -> None:
    data = excluding()
    bare = replace(data.labels["sepsis"], unusable="no labels")
    pool = make_pool(data.with_labels({**data.labels, "sepsis": bare}))
    assert "sepsis" not in pool.tasks and pool.left_out == {"sepsis": "no labels"}


def test_one_task_is_no_pool() -> None:
    data = excluding()
    with pytest.raises(SettingError, match="at least two tasks"):
        make_pool(data, ("death",))
    with pytest.raises(SettingError, match="did you mean"):
        make_pool(data, ("death", "sepsiss"))
    with pytest.raises(SettingError):
        make_pool(excluding(death=("demo", "labs"), stay=("note",)), ("death", "stay"))
