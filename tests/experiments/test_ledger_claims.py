"""Claims, among several ledgers of this process and among processes that are killed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from m3h.core.errors import FolderError
from m3h.experiments.ledger import Ledger, claims
from m3h.experiments.ledger import ledger as module
from m3h.experiments.ledger.claims import LEASE, Process, living, started, this_process
from outcomes import ended, trials

#: Claims all of 240 trials in its own order, batch by batch, and records each batch; prints what it was given.
WORKER = """
import random, sys, types
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from m3h.experiments.ledger import Ledger
from m3h.study.presets import Preset
from m3h.training.trial import Trial
base = Trial("d", ("a", "b"), ("s",), (1.0, 1.0), 7, Preset(), 1e-4, 256, 15, "joint", 0)
trials = {one.id: one for one in (replace(base, replicate=number) for number in range(240))}
ids = list(trials)
random.Random(int(sys.argv[3])).shuffle(ids)
print("ready", flush=True)
sys.stdin.readline()
with Ledger(Path(sys.argv[1])) as ledger:
    for begin in range(0, len(ids), 12):
        mine = ledger.claim(ids[begin : begin + 12])
        ended = [
            types.SimpleNamespace(
                trial=trials[one], scores={"a": {"auroc": 0.5}}, seconds=1.0, failed="", warnings=(),
                network=bytes(9000),
            )
            for one in mine
        ]
        ledger.record(ended, study="made")
        for one in mine:
            print(one, flush=True)
