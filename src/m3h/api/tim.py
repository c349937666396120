"""m3h.tim: which task helps which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.api.engine import Maker, opened
from m3h.api.options import Device, ExecutorName, Precision
from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.evaluation.compare import COMPARED
from m3h.experiments.engine import Engine, answering
from m3h.experiments.pool import Pool, make_pool
from m3h.experiments.tim.design import design
from m3h.experiments.tim.interactions import Interactions
from m3h.experiments.tim.measure import measure
from m3h.experiments.tim.settings import Settings
from m3h.study import rules
from m3h.study.presets import PRESETS, Preset, Protocol, TimOptions
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
    """Interactions of a pool, as a table (tim.csv) and as facts for run.json; ``cautions`` for whoever reads them."""

    interactions: Interactions
    table: polars.DataFrame
    facts: dict[str, Any]
    cautions: tuple[str, ...] = ()


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
    cautions = (ONE_REPLICATE,) if done.replicates == 1 else ()
    return Measured(found, found.table(kinds), facts, cautions)


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
    forgotten. ``memory`` in bytes. Errors: SettingError for tasks or options that do not fit.
    """
    given = TimOptions(**_checked(options), tasks=tuple(tasks))
    maker = Maker(
        dataset, _preset(preset), protocol or Protocol(), device=device, precision=precision, seed=dataset.seed
    )
    pool = make_pool(dataset, given.tasks)
    place = None if ledger is None else Path(ledger)
    with opened(dataset, place, executor=executor, address=address, memory=memory, device=device) as engine:
        return measured(engine, maker, pool, given, dataset.seed, progress).table


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    known = {one.name for one in fields(TimOptions)} - {"tasks"}
    if wrong := set(options) - known:
        raise SettingError(f"unknown option {sorted(wrong)[0]}", expected=f"one of {', '.join(sorted(known))}")
    if mistakes := [message for _, message in rules.tim(options)]:
        raise SettingError("; ".join(mistakes))
    return options


def _preset(preset: str | Preset) -> Preset:
    if isinstance(preset, Preset):
        return preset
    for _, message in rules.preset(preset):
        raise SettingError(message)
    return PRESETS[preset]
