"""Several large files at once: one core unpacks one file, and the others would wait."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import duckdb

Result = TypeVar("Result")
#: What is to be done with a connection of its own to the same database.
Job = Callable[[duckdb.DuckDBPyConnection], Result]
#: Seconds between two calls for a job to stop: one that comes between two of its queries is not heard.
TICK = 0.1


def at_once(
    connection: duckdb.DuckDBPyConnection,
    jobs: Mapping[str, Job[Result]],
    say: Callable[[str], None],
    cores: int | None = None,
) -> dict[str, Result]:
    """Do all jobs, as many at once as there are cores (None: those of this machine); what each gave, in their order.

    They share the database's tables, threads and memory; variables of a connection are its own. ``say`` is told, in
    this thread, which job is waited for. Errors: that of the first job in order that fails, whichever failed first;
    by then no other is at work any more.
    """
    cursors = {name: connection.cursor() for name in jobs}
    try:
        with ThreadPoolExecutor(max(1, min(len(jobs), cores or os.cpu_count() or 1))) as pool:
            begun = {name: pool.submit(job, cursors[name]) for name, job in jobs.items()}
            try:
                return {name: _awaited(name, future, say) for name, future in begun.items()}
            except BaseException:
                _stop(begun, cursors)
                raise
    finally:
        for cursor in cursors.values():
            cursor.close()


def _awaited(name: str, future: Future[Result], say: Callable[[str], None]) -> Result:
    say(name)
    return future.result()


def _stop(begun: Mapping[str, Future[Result]], cursors: Mapping[str, duckdb.DuckDBPyConnection]) -> None:
    left = [name for name, future in begun.items() if not future.cancel()]
    while busy := [name for name in left if not begun[name].done()]:
        for name in busy:
            cursors[name].interrupt()
        wait([begun[name] for name in busy], timeout=TICK)
