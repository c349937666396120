"""m3h.tim: which task helps which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.api.engine import Maker, memory_notes, opened
from m3h.api.given import check_folds, check_folds_given, dataset_given, names_given, options_given, tell
from m3h.api.options import Device, ExecutorName, Precision, check_used
from m3h.api.scorable import unscorable
from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.evaluation.compare import COMPARED
from m3h.experiments.engine import Engine, answering
from m3h.experiments.pool import Pool, make_pool
from m3h.experiments.tim.design import design
from m3h.experiments.tim.identified import sets_enough, unidentified
from m3h.experiments.tim.interactions import Interactions
from m3h.experiments.tim.measure import measure
from m3h.experiments.tim.settings import UNUSED, Settings, binomials, check, largest, sets_wanted
from m3h.study import rules
from m3h.study.presets import PRESETS, Preset, Protocol, TimOptions, protocol_of
from m3h.training.fleet import Progress
from m3h.training.trial import Trial

if TYPE_CHECKING:
    import polars


ONE_REPLICATE = "interactions of one replicate: their intervals say nothing of other initial weights and batches"


def settings(options: TimOptions) -> Settings:
    """The options as the measurement takes them."""
    return Settings(**{one.name: getattr(options, one.name) for one in fields(options) if one.name != "tasks"})


def trials(maker: Maker, pool: Pool, options: TimOptions, seed: int) -> list[Trial]:
    """What the measurement trains; all of it is known beforehand."""
    jointly = maker.jointly()
    return [jointly.asked(ask, pool) for ask in design(pool.tasks, settings(options), seed)]


@dataclass(frozen=True)
class Measured:
    """Interactions of a pool, as a table (tim.csv) and as facts for run.json."""

    interactions: Interactions
    table: polars.DataFrame
    facts: dict[str, Any]


def measured(
    engine: Engine, maker: Maker, pool: Pool, options: TimOptions, seed: int, progress: Progress | None = None
) -> Measured:
    """Train what is lacking and estimate the interactions of the pool's tasks."""
    jointly = maker.jointly()
    done = settings(options)
    answer = answering(engine, lambda ask: jointly.asked(ask, pool), progress)
    found = measure(pool.tasks, done, seed, answer)
    kinds = {name: engine.dataset.labels[name].task.kind for name in pool.tasks}
    asks = design(pool.tasks, done, seed)
    facts = {
        "method": done.method,
        "folds": done.folds,
        "replicates": done.replicates,
        "sets": len({ask.tasks for ask in asks}),
        "trainings": len(asks),
        "pool": list(pool.tasks),
        "left_out": [{"task": name, "reason": reason} for name, reason in pool.left_out.items()],
        "metric": {name: COMPARED[kind] for name, kind in kinds.items()},
    }
    return Measured(found, found.table(kinds), facts)


def cautions(pool: Pool, options: TimOptions, seed: int) -> list[str]:
    """What whoever reads the values should know, from the design alone; each a sentence."""
    done = settings(options)
    found = [ONE_REPLICATE] if done.replicates == 1 else []
    if unclear := unidentified(pool.tasks, done, seed):
        pairs = len(pool.tasks) * (len(pool.tasks) - 1)
        enough = sets_enough(pool.tasks, done, seed)
        used = sets_wanted(len(pool.tasks), done)
        remedy = f"{enough} sets per fold and replicate, in place of {used}," if enough else "more replicates"
        found.append(
            f"interactions from too few trainings: {len(unclear)} of {pairs} pairs cannot be told apart, so that their "
            f"values are empty or shared with others; {remedy} would do"
        )
    return found


def notes(pool: Pool, options: TimOptions) -> list[str]:
    """Options that change nothing; each a sentence."""
    count, unused, plain = len(pool.tasks), UNUSED[options.method], TimOptions()
    found = [
        f"{one.name} {getattr(options, one.name)} has no effect with the TIM method {options.method}"
        for one in fields(options)
        if one.name in unused and getattr(options, one.name) != getattr(plain, one.name)
    ]
    if options.limit is not None and options.limit > count and "limit" not in unused:
        found.append(f"limit {options.limit} limits nothing: {count} tasks are compared")
    every = int(binomials(count)[1 : largest(count, settings(options)) + 1].sum())
    if options.method == "shared" and options.sets is not None and options.sets > every:
        found.append(f"{options.sets} sets are more than there are: all {every} are trained")
    return found


def tim(
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
    progress: Progress | None = None,
    **options: Any,
) -> polars.DataFrame:
    """Measure which task helps which among ``tasks`` (default: the largest group that excludes the same sources).

    ``options`` are fields of m3h.study.presets.TimOptions: method, folds, replicates, sets, inclusion, limit. A row per
    pair, as tim.csv: source (the task scored), target (the task added), tim (what adding the target does to the
    source's score on validation rows; above 0 it helps), low and high (95 %), q (false-discovery rate), trials, rank,
    method, metric. ``ledger`` names a file in which finished trainings are kept and found again; without one they are
    forgotten. ``memory`` in bytes. What the values cannot tell, and options that change nothing, are told as Python
    warnings. Errors: SettingError for tasks or options that do not fit, FolderError for a ledger that cannot be used.
    """
    dataset, names = dataset_given(dataset), names_given(tasks)
    network = _preset(preset)
    protocol = protocol or protocol_of(network)
    given = TimOptions(**options_given(TimOptions, options, rules.tim, where="m3h.tim"), tasks=names)
    check_used(given.method, [name for name, value in options.items() if value is not None])
    check_folds_given(given.folds, protocol, where="tim")
    check_folds(dataset, protocol.folds)
    maker = Maker(dataset, network, protocol, device=device, precision=precision, seed=dataset.seed)
    pool = make_pool(dataset, names, where="m3h.tim")
    check(len(pool.tasks), settings(given))
    place = None if ledger is None else Path(ledger)
    most = maker.jointly().final(pool.tasks[: largest(len(pool.tasks), settings(given))], pool.sources)
    empty = unscorable(dataset, pool, "tim", used=given.folds, count=protocol.folds)
    tell([*notes(pool, given), *cautions(pool, given, dataset.seed), *empty, *memory_notes(dataset, [most], memory)])
    with opened(dataset, place, executor=executor, address=address, memory=memory, device=device) as engine:
        return measured(engine, maker, pool, given, dataset.seed, progress).table


def _preset(preset: str | Preset) -> Preset:
    if isinstance(preset, Preset):
        return preset
    for _, message in rules.preset(preset):
        raise SettingError(message)
    return PRESETS[preset]