print("done", flush=True)
"""


Starts = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(path: Path) -> Iterator[Starts]:
    """Starts processes on a ledger; those still there at the end are killed."""
    with contextlib.ExitStack() as stack:

        def one(number: int, code: str = WORKER) -> subprocess.Popen[str]:
            words = [sys.executable, "-c", code, str(path), str(Path(__file__).parents[1]), str(number)]
            worker = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(worker)
            stack.callback(worker.kill)
            assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
            return worker

        yield one


def go(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


def lines(worker: subprocess.Popen[str]) -> list[str]:
    assert worker.stdout is not None
    return worker.stdout.read().split()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def two(path: Path) -> Iterator[tuple[Ledger, Ledger]]:
    with Ledger(path) as one, Ledger(path) as other:
        yield one, other


def test_processes_that_work_at_once_share_the_trials(path: Path, start: Starts) -> None:
    workers = [start(number) for number in range(3)]
    for worker in workers:
        go(worker)
    printed = [lines(worker) for worker in workers]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert [one.pop() for one in printed] == ["done"] * 3
    taken = [one for each in printed for one in each]
    assert len(taken) == len(set(taken)) == 240
    with Ledger(path, writing=False) as ledger:
        assert set(ledger.table()["id"]) == set(taken)
        assert ledger.counts() == {"finished": 240, "failed": 0, "claimed": 0}


def test_a_killed_writer_loses_nothing_that_was_recorded(path: Path, start: Starts) -> None:
    printed: set[str] = set()
    codes = []
    for number, wait in enumerate((0.0, 0.004, 0.011, 0.023)):
        worker = start(number)
        go(worker)
        assert worker.stdout is not None
        printed.add(worker.stdout.readline().strip())
        time.sleep(wait)
        worker.send_signal(signal.SIGKILL)
        printed.update(line for line in lines(worker) if len(line) == 32)
        codes.append(worker.wait())
        with Ledger(path, writing=False) as ledger:
            there = ledger.table()
            assert printed - {"done"} <= set(there["id"])
            assert all(ledger.network(one) == bytes(9000) for one in there["id"].to_list()[:20])
    assert -signal.SIGKILL in codes
    with Ledger(path) as ledger:
        rest = ledger.claim([f"{number}" for number in range(3)] + there["id"].to_list())
        assert rest == ["0", "1", "2"]


HOLDER = """
import sys
from pathlib import Path
from m3h.experiments.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.claim(["a", "b"])
print("ready", flush=True)
sys.stdin.readline()
"""


def test_claims_of_the_dead_are_taken_over_at_once(path: Path, start: Starts) -> None:
    holder = start(0, HOLDER)
    with Ledger(path) as ledger:
        assert ledger.claim(["a", "b", "c"]) == ["c"]
        holder.send_signal(signal.SIGKILL)
        until = time.monotonic() + 10
        while started(holder.pid) and time.monotonic() < until:
            time.sleep(0.01)
        # not waited for, so the system still lists it, as a zombie
        assert ledger.claim(["b", "a"]) == ["b", "a"]
        assert ledger.counts()["claimed"] == 3


def test_a_claim_is_one_ledgers_alone_until_it_is_released(two: tuple[Ledger, Ledger]) -> None:
    one, other = two
    assert one.claim(["a", "b", "a"]) == ["a", "b"]
    assert one.claim(["b"]) == ["b"]
    assert other.claim(["b", "c"]) == ["c"]
    one.release()
    assert other.claim(["a", "b"]) == ["a", "b"]
    other.close()
    assert one.claim(["c", "b", "a"]) == ["c", "b", "a"]
    assert one.claim([]) == []


def test_recording_ends_a_claim_and_finished_trials_are_never_claimed(two: tuple[Ledger, Ledger]) -> None:
    one, other = two
    ids = [trial.id for trial in trials(3)]
    assert one.claim(ids) == ids
    one.record([ended(trials(1)[0]), ended(trials(2)[1], scores={}, failed="why")], study="made")
    assert one.counts() == {"finished": 1, "failed": 1, "claimed": 1}
    one.release()
    assert other.claim(ids) == ids[2:]


def elsewhere(ledger: Ledger) -> None:
    """Make a ledger look like one that another machine has open."""
    ledger._me = replace(ledger._me, host="another machine")
    module._OPEN.discard(ledger)


def test_a_claim_comes_back_after_its_owner_was_taken_for_dead(two: tuple[Ledger, Ledger]) -> None:
    one, other = two
    elsewhere(one)
    assert one.claim(["a"]) == ["a"]
    assert other.claim(["a"]) == []
    one._connection.execute("UPDATE owner SET renewed = renewed - ?", (LEASE + 1,))
    assert other.claim(["a"]) == ["a"]
    assert one.claim(["a", "b"]) == ["b"]
    assert other.claim(["b"]) == []


def test_recording_renews_a_lease(two: tuple[Ledger, Ledger]) -> None:
    one, other = two
    elsewhere(one)
    one.claim(["a"])
    one._connection.execute("UPDATE owner SET renewed = renewed - ?", (LEASE + 1,))
    one.record([ended(trials(1)[0])], study="made")
    assert other.claim(["a"]) == []


def test_who_lives() -> None:
    me, now = this_process(), time.time()
    assert me.started == started(me.pid) != ""

    def lives(process: Process, ago: float = 0.0) -> bool:
        return living(process, now - ago, seen_by=me, now=now)

    ended_process = subprocess.Popen([sys.executable, "-c", ""])
    ended_process.wait()
    assert lives(me, 10 * LEASE)  # this machine knows, so no lease counts
    assert not lives(replace(me, pid=ended_process.pid))
    assert not lives(replace(me, started="before"))  # another process has the number now
    assert not lives(replace(me, boot="before the machine started anew"))
    for stranger in (replace(me, host="another"), replace(me, space="a container's"), replace(me, started="")):
        assert lives(stranger, LEASE - 1) and lives(stranger, 1 - LEASE)
        assert not lives(stranger, LEASE + 1) and not lives(stranger, -LEASE - 1)


def test_no_machine_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims.platform, "node", lambda: "ward-12-pc")
    with Ledger(path) as ledger:
        ledger.claim(["a"])
        assert b"ward-12-pc" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_what_went_wrong_first_is_told(path: Path) -> None:
    with pytest.raises(ValueError, match="first"), Ledger(path, timeout=0.05) as ledger:
        ledger.claim(["a"])
        with Ledger(path) as other:
            other._connection.execute("BEGIN IMMEDIATE")
            ledger.__exit__(ValueError, ValueError("first"), None)
            other._connection.execute("ROLLBACK")
        raise ValueError("first")
    ledger = Ledger(path, timeout=0.05)
    ledger.claim(["b"])
    with Ledger(path) as other:
        other._connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(FolderError, match="locked"):
            ledger.close()
        other._connection.execute("ROLLBACK")
        assert other.counts()["claimed"] == 1
        assert other.claim(["a", "b"]) == ["a", "b"]  # whoever is closed holds nothing
    ledger.close()


def test_threads_share_the_trials(path: Path) -> None:
    ids = [str(number) for number in range(60)]
    gate = threading.Barrier(6)

    def use(number: int) -> list[str]:
        with Ledger(path) as ledger:
            mine = [one for begin in range(number, 60, 7) for one in ledger.claim(ids[begin : begin + 9])]
            gate.wait(20)
            return sorted(set(mine))

    with ThreadPoolExecutor(6) as pool:
        taken = [one for mine in pool.map(use, range(6)) for one in mine]
    assert len(taken) == len(set(taken))
    assert set(ids[5:]) <= set(taken)
