"""Claims: which process is training a trial, so that no other one starts it too.

A claim belongs to an opened ledger, which is known by its machine's name, the machine's start, the process number and
the process's start. On the same machine a claim lasts as long as its process: one that was killed loses its claims at
once. A process that cannot be looked at, as in another container, loses them when it has not shown itself for
:data:`LEASE` seconds; should it be alive after all, a trial is trained twice and the first result kept.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from m3h.core.fingerprint import fingerprint

#: Seconds for which the claims of a process that cannot be looked at hold. A fleet lasts about one minute.
LEASE = 600.0

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process: its machine (a fingerprint of the name), the machine's start, its space of process numbers, its number
    and its start. "" is what the system does not tell."""

    host: str
    boot: str
    space: str
    pid: int
    started: str


def this_process() -> Process:
    """The process that asks."""
    return Process(fingerprint(platform.node()), _boot(), _space(), os.getpid(), started(os.getpid()))


def living(process: Process, renewed: float, *, seen_by: Process, now: float) -> bool:
    """Whether a process still holds its claims, which it ``renewed`` last (both times in seconds since 1970)."""
    same = (process.host, process.space) == (seen_by.host, seen_by.space)
    if not same or not process.started or not seen_by.started:
        return abs(now - renewed) < LEASE  # a clock that was set back must not hold a claim for years
    return process.boot == seen_by.boot and started(process.pid) == process.started


def started(pid: int) -> str:
    """When a process of this machine began, in the system's own words; "" if it has ended or nothing is known."""
    if (_PROC / "self" / "stat").exists():
        try:
            fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]  # a zombie has ended
    if sys.platform == "win32":
        return ""
    asked = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def enter(connection: sqlite3.Connection, owner: int | None, me: Process) -> int:
    """Renew an owner, or enter it (anew, if it was taken for dead). Returns its number."""
    if owner is not None and renew(connection, owner):
        return owner
    entered = connection.execute(
        "INSERT INTO owner (host, boot, space, pid, started, renewed) VALUES (?, ?, ?, ?, ?, ?)",
        (*astuple(me), time.time()),
    )
    return int(entered.lastrowid or 0)


def renew(connection: sqlite3.Connection, owner: int) -> bool:
    """Show that an owner lives; False if it was taken for dead."""
    return connection.execute("UPDATE owner SET renewed = ? WHERE number = ?", (time.time(), owner)).rowcount > 0


def drop_dead(connection: sqlite3.Connection, open_here: Collection[int], me: Process) -> None:
    """Take the claims of processes that have ended, and of ledgers of this one but those ``open_here``."""
    now = time.time()
    owners = connection.execute("SELECT number, renewed, host, boot, space, pid, started FROM owner").fetchall()
    for number, renewed, *fields in owners:
        process = Process(*fields)
        if number in open_here or (process != me and living(process, renewed, seen_by=me, now=now)):
            continue
        connection.execute("DELETE FROM owner WHERE number = ?", (number,))


def take(connection: sqlite3.Connection, owner: int, trial_ids: Sequence[str]) -> list[str]:
    """Claim those that are neither finished nor another owner's, in their order."""
    free = connection.execute(
        "SELECT asked.value FROM json_each(?) AS asked"
        " WHERE NOT EXISTS (SELECT 1 FROM trial WHERE trial.id = asked.value)"
        " AND NOT EXISTS (SELECT 1 FROM claim WHERE claim.id = asked.value AND claim.owner <> ?)"
        " ORDER BY asked.key",
        (json.dumps(list(dict.fromkeys(trial_ids))), owner),
    ).fetchall()
    connection.executemany("INSERT OR IGNORE INTO claim (id, owner) VALUES (?, ?)", [(one, owner) for (one,) in free])
    return [str(one) for (one,) in free]


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _space() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""
