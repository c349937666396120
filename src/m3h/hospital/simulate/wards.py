"""The tables of the hospital's wards and offices: patients, admissions, moves, services, codes, cultures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from m3h.hospital.simulate.columns import (
    DAY,
    HOUR,
    MINUTE,
    NONE,
    Ints,
    chosen,
    dates,
    ids,
    minutes,
    moments,
    numbered,
    picked,
)
from m3h.hospital.simulate.events import PROVIDERS, providers
from m3h.hospital.simulate.layout import weights, words
from m3h.hospital.simulate.patients import BLOCK, CLOCK, DONOR, NEWBORN, Block, scattered
from m3h.hospital.simulate.stays import UNITS, Stays

TYPES = (
    *("EW EMER.", "OBSERVATION ADMIT", "URGENT", "SURGICAL SAME DAY ADMISSION", "ELECTIVE", "DIRECT EMER."),
    *("EU OBSERVATION", "DIRECT OBSERVATION", "AMBULATORY OBSERVATION"),
)
ENTRANCES = ("EMERGENCY ROOM", "PHYSICIAN REFERRAL", "TRANSFER FROM HOSPITAL", "WALK-IN/SELF REFERRAL")
ENDS = (
    *(("HOME", 26.0), ("HOME HEALTH CARE", 22.0), ("SKILLED NURSING FACILITY", 18.0), ("REHAB", 8.0)),
    *(("CHRONIC/LONG TERM ACUTE CARE", 5.0), ("HOSPICE", 2.0), ("AGAINST ADVICE", 1.0), ("PSYCH FACILITY", 1.0)),
    *(("ACUTE HOSPITAL", 1.0), ("OTHER FACILITY", 1.0), ("ASSISTED LIVING", 0.5), ("HEALTHCARE FACILITY", 0.3)),
)
MARITAL = ("MARRIED", "SINGLE", "WIDOWED", "DIVORCED", None)
SERVICES = ("MED", "SURG", "CMED", "NMED", "CSURG", "OMED")
WARDS = ("Medicine", "Med/Surg", "Surgery", "Cardiology", "Neurology", "Vascular")
#: Organisms of a culture, with what they resist when they resist.
ORGANISMS = (
    (80002, "ESCHERICHIA COLI", 90012, "CIPROFLOXACIN"),
    (80023, "STAPH AUREUS COAG +", 90008, "OXACILLIN"),
    (80053, "ENTEROCOCCUS SP.", 90015, "VANCOMYCIN"),
)
SPECIMENS = ((70012, "BLOOD CULTURE"), (70079, "URINE"), (70062, "SPUTUM"))


def ward_tables(block: Block, stays: Stays) -> Iterator[tuple[str, pl.DataFrame]]:
    """patients, admissions, transfers, services and microbiologyevents of a block, in no order."""
    path = block.layout.path
    yield path("patients"), _patients(block)
    yield path("admissions"), _admissions(block)
    yield path("transfers"), _transfers(block, stays)
    yield "hosp/services", _services(block)
    yield "hosp/microbiologyevents", _cultures(block)


def patient_keys(block: Block, rows: Ints, *, admission: bool = True) -> dict[str, Any]:
    """Id columns of the admissions ``rows``; without ``admission`` those of the block's patients ``rows``."""
    patient = block.admissions.patient[rows] if admission else rows
    names = {"patient": patient, "subject_id": block.patients.subject[patient]}
    return names | {"hadm_id": block.admissions.hadm[rows]} if admission else names


def _patients(block: Block) -> pl.DataFrame:
    random, known, patients = block.random("patient rows"), block.admissions, block.patients
    died = np.full(BLOCK, NONE)
    gone = known.death != NONE
    died[known.patient[gone]] = known.death[gone]
    last = np.array([known.disch[known.patient == row].max() for row in range(BLOCK)])
    later = (died == NONE) & (random.random(BLOCK) < 0.1) & ~patients.newborn
    after = last + (1 + random.random(BLOCK) * 360).astype(np.int64) * DAY
    if not block.layout.newborns:  # from version 2.0 on also what the state's records say
        died = np.where(later, after, died)
    return pl.DataFrame(
        patient_keys(block, np.arange(BLOCK), admission=False)
        | {
            "gender": picked(["M", "F"], patients.female.astype(np.int64)),
            "anchor_age": patients.age,
            "anchor_year": patients.anchor,
            "anchor_year_group": picked(block.layout.groups, patients.group),
            "dod": dates(died),
        }
    )[random.permutation(BLOCK)]


