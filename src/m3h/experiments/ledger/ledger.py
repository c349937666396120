"""The ledger as commands use it: what is finished, what is being trained, what to write."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from m3h.core.errors import FolderError
from m3h.experiments.ledger import claims, rows, store

if TYPE_CHECKING:  # listing a ledger needs no torch
    import polars as pl

    from m3h.experiments.ledger.tables import Fold, Status
    from m3h.experiments.outcome import Outcome
    from m3h.training.trial import Trial

#: The ledgers that this process has open, and who may look at them. One that could not release its claims when it was
#: closed (a full disk) no longer holds them.
_OPEN: weakref.WeakSet[Ledger] = weakref.WeakSet()
_GATE = threading.Lock()


class Ledger:
    """The SQLite file that holds finished trials; a finished trial is never trained again.

    Any number of processes of one machine may have it open. Opening makes the file and its folders; networks in it
    hold predictions about patients, and who may read it follows from the umask. With ``writing=False`` it must be there
    and stays as it is; an empty file is a ledger without trials. ``timeout`` in seconds is how long a writer waits for
    another. Use it in the thread that opened it.

    Errors, of every method: FolderError that says what to do, where the file is damaged, no ledger, of a newer format,
    locked for longer than ``timeout``, on a network file system, or cannot be written (no permission, disk full); what
    it held before is safe then.
    """

    def __init__(self, path: Path, *, timeout: float = store.TIMEOUT, writing: bool = True) -> None:
        self.path, self.timeout = path.absolute(), timeout
        self._connection = store.connect(self.path, timeout=timeout, writing=writing)
        self._file = self.path.resolve()
        self._me = claims.this_process()
        self._owner: int | None = None
        with _GATE:
            _OPEN.add(self)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.close()
        except FolderError:
            if error is None:  # else what went wrong first is what the reader needs
                raise

    def close(self) -> None:
        """Release this ledger's claims and close the file. Closing twice is fine."""
        try:
            self.release()
        finally:
            self._owner = None
            with _GATE:
                _OPEN.discard(self)
            self._connection.close()

    def found(self, trials: Sequence[Trial]) -> dict[str, Outcome]:
        """Those of the trials that finished or failed, by id in the order asked, without their networks."""
        from m3h.experiments.outcome import Outcome

        asked = {trial.id: trial for trial in trials}
        with self._reading() as connection:
            records = rows.select(connection, "id IN (SELECT value FROM json_each(?))", [json.dumps(list(asked))])
        known = {record.values["id"]: record for record in records}
        return {
            one: Outcome(
                trial=trial,
                scores=rows.outcome_scores(known[one]),
                seconds=known[one].values["seconds"],
                failed=known[one].values["failed"],
                warnings=tuple(known[one].several("warnings")),
            )
            for one, trial in asked.items()
            if one in known
        }

    def network(self, trial_id: str) -> bytes | None:
        """The network of a trial on the whole training part; None if the trial is not there or has none."""
        with self._reading() as connection:
            return rows.network(connection, trial_id)

    def record(self, outcomes: Sequence[Outcome], *, study: str) -> None:
        """Write outcomes, all or none, and release their claims. A trial that is there keeps its first row."""
        with self._writing() as connection:
            for outcome in outcomes:
                rows.insert(connection, outcome, study)
            connection.executemany("DELETE FROM claim WHERE id = ?", [(outcome.trial.id,) for outcome in outcomes])
            if self._owner is not None:
                claims.renew(connection, self._owner)

    def claim(self, trial_ids: Sequence[str]) -> list[str]:
        """Claim the trials that are neither finished nor claimed by another living process; returns their ids.

        Asked again, what this ledger has claimed is given again. Whoever claims must record, release or close.
        """
        before = self._owner
        try:
            with self._writing() as connection:
                # known before the transaction ends: another thread may look through the owners right after it
                self._owner = owner = claims.enter(connection, self._owner, self._me)
                with _GATE:
                    open_here = {one._owner for one in _OPEN if one._owner is not None and one._file == self._file}
                claims.drop_dead(connection, {owner, *open_here}, self._me)
                return claims.take(connection, owner, trial_ids)
        except BaseException:
            self._owner = before
            raise

    def release(self) -> None:
        """Free this ledger's claims."""
        if self._owner is None:
            return
        with self._writing() as connection:
            connection.execute("DELETE FROM owner WHERE number = ?", (self._owner,))
        self._owner = None

    def counts(self, *, study: str | None = None) -> dict[str, int]:
        """How many trials are ``finished``, ``failed`` and, of all studies, ``claimed``."""
        with self._reading() as connection:
            failed, total = connection.execute(
                "SELECT count(nullif(failed, '')), count(*) FROM trial WHERE ?1 IS NULL OR study = ?1", (study,)
            ).fetchone()
            claimed = connection.execute("SELECT count(*) FROM claim").fetchone()[0]
        return {"finished": total - failed, "failed": failed, "claimed": claimed}

    def names(self) -> dict[str, tuple[str, ...]]:
        """The ``study``, ``task`` and ``preset`` names that occur in it, sorted."""
        asked = {
            "study": "SELECT DISTINCT study FROM trial",
            "task": "SELECT DISTINCT one.value FROM trial, json_each(trial.tasks) AS one",
            "preset": "SELECT DISTINCT preset FROM trial",
        }
        with self._reading() as connection:
            return {name: tuple(sorted(str(one) for (one,) in connection.execute(sql))) for name, sql in asked.items()}

    def table(
        self,
        *,
        study: str | None = None,
        task: str | None = None,
        status: Status | None = None,
        fold: Fold | None = None,
        preset: str | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame:
        """One row per trial, newest first, its scores as a list; see :data:`m3h.experiments.ledger.tables.TRIALS`.

        ``task`` is any of the set, ``fold`` a number or "final" for trainings on the whole training part.
        """
        from m3h.experiments.ledger import tables

        condition, parameters = tables.where(study=study, task=task, status=status, fold=fold, preset=preset)
        with self._reading() as connection:
            return tables.trials(rows.select(connection, condition, parameters, -1 if limit is None else limit))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with store.refusing(self.path, self.timeout):
            try:
                yield self._connection
            except rows.SealError as error:
                raise store.damaged(self.path) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with store.transaction(self._connection, self.path, self.timeout):
            yield self._connection
