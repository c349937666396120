"""The Ray executor on a Ray of two workers: the outcomes are those of the local one, whatever happens to workers."""

from __future__ import annotations

import ast
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from m3h.core.errors import SettingError, TrainingError
from m3h.dataset.dataset import Dataset
from m3h.experiments import cluster
from m3h.experiments.cluster import ATTEMPTS, Fleet, Ray, assembled, parts
from m3h.experiments.local import Local
from m3h.experiments.outcome import Outcome
from m3h.study.presets import PRESETS, Protocol
from m3h.training import checkpoint
from m3h.training.forming import form_fleets
from m3h.training.trial import Trial, make_trial
from made import make_dataset

PRESET = replace(PRESETS["paper"], hidden=16, modality_width=16, shared_width=16, task_hidden=16, token_width=8)
PROTOCOL = Protocol(epochs=2, batch_sizes=(64,), folds=3)


def trials(data: Dataset, *sets: Sequence[str], fold: int | None = 0) -> list[Trial]:
    return [make_trial(data, tasks, preset=PRESET, protocol=PROTOCOL, fold=fold) for tasks in sets]


def fleets(data: Dataset) -> list[Fleet]:
    """Fleets of one and of several, of all kinds of tasks, of a fold and of the whole training part."""
    sets = (("death",), ("sepsis",), ("death", "stay"), ("sepsis", "stay"), ("unit", "group"))
    return form_fleets(data, trials(data, *sets) + trials(data, sets[-1], fold=None))


def singly(data: Dataset, *names: str) -> list[Fleet]:
    return [(trial,) for trial in trials(data, *((name,) for name in names))]


def finished(executor: Ray | Local, work: Sequence[Fleet]) -> dict[str, Outcome]:
    return {one.trial.id: one for outcomes in executor.run(iter(work), lambda _: None) for one in outcomes}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def executor(data: Dataset) -> Iterator[Ray]:
    with Ray(data, fleets_at_once=2) as started:
        yield started
        assert started.ray.is_initialized()
    assert not started.ray.is_initialized()


def test_outcomes_are_those_of_the_local_executor(executor: Ray, data: Dataset) -> None:
    here, there = finished(Local(data, 1 << 30), fleets(data)), finished(executor, fleets(data))
    assert set(here) == set(there) and len(here) == 6
    for trial_id, one in here.items():
        other = there[trial_id]
        assert other.trial == one.trial and other.warnings == one.warnings and other.failed == ""
        np.testing.assert_equal(other.scores, one.scores)
        assert (one.network is None) == (other.network is None) == (one.trial.fold is not None)
        if one.network is not None and other.network is not None:
            ours, theirs = checkpoint.loads(one.network), checkpoint.loads(other.network)
            assert all(value.equal(theirs.state[name]) for name, value in ours.state.items())


def test_a_ray_of_its_own_answers_on_this_machine_alone_and_reports_to_nobody(executor: Ray) -> None:
    from ray._common.usage.usage_lib import usage_stats_enabled

    (node,) = executor.ray.nodes()
    assert node["NodeManagerAddress"] == "127.0.0.1"
    assert executor.ray.get_runtime_context().gcs_address.startswith("127.0.0.1:")
    assert not usage_stats_enabled() and os.environ["RAY_AUTH_MODE"] == "token"


def doing(data: Dataset, work: Callable[[list[Any], Fleet, int], Any]) -> Ray:
    """An executor whose workers do something else than training; joins the Ray that runs."""
    return Ray(data, fleets_at_once=2, work=work)


def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(executor: Ray, data: Dataset, tmp_path: Path) -> None:
    def dies_at_first(parts: list[Any], fleet: Fleet, threads: int) -> list[str]:
        met = tmp_path / fleet[0].tasks[0]
        if fleet[0].tasks[0] == "death" and not met.exists():
            met.touch()
            os._exit(1)
        return [trial.label for trial in fleet]

    with doing(data, dies_at_first) as other:
        ended = [name for names in other.run(iter(singly(data, "death", "sepsis", "stay")), print) for name in names]
    assert (tmp_path / "death").exists()
    assert sorted(ended) == ["death", "sepsis", "stay"]
    assert executor.ray.is_initialized()


