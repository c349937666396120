"""What one server holds: a run, its model and patients, and what to do with those of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from m3h.dataset.dataset import Dataset
from m3h.report import titles
from m3h.report.contents import Contents, read
from m3h.serve import edits
from m3h.serve.cohort import Cohort, Of, of_dataset, of_run
from m3h.serve.limits import Limits, Refusal
from m3h.serve.model import ServedModel, part
from m3h.serve.sessions import Session, Sessions
from m3h.serve.uploads import Store
from m3h.study.task import Task

TESTED = "Test patients of the run"


@dataclass(frozen=True)
class Served:
    """``contents`` are the run's tables under the names of the study, ``named`` name -> what a reader calls a task;
    ``cohort`` the patients that the server was started with, ``reference`` those to compare with, None without."""

    run: Path
    contents: Contents
    model: ServedModel
    cohort: Cohort | None
    reference: Cohort | None
    named: Mapping[str, str]
    limits: Limits = field(default_factory=Limits)
    weights: Path | None = None

    @cached_property
    def sessions(self) -> Sessions:
        """All sessions."""
        return Sessions(self.limits)

    @cached_property
    def store(self) -> Store:
        """Where uploads lie while they are read."""
        return Store()

    @cached_property
    def columns(self) -> tuple[edits.Column, ...]:
        """The columns whose values can be edited."""
        return edits.columns(self.model)

    @property
    def title(self) -> str:
        """The study's title, or its name."""
        study = self.contents.run.get("study") or {}
        return str(study.get("title") or study.get("name") or self.model.study.name)

    def task(self, name: str) -> Task:
        """A task of the model. Errors: Refusal (404) if it knows none of this name."""
        found = self.model.task(name)
        if found is None:
            raise Refusal("the model knows no such task", status=404, next_step="look at the list of tasks")
        return found

    def patients(self, session: Session, of: Of) -> Cohort:
        """The run's patients, or the session's. Errors: Refusal (404) if there are none."""
        if of == "upload":
            if session.upload is None:
                raise Refusal(
                    "no upload is kept for this session",
                    status=404,
                    next_step=f"send the tables again; they are forgotten after {self.limits.idle / 60:g} idle minutes",
                )
            return session.upload
        if self.cohort is None:
            raise Refusal(
                "the run kept no predictions of its test patients",
                status=404,
                next_step="upload tables, or start m3h serve with --data",
            )
        return self.cohort

    def row(self, session: Session, of: Of, number: int) -> tuple[Cohort, int]:
        """The patient of a session's number. Errors: Refusal (404) if there is none."""
        cohort = self.patients(session, of)
        row = session.row(of, cohort, number)
        if row is None:
            raise Refusal(
                "no patient has this number in this session", status=404, next_step="choose one from the work list"
            )
        return cohort, row


def load(run: Path, *, data: Path | None = None, weights: Path | None = None, limits: Limits | None = None) -> Served:
    """Load a run, and the tables at ``data`` if they are given: those of the run's test patients among them, or else
    all, take the place of what the run kept, and can be explained and edited.

    Errors: FolderError where the run has no model or cannot be read; those of reading new patients.
    """
    contents = read(run)
    model = ServedModel.load(run)
    kept = of_run(run, model, TESTED)
    cohort = kept
    if data is not None:
        cohort = _given(model, model.read(data, weights=weights), kept)
    return Served(run, contents, model, cohort, kept or cohort, titles.shown(contents), limits or Limits(), weights)


def _given(model: ServedModel, dataset: Dataset, kept: Cohort | None) -> Cohort:
    rows = np.arange(dataset.samples)
    tested = np.flatnonzero(np.isin(dataset.ids, kept.ids)) if kept is not None else rows[:0]
    if not len(tested):
        return of_dataset(model, part(dataset, rows), "Patients given")
    others = dataset.samples - len(tested)
    notes = [f"{others:,} samples of the tables given are no test samples of the run, and left out."] if others else []
    return of_dataset(model, part(dataset, tested), TESTED, notes)
