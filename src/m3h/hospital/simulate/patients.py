"""Patients and their admissions, drawn a block at a time.

A block holds always the same number of patients, and its stream of random numbers follows from the seed and its number
alone: what happens to a patient does not depend on how many others the hospital has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from m3h.core import seeds
from m3h.hospital.simulate.columns import DAY, HOUR, NONE, Bools, Floats, Ints, chosen, minutes, weighted
from m3h.hospital.simulate.layout import Layout
from m3h.hospital.simulate.model import DAYS, DEATH, Model

#: Patients of a block.
BLOCK = 50
#: More would need longer ids than MIMIC's.
MOST = 300_000
#: Ids are scattered by multiplication modulo this prime, so that their order says nothing of the order of drawing.
PRIME, FACTOR = 9_999_991, 3_870_697
#: Where in its block a newborn lies, and a patient with an admission that ends before it begins.
NEWBORNS, CLOCK_ERROR = (23, 48), 7
NORMAL, NEWBORN, CLOCK, DONOR = 0, 1, 2, 3
#: First year of each group of real years, and the day from which ICD-10 is used.
GROUPS = (2008, 2011, 2014, 2017, 2020)
ICD10_FROM = np.datetime64("2015-10-01")


@dataclass(frozen=True)
class Patients:
    """A block's patients; every array has ``BLOCK`` rows. ``age`` in years in the year ``anchor``; ``group`` is an
    index into GROUPS, ``real`` the real year behind the anchor; ``calm`` the liabilities outside of admissions."""

    subject: Ints
    female: Bools
    newborn: Bools
    age: Ints
    anchor: Ints
    group: Ints
    real: Ints
    calm: Floats
    traits: Floats


@dataclass(frozen=True)
class Admissions:
    """Admissions of a block; ``patient`` is a row of the block, times are seconds since 1970, NONE = not there.

    ``kind``: NORMAL, NEWBORN, CLOCK (ends before it begins) or DONOR (follows a death). ``state``: liabilities
    (admission, variable). ``has``: (admission, task), in the order of the model's tasks with a share.
    """

    patient: Ints
    hadm: Ints
    admit: Ints
    disch: Ints
    death: Ints
    emergency: Ints
    version: Ints
    kind: Ints
    state: Floats
    has: Bools


@dataclass(frozen=True)
class Block:
    """A block of patients with their admissions. ``number`` counts blocks, ``seed`` is the hospital's."""

    model: Model
    layout: Layout
    seed: int
    number: int
    patients: Patients
    admissions: Admissions

    def random(self, purpose: str, *more: str | int) -> np.random.Generator:
        """A stream of this block's own for a purpose."""
        return stream(self.seed, purpose, self.number, *more)

    def liability(self, name: str) -> Floats:
        """A variable's liability in each admission."""
        return self.admissions.state[:, self.model.position[name]]

    def positive(self, task: str) -> Bools:
        """Which admissions have the task's condition."""
        return self.admissions.has[:, shared_tasks(self.model).index(task)]


def stream(seed: int, purpose: str, *more: str | int) -> np.random.Generator:
    """The random numbers of one purpose of a simulated hospital."""
    return seeds.generator(seed, "simulate", purpose, *more)


def shared_tasks(model: Model) -> tuple[str, ...]:
    """Names of the tasks that a share of patients or admissions has."""
    return tuple(name for name, task in model.tasks.items() if task.share is not None)


def scattered(first: int, numbers: Ints) -> Ints:
    """Ids of eight digits, different for different numbers below PRIME."""
    return first + (numbers * FACTOR + 1234) % PRIME


def draw(model: Model, layout: Layout, seed: int, number: int) -> Block:
    """Block ``number`` of the hospital with this seed."""
    random = stream(seed, "patients", number)
    own = random.standard_normal((BLOCK, len(model.names)))
    patients = _patients(model, layout, number, own, random)
    counts = 1 + chosen(random.random(BLOCK), (0.6, 0.25, 0.1, 0.05))
    counts[patients.newborn] = 1
    of = np.repeat(np.arange(BLOCK), counts)
    fresh = random.standard_normal((len(of), len(model.names)))
    state = weighted(np.where(model.lasting, own[of], fresh), model.roads.T)
    last = np.r_[of[1:] != of[:-1], True]
    has = _conditions(model, patients, of, state, own, last)
    admissions = _times(model, patients, of, last, state, has, number, random)
    return Block(model, layout, seed, number, patients, _with_odd_ones(admissions, number, random))


def _patients(model: Model, layout: Layout, number: int, own: Floats, random: np.random.Generator) -> Patients:
    newborn = np.zeros(BLOCK, bool)
    if layout.newborns:
        newborn[list(NEWBORNS)] = True
    calm = weighted(np.where(model.lasting, own, 0.0), model.roads.T)
    female = random.permutation(BLOCK) % 2 == 0
    ageing = calm[:, model.position["ageing"]]
    age = np.clip(np.rint(62 + 12 * ageing + 7 * random.standard_normal(BLOCK)), 18, 99).astype(np.int64)
    group = (random.random(BLOCK) * len(layout.groups)).astype(np.int64)
    return Patients(
        subject=scattered(10_000_000, np.arange(BLOCK) + BLOCK * number),
        female=female,
        newborn=newborn,
        age=np.where(newborn, 0, np.where(age > 89, 91, age)),
        anchor=2110 + (random.random(BLOCK) * 80).astype(np.int64),
        group=group,
        real=np.array(GROUPS)[group] + (random.random(BLOCK) * 3).astype(np.int64),
        calm=calm,
        traits=random.random((BLOCK, 6)),
    )


