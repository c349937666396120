"""Rows of the ledger: trials as columns, written and read back exactly, each sealed against damage.

SQLite notices when its own structure is damaged, not when the bytes of a number are; the seal over a trial's columns
and scores does, and so does that of a network.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from m3h.core.fingerprint import NUMERICS, fingerprint
from m3h.study.presets import PRESETS, Preset

if TYPE_CHECKING:  # reading a ledger needs no torch
    from m3h.experiments.outcome import Outcome
    from m3h.training.trial import Trial

#: Columns of a trial but its number and its seal; ``network`` is the seal of its network, "" without one.
COLUMNS = (
    *("id", "study", "dataset", "tasks", "sources", "weights", "seed"),
    *("preset", "overrides", "preset_fingerprint", "learning_rate", "batch_size", "epochs", "update_mode"),
    *("fold", "folds", "replicate", "precision", "device"),
    *("failed", "warnings", "seconds", "finished", "m3h", "torch", "numerics", "network"),
)

Score = tuple[str, str, float | None]


class SealError(Exception):
    """A row that is not what was written."""


@dataclass(frozen=True)
class Record:
    """One trial of the ledger: its columns, and its scores as (task, metric, value), None for NaN."""

    values: Mapping[str, Any]
    scores: tuple[Score, ...]

    def several(self, column: str) -> Any:
        """What is in a column that holds JSON: tasks, sources, weights, overrides or warnings."""
        return json.loads(self.values[column])


def insert(connection: sqlite3.Connection, outcome: Outcome, study: str) -> None:
    """Write one outcome with its scores and network, unless the trial is there."""
    values = [*_described(outcome.trial, study), *_ended(outcome)]
    scores = _scores(outcome)
    places = ", ".join("?" * (len(COLUMNS) + 1))
    written = connection.execute(
        f"INSERT INTO trial ({', '.join(COLUMNS)}, seal) VALUES ({places}) ON CONFLICT (id) DO NOTHING",
        (*values, _seal(values, scores)),
    )
    if not written.rowcount:
        return
    number = written.lastrowid
    connection.executemany(
        "INSERT INTO score (trial, place, task, metric, value) VALUES (?, ?, ?, ?, ?)",
        [(number, place, *score) for place, score in enumerate(scores)],
    )
    if outcome.network is not None:
        connection.execute("INSERT INTO network (trial, content) VALUES (?, ?)", (number, outcome.network))


def select(connection: sqlite3.Connection, where: str, parameters: Sequence[object], limit: int = -1) -> list[Record]:
    """The trials for which the SQL condition ``where`` holds, newest first, at most ``limit`` (-1: all of them).

    Errors: SealError for a row that is not what was written.
    """
    chosen = f"FROM trial WHERE {where} ORDER BY number DESC LIMIT ?"
    given = (*parameters, limit)
    connection.execute("BEGIN")  # both questions are about the same state
    try:
        rows = connection.execute(f"SELECT number, seal, {', '.join(COLUMNS)} {chosen}", given).fetchall()
        numbers = json.dumps([row[0] for row in rows])
        found = connection.execute(
            "SELECT trial, task, metric, value FROM score WHERE trial IN (SELECT value FROM json_each(?))"
            " ORDER BY trial, place",
            (numbers,),
        ).fetchall()
    finally:
        if connection.in_transaction:  # damage may have ended it
            connection.execute("ROLLBACK")
    scores: dict[int, list[Score]] = {row[0]: [] for row in rows}
    for number, *score in found:
        scores[number].append((score[0], score[1], score[2]))
    return [_record(seal, values, scores[number]) for number, seal, *values in rows]


def network(connection: sqlite3.Connection, trial_id: str) -> bytes | None:
    """The network of a trial. Errors: SealError if it is not what was written."""
    records = select(connection, "id = ?", [trial_id])
    if not records or not records[0].values["network"]:
        return None
    row = connection.execute(
        "SELECT content FROM network WHERE trial = (SELECT number FROM trial WHERE id = ?)", (trial_id,)
    ).fetchone()
    if row is None or _network_seal(row[0]) != records[0].values["network"]:
        raise SealError
    return bytes(row[0])


def outcome_scores(record: Record) -> dict[str, dict[str, float]]:
    """The scores as an outcome has them: task -> metric -> value, NaN where there is none."""
    scores: dict[str, dict[str, float]] = {}
    for task, metric, value in record.scores:
        scores.setdefault(task, {})[metric] = math.nan if value is None else value
    return scores


@functools.cache
def described(preset: Preset) -> tuple[str, str, str]:
    """The registered preset that ``preset`` is nearest to, the fields in which it differs as JSON, its fingerprint."""
    mine = asdict(preset)
    differing = {
        name: {key: value for key, value in mine.items() if value != getattr(known, key)}
        for name, known in PRESETS.items()
    }
    name = min(differing, key=lambda name: len(differing[name]))
    return name, _json(differing[name]), fingerprint(preset)


@functools.cache
def versions() -> tuple[str, str, int]:
    """Versions of m3h, torch and the numerics."""
    return version("m3h"), version("torch"), NUMERICS


def _described(trial: Trial, study: str) -> list[Any]:
    """The columns that say what was trained."""
    return [
        *(trial.id, study, trial.dataset, _json(trial.tasks), _json(trial.sources), _json(trial.weights), trial.seed),
        *(*described(trial.preset), float(trial.learning_rate), trial.batch_size),
        *(trial.epochs, trial.update, trial.fold, trial.folds, trial.replicate, trial.precision, trial.device),
    ]


def _ended(outcome: Outcome) -> list[Any]:
    """The columns that say how it ended, with which versions, and what its network is."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    network = "" if outcome.network is None else _network_seal(outcome.network)
    return [outcome.failed, _json(outcome.warnings), float(outcome.seconds), now, *versions(), network]


def _scores(outcome: Outcome) -> list[Score]:
    if empty := [task for task, metrics in outcome.scores.items() if not metrics]:
        raise ValueError(f"{len(empty)} tasks of an outcome have no metric")
    return [
        # SQLite keeps no sign of a zero
        (task, metric, None if math.isnan(value) else float(value) + 0.0)
        for task, metrics in outcome.scores.items()
        for metric, value in metrics.items()
    ]


def _record(seal: str, values: Sequence[Any], scores: Sequence[Score]) -> Record:
    try:
        whole = _seal(values, scores) == seal
    except TypeError:  # a text that came back as bytes
        whole = False
    if not whole:
        raise SealError
    return Record(dict(zip(COLUMNS, values, strict=True)), tuple(scores))


def _seal(values: Sequence[Any], scores: Sequence[Score]) -> str:
    return hashlib.sha256(_json([values, scores]).encode()).hexdigest()[:32]


def _network_seal(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
