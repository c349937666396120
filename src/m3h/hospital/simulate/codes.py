"""Diagnoses and procedures as they are billed, and the dictionaries that explain them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from m3h.hospital.simulate.columns import HOUR, Ints, dates, picked
from m3h.hospital.simulate.layout import Layout
from m3h.hospital.simulate.model import INFECTION, Model, Task
from m3h.hospital.simulate.patients import CLOCK, DONOR, NEWBORN, Block
from m3h.hospital.simulate.signals import GROUPS, Signals
from m3h.hospital.simulate.wards import patient_keys

#: Share of codes that are padded with blanks, and of admissions with a code of the other version.
PADDED, MIXED = 0.05, 0.01
LENGTH = 7
#: Most codes that belong to no task, of an admission.
BACKGROUND = 9
PROCEDURES = {
    9: (
        ("9671", "Continuous invasive mechanical ventilation for less than 96 consecutive hours"),
        ("3893", "Venous catheterization, not elsewhere classified"),
        ("0331", "Spinal tap"),
        ("3995", "Hemodialysis"),
    ),
    10: (
        ("5A1945Z", "Respiratory Ventilation, 24-96 Consecutive Hours"),
        ("02HV33Z", "Insertion of Infusion Device into Superior Vena Cava, Percutaneous Approach"),
        ("009U3ZX", "Drainage of Spinal Canal, Percutaneous Approach, Diagnostic"),
        ("5A1D70Z", "Performance of Urinary Filtration, Intermittent, Less than 6 Hours Per Day"),
    ),
}
CAUSES = ("severity", "hospital", "nerve", "kidney")


def code_tables(block: Block) -> Iterator[tuple[str, pl.DataFrame]]:
    """diagnoses_icd and procedures_icd of a block, in no order."""
    yield "hosp/diagnoses_icd", _diagnoses(block)
    yield "hosp/procedures_icd", _procedures(block)


def dictionaries(model: Model, signals: Signals, layout: Layout) -> Iterator[tuple[str, pl.DataFrame]]:
    """d_icd_diagnoses, d_icd_procedures, d_labitems and d_items: the same for every hospital of a layout."""
    rows = [
        (code, version, title)
        for task in (*model.tasks.values(), *model.groups.values())
        for version, codes, title in _named(task)
        for code in codes
    ]
    for version in (9, 10):
        rows += [(code, version, f"Other condition, code {code}") for code in model.background[f"icd{version}"]]
        rows += [
            (model.background[f"{kind}{version}"], version, title)
            for kind, title in (("newborn", "Single liveborn infant, born in hospital"), ("donor", "Donor of organs"))
        ]
    diagnoses = sorted(set(rows), key=lambda row: (row[1], row[0], row[2]))
    names = ["icd_code", "icd_version", "long_title"]
    yield (
        "hosp/d_icd_diagnoses",
        pl.DataFrame(diagnoses, schema=names, orient="row").unique(
            ["icd_code", "icd_version"], keep="first", maintain_order=True
        ),
    )
    performed = [(code, version, title) for version, known in PROCEDURES.items() for code, title in known]
    yield "hosp/d_icd_procedures", pl.DataFrame(performed, schema=names, orient="row")
    yield "hosp/d_labitems", _labitems(signals)
    yield "icu/d_items", _items(signals)


def _named(task: Task) -> Iterator[tuple[int, list[str], str]]:
    title = task.name.replace("_", " ").capitalize()
    for version, codes in ((9, task.icd9), (10, task.icd10)):
        yield version, [part for code in codes for part in code.split("+")], title


def _diagnoses(block: Block) -> pl.DataFrame:
    random, known, model = block.random("diagnoses"), block.admissions, block.model
    tasks = [name for name, task in model.tasks.items() if task.icd9]
    positive = np.stack([block.positive(name) for name in tasks], axis=1)
    groups = _groups(block, random)
    rows: list[tuple[int, int, str, int]] = []
    for row in range(len(known.patient)):
        version = int(known.version[row])
        found = [model.tasks[tasks[number]] for number in np.flatnonzero(positive[row])]
        found += [model.groups[name] for name in groups.get(row, ())]
        codes = [code for task in found for code in _codes(task, version, random)]
        codes += _others(block, row, version, random)
        listed = list(dict.fromkeys(codes))
        order = random.permutation(len(listed))
        rows += [(row, place + 1, listed[number], version) for place, number in enumerate(order.tolist())]
        if random.random() < MIXED:
            other = 19 - version
            rows.append((row, len(listed) + 1, str(random.choice(model.background[f"icd{other}"])), other))
    admission, sequence, code, version_of = (np.array(column) for column in zip(*rows, strict=True))
    padded = pl.Series(values=random.random(len(rows)) < PADDED)
    text = pl.Series(values=code.tolist(), dtype=pl.String)
    return pl.DataFrame(
        patient_keys(block, admission)
        | {"seq_num": sequence, "icd_code": text.str.pad_end(LENGTH).zip_with(padded, text), "icd_version": version_of}
    )[random.permutation(len(rows))]


def _codes(task: Task, version: int, random: np.random.Generator) -> list[str]:
    """One code of the condition, sometimes two; each may stand for several that go together."""
    known = task.icd9 if version == 9 else task.icd10
    count = 2 if len(known) > 1 and random.random() < 0.25 else 1
    return [part for number in random.permutation(len(known))[:count] for part in known[number].split("+")]


def _groups(block: Block, random: np.random.Generator) -> dict[int, list[str]]:
    """Which groups an admission with a hospital-acquired infection has: one, sometimes two, each about as often."""
    rows = random.permutation(np.flatnonzero(block.positive(INFECTION)))
    names = list(block.model.groups)
    found = {}
    for place, row in enumerate(rows.tolist()):
        number = (place + block.number) % len(names)
        more = [names[(number + 1) % len(names)]] if random.random() < 0.2 else []
        found[row] = [names[number], *more]
    return found


def _others(block: Block, row: int, version: int, random: np.random.Generator) -> list[str]:
    background, kind = block.model.background, int(block.admissions.kind[row])
    if kind == CLOCK:
        return []
    if kind in (NEWBORN, DONOR):
        return [background[f"{'newborn' if kind == NEWBORN else 'donor'}{version}"]]
    known = background[f"icd{version}"]
    return [known[number] for number in random.permutation(len(known))[: random.integers(2, BACKGROUND + 1)].tolist()]


def _procedures(block: Block) -> pl.DataFrame:
    random, known = block.random("procedure codes"), block.admissions
    chance = 1 / (1 + np.exp(1.5 - np.stack([block.liability(name) for name in CAUSES], axis=1)))
    chance[known.kind != 0] = 0
    rows, number = (found.astype(np.int64) for found in np.nonzero(random.random(chance.shape) < chance))
    day: Ints = known.admit[rows] + (random.random(len(rows)) * (known.disch - known.admit)[rows]).astype(np.int64)
    places = np.arange(len(rows)) - np.searchsorted(rows, rows) + 1
    codes = [code for version in (9, 10) for code, _ in PROCEDURES[version]]
    return pl.DataFrame(
        patient_keys(block, rows)
        | {
            "seq_num": places,
            "chartdate": dates(np.maximum(day, known.admit[rows] + HOUR)),
            "icd_code": picked(codes, number + np.where(known.version[rows] == 9, 0, len(PROCEDURES[9]))),
            "icd_version": known.version[rows],
        }
    )[random.permutation(len(rows))]


def _labitems(signals: Signals) -> pl.DataFrame:
    rows: list[tuple[object, ...]] = [
        (table["itemid"], table["label"], *GROUPS[table["group"]], f"{table['itemid'] % 10000}-1")
        for table in signals.labs.tables
    ]
    rows += [(table["itemid"], table["label"], "Blood", "Chemistry", None) for table in signals.unused]
    names = ["itemid", "label", "fluid", "category", "loinc_code"]
    return pl.DataFrame(rows, schema=names, orient="row").sort("itemid")


def _items(signals: Signals) -> pl.DataFrame:
    linked = [
        ("chartevents", signals.charts.tables),
        ("procedureevents", signals.procedures),
        ("inputevents", signals.inputs),
        ("outputevents", signals.outputs),
        ("datetimeevents", signals.dates),
    ]
    rows = [
        (
            table["itemid"],
            table["label"],
            table.get("abbreviation", table["label"]),
            name,
            table["category"],
            table["unit"] or None,
            "Numeric" if name == "chartevents" else "Processes",
            table.get("low"),
            table.get("high"),
        )
        for name, tables in linked
        for table in tables
    ]
    names = [
        "itemid",
        "label",
        "abbreviation",
        "linksto",
        "category",
        "unitname",
        "param_type",
        "lownormalvalue",
        "highnormalvalue",
    ]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None).sort("itemid")
