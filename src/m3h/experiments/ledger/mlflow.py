"""Export to MLflow: one run per trial in a folder's SQLite store, which ``mlflow ui`` shows.

MLflow's stores of plain files are no longer developed and refuse new data. Networks are not exported: they hold
predictions about patients.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from m3h.core.errors import FolderError, SettingError
from m3h.core.installing import extra

DATABASE = "mlflow.db"
#: The tag by which a trial's run is found again.
TRIAL = "m3h.trial"
PARAMETERS = (
    *("study", "dataset", "tasks", "sources", "preset", "overrides", "preset_fingerprint", "fold", "folds"),
    *("replicate", "learning_rate", "batch_size", "epochs", "update", "precision", "device", "seed"),
    *("m3h", "torch", "numerics"),
)
#: Switched off before MLflow is loaded: it would report its use to its makers.
SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

#: Letters of a parameter or tag that MLflow takes.
LONGEST = 4000
_PAGE = 1000


def export(table: pl.DataFrame, folder: Path, progress: Callable[[float], None] | None = None) -> tuple[int, int]:
    """Export a listing (m3h.experiments.ledger.tables) into the MLflow store in ``folder``, made if need be.

    Experiments are the studies. Trials that are there are left alone; one whose export was broken off is exported
    anew. Returns how many runs were added, and how many trials the listing has. Errors: SettingError without the
    package, FolderError if the store cannot be read or written. ``progress`` is told the share that is done: MLflow
    takes about a tenth of a second for a run.
    """
    done = _Done(len(table), progress)
    if folder.is_file():
        raise FolderError("a file stands where a folder should be", where=str(folder), next_step="choose another DIR")
    tracking, sql = _loaded()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="mlflow")  # what MLflow says of its own code, nobody here can mend
            client = tracking.MlflowClient(tracking_uri=f"sqlite:///{(folder / DATABASE).absolute()}")
            added = sum(_study(client, folder, part, done) for part in table.partition_by("study", maintain_order=True))
    except (OSError, sql.exc.SQLAlchemyError, importlib.import_module("mlflow.exceptions").MlflowException) as error:
        raise FolderError(
            f"MLflow could not write its store: {type(error).__name__}",
            where=str(folder / DATABASE),
            got=fitting(str(error).partition("\n")[0], 300),
            next_step="free space there, or choose another DIR; what was exported stays, and the same command goes on",
        ) from error
    return added, len(table)


class _Done:
    """Counts trials, and tells their share."""

    def __init__(self, total: int, progress: Callable[[float], None] | None) -> None:
        self.total, self.progress, self.number = total, progress, 0

    def more(self, number: int) -> None:
        self.number += number
        if self.progress and self.total:
            self.progress(self.number / self.total)


def _loaded() -> tuple[Any, Any]:
    os.environ |= SILENT
    try:
        tracking, sql = (importlib.import_module(name) for name in ("mlflow.tracking", "sqlalchemy"))
        importlib.import_module("alembic")
    except ImportError as error:
        raise SettingError(
            "--mlflow needs packages that are not installed", got=error.name, next_step=extra("mlflow")
        ) from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # loading it sets its own level
    return tracking, sql


def _study(client: Any, folder: Path, table: pl.DataFrame, done: _Done) -> int:
    """Export the trials of one study; returns how many were added."""
    name = table["study"][0]
    known = client.get_experiment_by_name(name)
    place = (folder / "artifacts").absolute().as_uri()
    experiment = known.experiment_id if known else client.create_experiment(name, artifact_location=place)
    there = _there(client, experiment) & set(table["id"]) if known else set()
    done.more(len(there))
    missing = table.filter(~pl.col("id").is_in(list(there))).reverse()  # in the order in which they finished
    for row in missing.iter_rows(named=True):
        _run(client, experiment, row)
        done.more(1)
    return len(missing)


def _there(client: Any, experiment: str) -> set[str]:
    """The trials whose export is complete; what is left of others is deleted."""
    found: set[str] = set()
    token = None
    broken = []
    while True:
        page = client.search_runs([experiment], max_results=_PAGE, page_token=token)
        for run in page:
            if run.info.status in ("FINISHED", "FAILED"):
                found.add(run.data.tags.get(TRIAL, ""))
            elif TRIAL in run.data.tags:
                broken.append(run.info.run_id)
        token = page.token
        if not token:
            break
    for run_id in broken:
        client.delete_run(run_id)
    return found


def _run(client: Any, experiment: str, row: dict[str, Any]) -> None:
    """One trial as a run; it is marked as ended last, so a run broken off is known."""
    entities = importlib.import_module("mlflow.entities")
    end = int(row["finished"].timestamp() * 1000)
    run = client.create_run(
        experiment,
        start_time=end - int(row["seconds"] * 1000),
        run_name=fitting(row["tasks"], 200),
        tags={
            TRIAL: row["id"],
            "m3h.failed": fitting(row["failed"], LONGEST),
            "m3h.warnings": fitting("; ".join(row["warnings"]), LONGEST),
        },
    )
    metrics = [entities.Metric("seconds", row["seconds"], end, 0)]
    for score in row["scores"]:
        value = float("nan") if score["value"] is None else score["value"]
        metrics.append(entities.Metric(f"{score['metric']}/{key(score['task'])}", value, end, 0))
    parameters = [
        entities.Param(name, fitting("final" if row[name] is None else str(row[name]), LONGEST)) for name in PARAMETERS
    ]
    client.log_batch(run.info.run_id, metrics=metrics, params=parameters)
    client.set_terminated(run.info.run_id, status="FAILED" if row["failed"] else "FINISHED", end_time=end)


def key(task: str) -> str:
    """A task's name in the letters that MLflow takes; each other one becomes its number between colons."""
    return re.sub(r"[^\w \-]", lambda letter: f":{ord(letter[0]):x}:", task)


def fitting(text: str, length: int) -> str:
    """A text of at most ``length`` letters that says how many were left out."""
    if len(text) <= length:
        return text
    kept = length - 40
    return f"{text[:kept]} ... ({len(text) - kept} letters more)"
