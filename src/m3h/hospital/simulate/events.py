"""The two large tables: chartevents and labevents. They come in pieces of bounded size, whatever a stay holds."""

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
    ids,
    minutes,
    moments,
    picked,
    weighted,
    written,
)
from m3h.hospital.simulate.patients import BLOCK, NORMAL, Block
from m3h.hospital.simulate.signals import GROUPS, Items, Signals
from m3h.hospital.simulate.stays import Stays, keys

#: Rows of a piece, about.
PIECE = 100_000
#: Of the events of a stay that the user asks for, so many more come from the laboratory, in and outside of admissions:
#: MIMIC-IV has 0.38 laboratory rows for each charted one, half of them without an admission.
INSIDE = OUTSIDE = 0.15
PROVIDERS = 400
#: Shares of rows with a value that cannot be, and of rows whose number is missing.
IMPOSSIBLE, MISSING = 0.002, 0.004


@dataclass(frozen=True)
class Rounds:
    """Moments at which blood is taken: of a patient (row of the block), in an admission (row; -1 = none)."""

    patient: Ints
    admission: Ints
    time: Ints


def pieces(sizes: Floats, kept: Bools) -> Iterator[Ints]:
    """Rows in pieces of about PIECE by their ``sizes``; a piece without a kept row is left out."""
    number = np.floor((np.cumsum(sizes) - sizes) / PIECE)
    for piece in np.unique(number):
        rows = np.flatnonzero(number == piece)
        if kept[rows].any():
            yield rows


def chart_tables(block: Block, stays: Stays, signals: Signals, per_stay: int, kept: int) -> Iterator[pl.DataFrame]:
    """chartevents of the first ``kept`` patients, about ``per_stay`` rows a stay, more in a longer one."""
    if not len(stays.stay):
        return
    days = (stays.leave - stays.enter) / DAY
    counts = np.rint(per_stay * (0.5 + 0.5 * np.minimum(days / 4, 2))).astype(np.int64)
    patient = block.admissions.patient[stays.admission]
    for rows in pieces(counts.astype(float), patient < kept):
        yield _charts(block, stays, signals.charts, rows, counts[rows])


def _charts(block: Block, stays: Stays, items: Items, stay: Ints, counts: Ints) -> pl.DataFrame:
    random = block.random("charts", int(stay[0]))
    rows = np.repeat(stay, counts)
    item = chosen(random.random(len(rows)), items.frequency.tolist())
    passed = random.random(len(rows))
    time = minutes(stays.enter[rows] + passed * (stays.leave - stays.enter)[rows])
    score = weighted(block.admissions.state, items.effects)[stays.admission[rows], item]
    own = block.random("charts of a stay").standard_normal((len(stays.stay), len(items.itemid)))
    drift = block.liability("severity")[stays.admission[rows]] * items.effects[block.model.position["severity"], item]
    score = score + 0.35 * own[rows, item] + 0.4 * drift * passed + 0.5 * random.standard_normal(len(rows))
    value = np.clip(items.centre[item] + items.spread[item] * score, items.low[item], items.high[item])
    scale = 10.0 ** items.decimals[item]
    value = np.rint(value * scale) / scale
    texts, at = _texts(items)
    coded = np.where(at[item] < 0, -1, at[item] + np.nan_to_num(value).astype(np.int64) - 1)
    odd = (random.random(len(rows)) < IMPOSSIBLE) & (coded < 0)
    value = np.where(odd, np.where(random.random(len(rows)) < 0.5, value * 100, 0.0), value)
    number = np.array([table.get("number", True) for table in items.tables])[item]
    value[~number | ((random.random(len(rows)) < MISSING) & (coded < 0))] = np.nan
    numbers = floats(value)
    table = pl.DataFrame(
        keys(block, stays, rows, random)
        | {
            "charttime": moments(time),
            "storetime": moments(time + (random.random(len(rows)) * 50).astype(np.int64) * MINUTE),
            "itemid": items.itemid[item],
            "value": written(numbers).zip_with(pl.Series(values=coded < 0), picked(texts, coded)),
            "valuenum": numbers,
            "valueuom": picked([table["unit"] or None for table in items.tables], item),
            "warning": (random.random(len(rows)) < 0.02).astype(np.int64),
        }
    )
    return table[random.permutation(len(rows))]


def _texts(items: Items) -> tuple[list[str], Ints]:
    """All texts of scored items one after the other, and where an item's begin (-1: it has none)."""
    texts: list[str] = []
    at = []
    for table in items.tables:
        at.append(len(texts) if "texts" in table else -1)
        texts += table.get("texts", [])
    return texts, np.array(at)


