"""Who trains and who is tested: splits and folds by patient, the same whatever the order of the rows."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.core.errors import DataError, SettingError
from m3h.dataset.dataset import Rows, Strings
from m3h.study.task import Task

if TYPE_CHECKING:
    from m3h.hospital.labels import RawLabels

ATTEMPTS = 100


@dataclass(frozen=True)
class Split:
    """``sides`` is "train" or "test" (sample,). ``attempts`` is how many divisions were tried; ``lacking`` names the
    tasks that do not have what they need on both sides of the one that was taken."""

    sides: Strings
    attempts: int
    lacking: tuple[str, ...]


@dataclass(frozen=True)
class _Needs:
    """What the tasks need on each side: at least ``wanted`` of a task's groups with ``least`` rows each."""

    names: tuple[str, ...]
    counts: NDArray[np.int32]  # (patient, group), rows
    task: NDArray[np.int64]  # (group,), whose group it is
    least: NDArray[np.int64]  # (group,)
    wanted: NDArray[np.int64]  # (task,)

    def met(self, test: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(task,): whether both sides have what the task needs when these patients are the test part."""
        on_test = self.counts[test].sum(axis=0)
        both = (on_test >= self.least) & (self.counts.sum(axis=0) - on_test >= self.least)
        return np.bincount(self.task[both], minlength=len(self.wanted)) >= self.wanted


def split_patients(patients: Strings, labels: Sequence[RawLabels], *, seed: int, share: float = 0.2) -> Split:
    """Divide the patients, ``share`` of them (rounded, at least one) into the test part.

    Up to 100 divisions are drawn; the first one where every task has what it needs on both sides is taken, otherwise
    the first of those that satisfy most tasks. A binary task needs positives and negatives, a multiclass task two
    classes, a regression two labels, a clustering as many rows as clusters. Depends on the patients and their labels
    as sets, not on the order of the rows. Errors: DataError for fewer than two patients, SettingError for a share
    that is not between 0 and 1.
    """
    if not 0.0 < share < 1.0:
        raise SettingError("test_share must lie between 0 and 1", got=f"{share:g}", next_step="0.2 is usual")
    unique, owner = np.unique(patients, return_inverse=True)
    if len(unique) < 2:
        raise DataError(
            f"{len(unique)} patient cannot be divided into a training and a test part",
            expected="at least two patients",
            next_step="check the patient column of [samples]",
        )
    needs = _needs(labels, owner, len(unique))
    tests = min(max(round(share * len(unique)), 1), len(unique) - 1)
    best, best_met, attempts = np.zeros(len(unique), dtype=bool), np.zeros(len(needs.names), dtype=bool), 0
    for attempt in range(ATTEMPTS):
        drawn = np.zeros(len(unique), dtype=bool)
        drawn[seeds.generator(seed, "split", attempt).permutation(len(unique))[:tests]] = True
        met, attempts = needs.met(drawn), attempt + 1
        if attempt == 0 or met.sum() > best_met.sum():
            best, best_met = drawn, met
        if best_met.all():
            break
    sides = np.where(best[owner], "test", "train")
    return Split(sides, attempts, tuple(np.array(needs.names, dtype=object)[~best_met].tolist()))


def folds(patients: Strings, rows: Rows, folds: int, seed: int) -> list[Rows]:
    """Divide ``rows`` by patient into parts of nearly equal numbers of rows; each part ascending.

    ``patients`` (sample,) are those of all samples, ``rows`` the row numbers to divide. Every row is in exactly one
    part, all rows of one patient in the same. Errors: SettingError for fewer than two folds or fewer patients than
    folds.
    """
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    unique, owner, sizes = np.unique(patients[rows], return_inverse=True, return_counts=True)
    if folds < 2 or len(unique) < folds:
        raise SettingError(
            f"{folds} folds of {len(unique)} patients",
            expected="at least 2 folds, and a patient for each",
            next_step="set folds in [protocol]",
        )
    order = seeds.generator(seed, "folds", folds).permutation(len(unique))
    order = order[np.argsort(-sizes[order], kind="stable")]
    # the patients with most rows first, each into the fold that is smallest so far
    filled = [(0, fold) for fold in range(folds)]
    part = np.zeros(len(unique), dtype=np.int64)
    for patient in order:
        size, fold = heapq.heappop(filled)
        part[patient] = fold
        heapq.heappush(filled, (size + int(sizes[patient]), fold))
    return [rows[part[owner] == fold] for fold in range(folds)]


def _needs(labels: Sequence[RawLabels], owner: NDArray[Any], patients: int) -> _Needs:
    columns: list[NDArray[np.int32]] = []
    task_of: list[int] = []
    least: list[int] = []
    wanted: list[int] = []
    for index, raw in enumerate(labels):
        groups = _groups(raw)
        for rows in groups:
            columns.append(np.bincount(owner[rows], minlength=patients).astype(np.int32))
            task_of.append(index)
            least.append(_least(raw.task))
        wanted.append(2 if raw.task.kind in ("binary", "multiclass") else 1)
    return _Needs(
        names=tuple(raw.task.name for raw in labels),
        counts=np.stack(columns, axis=1) if columns else np.zeros((patients, 0), dtype=np.int32),
        task=np.array(task_of, dtype=np.int64),
        least=np.array(least, dtype=np.int64),
        wanted=np.array(wanted, dtype=np.int64),
    )


def _least(task: Task) -> int:
    return {"regression": 2, "clustering": task.clusters}.get(task.kind, 1)


def _groups(raw: RawLabels) -> list[NDArray[np.int64]]:
    """Rows by class; for a regression or clustering all labelled rows together."""
    if raw.numbers is not None:
        known = np.flatnonzero(~np.isnan(raw.numbers))
        values: NDArray[Any] = raw.numbers[known]
    else:
        assert raw.texts is not None
        known = np.flatnonzero(np.array([text is not None for text in raw.texts], dtype=bool))
        values = raw.texts[known].astype(str)
    if raw.task.kind in ("regression", "clustering"):
        return [known]
    return [known[values == value] for value in np.unique(values)]
