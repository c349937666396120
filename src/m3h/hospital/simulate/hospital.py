"""A simulated hospital from the first patient to the last file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from m3h.core.atomic import atomic_folder
from m3h.core.errors import FolderError, SettingError, nearest
from m3h.hospital.simulate.chest import VIEWS, Images, Studies, chest_tables, draw_images, draw_studies
from m3h.hospital.simulate.codes import code_tables, dictionaries
from m3h.hospital.simulate.ecg import ecg_tables
from m3h.hospital.simulate.events import chart_tables, draw_rounds, lab_tables, providers
from m3h.hospital.simulate.images import draw_chest, jpeg
from m3h.hospital.simulate.layout import RELEASES, layout
from m3h.hospital.simulate.model import read_model
from m3h.hospital.simulate.notes import note_tables
from m3h.hospital.simulate.patients import BLOCK, MOST, Block, draw, stream
from m3h.hospital.simulate.signals import read_signals
from m3h.hospital.simulate.stays import caregivers, draw_stays, stay_tables
from m3h.hospital.simulate.truth import truth
from m3h.hospital.simulate.wards import ward_tables
from m3h.hospital.simulate.writing import Tables

Progress = Callable[[float], None]
#: Charted rows of a stay, about, unless told; MIMIC-IV has some 4,300.
EVENTS = 600
#: A stay is made in one piece, which has to fit into memory.
MOST_EVENTS = 200_000


@dataclass
class Written:
    """What was written besides tables: images, radiology texts that repeat one of the same patient, rounds of blood
    tests so far (for their ids)."""

    images: int = 0
    repeated: int = 0
    rounds: int = 0


def simulate(
    folder: Path,
    *,
    patients: int,
    seed: int,
    release: str = "2.2",
    events_per_stay: int = EVENTS,
    progress: Progress = lambda share: None,
) -> dict[str, Any]:
    """Write a hospital with so many patients into ``folder``, and return what ``truth.json`` says.

    Below it are the modules hosp, icu, note, cxr, ecg (1.0: also core) in the layout of a release of MIMIC-IV: "1.0",
    "2.2" or "3.1". ``events_per_stay``: charted rows of a stay in intensive care, about; laboratory rows follow. The
    same arguments give the same bytes; the patients of a smaller hospital are the first of a larger one. Memory does
    not grow with ``patients``. Errors: SettingError for a number or release that does not fit; FolderError where the
    folder is not empty or cannot be written; nothing half-written is left.
    """
    _refuse(folder, patients, release, events_per_stay)
    model, signals = read_model(), read_signals()
    shape = layout(next(known for known in RELEASES if known == release))
    done = Written()
    with atomic_folder(folder, replace=folder.is_dir()) as fresh:
        with Tables(fresh, shape) as tables:
            for number in range(math.ceil(patients / BLOCK)):
                kept = min(BLOCK, patients - number * BLOCK)
                _write_block(draw(model, shape, seed, number), tables, fresh, events_per_stay, kept, done)
                progress((number * BLOCK + kept) / patients)
            for table, frame in dictionaries(model, signals, shape):
                tables.write(table, frame, BLOCK)
            tables.write("hosp/provider", pl.DataFrame({"provider_id": providers()}), BLOCK)
            tables.write("icu/caregiver", pl.DataFrame({"caregiver_id": caregivers()}), BLOCK)
        facts = {
            "seed": seed,
            "layout": release,
            "patients": patients,
            "events_per_stay": events_per_stay,
            "rows": tables.rows,
            "images": done.images,
            "repeated_radiology_texts": done.repeated,
        }
        content = truth(model, facts)
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        (fresh / "truth.json").write_text(text + "\n", encoding="utf-8")
    return content


def _refuse(folder: Path, patients: int, release: str, events_per_stay: int) -> None:
    if release not in RELEASES:
        raise SettingError(f'no layout "{release}"{nearest(release, RELEASES)}')
    for name, value, most in (("patients", patients, MOST), ("events per stay", events_per_stay, MOST_EVENTS)):
        if not 1 <= value <= most:
            raise SettingError(f"{value} {name}", expected=f"a number from 1 to {most}")
    if folder.is_dir() and any(folder.iterdir()):
        raise FolderError(
            "the folder is not empty",
            where=str(folder),
            expected="a new or an empty folder",
            next_step="name another folder, or remove this one yourself",
        )


def _write_block(block: Block, tables: Tables, folder: Path, events: int, kept: int, done: Written) -> None:
    signals = read_signals()
    stays = draw_stays(block)
    studies = draw_studies(block, stays)
    images = draw_images(block, studies)
    for made in (
        ward_tables(block, stays),
        code_tables(block),
        stay_tables(block, stays, signals),
        chest_tables(block, studies, images),
        note_tables(block, stays, studies, images),
        ecg_tables(block),
    ):
        for table, frame in made:
            tables.write(table, frame, kept)
            if table == "note/radiology":
                own = frame.filter(pl.col("patient") < kept)
                done.repeated += len(own) - own.select("patient", "text").n_unique()
    for frame in chart_tables(block, stays, signals, events, kept):
        tables.write("icu/chartevents", frame, kept)
    rounds = draw_rounds(block, signals, events)
    for frame in lab_tables(block, rounds, signals, done.rounds, kept):
        tables.write("hosp/labevents", frame, kept)
    done.rounds += len(rounds.time)
    done.images += _write_images(block, studies, images, folder / "cxr" / "files", kept)


def _write_images(block: Block, studies: Studies, images: Images, folder: Path, kept: int) -> int:
    names = list(block.model.findings)
    written = 0
    for number, dicom in enumerate(images.dicom):
        row = int(images.of[number])
        patient = int(studies.patient[row])
        if patient >= kept:
            continue
        subject = str(block.patients.subject[patient])
        random = stream(block.seed, "image", dicom)
        strength = np.clip(0.6 + 0.3 * studies.size[row], 0.5, 1.0)
        shown = {name: float(strength[at]) for at, name in enumerate(names) if studies.shown[row, at]}
        lateral = VIEWS[int(images.view[number])][0] not in ("AP", "PA")
        path = folder / f"p{subject[:2]}" / f"p{subject}" / f"s{studies.study[row]}" / f"{dicom}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(draw_chest(shown, lateral=lateral, random=random)))
        written += 1
    return written
