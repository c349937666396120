"""Intensive care: stays, and the tables of events around them except the charted ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from m3h.hospital.simulate.columns import (
    DAY,
    HOUR,
    MINUTE,
    NONE,
    Floats,
    Ints,
    chosen,
    floats,
    ids,
    minutes,
    moments,
    picked,
    weighted,
)
from m3h.hospital.simulate.patients import BLOCK, NORMAL, Block, scattered
from m3h.hospital.simulate.signals import Signals

UNITS = (
    *("Medical Intensive Care Unit (MICU)", "Surgical Intensive Care Unit (SICU)", "Coronary Care Unit (CCU)"),
    *("Cardiac Vascular Intensive Care Unit (CVICU)", "Neuro Surgical Intensive Care Unit (Neuro SICU)"),
    *("Trauma SICU (TSICU)", "Medical/Surgical Intensive Care Unit (MICU/SICU)"),
)
UNIT_SHARES = (4.0, 2.5, 2.0, 2.5, 0.7, 2.0, 3.0)
CAREGIVERS = 500
#: Rows of a stay count days up to this one, so that a long stay does not swell a table.
LONGEST = 20


@dataclass(frozen=True)
class Stays:
    """Stays in intensive care of a block: ``admission`` is a row of its admissions, times in seconds since 1970."""

    admission: Ints
    stay: Ints
    enter: Ints
    leave: Ints
    first: Ints
    last: Ints


def draw_stays(block: Block) -> Stays:
    """The stays of a block: none, one, two or three of an admission, one after the other."""
    random, known = block.random("stays"), block.admissions
    rows = len(known.patient)
    order = np.arange(rows) - np.searchsorted(known.patient, known.patient)
    able = (known.kind == NORMAL) & (random.random(rows) < np.where(order == 0, 0.88, 0.55))
    counts = np.where(able, 1 + chosen(random.random(rows), (0.78, 0.18, 0.04)), 0)
    of = np.repeat(np.arange(rows), counts)
    number = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = known.admit + random.random(rows) * 0.2 * (known.disch - known.admit)
    dies = known.death != NONE
    end = np.where(dies, known.death, known.disch - (0.05 + 0.5 * random.random(rows)) * (known.disch - begin))
    part = (end - begin)[of] / counts[of]
    enter = begin[of] + part * number
    final = number == counts[of] - 1
    leave = np.where(final, end[of], enter + part * (0.6 + 0.2 * random.random(len(of))))
    unit = chosen(random.random(len(of)), UNIT_SHARES)
    moved = chosen(random.random(len(of)), UNIT_SHARES)
    person = known.patient[of] + BLOCK * block.number
    return Stays(
        admission=of,
        stay=scattered(30_000_000, person * 32 + order[of] * 4 + number),
        enter=minutes(enter),
        leave=np.maximum(minutes(leave), minutes(enter) + HOUR),
        first=unit,
        last=np.where(random.random(len(of)) < 0.1, moved, unit),
    )


def stay_tables(block: Block, stays: Stays, signals: Signals) -> Iterator[tuple[str, pl.DataFrame]]:
    """icustays, procedureevents, inputevents, outputevents and datetimeevents of a block, in no order."""
    yield "icu/icustays", _icustays(block, stays)
    yield "icu/procedureevents", _procedures(block, stays, signals)
    for table, rows in (("inputevents", signals.inputs), ("outputevents", signals.outputs)):
        yield f"icu/{table}", _flows(block, stays, table, rows)
    yield "icu/datetimeevents", _flows(block, stays, "datetimeevents", signals.dates)


def keys(block: Block, stays: Stays, rows: Ints, random: np.random.Generator) -> dict[str, Any]:
    """The id columns of events in the stays ``rows``, and the row of their patient in the block."""
    admission = stays.admission[rows]
    patient = block.admissions.patient[admission]
    return {
        "patient": patient,
        "subject_id": block.patients.subject[patient],
        "hadm_id": block.admissions.hadm[admission],
        "stay_id": stays.stay[rows],
        "caregiver_id": caregivers()[random.integers(0, CAREGIVERS, len(rows))],
    }


def caregivers() -> Ints:
    """All caregiver ids of the hospital."""
    return 10_000 + np.arange(CAREGIVERS, dtype=np.int64) * 173


def _icustays(block: Block, stays: Stays) -> pl.DataFrame:
    random = block.random("icustays")
    names = keys(block, stays, np.arange(len(stays.stay)), random)
    table = pl.DataFrame(
        names
        | {
            "first_careunit": picked(UNITS, stays.first),
            "last_careunit": picked(UNITS, stays.last),
            "intime": moments(stays.enter),
            "outtime": moments(stays.leave),
            "los": ((stays.leave - stays.enter) / DAY).round(6),
        }
    )
    return table[random.permutation(len(table))]


def _procedures(block: Block, stays: Stays, signals: Signals) -> pl.DataFrame:
    """Of each procedure at most two rows a stay; a quarter of the store times carries fractions of a second."""
    random = block.random("procedures")
    chance = 1 / (1 + np.exp(-(signals.procedure_base + weighted(block.admissions.state, signals.procedure_effects))))
    drawn = random.random((len(stays.stay), len(signals.procedures), 2))
    drawn[:, :, 1] *= 4  # a second one is four times rarer
    rows, item, _ = (found.astype(np.int64) for found in np.nonzero(drawn < chance[stays.admission][:, :, None]))
    count = len(rows)
    length = (stays.leave - stays.enter)[rows]
    start = minutes(stays.enter[rows] + random.random(count) * 0.9 * length)
    span = minutes(np.maximum(random.random(count) * (stays.leave[rows] - start), 10 * MINUTE))
    units = [table["unit"] for table in signals.procedures]
    instant = np.array([unit == "None" for unit in units])[item]
    span = np.where(instant, np.where(random.random(count) < 0.5, 1, MINUTE), span)
    divisor = np.array([{"min": MINUTE, "hour": HOUR, "day": DAY, "None": 1}[unit] for unit in units])[item]
    stored = moments(start + span + (random.random(count) * HOUR).astype(np.int64))
    broken = pl.Series(values=random.random(count) < 0.25)
    whole = stored.dt.strftime("%Y-%m-%d %H:%M:%S")
    fractions = whole + "." + pl.Series(values=random.integers(1, 1000, count)).cast(pl.String).str.zfill(3)
    order = random.integers(1_000_000, 9_999_999, count)
    table = pl.DataFrame(
        keys(block, stays, rows, random)
        | {
            "starttime": moments(start),
            "endtime": moments(start + span),
            "storetime": fractions.zip_with(broken, whole),
            "itemid": np.array([table["itemid"] for table in signals.procedures])[item],
            "value": np.where(instant, 1.0, (span / divisor).round(4)),
            "valueuom": picked(units, item),
            "location": picked(["Right Arm", "Left Arm", None], random.integers(0, 3, count)),
            "locationcategory": picked(["Peripheral", None], random.integers(0, 2, count)),
            "orderid": order,
            "linkorderid": order,
            "ordercategoryname": picked([table["category"] for table in signals.procedures], item),
            "ordercategorydescription": picked(["Task", "Electrolytes"], np.zeros(count, np.int64)),
            "patientweight": _weight(block, stays, rows),
            "isopenbag": np.zeros(count, np.int64),
            "continueinnextdept": np.zeros(count, np.int64),
            "statusdescription": picked(
                ["FinishedRunning", "Stopped", "Paused"], chosen(random.random(count), (8, 2, 1))
            ),
            "originalamount": np.where(instant, 1.0, (span / divisor).round(4)),
            "originalrate": np.ones(count),
        }
    )
    return table[random.permutation(len(table))]


def _weight(block: Block, stays: Stays, rows: Ints) -> Floats:
    admission = stays.admission[rows]
    female = block.patients.female[block.admissions.patient[admission]]
    return (np.where(female, 74.0, 86.0) + 18 * block.liability("obesity")[admission]).clip(38).round(1)


def _flows(block: Block, stays: Stays, table: str, items: tuple[Mapping[str, Any], ...]) -> pl.DataFrame:
    """Events that come so many times a day; those with ``only`` where that liability is above a half."""
    random = block.random(table)
    days = np.minimum((stays.leave - stays.enter) / DAY, LONGEST)
    daily = np.array([item["daily"] for item in items])
    wanted = np.stack([_able(block, item.get("only")) for item in items], axis=1)[stays.admission]
    counts = random.poisson(days[:, None] * daily * wanted)
    rows, item = (np.repeat(found.ravel(), counts.ravel()) for found in np.indices(counts.shape))
    count = len(rows)
    time = minutes(stays.enter[rows] + random.random(count) * (stays.leave - stays.enter)[rows])
    stored = time + (random.random(count) * HOUR).astype(np.int64)
    centre = np.array([float(item.get("centre", 0.0)) for item in items])[item]
    amount = (centre * np.exp(0.4 * random.standard_normal(count))).round(2)
    order = random.integers(1_000_000, 9_999_999, count)
    units = picked([item["unit"] for item in items], item)
    both = {"itemid": np.array([item["itemid"] for item in items])[item], "storetime": moments(stored)}
    if table == "inputevents":
        more = _infusions(block, stays, rows, time, amount, random) | {
            "amountuom": units,
            "orderid": order,
            "linkorderid": order,
            "ordercategoryname": picked([item["category"] for item in items], item),
        }
    else:
        noted = minutes(time - random.random(count) * 3 * DAY)
        dated = table == "datetimeevents"
        more = {
            "charttime": moments(time),
            "value": moments(noted) if dated else floats(amount),
            "valueuom": units,
            "warning": ids(np.zeros(count, np.int64)),
        }
    frame = pl.DataFrame(keys(block, stays, rows, random) | both | more)
    return frame[random.permutation(count)]


def _able(block: Block, only: str | None) -> Floats:
    return np.ones(len(block.admissions.patient)) if only is None else (block.liability(only) > 0.5).astype(float)


def _infusions(
    block: Block, stays: Stays, rows: Ints, time: Ints, amount: Floats, random: np.random.Generator
) -> dict[str, Any]:
    count = len(rows)
    hours = np.maximum(random.random(count) * 6, 0.1).round(2)
    return {
        "starttime": moments(time),
        "endtime": moments(time + minutes(hours * HOUR)),
        "amount": floats(amount),
        "rate": floats((amount / hours).round(4)),
        "rateuom": picked(["mL/hour"], np.zeros(count, np.int64)),
        "secondaryordercategoryname": picked(["02-Fluids (Crystalloids)", None], random.integers(0, 2, count)),
        "ordercomponenttypedescription": picked(["Main order parameter"], np.zeros(count, np.int64)),
        "ordercategorydescription": picked(["Continuous Med", "Bolus"], random.integers(0, 2, count)),
        "patientweight": _weight(block, stays, rows),
        "totalamount": floats(amount),
        "totalamountuom": picked(["mL"], np.zeros(count, np.int64)),
        "isopenbag": np.zeros(count, np.int64),
        "continueinnextdept": np.zeros(count, np.int64),
        "statusdescription": picked(["FinishedRunning", "Stopped"], random.integers(0, 2, count)),
        "originalamount": floats(amount),
        "originalrate": floats((amount / hours).round(4)),
    }
