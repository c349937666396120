"""Patients with what the model says of each: the run's test patients, or somebody's upload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.api.scored import answer_table
from m3h.dataset.dataset import Dataset, Strings
from m3h.report.folder import not_a_run
from m3h.serve.insight import Intervals, intervals
from m3h.serve.model import Answers, ServedModel
from m3h.study.task import Task

#: "run" are those that the server was started with, "upload" those of a session.
Of = Literal["run", "upload"]


@dataclass(frozen=True)
class Cohort:
    """Patients of one origin.

    ``ids`` and ``patients`` texts (row,); ``raw`` answers by task as the model makes them (m3h.serve.model), and
    ``answers`` calibrated, which are shown, with their ``intervals``; ``dataset`` their encoded inputs, None where the
    run kept none; ``notes`` sentences on what was left out of their tables, naming nobody.
    """

    title: str
    ids: Strings
    patients: Strings
    raw: Answers
    answers: Answers
    intervals: Intervals
    dataset: Dataset | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, task: Task, number: int = 0) -> NDArray[np.float64]:
        """The answers (row,) to a task; of several classes those of the class of this number."""
        values = self.answers[task.name]
        return values[:, number] if values.ndim == 2 else values


def of_dataset(model: ServedModel, dataset: Dataset, title: str, notes: Sequence[str] = ()) -> Cohort:
    """The patients of encoded tables. Errors: DataError if nothing is known of any of them."""
    raw = model.answers(dataset, check=True)
    told = (*_notes(dataset), *notes)
    return _cohort(model, title, dataset.ids, dataset.patients, raw, dataset, told)


def _cohort(
    model: ServedModel,
    title: str,
    ids: Strings,
    patients: Strings,
    raw: Answers,
    dataset: Dataset | None = None,
    notes: tuple[str, ...] = (),
) -> Cohort:
    answers = model.mended(raw)
    return Cohort(title, ids, patients, raw, answers, intervals(model, answers), dataset, notes)


def of_run(run: Path, model: ServedModel, title: str) -> Cohort | None:
    """The test patients of a run, from its predictions.parquet; None where the run kept none.

    Errors: FolderError where the file cannot be read or does not belong to the model.
    """
    file = run / "predictions.parquet"
    if not file.is_file():
        return None
    wanted = ["sample", "patient", "task", "class", "task_set", "role", "prediction"]
    try:
        frame = pl.read_parquet(file, columns=wanted)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise not_a_run(file, "cannot be read as a table") from error
    frame = frame.filter(pl.col("role").is_in(["best", "joint", "single"]))
    parts = {task.name: _of_task(frame, task, model, file) for task in model.tasks}
    first = next(iter(parts.values()))
    ids, patients = _texts(first[0]), _texts(first[1])
    raw = {name: values for name, (_, _, values) in parts.items()}
    if any(list(one[0]) != list(first[0]) for one in parts.values()):
        raise not_a_run(file, "does not have the same samples for every task")
    return _cohort(model, title, ids, patients, raw)


def _of_task(
    frame: pl.DataFrame, task: Task, model: ServedModel, file: Path
) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Samples, patients and answers of one task, by sample."""
    own = frame.filter((pl.col("task") == task.name) & (pl.col("task_set") == model.sets[task.name]))
    # a set may stand under several roles: the same network, said once
    own = own.filter(pl.col("role") == pl.col("role").first())
    classes = model.classes[task.name] if task.kind == "multiclass" else ("",)
    place = pl.DataFrame({"class": list(classes), "place": range(len(classes))})
    own = own.with_columns(pl.col("class").fill_null("")).join(place, on="class").sort("sample", "place")
    if own.is_empty() or len(own) % len(classes):
        raise not_a_run(file, f'does not have the answers of the model to "{task.name}"')
    samples, patients = own.gather_every(len(classes)).select("sample", "patient")
    values = own["prediction"].to_numpy().astype(np.float64).reshape(-1, len(classes))
    return samples.to_list(), patients.to_list(), values if task.kind == "multiclass" else values[:, 0]


def percentile(reference: NDArray[np.float64], value: float) -> float | None:
    """The share, 0 to 100, of a cohort's answers that are below ``value``; those equal to it count half."""
    if not len(reference):
        return None
    below, equal = int((reference < value).sum()), int((reference == value).sum())
    return 100 * (below + equal / 2) / len(reference)


def table(model: ServedModel, cohort: Cohort) -> pl.DataFrame:
    """All answers as m3h predict writes them."""
    return answer_table(cohort.ids, cohort.patients, model.tasks, model.classes, cohort.raw, model.reliance)


def _notes(dataset: Dataset) -> tuple[str, ...]:
    """What of the tables says nothing of anybody, and images that could not be read."""
    found = [f"Not known of anybody: {name} ({hint})." for name, hint in dataset.facts.get("absent", {}).items()]
    unreadable = sum(source["unreadable"] for source in dataset.facts.get("sources", {}).values())
    if unreadable:
        found.append(f"{unreadable:,} images could not be read and count as absent.")
    return tuple(found)


def _texts(values: Sequence[str]) -> Strings:
    return np.array(values, dtype=np.str_)
