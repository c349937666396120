"""TRIPOD+AI: what should be told of a prediction model, item by item, as far as a run knows it.

Items after Collins and others, TRIPOD+AI statement, BMJ 2024;385:e078378, in words of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources

import polars as pl

from m3h.report import told, words
from m3h.report.contents import Contents
from m3h.report.tables import Cell, Table, grouped

UNKNOWN = "Not known to this software: to be filled in by the authors."
#: Headings of the page's sections by their ids.
SECTIONS = {
    "summary": "In short",
    "who": "Who is in",
    "asked": "What is asked",
    "sources": "What is at hand",
    "scores": "Scores",
    "trust": "Can it be trusted?",
    "inputs": "What the answers rest on",
    "made": "How it was made",
    "limits": "Limits",
    "card": "Model card",
}


@dataclass(frozen=True)
class Entry:
    """One item: its number, the part of a paper it belongs to, its topic, what it asks, and the answer.

    ``known`` is "yes", "partly" where authors have to add to the answer, or "no"; ``place`` is the id of the report's
    section that has more, "" where none has.
    """

    item: str
    part: str
    topic: str
    asks: str
    known: str
    answer: str
    place: str


#: What answers an item: the facts, the section, and whether that is all that is asked.
_ANSWERS: Mapping[str, tuple[Callable[[Contents], str], str, bool]] = {
    "1": (told.title, "summary", False),
    "4": (told.aim, "summary", False),
    "5a": (told.origin, "who", False),
    "6b": (told.inclusion, "who", False),
    "7": (told.preparation, "made", False),
    "8a": (told.outcomes, "asked", False),
    "9a": (told.choice_of_inputs, "sources", False),
    "9b": (told.inputs, "sources", False),
    "10": (told.sizes, "who", False),
    "11": (told.absent, "sources", True),
    "12a": (told.partition, "who", True),
    "12b": (told.scaling, "made", True),
    "12c": (told.kind_of_model, "made", True),
    "12e": (told.measures, "scores", True),
    "12f": (told.calibrated, "trust", True),
    "12g": (told.computed, "made", True),
    "13": (told.weighing, "made", True),
    "14": (told.fairness, "trust", False),
    "15": (told.output, "trust", True),
    "16": (told.difference, "who", False),
    "18f": (told.code, "made", False),
    "20a": (told.flow, "who", True),
    "20b": (told.characteristics, "who", False),
    "20c": (told.compared, "who", True),
    "21": (told.events, "asked", True),
    "22": (told.model, "card", False),
    "23a": (told.performance, "scores", True),
    "24": (told.updated, "trust", True),
    "26": (told.limits, "limits", False),
    "27a": (told.poor_input, "inputs", False),
    "27b": (told.users, "card", False),
}


def checklist(contents: Contents) -> list[Entry]:
    """The 52 items of TRIPOD+AI in their order, answered from the run alone; [] where no model was tested."""
    if not contents.series:
        return []
    rows = pl.read_csv(resources.files("m3h.report").joinpath("tripod-items.csv").read_bytes())
    return [_entry(contents, row) for row in rows.iter_rows(named=True)]


def _entry(contents: Contents, row: Mapping[str, str]) -> Entry:
    found = _ANSWERS.get(row["item"])
    text = found[0](contents) if found else ""
    if found is None or not text:
        return Entry(**row, known="no", answer=UNKNOWN, place="")
    _, place, whole = found
    known = "yes" if whole else "partly"
    return Entry(**row, known=known, answer=text, place=_there(contents, place))


def _there(contents: Contents, place: str) -> str:
    """``place``, if the page has that section."""
    appraised = any(not frame.is_empty() for frame in contents.appraisal.values())
    inputs = any(not contents.appraisal[name].is_empty() for name in ("sources", "robustness"))
    return "" if (place == "trust" and not appraised) or (place == "inputs" and not inputs) else place


def frame(entries: list[Entry]) -> pl.DataFrame:
    """The items as the columns of tripod.csv: item, part, topic, asks, known, answer, section."""
    return pl.DataFrame(
        {
            **{name: [getattr(entry, name) for entry in entries] for name in ("item", "part", "topic", "asks")},
            "known": [entry.known for entry in entries],
            "answer": [entry.answer for entry in entries],
            "section": [SECTIONS.get(entry.place, "") for entry in entries],
        }
    )


def table(entries: list[Entry]) -> Table:
    """The items as a table of the report."""
    rows = [
        (
            entry.part,
            (
                Cell(f"{entry.item} {entry.topic}", entry.asks),
                Cell(entry.answer, _left(entry), "quiet" if entry.known == "no" else ""),
                Cell(SECTIONS.get(entry.place, words.NOTHING), tone="" if entry.place else "quiet"),
            ),
        )
        for entry in entries
    ]
    return Table(
        "TRIPOD+AI, item by item",
        ("Item", "What this run knows", "Section"),
        grouped(rows),
        frozenset({0, 1, 2}),
        "Items after Collins and others, BMJ 2024;385:e078378, in words of our own; the statement has the full ones. "
        "tripod.csv of the run has this table.",
    )


def _left(entry: Entry) -> str:
    return "The authors have to add what this software does not know." if entry.known == "partly" else ""


def counted(entries: list[Entry]) -> str:
    """How far a run answers the items."""
    counts = {known: sum(entry.known == known for entry in entries) for known in ("yes", "partly", "no")}
    return (
        f"Of {len(entries)} items the run answers {counts['yes']} and a part of {counts['partly']}; {counts['no']} are "
        "known to the authors alone."
    )