def test_a_fleet_that_always_kills_its_worker_is_named_after_the_others_ended(
    executor: Ray, data: Dataset, tmp_path: Path
) -> None:
    def dies(parts: list[Any], fleet: Fleet, threads: int) -> list[str]:
        if fleet[0].tasks[0] == "death":
            with (tmp_path / "deaths").open("a", encoding="utf-8") as stream:
                stream.write("x")
            os._exit(1)
        return [trial.label for trial in fleet]

    ended: list[str] = []
    with doing(data, dies) as other, pytest.raises(TrainingError, match="a fleet could not be trained") as caught:
        for names in other.run(iter(singly(data, "death", "sepsis", "stay", "unit")), print):
            ended += names
    assert sorted(ended) == ["sepsis", "stay", "unit"]
    assert (tmp_path / "deaths").read_text(encoding="utf-8") == "x" * ATTEMPTS
    text = str(caught.value)
    assert text.startswith("death: ") and f"died {ATTEMPTS} times (WorkerCrashedError)" in text and "--memory" in text


def test_errors_of_a_fleet_wait_for_the_others_and_many_in_a_row_end_the_run(executor: Ray, data: Dataset) -> None:
    def refuses(parts: list[Any], fleet: Fleet, threads: int) -> list[str]:
        from m3h.core.errors import TrainingError

        if fleet[0].tasks[0] != "stay":
            raise TrainingError("no room on the card", where=fleet[0].label)
        return [trial.label for trial in fleet]

    pulled = iter(singly(data, "death", "stay", "sepsis", "unit", "group", "sepsis", "stay"))
    ended: list[Sequence[Any]] = []
    with Ray(data, fleets_at_once=1, work=refuses) as other, pytest.raises(TrainingError) as caught:
        ended += other.run(pulled, print)
    assert ended == [["stay"]]
    assert [fleet[0].label for fleet in pulled] == ["sepsis", "stay"], "left after three in a row"
    assert str(caught.value).splitlines()[:2] == [
        "death, sepsis, unit and 1 more: 4 fleets could not be trained",
        "  got: no room on the card",
    ]


def test_what_is_at_work_is_stopped_when_the_run_ends_early(executor: Ray, data: Dataset, tmp_path: Path) -> None:
    def waits(parts: list[Any], fleet: Fleet, threads: int) -> list[str]:
        import time

        if fleet[0].tasks[0] == "death":
            (tmp_path / "pid").write_text(str(os.getpid()), encoding="utf-8")
            time.sleep(600)
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        return [trial.label for trial in fleet]

    with doing(data, waits) as other:
        run = other.run(iter(singly(data, "death", "sepsis")), print)
        assert next(run) == ["sepsis"]
        run.close()
    worker = int((tmp_path / "pid").read_text(encoding="utf-8"))
    deadline = time.monotonic() + 30
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(worker)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_mistakes_of_the_user_and_of_the_program_end_the_run_as_they_are(executor: Ray, data: Dataset) -> None:
    def wrong(parts: list[Any], fleet: Fleet, threads: int) -> list[str]:
        from m3h.core.errors import SettingError

        raise SettingError("another m3h", expected="this one") if fleet[0].tasks[0] == "death" else KeyError("oops")

    with doing(data, wrong) as other:
        with pytest.raises(SettingError) as caught:
            list(other.run(iter(singly(data, "death")), print))
        assert str(caught.value) == "another m3h\n  expected: this one"
        with pytest.raises(KeyError, match="oops"):
            list(other.run(iter(singly(data, "stay")), print))


