"""The pool of a search or a TIM run: tasks that are compared in sets, all reading the same sources."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.study.task import Task

#: Why tasks are left out that would take part if they were asked for by name.
OTHERS = "excludes other sources"


@dataclass(frozen=True)
class Pool:
    """``tasks`` in the study's order; ``sources`` that every network of the run reads, singles included: those that no
    task of the pool excludes, so that a difference is never a task that came mixed with a source that went.
    ``left_out`` task -> why it is not in the pool."""

    tasks: tuple[str, ...]
    sources: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def make_pool(dataset: Dataset, asked: Sequence[str] = (), *, where: str | None = None) -> Pool:
    """The pool of ``asked`` tasks, or the largest group of the usable ones that excludes the same sources.

    ``where`` names, for errors, the option or section that the tasks come from. Errors: SettingError for unknown or
    unusable tasks, for a pool of one, or if its tasks exclude every source.
    """
    names = dataset.task_set(tuple(asked)) if asked else dataset.usable()
    tasks = comparable([dataset.labels[n].task for n in names], dataset.blocks, asked=bool(asked), where=where)
    left_out = {}
    for name, labels in dataset.labels.items():
        if name not in tasks:
            left_out[name] = labels.unusable or ("not asked for" if asked else OTHERS)
    return Pool(tasks, dataset.sources_for(tasks), left_out)


def comparable(tasks: Sequence[Task], sources: Collection[str], *, asked: bool, where: str | None) -> tuple[str, ...]:
    """The names of those of the tasks that make a pool: all if they were ``asked`` for, else the largest group that
    excludes the same sources. ``sources`` are all there are. Errors: SettingError as in :func:`make_pool`."""
    if len(tasks) < 2:
        raise SettingError(
            "nothing to compare: search and TIM need two tasks or more",
            where=where,
            got=", ".join(task.name for task in tasks) or "no task",
            next_step="name two tasks or more" if asked else "add tasks to the study, or leave search and TIM out",
        )
    groups: dict[frozenset[str], list[Task]] = {}
    for task in tasks:
        groups.setdefault(frozenset() if asked else frozenset(task.exclude_sources), []).append(task)
    largest = max(groups.values(), key=len)
    if len(largest) < 2:
        raise SettingError(
            "nothing to compare: no two tasks exclude the same sources",
            where=where,
            next_step="name the tasks to compare with --tasks (tasks=[...] in Python); sources that any of them "
            "excludes are then kept from all",
        )
    excluded = {source for task in largest for source in task.exclude_sources}
    if not set(sources) - excluded:
        raise SettingError(
            "the tasks exclude every source together",
            where=where,
            got=", ".join(task.name for task in largest[:3]) + (", ..." if len(largest) > 3 else ""),
            next_step="name tasks that leave a source to all, or shorten their exclude_sources",
        )
    return tuple(task.name for task in largest)
