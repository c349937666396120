"""Several queries at once: what they give, and what is left when one of them fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import duckdb
import pytest

from m3h.hospital.mimic.at_once import at_once

#: Would take hours.
ENDLESS = "SELECT sum(a.range * b.range % 7) FROM range(10_000_000) a, range(10_000_000) b"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as opened:
        opened.execute("CREATE TABLE numbers AS SELECT range AS x FROM range(100)")
        yield opened


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_results_come_in_the_order_of_the_jobs_and_variables_stay_apart(
    connection: duckdb.DuckDBPyConnection, cores: int
) -> None:
    def job(number: int, cursor: duckdb.DuckDBPyConnection) -> int:
        cursor.execute(f"SET VARIABLE mine = {number}")
        time.sleep(0.02 * (4 - number))  # the last is done first
        row = cursor.execute("SELECT count(*) FROM numbers WHERE x < getvariable('mine')").fetchone()
        assert row is not None
        return int(row[0])

    told: list[tuple[str, threading.Thread]] = []
    jobs = {f"job {number}": (lambda cursor, own=number: job(own, cursor)) for number in range(4)}
    found = at_once(connection, jobs, lambda name: told.append((name, threading.current_thread())), cores)
    assert list(found.items()) == [(f"job {number}", number) for number in range(4)]
    assert told == [(name, threading.current_thread()) for name in jobs]
    assert connection.execute("SELECT getvariable('mine')").fetchone() == (None,)


def test_jobs_are_at_work_at_the_same_time(connection: duckdb.DuckDBPyConnection) -> None:
    both = threading.Barrier(2, timeout=20)
    assert at_once(connection, {"a": lambda cursor: both.wait() >= 0, "b": lambda cursor: both.wait() >= 0}, print, 2)


def test_the_first_failure_ends_the_others(connection: duckdb.DuckDBPyConnection) -> None:
    begun, ended = threading.Event(), list[str]()

    def endless(cursor: duckdb.DuckDBPyConnection) -> None:
        begun.set()
        try:
            while True:  # also between two queries
                cursor.execute(ENDLESS)
        finally:
            ended.append("endless")

    def fail(cursor: duckdb.DuckDBPyConnection) -> None:
        assert begun.wait(20)
        raise ValueError("the first")

    with pytest.raises(ValueError, match="the first"):
        at_once(connection, {"fails": fail, "endless": endless}, lambda name: None, 2)
    assert ended == ["endless"]
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
    assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (100,)


def test_of_two_failures_the_first_in_order_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    failed = threading.Event()

    def slow(cursor: duckdb.DuckDBPyConnection) -> None:
        assert failed.wait(20)
        raise ValueError("the first in order")

    def quick(cursor: duckdb.DuckDBPyConnection) -> None:
        failed.set()
        raise ValueError("the first in time")

    with pytest.raises(ValueError, match="the first in order"):
        at_once(connection, {"slow": slow, "quick": quick}, lambda name: None, 2)