def _admissions(block: Block) -> pl.DataFrame:
    random, known, layout = block.random("admission rows"), block.admissions, block.layout
    rows = len(known.patient)
    traits = block.patients.traits[known.patient]
    died = known.death != NONE
    urgent = known.emergency != NONE
    kind = np.where(urgent, chosen(random.random(rows), (8, 4)), 2 + chosen(random.random(rows), (4, 3, 2, 1, 1, 1, 1)))
    end = np.where(random.random(rows) < 0.06, -1, chosen(random.random(rows), weights(ENDS)))
    # a clock that was wrong by some minutes
    slip = np.where(random.random(rows) < 0.05, (random.random(rows) * 180).astype(np.int64) * MINUTE, 0)
    left = known.emergency + np.maximum(minutes((known.admit - known.emergency) * 0.9), HOUR)
    table = pl.DataFrame(
        patient_keys(block, np.arange(rows))
        | {
            "admittime": moments(known.admit),
            "dischtime": moments(known.disch),
            "deathtime": moments(np.where(died, known.death + slip, NONE)),
            "admission_type": picked(TYPES, kind),
            "admit_provider_id": picked(providers(), random.integers(0, PROVIDERS, rows)),
            "admission_location": picked(ENTRANCES, np.where(urgent, 0, chosen(random.random(rows), (0, 4, 3, 1)))),
            "discharge_location": picked([*words(ENDS), "DIED"], np.where(died, len(ENDS), end)),
            "insurance": picked(words(layout.insurances), chosen(traits[:, 0], weights(layout.insurances))),
            "language": picked(words(layout.languages), chosen(traits[:, 1], weights(layout.languages))),
            "marital_status": picked(MARITAL, chosen(traits[:, 2], (43, 36, 11, 7, 3))),
            layout.race: picked(words(layout.races), chosen(traits[:, 3], weights(layout.races))),
            "edregtime": moments(known.emergency),
            "edouttime": moments(np.where(urgent, left, NONE)),
            "hospital_expire_flag": died.astype(np.int64),
        }
    )
    return table[random.permutation(rows)]


def _transfers(block: Block, stays: Stays) -> pl.DataFrame:
    """Emergency room, ward, intensive care and discharge, each a row; an emergency visit alone has no admission."""
    random, known = block.random("transfers"), block.admissions
    every = np.arange(len(known.patient))
    emergency = every[known.emergency != NONE]
    visits = np.flatnonzero(random.random(BLOCK) < 0.3)
    first = np.searchsorted(known.patient[: np.sum(known.kind < CLOCK)], visits)
    visit = known.admit[first] - (60 + random.random(len(visits)) * 200).astype(np.int64) * DAY
    patient = np.r_[known.patient[np.r_[emergency, every, stays.admission, every]], visits]
    hadm = np.r_[known.hadm[np.r_[emergency, every, stays.admission, every]], np.full(len(visits), NONE)]
    begin = np.r_[known.emergency[emergency], known.admit, stays.enter, known.disch, visit]
    end = np.r_[known.admit[emergency], known.disch, stays.leave, np.full(len(every), NONE), visit + 5 * HOUR]
    event = np.repeat([0, 1, 2, 3, 0], [len(emergency), len(every), len(stays.stay), len(every), len(visits)])
    places = [*UNITS, *WARDS, "Emergency Department"]
    room = len(places) - 1
    ward = len(UNITS) + random.integers(0, len(WARDS), len(every))
    place = np.r_[
        *(np.full(len(emergency), room), ward, stays.first, np.full(len(every), -1), np.full(len(visits), room)),
    ]
    table = pl.DataFrame(
        {
            "patient": patient,
            "subject_id": block.patients.subject[patient],
            "hadm_id": ids(hadm),
            "transfer_id": scattered(
                30_000_000, (patient + BLOCK * block.number) * 32 + numbered(patient, order=begin)
            ),
            "eventtype": picked(["ed", "admit", "transfer", "discharge"], event),
            "careunit": picked(places, place),
            "intime": moments(begin),
            "outtime": moments(end),
        }
    )
    return table[random.permutation(len(table))]


