"""Chest imaging: which studies are taken when, what they show, and MIMIC-CXR-JPG's tables about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from m3h.hospital.simulate.columns import (
    DAY,
    HOUR,
    MINUTE,
    NONE,
    Bools,
    Floats,
    Ints,
    chosen,
    floats,
    numbered,
    picked,
)
from m3h.hospital.simulate.images import SIDE
from m3h.hospital.simulate.layout import FINDINGS, LABELLERS
from m3h.hospital.simulate.patients import BLOCK, CLOCK, NORMAL, Block, scattered
from m3h.hospital.simulate.stays import Stays

#: Studies of a patient, at most.
MOST_STUDIES = 32
#: Share of a finding's liability that a study shares with its admission, as a correlation.
LASTING = 0.9
#: Shares of studies that show none, one or two of the eight classes.
NONE_ONE_TWO = (0.22, 0.6, 0.18)
#: Shares of studies without labels, of positive findings that a report leaves open, of absent ones that it denies.
UNLABELLED, OPEN, DENIED = 0.002, 0.04, 0.25
VIEWS = (
    ("AP", "antero-posterior", "CHEST (PORTABLE AP)"),
    ("PA", "postero-anterior", "CHEST (PA AND LAT)"),
    ("LATERAL", "lateral", "CHEST (PA AND LAT)"),
    ("LL", "left lateral", "CHEST (PA AND LAT)"),
)


@dataclass(frozen=True)
class Studies:
    """Chest studies of a block in order of patient and time. ``admission``: a row, -1 outside of admissions; ``time``
    in seconds; ``shown`` (study, finding) in the order of the model's findings; ``size`` the finding's liability."""

    patient: Ints
    admission: Ints
    time: Ints
    study: Ints
    shown: Bools
    size: Floats


@dataclass(frozen=True)
class Images:
    """Images of the studies: ``of`` is a row of the studies, ``view`` an index into VIEWS."""

    of: Ints
    view: Ints
    time: Ints
    dicom: tuple[str, ...]


def draw_studies(block: Block, stays: Stays) -> Studies:
    """Studies in emergency rooms before admission, in admissions, in the last two days of a life, and long before."""
    random, known = block.random("studies"), block.admissions
    rows = np.arange(len(known.patient))
    cared = np.isin(rows, stays.admission)
    able = (known.kind == NORMAL) & (random.random(len(rows)) < np.where(cared, 0.94, 0.4))
    length = known.disch - known.admit
    first = known.admit + np.minimum((2 + 12 * random.random(len(rows))) * HOUR, 0.5 * length)
    more = np.repeat(rows, np.where(able, chosen(random.random(len(rows)), (3, 4, 2, 1)), 0))
    later = first[more] + random.random(len(more)) * (known.disch[more] - first[more])
    dying = rows[able & (known.death != NONE)]
    final = np.maximum(known.death[dying] - (2 + 40 * random.random(len(dying))) * HOUR, known.admit[dying] + HOUR)
    early = rows[able & (known.emergency != NONE) & (random.random(len(rows)) < 0.5)]
    before = known.emergency[early] + HOUR * random.random(len(early))
    visits = np.flatnonzero(random.random(BLOCK) < 0.2)
    entered = known.admit[np.searchsorted(known.patient[: int((known.kind < CLOCK).sum())], visits)]
    outside = entered - (30 + 250 * random.random(len(visits))) * DAY
    patient = np.r_[known.patient[np.r_[rows[able], more, dying, early]], visits]
    admission = np.r_[rows[able], more, dying, early, np.full(len(visits), -1)]
    seconds = np.r_[first[able], later, final, before, outside].astype(np.int64)
    number = numbered(patient, order=seconds)
    order = np.lexsort((number, patient))
    kept = order[number[order] < MOST_STUDIES]
    shown, size = _shown(block, patient[kept], admission[kept], random)
    return Studies(
        patient=patient[kept],
        admission=admission[kept],
        time=seconds[kept],
        study=scattered(50_000_000, (patient[kept] + BLOCK * block.number) * MOST_STUDIES + number[kept]),
        shown=shown,
        size=size,
    )


def _shown(block: Block, patient: Ints, admission: Ints, random: np.random.Generator) -> tuple[Bools, Floats]:
    findings = list(block.model.findings.values())
    at = [block.model.position[item.name] for item in findings]
    inside = block.admissions.state[:, at][admission]
    lasting = np.where((admission >= 0)[:, None], inside, block.patients.calm[:, at][patient])
    fresh = random.standard_normal(lasting.shape)
    size = LASTING * lasting + np.sqrt(1 - LASTING**2) * fresh
    classed = np.array([item.classed for item in findings])
    wanted = chosen(random.random(len(patient)), NONE_ONE_TWO)
    rank = np.argsort(np.argsort(-np.where(classed, size, -np.inf), axis=1, kind="stable"), axis=1, kind="stable")
    others = size > np.array([item.above for item in findings])
    return np.where(classed, rank < wanted[:, None], others), size


def draw_images(block: Block, studies: Studies) -> Images:
    """A frontal image of each study, and of most upright ones a lateral one, a minute later or at the same time."""
    random = block.random("images")
    rows = len(studies.patient)
    upright = random.random(rows) < 0.4
    side = upright & (random.random(rows) < 0.8)
    of = np.r_[np.arange(rows), np.flatnonzero(side)]
    view = np.r_[upright.astype(np.int64), np.where(random.random(int(side.sum())) < 0.7, 2, 3)]
    later = np.r_[np.zeros(rows, np.int64), np.where(random.random(int(side.sum())) < 0.5, MINUTE, 0)]
    words = random.integers(0, 1 << 32, (len(of), 5))
    names = tuple("-".join(f"{word:08x}" for word in row) for row in words.tolist())
    return Images(of, view, studies.time[of] + later, names)


def chest_tables(block: Block, studies: Studies, images: Images) -> Iterator[tuple[str, pl.DataFrame]]:
    """Metadata, split and both labellers' tables of a block, in no order."""
    yield "cxr/mimic-cxr-2.0.0-metadata", _metadata(block, studies, images)
    yield "cxr/mimic-cxr-2.0.0-split", _split(block, studies, images)
    yield from zip(LABELLERS, _labels(block, studies), strict=True)


