"""Fleets at once: who runs beside whom, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, Protocol
from m3h.training.at_once import MOST, AtOnce, Fleet, Progress, Told, workers
from m3h.training.cost import fleet_bytes
from m3h.training.fleet import train
from m3h.training.forming import trial_shape
from m3h.training.trial import Trial, make_trial
from made import make_dataset

PRESET = replace(PRESETS["paper"], hidden=16, modality_width=16, shared_width=16, task_hidden=16, token_width=8)
PROTOCOL = Protocol(epochs=4, batch_sizes=(64,), folds=3)
SETS = ("death", "sepsis", "unit", "stay", "group")
ROOM = 1 << 40


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset(samples=160)


@pytest.fixture
def threads() -> Iterator[int]:
    """Two threads to train on, as on a machine with two cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def one(data: Dataset, *tasks: str, **more: object) -> Trial:
    return make_trial(data, tasks, preset=PRESET, protocol=PROTOCOL, **more)  # type: ignore[arg-type]


def fleets(data: Dataset) -> list[Fleet]:
    return [(one(data, name),) for name in SETS]


class Meeting:
    """Work that waits until ``count`` fleets are at it, or gives up; remembers the most that were."""

    def __init__(self, count: int) -> None:
        self.count, self.here, self.most = count, 0, 0
        self.change = threading.Condition()
        self.seen: list[int] = []

    def __call__(self, fleet: Fleet, tell: Progress, each_batch: Callable[[], None]) -> str:
        with self.change:
            self.here += 1
            self.most = max(self.most, self.here)
            self.change.notify_all()
            self.change.wait_for(lambda: self.here >= self.count, timeout=0.3)
        time.sleep(0.05)  # until the run, too, knows who is here
        each_batch()
        self.seen.append(torch.get_num_threads())
        with self.change:
            self.here -= 1
        return fleet[0].label


def test_as_many_at_once_as_there_are_threads_each_with_one(data: Dataset, threads: int) -> None:
    work, plan = Meeting(threads), fleets(data)
    ended = list(AtOnce(data, work, ROOM).run(iter(plan), lambda _: None))
    assert sorted(label for _, label in ended) == sorted(SETS)
    assert all(fleet[0].label == label for fleet, label in ended)
    assert work.most == threads
    assert 1 in work.seen and set(work.seen) <= {1, 2}
    assert torch.get_num_threads() == threads


def test_a_fleet_alone_has_all_threads(data: Dataset, threads: int) -> None:
    work = Meeting(1)
    list(AtOnce(data, work, ROOM).run(iter(fleets(data)[:1]), lambda _: None))
    assert work.seen == [threads]


def test_no_more_at_once_than_memory_has_room_for(data: Dataset, threads: int) -> None:
    plan = fleets(data)[:2]
    need = [fleet_bytes(trial_shape(data, fleet[0]), fleet[0], data.samples, 1) for fleet in plan]
    for room, most in ((sum(need), 2), (sum(need) - 1, 1), (1, 1)):
        work = Meeting(2)
        assert len(list(AtOnce(data, work, room).run(iter(plan), lambda _: None))) == 2
        assert work.most == most


def test_one_after_the_other_on_a_card(data: Dataset, threads: int) -> None:
    work = Meeting(2)
    plan = [(one(data, name, device="cuda"),) for name in SETS[:3]]
    assert len(list(AtOnce(data, work, ROOM).run(iter(plan), lambda _: None))) == 3
    assert work.most == 1
    assert (workers("cuda", 64), workers("cpu", 64), workers("cpu", 2)) == (1, MOST, 2)


def test_a_fleet_is_pulled_when_there_is_a_thread_for_it(data: Dataset, threads: int) -> None:
    pulled, ended = 0, 0

    def watched() -> Iterator[Fleet]:
        nonlocal pulled
        for fleet in fleets(data):
            pulled += 1
            yield fleet

    for _ in AtOnce(data, Meeting(2), ROOM).run(watched(), lambda _: None):
        ended += 1
        assert ended <= pulled <= ended + threads
    assert ended == len(SETS)


def test_who_fails_ends_the_run_after_those_beside_it(data: Dataset, threads: int) -> None:
    begun: list[str] = []
    both = threading.Barrier(2, timeout=10)

    def work(fleet: Fleet, tell: Progress, each_batch: Callable[[], None]) -> str:
        begun.append(fleet[0].label)
        both.wait()
        if fleet[0].label == "death":
            raise ValueError("broken")
        time.sleep(0.2)
        each_batch()
        return fleet[0].label

    ended = []
    with pytest.raises(ValueError, match="broken"):
        ended.extend(label for _, label in AtOnce(data, work, ROOM).run(iter(fleets(data)), lambda _: None))
    assert sorted(begun) == ["death", "sepsis"]
    assert ended == [] or ended == ["sepsis"]


def test_who_stops_listening_stops_the_fleets_at_their_next_batch(data: Dataset, threads: int) -> None:
    batches = 0
    first = threading.Event()

    def work(fleet: Fleet, tell: Progress, each_batch: Callable[[], None]) -> str:
        nonlocal batches
        if fleet[0].label == "death":
            first.wait(10)
            return "death"
        for _ in range(1000):
            each_batch()
            batches += 1
            first.set()
            time.sleep(0.01)
        return "never"

    running = AtOnce(data, work, ROOM).run(iter(fleets(data)[:2]), lambda _: None)
    assert next(running)[1] == "death"
    running.close()
    seen = batches
    time.sleep(0.1)
    assert 0 < batches == seen < 1000


def test_how_fleets_go_beside_each_other_changes_nothing(data: Dataset, threads: int) -> None:
    plan = [one(data, *tasks) for tasks in (("death",), ("unit", "group"), ("stay",), ("death", "sepsis", "stay"))]
    seen: list[float] = []
    beside = list(train(data, plan, progress=seen.append))
    torch.set_num_threads(1)
    alone = list(train(data, plan))
    assert [found.trial for found in beside] == [found.trial for found in alone]
    assert seen == sorted(seen) and seen[-1] == 1.0
    for mine, theirs in zip(beside, alone, strict=True):
        assert all(torch.equal(mine.state[name], value) for name, value in theirs.state.items())


def test_what_is_told_never_falls(data: Dataset) -> None:
    seen: list[float] = []
    told = Told(seen.append, total=16, done=4)
    first, second = (one(data, "death"),), (one(data, "stay"),)
    list(told.pulled([first, second]))
    told.share(0.75)
    told.ended(first)
    told.share(0.5)
    told.ended(second)
    assert seen == [10 / 16, 10 / 16, 10 / 16, 12 / 16]
    nothing: list[float] = []
    Told(nothing.append, total=0).share(0.0)
    assert nothing == [1.0]
