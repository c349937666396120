"""`m3h mimic`: a folder of MIMIC-IV in, a study out."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from m3h.core.atomic import atomic_folder
from m3h.core.errors import FolderError, SettingError
from m3h.hospital.mimic.extract import Choices, Extracted, Say, extract
from m3h.hospital.mimic.layout import Layout, find, wanted
from m3h.hospital.mimic.postgres import spool
from m3h.hospital.mimic.rows import SERIES
from m3h.hospital.mimic.study_file import Encoders, study_file

STUDY, FACTS = "study.toml", "mimic.json"


@dataclass(frozen=True)
class Made:
    """A study that was made: its file, what MIMIC it is from, what was extracted, and the modules that were not there
    (what, and what it means)."""

    study: Path
    release: str
    extracted: Extracted
    missing: tuple[str, ...]


def make_study(
    folder: Path | None,
    out: Path,
    *,
    database: str | None = None,
    notes: Path | None = None,
    cxr: Path | None = None,
    ecg: Path | None = None,
    choices: Choices | None = None,
    encoders: Encoders = "paper",
    say: Say = lambda text: None,
) -> Made:
    """Write the folder ``out``: study.toml, its tables as Parquet, and mimic.json with what was left out and why.

    ``database`` names the environment variable with the address of a PostgreSQL that holds MIMIC; ``folder`` may
    then be None. Errors: FolderError if ``out`` is there already and is not empty, or cannot be written; DataError
    for tables that are missing, damaged or of other columns.
    """
    choices = choices or Choices()
    _check(choices)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderError(
            "there is something already", where=str(out), next_step="choose another --out, or remove it first"
        )
    if folder is None and database is None:
        raise SettingError("no MIMIC is named", expected="a folder, or --database", next_step="m3h mimic --help")
    with tempfile.TemporaryDirectory(prefix="m3h-") as spooled, atomic_folder(out, replace=True) as fresh:
        read = None
        if database is not None:
            say("the database")
            read = spool(database, Path(spooled))
        layout = find(folder, notes=notes, cxr=cxr, ecg=ecg, read=read, needed=_needed(choices))
        _check_apart(out, layout)
        _check_effect(choices, layout)
        extracted = extract(layout, fresh, choices, say)
        text = study_file(extracted, choices, encoders, layout.release, layout.images)
        (fresh / STUDY).write_text(text, encoding="utf-8")
        made = Made(out / STUDY, layout.release, extracted, tuple(_missing(layout, extracted)))
        facts = {
            "release": made.release,
            "choices": asdict(choices) | {"at_hours": None if extracted.images else choices.hours},
            "encoders": encoders,
            "missing": made.missing,
            "samples": extracted.samples,
            "sources": extracted.sources,
            "counts": dict(extracted.counts),
        }
        (fresh / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return made


def _check(choices: Choices) -> None:
    if not 0 <= choices.hours < 24 * 365:
        raise SettingError(f"--at {choices.hours:g}", expected="hours after the beginning of a stay, 0 or more")


def _check_effect(choices: Choices, layout: Layout) -> None:
    """Errors: SettingError for a choice that changes nothing with these tables."""
    images = not _missing_images(layout)
    if images and choices.at_hours is not None:
        raise SettingError(
            f"--at {choices.at_hours:g} has no effect: with chest images a sample is an image, when it was taken",
            got=f"the images in {layout.images}",
            next_step="leave --at out; or, for stays in intensive care, name folders without MIMIC-CXR-JPG",
        )
    if not images and choices.single_pathology:
        raise SettingError(
            "--single-pathology has no effect: without chest images a sample is a stay in intensive care",
            got=_missing_images(layout)[0],
            next_step="leave it out, or name the folder of MIMIC-CXR-JPG with --cxr",
        )


def _needed(choices: Choices) -> list[str]:
    # the published numbers chose items by the text of their label
    labels = ("d_items", "d_labitems") if choices.profile == "haim" else ()
    return [table.name for table in wanted().values() if not table.optional or table.name in labels]


def _check_apart(out: Path, layout: Layout) -> None:
    """Errors: FolderError where the study would lie among MIMIC's own files."""
    within = {out.resolve(), *out.resolve().parents} & layout.folders()
    if within:
        raise FolderError(
            "the study would lie in a folder of MIMIC",
            where=str(out),
            got=f"the folder {sorted(within)[-1].name} holds tables or images that are read",
            expected="a folder outside of MIMIC's modules",
            next_step="choose another --out",
        )


def _missing(layout: Layout, found: Extracted) -> list[str]:
    told = []
    for name, table in SERIES.items():
        if name not in found.sources:
            told.append(f"{name}: {table} has no row of any sample's admission; the study has no source {name}")
    for table, what in (
        ("radiology", "radiology notes (MIMIC-IV-Note)"),
        ("echo", "echocardiogram notes (not public)"),
        ("ecg", "ECG machine reports (MIMIC-IV-ECG)"),
    ):
        if not layout.has(table):
            told.append(f"{what}: the study has no source {table}")
        elif table not in found.sources:
            told.append(f"{what}: no note of any sample's admission; the study has no source {table}")
    for name, signals in found.empty.items():
        if signals:
            told.append(f"{name}: no row of {', '.join(signals)}; their columns are empty")
    return told + _missing_images(layout)


def _missing_images(layout: Layout) -> list[str]:
    instead = "a sample is a stay in intensive care; thoracic_testing has no labels"
    lacking = [name for name in ("cxr_metadata", "cxr_chexpert") if not layout.has(name)]
    if len(lacking) == 2:
        return [f"chest images (MIMIC-CXR-JPG): {instead}"]
    if lacking:
        return [f"chest images: {wanted()[lacking[0]].files[0]}.csv.gz is missing; {instead}"]
    if layout.images is None:
        return [f"chest images: no folder files beside their tables; {instead}"]
    return []
