"""The Ray executor: fleets as tasks of a Ray on this machine or on a cluster. Importing this does not import Ray."""

from __future__ import annotations

import functools
import importlib
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from types import TracebackType
from typing import Any

import torch

from m3h.core.errors import M3HError, SettingError, TrainingError
from m3h.core.fingerprint import NUMERICS
from m3h.core.installing import extra
from m3h.dataset.dataset import Dataset
from m3h.experiments.memory import fleet_bytes
from m3h.experiments.outcome import Outcome, outcome
from m3h.training.fleet import train_fleet
from m3h.training.prepared import Materials
from m3h.training.trial import Trial

Fleet = tuple[Trial, ...]
#: Trains a fleet on a worker; gets Ray's reference to the dataset's parts in a list, the fleet and a number of threads.
Work = Callable[[list[Any], Fleet, int], Sequence[Outcome]]
#: How often a fleet is sent to a worker before it is given up, and how many given up in a row end the run: then the
#: workers are at fault, not a fleet.
ATTEMPTS, IN_A_ROW = 3, 3
#: Seconds to wait for an answer at the address of a cluster.
PATIENCE = 10.0
#: What a worker needs not: only audits, reports and the encoding of new patients read these.
LEFT_AT_HOME = ("subgroups", "recipe", "states", "facts")
#: How a worker, its machine or what it sent can be lost, by the names of Ray's exceptions.
LOST = ("WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "LocalRayletDiedError", "ObjectLostError")


class Ray:
    """Trains fleets on the workers of a Ray: ``with Ray(dataset) as executor``.

    Without ``address`` a Ray of its own is started here, reachable from this machine only, and shut down at the end;
    "auto", "host:port" or "ray://host:port" joins a cluster, on all of whose machines this version of m3h must be
    installed. A Ray that this process is connected to already is used as it is. The dataset is sent once.

    ``fleets_at_once`` caps how many fleets are at work (default: as many as the processors and cards have room for).
    Each takes ``cpus_per_fleet`` processors, of which it uses as many threads, ``gpus_per_fleet`` cards (a part of one
    may do), and the memory it is known to need. ``work`` is what a worker does with a fleet.

    Errors: SettingError where Ray is not installed, no cluster answers, or none of its machines has room for a fleet.
    """

    def __init__(
        self,
        dataset: Dataset,
        address: str | None = None,
        *,
        fleets_at_once: int | None = None,
        cpus_per_fleet: int = 1,
        gpus_per_fleet: float = 0.0,
        work: Work | None = None,
    ) -> None:
        if cpus_per_fleet < 1 or gpus_per_fleet < 0 or (fleets_at_once is not None and fleets_at_once < 1):
            raise SettingError(
                f"{fleets_at_once} fleets at once, each with {cpus_per_fleet} processors and {gpus_per_fleet:g} cards",
                expected="at least 1 fleet and 1 processor, and no fewer than 0 cards",
            )
        self.dataset, self.address, self.fleets_at_once = dataset, address, fleets_at_once
        self.needs = {"CPU": float(cpus_per_fleet), "GPU": gpus_per_fleet}
        self.work = work or train_there
        self.started = False

    def __enter__(self) -> Ray:
        self.ray = _ray(alone=self.address is None)
        if not self.ray.is_initialized():
            self._connect()
            self.started = True
        try:
            self._check_room()
            self.lost = tuple(getattr(self.ray.exceptions, name) for name in LOST)
            self.data = self.ray.put(parts(self.dataset))
            options = {"num_cpus": self.needs["CPU"], "num_gpus": self.needs["GPU"], "max_retries": 0}
            self.task = self.ray.remote(**options)(self.work)
        except BaseException:
            self._disconnect()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disconnect()

    def run(self, fleets: Iterator[Fleet], share: Callable[[float], None]) -> Iterator[Sequence[Outcome]]:
        """The outcomes of each fleet as it ends; ``share`` is not told, for workers report nothing before that.

        A fleet whose worker died is sent again. Errors: TrainingError at the end, when the others have been given, for
        fleets whose worker died every time or that could not be trained; at once if several in a row could not.
        """
        at_work: dict[Any, tuple[Fleet, int]] = {}
        given_up: list[tuple[Fleet, _Failure]] = []
        in_a_row = 0
        try:
            while in_a_row < IN_A_ROW:
                while len(at_work) < max(1, self._room()) and (fleet := next(fleets, None)) is not None:
                    at_work[self._send(fleet)] = (fleet, 1)
                if not at_work:
                    break
                (ended,), _ = self.ray.wait(list(at_work), num_returns=1)
                fleet, attempt = at_work.pop(ended)
                received = self._received(ended)
                if not isinstance(received, _Failure):
                    in_a_row = 0
                    yield received
                elif received.again and attempt < ATTEMPTS:
                    at_work[self._send(fleet)] = (fleet, attempt + 1)
                else:
                    given_up.append((fleet, received))
                    in_a_row += 1
        finally:
            for reference in at_work:
                self.ray.cancel(reference, force=True)
        if given_up:
            raise _given_up(given_up)

    def _send(self, fleet: Fleet) -> Any:
        # in a list the reference stays one: the worker fetches the data once, not once a fleet
        return self._asking(fleet).remote([self.data], fleet, int(self.needs["CPU"]))

    def _asking(self, fleet: Fleet) -> Any:
        """The task with the memory that the fleet takes: a machine begins no more fleets than it can hold.

        A fleet that none could hold asks for all that the largest has; whether it fits is seen there.
        """
        if fleet[0].device != "cpu":
            return self.task  # its memory is the card's
        largest = max((machine.get("memory", 0.0) for machine in self._machines()), default=0.0)
        return self.task.options(memory=int(min(fleet_bytes(self.dataset, fleet), largest)) or None)

    def _received(self, reference: Any) -> Sequence[Outcome] | _Failure:
        """The outcomes of a fleet, or why there are none. Errors: those that are no fleet's fault."""
        try:
            outcomes: Sequence[Outcome] = self.ray.get(reference)
            return outcomes
        except self.lost as error:
            return _Failure(f"its worker died {ATTEMPTS} times ({type(error).__name__})", again=True)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, TrainingError):
                return _Failure(error.cause.what, again=False)
            if isinstance(error.cause, M3HError):
                raise error.cause from None  # what the worker's traceback adds is of no use to who can mend it
            raise

    def _room(self) -> int:
        """How many fleets the machines take at once now; a cluster may grow and shrink."""
        found = sum(_fits(self.needs, machine) for machine in self._machines())
        return found if self.fleets_at_once is None else min(found, self.fleets_at_once)

    def _machines(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _check_room(self) -> None:
        if not self._room():
            raise SettingError(
                "no machine of this Ray has room for a fleet",
                got="; ".join(_amounts(machine) for machine in self._machines()) or "no machine",
                expected=_amounts(self.needs),
                next_step="ask for fewer processors or cards, or start Ray with more",
            )

    def _connect(self) -> None:
        here = {"include_dashboard": False} if self.address is None else {}
        try:
            _knock(self.address)
            self.ray.init(
                address=self.address or "local", namespace="m3h", logging_level="ERROR", log_to_driver=False, **here
            )
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise SettingError(
                "no Ray could be reached" if self.address else "Ray could not be started",
                where=self.address,
                got=str(error).splitlines()[0] if str(error) else type(error).__name__,
                expected='"auto", "host:port" or "ray://host:port" of a cluster that runs',
                next_step="look at `ray status` there, or leave out the address to use this machine alone",
            ) from error

    def _disconnect(self) -> None:
        if self.started:
            self.started = False
            self.ray.shutdown()


@dataclass(frozen=True)
class _Failure:
    """Why a fleet gave nothing, and whether another worker may do better."""

    reason: str
    again: bool


def parts(dataset: Dataset) -> dict[str, Any]:
    """The fields of a dataset that training reads, with plain dictionaries: what travels to the workers."""
    content = {field.name: getattr(dataset, field.name) for field in fields(dataset)}
    content |= {name: dict(content[name]) for name in ("blocks", "labels")}
    return {name: value for name, value in content.items() if name not in LEFT_AT_HOME} | {"made_by": _versions()}


def train_there(data: list[Any], fleet: Fleet, threads: int) -> Sequence[Outcome]:
    """On a worker: train the fleet and score it. Errors: SettingError if another m3h is installed there."""
    torch.set_num_threads(threads)
    dataset, materials = _fetched(data[0])
    return [outcome(dataset, network) for network in train_fleet(dataset, fleet, materials=materials)]


@functools.lru_cache(maxsize=1)
def _fetched(reference: Any) -> tuple[Dataset, Materials]:
    """The dataset, its arrays in the memory that all workers of a machine share, and what a worker keeps of fleets."""
    return assembled(_ray(alone=False).get(reference)), Materials()


def assembled(content: Mapping[str, Any]) -> Dataset:
    """The dataset of :func:`parts`. Errors: SettingError if another version took it apart."""
    if content["made_by"] != _versions():
        raise SettingError(
            "another m3h is installed on a worker",
            got=_versions(),
            expected=content["made_by"],
            next_step="install the same version on every machine of the cluster",
        )
    return Dataset(**{name: value for name, value in content.items() if name != "made_by"})


def _versions() -> str:
    return f"m3h {version('m3h')}, numerics {NUMERICS}"


def _ray(*, alone: bool) -> Any:
    """Ray, imported. ``alone``: it is to work on this machine only."""
    if "ray" not in sys.modules:  # Ray reads these once, when it is imported
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        if alone:  # answer on the loopback address, and only to who has the token
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
            os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise SettingError(
            "Ray is not installed", where="executor ray", next_step=f"{extra('ray')}; or use --executor local"
        ) from error


def _knock(address: str | None) -> None:
    """Ray waits many minutes for a machine that does not answer. Errors: OSError, or ValueError for no address."""
    if address not in (None, "auto", "local"):
        host, _, port = str(address).removeprefix("ray://").rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


def _fits(needs: Mapping[str, float], machine: Mapping[str, float]) -> int:
    return min(int(machine.get(name, 0.0) // amount) for name, amount in needs.items() if amount)


def _amounts(resources: Mapping[str, float]) -> str:
    return f"{resources.get('CPU', 0.0):g} processors, {resources.get('GPU', 0.0):g} cards"


def _given_up(fleets: Sequence[tuple[Fleet, _Failure]]) -> TrainingError:
    """One error for all fleets that did not end; names the task sets of the first ones."""
    sets = list(dict.fromkeys(trial.label for fleet, _ in fleets for trial in fleet))
    more = f" and {len(sets) - 3} more" if len(sets) > 3 else ""
    reasons = dict.fromkeys(failure.reason for _, failure in fleets)
    return TrainingError(
        f"{len(fleets)} fleets could not be trained" if len(fleets) > 1 else "a fleet could not be trained",
        where=", ".join(sets[:3]) + more,
        got="; ".join(reasons),
        expected="every fleet to end; what other fleets gave is kept",
        next_step="give the workers more memory, or the fleets less (--memory); the same command goes on from here",
    )