def top(values: Floats, eligible: Bools, share: float) -> Bools:
    """The ``share`` of the eligible rows with the highest values, rounded, at least one; exact in every block."""
    count = max(1, round(share * int(eligible.sum())))
    order = np.argsort(np.where(eligible, -values, np.inf), kind="stable")
    chosen_rows = np.zeros(len(values), bool)
    chosen_rows[order[:count]] = True
    return chosen_rows & eligible


def _conditions(model: Model, patients: Patients, of: Ints, state: Floats, own: Floats, last: Bools) -> Bools:
    grown = ~patients.newborn
    lasting = weighted(own, model.roads.T)
    columns = []
    for name in shared_tasks(model):
        task, at = model.tasks[name], model.position[name]
        share = task.share or 0.0
        if name == DEATH:
            columns.append(top(state[:, at], grown[of] & last, share))
        elif task.scope == "admission":
            columns.append(top(state[:, at], grown[of], share))
        else:
            able = grown & (patients.female == (task.sex == "F")) if task.sex else grown
            # the share is of all patients, also where only one sex has it
            part = share * grown.sum() / max(int(able.sum()), 1)
            columns.append(top(lasting[:, at], able, part)[of])
    return np.stack(columns, axis=1)


def _times(
    model: Model,
    patients: Patients,
    of: Ints,
    last: Bools,
    state: Floats,
    has: Bools,
    number: int,
    random: np.random.Generator,
) -> Admissions:
    rows = len(of)
    dies = has[:, shared_tasks(model).index(DEATH)]
    days = np.clip(np.exp(1.45 + 0.55 * state[:, model.position[DAYS]]), 0.7, 60)
    days = np.where(dies, np.maximum(days * (0.4 + 0.5 * random.random(rows)), 0.6), days)
    days = np.where(patients.newborn[of], 2 + 2 * random.random(rows), days)
    gaps = 5 + np.minimum(random.exponential(150, rows), 500)
    year = patients.anchor[of].astype("U4").astype("datetime64[s]").astype(np.int64)
    start = year + random.random(rows) * 365 * DAY
    order = np.arange(rows) - np.searchsorted(of, of)
    admit = np.zeros(rows, np.int64)
    for step in range(int(order.max()) + 1):
        now = np.flatnonzero(order == step)
        after = admit[now - 1] + (days[now - 1] + gaps[now]) * DAY
        admit[now] = minutes(start[now] if step == 0 else after)
    end = minutes(admit + days * DAY)
    emergency = minutes(admit - (3 + 6 * random.random(rows)) * HOUR)
    late = minutes(end + random.random(rows) * 2 * HOUR)
    return Admissions(
        patient=of,
        hadm=scattered(20_000_000, (of + BLOCK * number) * 8 + order),
        admit=admit,
        disch=np.where(dies, late, end),
        death=np.where(dies, end, NONE),
        emergency=np.where((random.random(rows) < 0.65) & ~patients.newborn[of], emergency, NONE),
        version=_version(patients, of, admit),
        kind=np.where(patients.newborn[of], NEWBORN, NORMAL),
        state=state,
        has=has,
    )


def _version(patients: Patients, of: Ints, admit: Ints) -> Ints:
    """9 or 10 by the real day, which is as far from the real year as the admission from the anchor year."""
    anchor = patients.anchor.astype("U4").astype("datetime64[D]")[of]
    real = patients.real.astype("U4").astype("datetime64[D]")[of]
    day = real + (admit.astype("datetime64[s]").astype("datetime64[D]") - anchor)
    return np.where(day >= ICD10_FROM, 10, 9)


def _with_odd_ones(known: Admissions, number: int, random: np.random.Generator) -> Admissions:
    """As the given admissions, and two that a reader must not count: one that ends before it begins, and the account
    of an organ donor."""
    died = np.flatnonzero(known.death != NONE)[:1]
    wrong = np.flatnonzero(known.patient == CLOCK_ERROR)[:1]
    rows = np.r_[wrong, died]
    kinds = np.r_[np.full(len(wrong), CLOCK), np.full(len(died), DONOR)]
    admit = np.where(kinds == CLOCK, known.admit[rows] - 40 * DAY, known.death[rows] + 20 * 60)
    disch = np.where(kinds == CLOCK, admit - HOUR, admit + 9 * HOUR)
    return Admissions(
        patient=np.r_[known.patient, known.patient[rows]],
        hadm=np.r_[known.hadm, scattered(20_000_000, (known.patient[rows] + BLOCK * number) * 8 + 3 + kinds)],
        admit=np.r_[known.admit, admit],
        disch=np.r_[known.disch, disch],
        death=np.r_[known.death, np.where(kinds == DONOR, known.death[rows], NONE)],
        emergency=np.r_[known.emergency, np.full(len(rows), NONE)],
        version=np.r_[known.version, known.version[rows]],
        kind=np.r_[known.kind, kinds],
        state=np.r_[known.state, known.state[rows]],
        has=np.r_[known.has, np.zeros_like(known.has[rows])],
    )
