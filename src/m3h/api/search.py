"""m3h.search: the best task set for each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.api.engine import Maker, memory_notes, opened
from m3h.api.given import check_folds, check_folds_given, dataset_given, names_given, options_given, tell
from m3h.api.options import Device, ExecutorName, Precision
from m3h.api.scorable import unscorable
from m3h.api.tim import _preset
from m3h.dataset.dataset import Dataset
from m3h.experiments import crossval
from m3h.experiments.asking import Ask, Scores
from m3h.experiments.engine import Engine, answering
from m3h.experiments.pool import Pool, make_pool
from m3h.experiments.search.found import Found
from m3h.experiments.search.settings import Settings
from m3h.experiments.search.start import bounds
from m3h.experiments.search.start import search as look
from m3h.study import rules
from m3h.study.presets import Preset, Protocol, SearchOptions, protocol_of
from m3h.training.trial import Trial, with_setting

if TYPE_CHECKING:
    import polars


def settings(options: SearchOptions, protocol: Protocol) -> Settings:
    """The options as the search takes them."""
    return Settings(
        method=options.method,
        largest=options.largest,
        width=options.width,
        folds=options.folds or protocol.folds,
        settings=len(crossval.grid(protocol)),
    )


def notes(pool: Pool, options: SearchOptions) -> list[str]:
    """Options that change nothing with so few tasks; each a sentence."""
    count = len(pool.tasks)
    if options.largest <= max(count, SearchOptions().largest):
        return []
    return [f"largest {options.largest} limits nothing: {count} tasks are compared"]


@dataclass(frozen=True)
class Searched:
    """What a search found: a table (search.csv), the chosen set of each task as the trial to train on the whole
    training part, and facts for run.json."""

    found: Found
    table: polars.DataFrame
    trials: dict[str, Trial]
    facts: dict[str, Any]


def floors(dataset: Dataset, pool: Pool) -> dict[str, float]:
    """The lowest score that counts when sets are compared, for tasks whose metric has no lower end."""
    return {name: crossval.LOWEST_R2 for name in pool.tasks if dataset.labels[name].task.kind == "regression"}


def finals(found: Found, pool: Pool, maker: Maker) -> dict[str, Trial]:
    """The chosen set of each task, in its setting, on the whole training part."""
    grid = crossval.grid(maker.protocol)
    trials = {}
    for name, best in found.best.items():
        size, rate = grid[best.setting]
        plain = maker.final(best.tasks, pool.sources)
        trials[name] = with_setting(plain, learning_rate=rate, batch_size=size, fold=None)
    return trials


def most(pool: Pool, settings: Settings) -> int:
    """How many trainings a search asks for at most."""
    return sum(bound.trainings for bound in bounds(pool.tasks, settings))


def searched(
    engine: Engine,
    maker: Maker,
    pool: Pool,
    options: SearchOptions,
    seed: int,
    progress: Callable[[str, float], None] | None = None,
) -> Searched:
    """Look for the best set of each task of the pool; ``progress`` is told the step and how much of it is done."""
    asked: set[Ask] = set()
    step = ["search"]

    def share(part: float) -> None:
        if progress:
            progress(step[0], part)

    def say(name: str, trainings: int) -> None:
        step[0] = f"search, {name}: {trainings} trainings"

    inner = answering(engine, lambda ask: maker.asked(ask, pool), share)

    def answer(asks: Sequence[Ask]) -> Mapping[Ask, Scores]:
        asked.update(asks)
        return inner(asks)

    chosen = settings(options, maker.protocol)
    found = look(pool.tasks, chosen, seed, answer, floor=floors(engine.dataset, pool), say=say)
    trials = finals(found, pool, maker)
    facts = {
        "method": chosen.method,
        "folds": chosen.folds,
        "largest": chosen.largest,
        "trainings": len(asked),
        "sets_tried": len({ask.tasks for ask in asked}),
        "pool": list(pool.tasks),
        "left_out": [{"task": name, "reason": reason} for name, reason in pool.left_out.items()],
    }
    return Searched(found, found.table(), trials, facts)


def search(
    dataset: Dataset,
    tasks: Sequence[str] = (),
    *,
    preset: str | Preset = "paper",
    protocol: Protocol | None = None,
    ledger: str | Path | None = None,
    executor: ExecutorName = "local",
    address: str | None = None,
    device: Device = "cpu",
    precision: Precision = "float32",
    memory: int | None = None,
    progress: Callable[[str, float], None] | None = None,
    **options: Any,
) -> polars.DataFrame:
    """Look for the task set that helps each of ``tasks`` most (default: the largest group that excludes the same
    sources), by cross-validation on training rows alone.

    ``options`` are fields of m3h.study.presets.SearchOptions: method, largest, width, folds. A row per set tried, as
    search.csv: task, step, task_set, cv_score (higher is better), tried, chosen. The other arguments are those of
    m3h.tim. What changes nothing, and tasks that no fold can score, are told as Python warnings. Errors: SettingError
    for tasks or options that do not fit, FolderError for a ledger that cannot be used.
    """
    dataset, names = dataset_given(dataset), names_given(tasks)
    network = _preset(preset)
    protocol = protocol or protocol_of(network)
    given = SearchOptions(**options_given(SearchOptions, options, rules.search, where="m3h.search"), tasks=names)
    check_folds_given(given.folds, protocol, where="search")
    check_folds(dataset, protocol.folds)
    maker = Maker(dataset, network, protocol, device=device, precision=precision, seed=dataset.seed)
    pool = make_pool(dataset, names, where="m3h.search")
    place = None if ledger is None else Path(ledger)
    most = maker.final(pool.tasks[: given.largest], pool.sources)
    empty = unscorable(dataset, pool, "search", used=given.folds or protocol.folds, count=protocol.folds)
    tell([*notes(pool, given), *empty, *memory_notes(dataset, [most], memory)])
    with opened(dataset, place, executor=executor, address=address, memory=memory, device=device) as engine:
        return searched(engine, maker, pool, given, dataset.seed, progress).table
