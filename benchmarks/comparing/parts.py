"""Studies opened for a comparison, and who trains and who is scored in one part of it.

A part is a dataset of its own: its training part are the rows to train on, its test part those to score, and the
other rows are gone. So every model is asked in the same words, and what is not in a part cannot be looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.core.errors import SettingError
from m3h.core.fingerprint import fingerprint
from m3h.dataset.build import build, read_study
from m3h.dataset.dataset import Dataset, Labels, Rows
from m3h.dataset.split import folds
from m3h.dataset.usable import reason_unusable
from m3h.encoders.block import Block
from m3h.hospital import indiana

#: The project's own folds, of which the first ones are used.
FOLDS = 5
BUILT_IN = "indiana"


@dataclass(frozen=True, eq=False)
class Part:
    """``data`` trains on its training part and is scored on its test part, which are ``rows`` of the whole study."""

    name: str
    data: Dataset
    rows: Rows

    @cached_property
    def content(self) -> str:
        """What models without a network follow from: the numbers themselves."""
        print_ = hashlib.sha256()
        for name, block in self.data.blocks.items():
            print_.update(name.encode() + np.ascontiguousarray(block.values).tobytes())
        for name, labels in self.data.labels.items():
            print_.update(name.encode() + labels.values[self.data.train_rows].tobytes())
        print_.update(str(self.data.seed).encode() + "\n".join(self.data.split.tolist()).encode())
        return print_.hexdigest()[:16]

    @property
    def patients(self) -> int:
        """Patients to train on."""
        return len(np.unique(self.data.patients[self.data.train_rows]))


def opened(study: str, work: Path, *, final: bool = False, tasks: Sequence[str] = ()) -> Dataset:
    """The dataset of a study file, or of the built-in study; with ``tasks``, no others of it are used. Without
    ``final`` its test rows have no labels."""
    file = indiana.write_study(work / BUILT_IN) if study == BUILT_IN else Path(study)
    data = build(read_study(file), looks=False)
    if tasks:
        wanted = data.task_set(tasks)
        labels = {n: one if n in wanted else replace(one, unusable="not asked for") for n, one in data.labels.items()}
        data = data.with_labels(labels)
    return data if final else blind(data)


def blind(data: Dataset) -> Dataset:
    """The same without a label on the test rows."""
    hidden = data.split == "test"
    return data.with_labels(
        {name: replace(one, values=np.where(hidden, np.nan, one.values)) for name, one in data.labels.items()}
    )


def labelled(data: Dataset) -> tuple[str, ...]:
    """The tasks that have an answer: all that can be used but clusterings."""
    return tuple(name for name in data.usable() if data.labels[name].task.kind != "clustering")


def fold_parts(data: Dataset, count: int) -> list[Part]:
    """The first ``count`` of the project's folds of the training part: each is scored once, by those that trained on
    the others. Errors: SettingError for more than there are."""
    if not 1 <= count <= FOLDS:
        raise SettingError("folds of a comparison", got=str(count), expected=f"1 to {FOLDS}")
    whole = data.train_rows
    found = folds(data.patients, whole, FOLDS, data.seed)
    return [part(data, np.setdiff1d(whole, rows), rows, f"fold {k}") for k, rows in enumerate(found[:count])]


def final_parts(data: Dataset) -> list[Part]:
    """Trained on the whole training part, scored on the test part."""
    return [Part("test", data, data.test_rows)]


def part(data: Dataset, train: Rows, scored: Rows, name: str) -> Part:
    """A part of a study; tasks that lack a class on either side cannot be used in it."""
    rows = np.union1d(train, scored)
    sides = np.where(np.isin(rows, scored), "test", "train")
    labels = {key: _labels(one, rows, sides) for key, one in data.labels.items()}
    ids = hashlib.sha256("\n".join(f"{i} {s}" for i, s in zip(data.ids[rows], sides, strict=True)).encode())
    made = replace(
        data,
        ids=data.ids[rows],
        patients=data.patients[rows],
        split=sides,
        blocks={key: _block(one, rows) for key, one in data.blocks.items()},
        labels=labels,
        subgroups={key: values[rows] for key, values in data.subgroups.items()},
        fingerprint=fingerprint(["part", data.fingerprint, ids.hexdigest()]),
    )
    return Part(name, made, np.sort(scored))


def fewer(one: Part, share: float, draw: int) -> Part:
    """The same part with a share of its training patients, drawn by name: those of a smaller share are among those of
    a larger one of the same draw."""
    if share >= 1:
        return one
    data = one.data
    kept = np.isin(data.patients, chosen_patients(data.patients[data.train_rows], share, data.seed, draw))
    less = part(data, np.flatnonzero(kept & (data.split == "train")), data.test_rows, f"{one.name}, {share:.0%}")
    return Part(f"{less.name}, draw {draw}", less.data, one.rows)


def chosen_patients(patients: NDArray[np.str_], share: float, seed: int, draw: int) -> NDArray[np.str_]:
    """A share of these patients, at least two, whatever their order and however many rows each has."""
    names = np.unique(patients)
    order = seeds.generator(seed, "accuracy", "fewer patients", draw).permutation(len(names))
    return names[np.sort(order[: max(2, round(share * len(names)))])]


def without(data: Dataset, source: str) -> Dataset:
    """The same with a source absent on the test part, as if it had not been there when the model was asked."""
    block = data.blocks[source]
    gone = data.split == "test"
    values = np.where(gone[:, None], np.float32(np.nan), block.values)
    absent = replace(block, values=values, present=block.present & ~gone)
    return replace(data, blocks={**data.blocks, source: absent})


def usable_everywhere(parts: Sequence[Part]) -> tuple[str, ...]:
    """Labelled tasks that every part can train and score."""
    return tuple(name for name in labelled(parts[0].data) if all(name in labelled(one.data) for one in parts))


def _labels(labels: Labels, rows: Rows, sides: NDArray[np.str_]) -> Labels:
    values = labels.values[rows]
    return replace(labels, values=values, unusable=labels.unusable or reason_unusable(labels.task, values, sides))


def _block(block: Block, rows: Rows) -> Block:
    return replace(block, values=block.values[rows], present=block.present[rows], unreadable=())