def test_the_dataset_is_sent_once_and_fleets_are_pulled_when_there_is_room(executor: Ray, data: Dataset) -> None:
    class Counting:
        """Ray, counting what is put and what is sent."""

        def __init__(self, real: Any) -> None:
            self.real, self.puts = real, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def put(self, value: Any) -> Any:
            self.puts += 1
            return self.real.put(value)

    def rows(parts: list[Any], fleet: Fleet, threads: int) -> list[Any]:
        import ray

        return [type(parts[0]).__name__, len(ray.get(parts[0])["ids"]), threads]

    counting = Counting(executor.ray)
    begun: list[str] = []

    def asked() -> Iterator[Fleet]:
        for fleet in singly(data, "death", "sepsis", "stay", "unit", "group"):
            begun.append(fleet[0].label)
            yield fleet

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("m3h.experiments.cluster._ray", lambda alone: counting)
        with Ray(data, fleets_at_once=2, work=rows) as other:
            ended = 0
            for answer in other.run(asked(), print):
                assert answer == ["ObjectRef", data.samples, 1]
                ended += 1
                assert len(begun) <= ended + 1
    assert (counting.puts, ended) == (1, 5)


def test_fleets_that_do_not_fit_beside_each_other_follow_each_other(
    executor: Ray, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone(parts: list[Any], fleet: Fleet, threads: int) -> bool:
        import time

        (tmp_path / "here").mkdir()  # fails if another one is at work
        time.sleep(0.05)
        (tmp_path / "here").rmdir()
        return True

    monkeypatch.setattr(cluster, "fleet_bytes", lambda data, fleet: 1 << 60)
    with doing(data, alone) as other:
        assert list(other.run(iter(singly(data, "death", "sepsis", "stay", "unit")), print)) == [True] * 4


def test_what_travels_makes_the_dataset_again(data: Dataset) -> None:
    sent = parts(data)
    again = assembled(sent)
    assert (again.fingerprint, again.usable(), again.seed) == (data.fingerprint, data.usable(), data.seed)
    assert all(again.blocks[name].values is data.blocks[name].values for name in data.blocks)
    with pytest.raises(SettingError, match="another m3h is installed") as caught:
        assembled(sent | {"made_by": "m3h 0.0"})
    assert caught.value.expected == "m3h 0.0"


def test_no_room_is_said_before_anything_is_sent(executor: Ray, data: Dataset) -> None:
    with pytest.raises(SettingError, match="no machine of this Ray has room") as caught, Ray(data, cpus_per_fleet=4096):
        pass
    assert caught.value.expected == "4096 processors, 0 cards" and "processors" in (caught.value.got or "")
    assert executor.ray.is_initialized(), "a Ray that another started is left running"
    for wrong in ({"fleets_at_once": 0}, {"cpus_per_fleet": 0}, {"gpus_per_fleet": -1.0}):
        with pytest.raises(SettingError, match="fleets at once"):
            Ray(data, **wrong)


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "nowhere", "127.0.0.1:port"])
def test_an_address_where_nothing_answers_is_said_at_once(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # free again in a moment
    monkeypatch.setattr(cluster, "_ray", lambda alone: SimpleNamespace(is_initialized=lambda: False))
    with pytest.raises(SettingError, match="no Ray could be reached") as caught, Ray(data, form.format(port)):
        pass
    assert caught.value.where == form.format(port) and "host:port" in (caught.value.expected or "")


def test_without_ray_the_extra_is_named(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingError, match="Ray is not installed") as caught, Ray(data):
        pass
    assert "m3h[ray]" in (caught.value.next_step or "")


def test_ray_is_imported_only_by_who_asks_for_it() -> None:
    source = ast.parse(Path(cluster.__file__).read_text(encoding="utf-8"))
    names = [part.name for node in ast.walk(source) if isinstance(node, ast.Import) for part in node.names]
    names += [node.module or "" for node in ast.walk(source) if isinstance(node, ast.ImportFrom)]
    assert "m3h.training.fleet" in names and not [name for name in names if name.partition(".")[0] == "ray"]
