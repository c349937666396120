"""The model card: what the model is for and not for, and what is known of it.

The form is that of Mitchell and others, Model Cards for Model Reporting, FAccT 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

from m3h.report import told, trusted, words
from m3h.report.contents import Contents


@dataclass(frozen=True)
class Entry:
    """A heading of the card and its sentences."""

    heading: str
    texts: tuple[str, ...]


def card(contents: Contents) -> list[Entry]:
    """The entries of the card in the order of the paper that made the form; [] where the run left no model."""
    if not contents.series:
        return []
    made = [
        ("The model", (told.kind_of_model(contents), _versions(contents), told.model(contents))),
        ("What it is for", (_purpose(contents), told.users(contents))),
        (
            "What it is not for",
            (
                "It is no medical device: no answer of it may decide about a patient.",
                "It is not for patients of another kind, place or time than those it learnt from, before it was "
                "tested there.",
                "It says who is likely to have an outcome, never what would change it.",
            ),
        ),
        ("Whom it may differ for", (_factors(contents), trusted.subgroups(contents))),
        ("Measures", (told.measures(contents), told.output(contents))),
        ("Data to test it", (told.partition(contents), told.absent(contents))),
        ("Data to train it", (told.origin(contents), told.inputs(contents))),
        ("Results", (trusted.calibration(contents), trusted.coverage(contents), trusted.missing(contents))),
        (
            "Ethics",
            (
                "The data are of people: predictions.parquet, held.parquet, the ledger and the model hold values or "
                "ids of patients and must be kept as safely as the tables.",
                "The model repeats what care has done, unequal care included.",
                "Consent and approval are known to the authors alone.",
            ),
        ),
        ("Cautions", (told.limits(contents), trusted.leaks(contents))),
    ]
    kept = [Entry(heading, tuple(text for text in texts if text)) for heading, texts in made]
    return [entry for entry in kept if entry.texts]


def _versions(contents: Contents) -> str:
    written, version = str(contents.run.get("created") or "")[:10], contents.run.get("m3h")
    libraries = contents.run.get("versions") or {}
    if not version:
        return ""
    beside = words.listed([f"{name} {number}" for name, number in libraries.items()], 3)
    return f"Made by m3h {version}{f' on {written}' if written else ''}{f' with {beside}' if beside else ''}."


def _purpose(contents: Contents) -> str:
    names = [str(task["name"]) for task in contents.tasks]
    return f"Research on forecasts of {words.listed(names)} for patients like those of this study."


def _factors(contents: Contents) -> str:
    names = [str(group["name"]) for group in contents.audit.get("subgroups") or []]
    return f"Subgroups of the study: {words.listed(names)}." if names else "The study names no subgroups."