def _image_keys(block: Block, studies: Studies, images: Images) -> dict[str, object]:
    patient = studies.patient[images.of]
    return {
        "patient": patient,
        "dicom_id": list(images.dicom),
        "subject_id": block.patients.subject[patient],
        "study_id": studies.study[images.of],
    }


def _metadata(block: Block, studies: Studies, images: Images) -> pl.DataFrame:
    random, count = block.random("metadata"), len(images.of)
    moment = images.time.astype("datetime64[s]").tolist()
    parts = random.integers(0, 1000, count).tolist()
    plain = (random.random(count) < 0.5).tolist()
    clock = [f"{time:%H%M%S}.{part:03d}" for time, part in zip(moment, parts, strict=True)]
    # half of them as the number that it is: without leading zeros
    clock = [str(float(text)) if bare else text for text, bare in zip(clock, plain, strict=True)]
    blank = random.random(count) < 0.01
    words = [[view[number] for view in VIEWS] for number in range(3)]
    upright = np.where(images.view == 0, -1, 0)
    return pl.DataFrame(
        _image_keys(block, studies, images)
        | {
            "PerformedProcedureStepDescription": picked(words[2], images.view),
            "ViewPosition": picked(words[0], np.where(blank, -1, images.view)),
            "Rows": np.full(count, SIDE),
            "Columns": np.full(count, SIDE),
            "StudyDate": [int(f"{time:%Y%m%d}") for time in moment],
            "StudyTime": clock,
            "ProcedureCodeSequence_CodeMeaning": picked(words[2], images.view),
            "ViewCodeSequence_CodeMeaning": picked(words[1], images.view),
            "PatientOrientationCodeSequence_CodeMeaning": picked(["Erect"], upright),
        }
    )[random.permutation(count)]


def _split(block: Block, studies: Studies, images: Images) -> pl.DataFrame:
    random = block.random("split")
    part = chosen(random.random(BLOCK), (0.9875, 0.0077, 0.0045))[studies.patient[images.of]]
    table = pl.DataFrame(_image_keys(block, studies, images) | {"split": picked(["train", "validate", "test"], part)})
    return table[random.permutation(len(table))]


def _labels(block: Block, studies: Studies) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What two readers of the reports say: 1 shown, 0 denied, -1 left open, null not mentioned. The second differs
    from the first in one of fifty."""
    random, rows = block.random("labels"), len(studies.patient)
    names = list(block.model.findings)
    shown = np.insert(studies.shown, FINDINGS.index("No Finding"), ~studies.shown.any(axis=1), axis=1)
    assert [*names[: FINDINGS.index("No Finding")], "No Finding", *names[FINDINGS.index("No Finding") :]] == [*FINDINGS]
    absent = np.where(random.random(shown.shape) < DENIED, 0.0, np.nan)
    absent = np.where(random.random(shown.shape) < OPEN, -1.0, absent)
    first = np.where(shown, np.where(random.random(shown.shape) < OPEN, -1.0, 1.0), absent)
    first[:, FINDINGS.index("No Finding")] = np.where(shown[:, FINDINGS.index("No Finding")], 1.0, np.nan)
    second = np.where(random.random(shown.shape) < 0.02, np.nan, first)
    kept = random.random(rows) >= UNLABELLED
    keys = {
        "patient": studies.patient,
        "subject_id": block.patients.subject[studies.patient],
        "study_id": studies.study,
    }
    order = random.permutation(np.flatnonzero(kept))
    made = [
        pl.DataFrame(keys | {name: floats(values[:, number]) for number, name in enumerate(FINDINGS)})[order]
        for values in (first, second)
    ]
    return made[0], made[1]
