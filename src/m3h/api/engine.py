"""Opening what trains: the ledger, the executor, and trials as the options want them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3h.api.options import Device, ExecutorName, Precision
from m3h.core.errors import SettingError, TrainingError
from m3h.dataset.dataset import Dataset
from m3h.experiments import crossval
from m3h.experiments.asking import Ask
from m3h.experiments.cluster import Ray
from m3h.experiments.engine import Engine, Executor
from m3h.experiments.ledger import Ledger
from m3h.experiments.local import Local
from m3h.experiments.memory import fleet_bytes
from m3h.experiments.pool import Pool
from m3h.study.presets import Preset, Protocol
from m3h.training import checkpoint
from m3h.training.fleet import Progress
from m3h.training.forming import default_memory
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial, make_trial

_GB = 1 << 30


@contextlib.contextmanager
def opened(
    dataset: Dataset,
    ledger: Path | None,
    *,
    executor: ExecutorName = "local",
    address: str | None = None,
    memory: int | None = None,
    device: Device = "cpu",
    waiting: Callable[[int], None] | None = None,
) -> Iterator[Engine]:
    """The engine of a dataset; ``ledger`` None keeps the outcomes for the time of the block only. ``waiting`` is told
    how many trainings are left when all of them are other processes'.

    Errors: FolderError for a ledger that cannot be used; SettingError where Ray is not installed or not asked for.
    """
    if address is not None and executor != "ray":
        raise SettingError("an address goes with the executor ray", got=f"executor {executor}", expected="ray")
    with contextlib.ExitStack() as stack:
        if ledger is None:
            ledger = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="m3h-"))) / "ledger.sqlite"
        book = stack.enter_context(Ledger(ledger))
        memory = default_memory(device) if memory is None else memory
        place: Executor = Local(dataset, memory)
        if executor == "ray":
            cards = 1.0 if device == "cuda" else 0.0
            place = stack.enter_context(Ray(dataset, address, gpus_per_fleet=cards))
        yield Engine(dataset, book, place, memory=memory, waiting=waiting)


def memory_notes(data: Dataset, trials: Sequence[Trial], memory: int | None) -> list[str]:
    """Says so if ``memory`` bytes (None: the default of their device) do not hold one network of these trials."""
    needed = {trial: fleet_bytes(data, (trial,)) for trial in dict.fromkeys(trials)}
    if not needed:
        return []
    given = default_memory(trials[0].device) if memory is None else memory
    most = max(needed.values())
    if most <= given:
        return []
    return [
        f"memory of {given / _GB:.3g} GB is less than what one network takes with its data, about {most / _GB:.1f} GB: "
        "such networks are trained one at a time and take what they need"
    ]


@dataclass(frozen=True)
class Maker:
    """How task sets become trials: everything but the tasks, fold, replicate and setting."""

    dataset: Dataset
    preset: Preset
    protocol: Protocol
    device: Device = "cpu"
    precision: Precision = "float32"
    seed: int | None = None

    def final(self, tasks: Sequence[str], sources: Sequence[str] | None = None) -> Trial:
        """The trial of a task set on the whole training part, in the last setting."""
        return self._trial(tasks, sources=sources)

    def asked(self, ask: Ask, pool: Pool) -> Trial:
        """The trial of an ask within a pool."""
        size, rate = crossval.grid(self.protocol)[ask.setting]
        setting = {"batch_size": size, "learning_rate": rate}
        return self._trial(ask.tasks, sources=pool.sources, fold=ask.fold, replicate=ask.replicate, **setting)

    def jointly(self) -> Maker:
        """The same, one step for all losses of a batch, in one setting: how interactions are measured."""
        return replace(self, protocol=replace(self.protocol, update="joint", grid=False))

    def _trial(self, tasks: Sequence[str], **more: Any) -> Trial:
        return make_trial(
            self.dataset,
            tasks,
            preset=self.preset,
            protocol=self.protocol,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            **more,
        )


@dataclass(frozen=True)
class Failure:
    """A final training that did not end well, and why."""

    tasks: tuple[str, ...]
    reason: str


def finals(
    engine: Engine, trials: Sequence[Trial], progress: Progress | None = None
) -> tuple[list[TrainedNetwork], list[Failure]]:
    """The networks of trials on the whole training part, each once, in the order asked; and those that failed.

    Errors: TrainingError if all failed.
    """
    unique = list(dict.fromkeys(trials))
    outcomes = engine.complete(unique, progress)
    failures = [Failure(t.tasks, outcomes[t.id].failed) for t in unique if outcomes[t.id].failed]
    if unique and len(failures) == len(unique):
        raise TrainingError("no training ended well", got=failures[0].reason, next_step="try a lower learning rate")
    good = [trial for trial in unique if not outcomes[trial.id].failed]
    return [checkpoint.loads(engine.network(trial)) for trial in good], failures