def _services(block: Block) -> pl.DataFrame:
    random, known = block.random("services"), block.admissions
    rows = np.arange(len(known.patient))
    moved = rows[random.random(len(rows)) < 0.15]
    both = np.r_[rows, moved]
    first = random.integers(0, len(SERVICES), len(rows))
    second = (first[moved] + 1) % len(SERVICES)
    length = np.maximum(known.disch - known.admit, HOUR)
    later = minutes(known.admit[moved] + random.random(len(moved)) * length[moved])
    return pl.DataFrame(
        patient_keys(block, both)
        | {
            "transfertime": moments(np.r_[known.admit + 3 * MINUTE, later]),
            "prev_service": picked(SERVICES, np.r_[np.full(len(rows), -1), first[moved]]),
            "curr_service": picked(SERVICES, np.r_[first, second]),
        }
    )[random.permutation(len(both))]


def _cultures(block: Block) -> pl.DataFrame:
    """Cultures of admissions, more of them where there is an infection; a quarter are sent without an admission."""
    random, known = block.random("cultures"), block.admissions
    able = (known.kind != NEWBORN) & (known.kind != DONOR) & (known.kind != CLOCK)
    counts = random.poisson(np.where(able, np.exp(0.3 + 0.8 * block.liability("infection")), 0.0).clip(max=12))
    rows = np.repeat(np.arange(len(counts)), counts)
    count = len(rows)
    time = minutes(known.admit[rows] + random.random(count) * (known.disch - known.admit)[rows])
    grown = random.random(count) < 1 / (1 + np.exp(1.2 - block.liability("infection")[rows]))
    resists = np.where(block.positive("antimicrobial_resistance")[rows], 0.8, 0.15) > random.random(count)
    organism = np.where(grown, random.integers(0, len(ORGANISMS), count), -1)
    specimen = random.integers(0, len(SPECIMENS), count)
    number = (known.patient[rows] + BLOCK * block.number) * 64 + numbered(known.patient[rows], order=time)
    noted = time + (24 + random.integers(0, 72, count)) * HOUR
    nothing = np.full(count, -1)
    constant = np.zeros(count, np.int64)
    table = pl.DataFrame(
        patient_keys(block, rows)
        | {
            "hadm_id": ids(np.where(random.random(count) < 0.25, NONE, known.hadm[rows])),
            "microevent_id": number,
            "micro_specimen_id": scattered(0, number),
            "order_provider_id": picked(providers(), random.integers(0, PROVIDERS, count)),
            "chartdate": moments(time // DAY * DAY),
            "charttime": moments(np.where(random.random(count) < 0.1, NONE, time)),
            "spec_itemid": np.array([code for code, _ in SPECIMENS])[specimen],
            "spec_type_desc": picked([name for _, name in SPECIMENS], specimen),
            "test_seq": constant + 1,
            "storedate": moments(noted // DAY * DAY),
            "storetime": moments(noted),
            "test_itemid": constant + 90201,
            "test_name": picked(["CULTURE, ROUTINE"], constant),
            "org_itemid": ids(np.where(grown, np.array([row[0] for row in ORGANISMS])[organism], NONE)),
            "org_name": picked([row[1] for row in ORGANISMS], organism),
            "isolate_num": ids(np.where(grown, 1, NONE)),
            "quantity": picked([], nothing),
            "ab_itemid": ids(np.where(grown, np.array([row[2] for row in ORGANISMS])[organism], NONE)),
            "ab_name": picked([row[3] for row in ORGANISMS], organism),
            "dilution_text": picked(["<=1", ">=8"], np.where(grown, resists.astype(np.int64), -1)),
            "dilution_comparison": picked(["<=        ", "=>        "], np.where(grown, resists.astype(np.int64), -1)),
            "dilution_value": picked(["1", "8"], np.where(grown, resists.astype(np.int64), -1)).cast(pl.Float64),
            "interpretation": picked(["S", "R"], np.where(grown, resists.astype(np.int64), -1)),
            "comments": picked(["NO GROWTH."], np.where(grown, -1, 0)),
        }
    )
    return table[random.permutation(count)]