def draw_rounds(block: Block, signals: Signals, per_stay: int) -> Rounds:
    """Half of them in admissions, from some hours before, half within a year or so around them."""
    random, known = block.random("rounds"), block.admissions
    size = signals.labs.frequency.sum()
    every = np.arange(len(known.patient))
    counts = np.maximum(np.rint(INSIDE * per_stay / size * _longer(block)), 1).astype(np.int64)
    within = np.repeat(every, counts)
    without = np.repeat(known.patient[known.kind == NORMAL], max(1, round(OUTSIDE * per_stay / size)))
    begin = known.admit - 6 * HOUR
    end = np.maximum(known.disch, known.admit + HOUR)
    inside = minutes(begin[within] + random.random(len(within)) * (end - begin)[within])
    own = [known.patient == row for row in range(BLOCK)]
    early = np.array([known.admit[rows].min() for rows in own]) - 300 * DAY
    late = np.array(
        [known.disch[rows].max() + (-1 if (known.death[rows] != NONE).any() else 150) * DAY for rows in own]
    )
    outside = minutes(early[without] + random.random(len(without)) * (late - early)[without])
    return Rounds(
        patient=np.r_[known.patient[within], without],
        admission=np.r_[within, np.full(len(without), -1)],
        time=np.r_[inside, outside],
    )


def lab_tables(block: Block, rounds: Rounds, signals: Signals, before: int, kept: int) -> Iterator[pl.DataFrame]:
    """labevents of the first ``kept`` patients. ``before``: rounds of earlier blocks, for ids that never repeat."""
    items = signals.labs
    score = weighted(np.concatenate([block.admissions.state, block.patients.calm]), items.effects)
    source = np.where(rounds.admission < 0, len(block.admissions.patient) + rounds.patient, rounds.admission)
    sizes = np.full(len(rounds.time), float(len(items.itemid)))
    for rows in pieces(sizes, rounds.patient < kept):
        part = Rounds(rounds.patient[rows], rounds.admission[rows], rounds.time[rows])
        yield _labs(block, items, part, score[source[rows]], int(rows[0]), before)


def _longer(block: Block) -> Floats:
    days = (block.admissions.disch - block.admissions.admit) / DAY
    return 0.5 + 0.5 * np.clip(days / 5, 0, 2)


def _labs(block: Block, items: Items, rounds: Rounds, score: Floats, first: int, before: int) -> pl.DataFrame:
    random = block.random("labs", first)
    rows, item = np.nonzero(_measured(block, items, rounds, random))
    count = len(rows)
    value = _values(items, item, score[rows, item], random)
    low, high = items.reference[0][item], items.reference[1][item]
    time = rounds.time[rows]
    later = (30 + 150 * random.random(count)).astype(np.int64) * MINUTE
    hadm = np.r_[block.admissions.hadm, NONE][rounds.admission[rows]]
    numbers = floats(value)
    unread = np.isnan(value)
    ordered = np.where(random.random(count) < 0.5, -1, random.integers(0, PROVIDERS, count))
    table = pl.DataFrame(
        {
            "patient": rounds.patient[rows],
            "labevent_id": (before + first) * len(items.itemid) + np.arange(count),
            "subject_id": block.patients.subject[rounds.patient[rows]],
            # the specimen of an admitted patient is not always sent under the admission
            "hadm_id": ids(np.where(random.random(count) < 0.02, NONE, hadm)),
            "specimen_id": (before + first + rows) * len(GROUPS) + items.group[item],
            "itemid": items.itemid[item],
            "order_provider_id": picked(providers(), ordered),
            "charttime": moments(time),
            "storetime": moments(np.where(random.random(count) < 0.01, NONE, time + later)),
            "value": written(numbers).zip_with(pl.Series(values=~unread), picked(["___"], np.zeros(count, np.int64))),
            "valuenum": numbers,
            "valueuom": picked([table["unit"] or None for table in items.tables], item),
            "ref_range_lower": floats(low),
            "ref_range_upper": floats(high),
            "flag": picked(["abnormal"], np.where((value < low) | (value > high), 0, -1)),
            "priority": picked(["STAT", "ROUTINE"], random.integers(0, 2, count)),
            "comments": picked(["___"], np.where(unread, 0, -1)),
        }
    )
    return table[random.permutation(count)]


def _measured(block: Block, items: Items, rounds: Rounds, random: np.random.Generator) -> Bools:
    """(round, item): what is asked for; some items only of admitted patients with a high liability."""
    measured = random.random((len(rounds.time), len(items.itemid))) < items.frequency
    for number in np.flatnonzero(items.only >= 0):
        liability = np.r_[block.admissions.state[:, items.only[number]], -np.inf]
        measured[:, number] &= liability[rounds.admission] > 0.5
    return np.asarray(measured)


def _values(items: Items, item: Ints, score: Floats, random: np.random.Generator) -> Floats:
    """Values as reported; a few that cannot be, and NaN where there is none."""
    count = len(item)
    scale = 10.0 ** items.decimals[item]
    value = items.centre[item] * np.exp(items.spread[item] * (score + 0.6 * random.standard_normal(count)))
    value = np.rint(value * scale) / scale
    odd = np.where(random.random(count) < 0.5, 999999.0, -value)
    value = np.where(random.random(count) < IMPOSSIBLE, odd, value)
    return np.where(random.random(count) < MISSING, np.nan, value)


def providers() -> list[str]:
    """All provider ids of the hospital."""
    return [f"P{number * 97 % 100_000:05d}" for number in range(1, PROVIDERS + 1)]
