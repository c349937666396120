"""m3h predict: what a trained model says of new patients."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.cli import options as o
from m3h.core.atomic import atomic_file
from m3h.core.errors import FolderError, SettingError

if TYPE_CHECKING:
    import polars

    from m3h.dataset.dataset import Dataset

SUFFIXES = (".csv", ".parquet")


def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a saved model.", show_default=False)],
    data: Annotated[
        Path,
        typer.Option(help="Folder with the new patients' tables, named as in the study, or one samples file."),
    ],
    out: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there already.")] = False,
    weights: o.WeightsFolder = None,
    as_json: o.Json = False,
) -> None:
    """Predict every task of a trained model for new patients; labels and whole sources may be missing."""
    from m3h.api.folder import check_new
    from m3h.cli.screen import Waiting

    _check_out(out, force=force)
    with Waiting(quiet=as_json) as say:
        say("reading the new patients", None)
        check_new(run, data)
        # takes seconds to load, which nobody should wait for to hear of a mistyped name
        from m3h.api.model import M3H

        model = M3H.load(run)
        dataset = model.new_patients(data, weights=weights, progress=say)
        say("predicting", None)
        frame = model.predict(dataset)
        _write(frame, out)
    facts = _facts(dataset, model.tasks, out)
    # groups have nothing to calibrate
    answers = [task.name for task in model.parts.tasks if task.kind != "clustering"]
    facts["uncalibrated"] = [name for name in answers if name not in model.reliance]
    typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else _told(facts))


def _check_out(out: Path, *, force: bool) -> None:
    """Before any work: a place that cannot be written is told at once."""
    if out.is_dir():
        raise FolderError("a folder stands where a file should be", where=str(out), next_step="choose another place")
    if out.exists() and not force:
        raise FolderError(
            "there is a file already", where=str(out), next_step="choose another --out, or replace it with --force"
        )
    if out.suffix.lower() not in SUFFIXES:
        raise SettingError(
            "no table of this kind can be written",
            where="--out",
            got=f'a file of suffix "{out.suffix}"',
            expected=f"a file of suffix {' or '.join(SUFFIXES)}",
        )


def _write(frame: polars.DataFrame, out: Path) -> None:
    # through memory, so that a full disk is an ordinary OSError
    written = BytesIO()
    if out.suffix.lower() == ".csv":
        frame.write_csv(written)
    else:
        frame.write_parquet(written)
    with atomic_file(out) as place:
        place.write_bytes(written.getvalue())


def _facts(dataset: Dataset, tasks: tuple[str, ...], out: Path) -> dict[str, Any]:
    """Counts and names of the study; nothing of a patient."""
    return {
        "out": str(out),
        "patients": len(set(dataset.patients.tolist())),
        "samples": dataset.samples,
        "tasks": list(tasks),
        "missing_sources": list(dataset.facts["missing_sources"]),
        "absent": dict(dataset.facts["absent"]),
        "unreadable_images": sum(source["unreadable"] for source in dataset.facts["sources"].values()),
    }


def _told(facts: dict[str, Any]) -> str:
    from m3h.cli.screen import counted

    patients, samples, tasks = facts["patients"], facts["samples"], len(facts["tasks"])
    lines = [f"{counted(patients, 'patient')}, {counted(samples, 'sample')}, {counted(tasks, 'task')}: {facts['out']}"]
    if facts["uncalibrated"]:
        lines.append(f"without calibration and interval: {', '.join(facts['uncalibrated'])}")
    lines += [f"taken as absent for everybody: {name}: {hint}" for name, hint in facts["absent"].items()]
    if facts["unreadable_images"]:
        lines.append(f"{counted(facts['unreadable_images'], 'image')} could not be read and counted as absent")
    return "\n".join(lines)
