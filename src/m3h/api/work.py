"""What a command is going to do: tasks, joint sets and pools, all settled before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from m3h.api import tim
from m3h.api.engine import Maker
from m3h.api.given import check_folds
from m3h.api.options import Options, asked
from m3h.dataset.dataset import Dataset
from m3h.experiments.pool import Pool, make_pool
from m3h.experiments.tim.settings import check
from m3h.study.spec import Study
from m3h.training.trial import Trial


@dataclass(frozen=True)
class Work:
    """What a run asks for, before anything is trained: tasks, joint task sets, and the pools of search and TIM.

    ``sources``: task -> what its networks read, alone, jointly and in the chosen set; for tasks of the search's pool
    they are the pool's, so that no difference between them is one of sources.
    """

    tasks: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...]
    search: Pool | None
    tim: Pool | None
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def pools(self) -> dict[str, Pool]:
        """The pools by their part of the run."""
        return {name: pool for name, pool in (("search", self.search), ("tim", self.tim)) if pool}

    def reading(self, data: Dataset) -> Dataset:
        """The dataset, its tasks excluding all that this run keeps from them."""
        labels = dict(data.labels)
        for name, sources in self.sources.items():
            kept = tuple(source for source in data.blocks if source not in sources)
            labels[name] = replace(labels[name], task=replace(labels[name].task, exclude_sources=kept))
        return data.with_labels(labels)


def planned(study: Study, data: Dataset, options: Options) -> Work:
    """The tasks, joint sets and pools of a command.

    Errors: SettingError for tasks that cannot be used or compared, for more folds than there are patients, and for a
    TIM method that does not go with so many tasks.
    """
    names = data.task_set(options.tasks) if options.tasks else data.usable()
    if study.protocol.grid or options.search or options.tim:
        check_folds(data, study.protocol.folds)
    search, measured = (
        _pool(study, data, options, name) if wanted else None
        for name, wanted in (("search", options.search), ("tim", options.tim))
    )
    if measured:
        check(len(measured.tasks), tim.settings(study.tim))
    beside = options.singles and options.joint
    if not beside and (options.search or options.tim):
        names = tuple(n for n in names if any(pool and n in pool.tasks for pool in (search, measured)))
    sources = {n: search.sources if search and n in search.tasks else data.sources_for((n,)) for n in names}
    return Work(tuple(names), _sets(sources) if options.joint else (), search, measured, sources)


def _pool(study: Study, data: Dataset, options: Options, part: str) -> Pool:
    names, where = asked(study, options, part)
    return make_pool(data, names, where=where)


def plain_trials(work: Work, maker: Maker, options: Options) -> dict[str, list[Trial]]:
    """The trials of each task alone and of the joint sets, on the whole training part, by role."""
    return {
        "single": [maker.final((name,), work.sources[name]) for name in work.tasks] if options.singles else [],
        "joint": [maker.final(tasks, work.sources[tasks[0]]) for tasks in work.sets],
    }


def making(study: Study, data: Dataset, options: Options) -> Maker:
    """How the run's task sets become trials."""
    return Maker(data, study.network.resolved(), study.protocol, device=options.device, precision=options.precision)


def _sets(sources: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """The tasks by what their networks read, in the order of the study."""
    sets: dict[tuple[str, ...], list[str]] = {}
    for name, read in sources.items():
        sets.setdefault(read, []).append(name)
    return tuple(tuple(tasks) for tasks in sets.values())
