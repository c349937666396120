"""The pool of a search or a TIM run: tasks that are compared in sets, all reading the same sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset


@dataclass(frozen=True)
class Pool:
    """``tasks`` in the study's order; ``sources`` that every network of the run reads, singles included: those that no
    task of the pool excludes, so that a difference is never a task that came mixed with a source that went.
    ``left_out`` task -> why it is not in the pool."""

    tasks: tuple[str, ...]
    sources: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def make_pool(dataset: Dataset, asked: Sequence[str] = (), among: Sequence[str] | None = None) -> Pool:
    """The pool of ``asked`` tasks, or the largest group ``among`` the usable ones that excludes the same sources.

    Errors: SettingError for unknown or unusable tasks, for a pool of one, or if its tasks exclude every source.
    """
    if asked:
        tasks = dataset.task_set(tuple(asked))
    else:
        groups: dict[frozenset[str], list[str]] = {}
        for name in dataset.usable() if among is None else among:
            groups.setdefault(frozenset(dataset.labels[name].task.exclude_sources), []).append(name)
        largest = max((len(names) for names in groups.values()), default=0)
        tasks = next((tuple(names) for names in groups.values() if len(names) == largest), ())
    if len(tasks) < 2:
        raise SettingError(
            "nothing to compare: task sets need at least two tasks that may read the same sources",
            where=dataset.name,
            got=", ".join(tasks) or "no task",
            next_step="name the tasks with --tasks; sources that any of them excludes are then kept from all",
        )
    left_out = {}
    for name, labels in dataset.labels.items():
        if name not in tasks:
            reason = "not asked for" if asked or (among is not None and name not in among) else "excludes other sources"
            left_out[name] = labels.unusable or reason
    return Pool(tasks, dataset.sources_for(tasks), left_out)
