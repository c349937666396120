"""What a command would train: the pipeline of m3h.api.run up to the first training."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from m3h.api import search, tim
from m3h.api.early import check_early
from m3h.api.engine import Maker
from m3h.api.given import of_tasks
from m3h.api.model import check_device
from m3h.api.notes import cautions, notes
from m3h.api.options import Options, overridden
from m3h.api.run import Say
from m3h.api.settled import settled
from m3h.api.work import Work, making, plain_trials, planned
from m3h.dataset.build import build
from m3h.dataset.dataset import Dataset
from m3h.experiments import crossval, results
from m3h.experiments.asking import Ask, Scores
from m3h.experiments.engine import compared
from m3h.experiments.ledger import Ledger
from m3h.experiments.outcome import Outcome
from m3h.experiments.plan import Plan, Step, estimate, replay
from m3h.experiments.pool import Pool
from m3h.experiments.search.found import Found
from m3h.experiments.search.settings import Settings
from m3h.experiments.search.start import search as look
from m3h.study.spec import Study
from m3h.training import at_once
from m3h.training.forming import default_memory
from m3h.training.trial import Trial, with_setting


class _Found:
    """What the ledger has of some trials; nothing where there is no ledger yet."""

    def __init__(self, ledger: Ledger | None) -> None:
        self.ledger = ledger

    def __call__(self, trials: Sequence[Trial]) -> Mapping[str, Outcome]:
        return self.ledger.found(trials) if self.ledger else {}


def plan(study: Study, out: Path | None, options: Options, say: Say, *, workers: int | None = None) -> Plan:
    """The plan of `m3h run` with these options: trainings, those done, and the time and memory of the rest here.

    ``workers`` fleets are trained at once, each in one thread (default: as the local executor does here). ``out`` is
    the run folder whose ledger is looked at, unless ``options.ledger`` names one. Changes nothing but the cache of
    encoded sources. Errors: as m3h.api.run.run before its first training.
    """
    check_device(options.device)
    study = overridden(study, options)
    check_early(study, options, None)
    data = build(
        study,
        cache=options.cache,
        strict=options.strict,
        tasks=options.tasks or None,
        weights=options.weights,
        device=options.device,
        looks=False,
        progress=say,
    )
    data = of_tasks(data, options.tasks)
    work = planned(study, data, options)
    place = options.ledger or (out / results.LEDGER if out else None)
    ledger = Ledger(place, writing=False) if place is not None and place.exists() else None
    try:
        found = _Found(ledger)
        memory = default_memory(options.device) if options.memory is None else options.memory
        count = at_once.workers(options.device) if workers is None else workers
        say("timing a few steps on this machine", 0.0)
        counted = estimate(
            data,
            list(_steps(study, data, work, options, found)),
            found,
            memory=memory,
            workers=count,
            threads=1 if count > 1 else None,
            together=workers is None,
            progress=lambda share: say("timing a few steps on this machine", share),
        )
    finally:
        if ledger:
            ledger.close()
    told = [*cautions(study, data, work), *notes(study, data, work, options), *_not_counted(data, work, options)]
    return replace(counted, settings=settled(study, work, options), notes=tuple(told))


def _not_counted(data: Dataset, work: Work, options: Options) -> list[str]:
    """What the command does beside trainings that a ledger keeps."""
    answered = [name for name in work.tasks if data.labels[name].task.kind != "clustering"]
    return [f"beside these {2 * len(answered)} baselines, fitted anew each time and not counted"] * options.baseline


def _steps(study: Study, data: Dataset, work: Work, options: Options, found: _Found) -> list[Step]:
    maker = making(study, data, options)
    plain = [trial for some in plain_trials(work, maker, options).values() for trial in some]
    steps = []
    if choosing := crossval.grid_trials(plain, study.protocol):
        steps.append(Step("settings", tuple(choosing)))
    if plain:
        steps.append(_final(_named(options), plain, maker))
    if work.search:
        steps += _search_steps(study, data, work.search, maker, found)
    if work.tim:
        steps.append(Step("interactions", tuple(tim.trials(maker, work.tim, study.tim, study.seed))))
    return steps


def _named(options: Options) -> str:
    """What the plain trainings of a command are."""
    if options.singles and options.joint:
        return "tasks alone and together"
    return "tasks alone" if options.singles else "tasks together"


def _final(name: str, plain: Sequence[Trial], maker: Maker) -> Step:
    """Trainings on the whole training part; with the grid their settings are not known beforehand."""
    unique = tuple(dict.fromkeys(plain))
    if maker.protocol.grid:
        return Step(name, most=len(unique), typical=unique)
    return Step(name, unique)


def _search_steps(study: Study, data: Dataset, pool: Pool, maker: Maker, found: _Found) -> list[Step]:
    """What a search asks for at most, and the training of the chosen sets; as far as the ledger tells, exactly."""
    chosen = search.settings(study.search, study.protocol)

    def known(asks: Sequence[Ask]) -> Mapping[Ask, Scores]:
        trials = {ask: maker.asked(ask, pool) for ask in asks}
        done = found(list(trials.values()))
        return {ask: compared(data, done[trial.id]) for ask, trial in trials.items() if trial.id in done}

    floor = search.floors(data, pool)
    got: list[Found] = []
    asked = replay(lambda answer: got.append(look(pool.tasks, chosen, study.seed, answer, floor=floor)), known)
    trials = tuple(maker.asked(ask, pool) for ask in asked.asks)
    most = len(trials) if asked.ended else max(len(trials), search.most(pool, chosen))
    steps = [Step("search", trials, most=most, typical=_typical(pool, maker, chosen))]
    if asked.ended:
        final = search.finals(got[0], pool, maker)
        return [*steps, Step("chosen sets", tuple(dict.fromkeys(final.values())))]
    largest = [maker.final(tasks, pool.sources) for tasks in _some(pool.tasks, chosen.largest, len(pool.tasks))]
    return [*steps, Step("chosen sets", most=len(pool.tasks), typical=tuple(largest))]


def _typical(pool: Pool, maker: Maker, chosen: Settings) -> tuple[Trial, ...]:
    """Sets of the largest size, in every setting and fold: what most of a search is made of."""
    tasks = _some(pool.tasks, chosen.largest, 4 * len(pool.tasks))
    grid = crossval.grid(maker.protocol)
    return tuple(
        with_setting(maker.final(names, pool.sources), learning_rate=rate, batch_size=size, fold=fold)
        for names in tasks
        for (size, rate), fold in itertools.product(grid, range(chosen.folds))
    )


def _some(tasks: Sequence[str], size: int, count: int) -> list[tuple[str, ...]]:
    """``count`` sets of ``size`` tasks, spread over all of them; fewer where there are no more."""
    every = list(itertools.islice(itertools.combinations(tasks, min(size, len(tasks))), 100_000))
    places = np.unique(np.linspace(0, len(every) - 1, min(count, len(every))).astype(int))
    return [every[place] for place in places]
