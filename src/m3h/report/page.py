"""The report: one HTML file that needs nothing but itself, for the screen and for A4 paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from m3h.core.atomic import atomic_file
from m3h.report import (
    appraisal,
    card,
    checklist,
    choices,
    cohort,
    comparisons,
    departments,
    examples,
    features,
    gallery,
    groupings,
    interactions,
    paper,
    provenance,
    same_risk,
    script,
    summary,
    tables,
    words,
    years,
)
from m3h.report.contents import Contents, read
from m3h.report.titles import titled

_TEMPLATES = Path(__file__).parent / "templates"
#: Up to so many pairs of questions are listed openly; of more the list is folded, and is not printed.
OPEN_PAIRS = 20


def write_report(run_folder: Path, out: Path | None = None, *, compare: Literal["paper"] | None = None) -> Path:
    """Write the report of ``run_folder`` to ``out``, by default its report.html, and return that path.

    The TRIPOD+AI checklist of a model that was tested stands beside it in tripod.csv.
    With ``compare`` "paper" the scores of Bertsimas & Ma (2024) stand beside the run's, here and in paper.csv.
    Reads nothing but the run folder, and the same folder gives the same bytes. Parts whose files are absent are left
    out with a sentence; a folder of ``m3h tim`` or ``m3h search`` alone has the parts that they leave. Errors:
    FolderError where run.json is missing, or scores.csv, tim.csv and search.csv all are, where a file is unreadable,
    or ``out`` cannot be written.
    """
    contents = read(run_folder)
    page = render(contents, beside=paper.table(contents) if compare else None, compared=compare is not None)
    target = out if out is not None else run_folder / "report.html"
    if compare:
        with atomic_file(target.with_name("paper.csv")) as temporary:
            paper.beside(contents).write_csv(temporary)
    if entries := checklist.checklist(titled(contents)):
        with atomic_file(target.with_name("tripod.csv")) as temporary:
            checklist.frame(entries).write_csv(temporary)
    with atomic_file(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def render(contents: Contents, *, beside: tables.Table | None = None, compared: bool = False) -> str:
    """The page as text. Every name of the study is escaped; figures carry names as shapes. Tasks are called by their
    titles. ``beside`` is a table of somebody else's results; ``compared``: it was asked for,
    also where there is none."""
    contents = titled(contents)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    template = environment.get_template("report.html")
    # Markup: a file of this library, in which nothing of a study stands
    return template.render(
        **_head(contents),
        **_parts(contents),
        beside=beside,
        compared=compared,
        style=_style(),
        script=Markup(script.text()),
        script_source=script.source(),
    )


def _breakable(text: str) -> Markup:
    """``text`` escaped, with a place after each underscore where a line may break."""
    return Markup(escape(text).replace("_", Markup("_<wbr>")))


def _style() -> str:
    return (_TEMPLATES / "report.css").read_text(encoding="utf-8")


def _head(contents: Contents) -> dict[str, Any]:
    study = contents.run.get("study") or {}
    counted = contents.audit.get("samples") or {}
    sources = contents.audit.get("sources") or []
    numbers = [
        (counted.get("patients"), "patient"),
        (counted.get("rows"), "sample"),
        (len(sources) or None, "source"),
        (len(contents.tasks), "question"),
    ]
    tiles = [(words.whole(count), name if count == 1 else f"{name}s") for count, name in numbers]
    return {
        "title": study.get("title") or study.get("name") or "Study",
        "name": study.get("name") or "",
        "notes": study.get("notes") or "",
        "created": str(contents.run.get("created") or "")[:16].replace("T", " "),
        "version": contents.run.get("m3h") or "",
        "tiles": tiles,
    }


def _parts(contents: Contents) -> dict[str, Any]:
    entries = checklist.checklist(contents)
    return {
        "answers": summary.answers(contents),
        "cautions": summary.cautions(contents, whole=False),
        "flow": cohort.flow(contents),
        "source_rows": cohort.source_rows(contents),
        "table_one": cohort.table_one(contents),
        "questions": cohort.questions(contents),
        "left_out": cohort.left_out(contents),
        "sources": cohort.sources(contents),
        "coverage": gallery.sources(contents),
        "forests": gallery.scores(contents),
        "scores": tables.scores(contents),
        "further_scores": tables.further_scores(contents),
        "differences": tables.differences(contents),
        "departments": departments.departments(contents),
        "scores_about": summary.scores_about(contents),
        "multiplicity": comparisons.multiplicity(contents),
        "alone": words.listed(contents.alone),
        "attentions": gallery.attentions(contents),
        "gates": appraisal.gates(contents),
        "trust": _trust(contents),
        "closer_look": gallery.closer_look(contents) if contents.series else [],
        "scored": bool(contents.series),
        "series": contents.series,
        "interactions": _interactions(contents),
        "choices": _choices(contents),
        "settings": provenance.settings(contents),
        "fields": provenance.fields(contents),
        "task_sets": provenance.task_sets(contents),
        "stages": provenance.stages(contents),
        "versions": provenance.versions(contents),
        "warnings": provenance.warnings(contents),
        "alarms": [str(alarm["text"]) for alarm in contents.audit.get("alarms") or []],
        "whole": words.whole,
        "card": card.card(contents),
        "checklist": checklist.table(entries) if entries else None,
        "checklist_about": checklist.counted(entries),
    }


def _trust(contents: Contents) -> dict[str, Any] | None:
    """The sections on the model's appraisal; None where the run kept none."""
    if all(frame.is_empty() for frame in contents.appraisal.values()):
        return None
    return {
        "curves": gallery.trust(contents),
        "calibration": appraisal.calibration(contents),
        "operating": appraisal.operating(contents),
        "coverage": appraisal.coverage(contents),
        "subgroups_about": appraisal.subgroups_about(contents),
        "subgroups": appraisal.subgroups(contents),
        "same_risk": same_risk.curves(contents),
        "sources": appraisal.sources(contents),
        "robustness": appraisal.robustness(contents),
        "years": years.years(contents),
        "importance": gallery.importance(contents),
        "features_about": features.about(contents),
        "removal": features.removal(contents),
        "examples": examples.examples(contents),
        "changed": gallery.changed(contents),
        "groupings": groupings.groupings(contents),
    }


def _interactions(contents: Contents) -> dict[str, Any] | None:
    """The section on which questions help which; None where nothing was measured."""
    facts, made = contents.facts("tim"), interactions.matrix(contents)
    if made is None:
        return None
    return {
        "about": interactions.explanation(made, facts),
        "plates": gallery.interaction(contents),
        "caution": interactions.caution(made),
        "helpers": interactions.helpers(made),
        "pairs": interactions.pairs(made),
        "open": made.measured <= OPEN_PAIRS,
        "left_out": interactions.left_out(facts),
    }


def _choices(contents: Contents) -> dict[str, Any] | None:
    """The section on chosen sets; None where nothing was searched."""
    facts, found = contents.facts("search"), choices.choices(contents)
    if not found:
        return None
    return {
        "about": choices.explanation(found, facts),
        "plates": gallery.gained(contents),
        "caution": choices.caution(),
        "table": choices.table(contents),
        "left_out": interactions.left_out(facts),
    }
