"""What a session keeps, for how long, and whom its numbers stand for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from m3h.serve.cohort import Cohort
from m3h.serve.limits import Limits
from m3h.serve.sessions import Session, Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    yield Clock()


def cohort(count: int) -> Cohort:
    names = np.array([f"s{number}" for number in range(count)])
    return Cohort("some", names, names, {}, {}, {})


def test_numbers_are_a_random_order_of_the_session_alone() -> None:
    some, one, other = cohort(200), Session("a", 0.0), Session("b", 0.0)
    numbers = one.numbers("run", some)
    assert sorted(numbers.tolist()) == list(range(1, 201))
    assert [one.row("run", some, int(number)) for number in numbers] == list(range(200))
    assert numbers.tolist() == one.numbers("run", some).tolist()
    assert numbers.tolist() != other.numbers("run", some).tolist()
    assert numbers.tolist() != sorted(numbers.tolist())
    assert [one.row("run", some, number) for number in (0, -1, 201)] == [None, None, None]


def test_another_upload_has_another_order() -> None:
    session, some = Session("a", 0.0), cohort(200)
    session.take(some)
    before = session.numbers("upload", some).tolist()
    session.take(some)
    assert session.numbers("upload", some).tolist() != before
    session.take(None)
    assert session.upload is None


def test_an_idle_session_is_forgotten(clock: Clock) -> None:
    sessions = Sessions(Limits(idle=60), clock)
    kept, left = sessions.start(), sessions.start()
    clock.now += 50
    assert sessions.find(kept.key) is kept
    clock.now += 50
    assert sessions.find(left.key) is None and sessions.find(kept.key) is kept
    assert sessions.sweep() == 1 and sessions.sweep() == 0
    sessions.end(kept)
    assert sessions.find(kept.key) is None
    assert sessions.find(None) is None and sessions.find("") is None


def test_many_strangers_do_not_push_out_who_has_sent_something(clock: Clock) -> None:
    sessions = Sessions(Limits(sessions=10), clock)
    mine = sessions.start()
    mine.take(cohort(3))
    for _ in range(100):
        clock.now += 1
        sessions.start()
    assert sessions.find(mine.key) is mine
    sessions.clear()
    assert sessions.find(mine.key) is None
