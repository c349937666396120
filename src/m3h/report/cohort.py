"""Who is in and what is asked: the flow of samples, table one, the questions, the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.tables import Cell, Table, cells, grouped, groups

_SIDES = ("train", "test")
#: Groups of identical columns that a table names.
_GROUPS = 2
_NAMES = "Beneath a title stands the name by which commands and files of the run call the question."
_COUNTS = (
    ("rows", "Rows read"),
    ("unmatched", "No such sample"),
    ("missing_time", "Time missing"),
    ("later", "After the prediction"),
    ("missing_value", "Value missing"),
    ("used", "Rows used"),
)


@dataclass(frozen=True)
class Box:
    """One box of the flow: a title, samples, patients and a line beneath."""

    title: str
    rows: int
    patients: int
    note: str = ""


@dataclass(frozen=True)
class Flow:
    """Samples read, those of no part (0 is the rule), and the two parts."""

    all: Box
    unused: int
    train: Box
    test: Box


def flow(contents: Contents) -> Flow | None:
    """The way from samples read to training and test; None where the run counted no samples."""
    counted = contents.audit.get("samples")
    if not counted:
        return None
    split = "as the study gives it" if counted.get("split") == "given" else "drawn by patient"
    return Flow(
        all=Box("Samples read", counted["rows"], counted["patients"], "one sample is one moment of prediction"),
        unused=counted["rows"] - counted["train_rows"] - counted["test_rows"],
        train=Box("Training", counted["train_rows"], counted["train_patients"], f"split {split}"),
        test=Box(
            "Test",
            counted["test_rows"],
            counted["test_patients"],
            "scored once, at the end" if contents.series else "counted, not scored",
        ),
    )


def source_rows(contents: Contents) -> Table | None:
    """What became of the rows of each source's own table; None where no source has one."""
    rows = []
    for source in contents.audit.get("sources") or []:
        counts = source.get("counts") or {}
        if counts.get("rows"):
            rows.append(cells([source["name"], *(words.whole(counts.get(key)) for key, _ in _COUNTS)]))
    if not rows:
        return None
    return Table("What became of the rows of each source", ("Source", *(title for _, title in _COUNTS)), tuple(rows))


def table_one(contents: Contents) -> Table | None:
    """Table one: subgroups as counts with shares, numbers as mean (SD) over median [quartiles]; None without either."""
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    totals = contents.audit.get("samples") or {}
    for subgroup in contents.audit.get("subgroups") or []:
        for level in subgroup["levels"]:
            name = str(level["level"]) if level["level"] not in ("", None) else "not recorded"
            sides = [Cell(_share(level[side], totals.get(f"{side}_rows"))) for side in _SIDES]
            rows.append((f"{subgroup['name']}: samples (share)", (Cell(name), *sides)))
    for columns in _by_text(contents.audit.get("table_one") or []):
        for name, sides in _levels(columns) if "=" in columns[0]["column"] else [_number(columns[0])]:
            rows.append((f"{columns[0]['source']}: mean (SD), median [quartiles], or share", (Cell(name), *sides)))
    if not rows:
        return None
    heads = [
        f"{title} ({words.whole(totals.get(f'{side}_rows'))})" for side, title in zip(_SIDES, _TITLES, strict=True)
    ]
    return Table("Table 1: the samples of both parts", ("Characteristic", *heads), grouped(rows))


_TITLES = ("Training", "Test")
#: Values of a text column that fewer than this share of the training rows have are counted together.
RARE = 0.02


def _by_text(columns: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Number columns alone, the "column=value" columns of one text column together."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for column in columns:
        groups.setdefault((column["source"], str(column["column"]).split("=", 1)[0]), []).append(column)
    return list(groups.values())


def _number(column: Mapping[str, Any]) -> tuple[str, list[Cell]]:
    unit = f", {column['unit']}" if column.get("unit") else ""
    return f"{column['column']}{unit}", [_summary(column[side]) for side in _SIDES]


def _levels(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Cell]]]:
    """Shares of a text column's values among the samples that have one; the rare ones together."""
    shares = [{side: float(column[side].get("mean") or 0.0) for side in _SIDES} for column in columns]
    names = [str(column["column"]).replace("=", ": ", 1) for column in columns]
    often = [(name, share) for name, share in zip(names, shares, strict=True) if share["train"] >= RARE]
    rare = [share for share in shares if share["train"] < RARE and any(share.values())]
    if rare:
        text = names[0].split(": ", 1)[0]
        together = {side: sum(share[side] for share in rare) for side in _SIDES}
        often.append((f"{text}: {len(rare)} rarer values", together))
    return [(name, [Cell(words.percent(share[side])) for side in _SIDES]) for name, share in often]


def _share(count: int, total: int | None) -> str:
    return f"{words.whole(count)} ({words.percent(count / total)})" if total else words.whole(count)


def _summary(side: Mapping[str, Any]) -> Cell:
    if not side.get("known"):
        return Cell(words.NOTHING, "none known", "quiet")
    mean = f"{words.measure(side['mean'])} ({words.measure(side['sd'])})"
    quartiles = f"{words.measure(side['median'])} [{words.measure(side['q1'])} to {words.measure(side['q3'])}]"
    return Cell(mean, f"{quartiles}, {words.whole(side['known'])} known")


def questions(contents: Contents) -> Table:
    """The tasks by department or kind, with what is known of each on both sides."""
    group = groups(contents)
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for task in contents.tasks:
        unit = f" ({task['unit']})" if task.get("unit") else ""
        asked = Cell(task["name"], _beneath(task))
        kind = Cell(words.KINDS.get(task["kind"], task["kind"]) + unit)
        sides = [_side(task, side) for side in _SIDES]
        rows.append((group[task["name"]], (asked, kind, *(cell for pair in sides for cell in pair))))
    return Table(
        "The questions and what is known of their answers",
        ("Question", "Answer", "Known, training", "Training", "Known, test", "Test"),
        grouped(rows, order=list(dict.fromkeys(group.values()))),
        frozenset({0, 1}),
        "Shown are the number and share of yes, the shares of the classes, or the mean (SD) over median [quartiles]. "
        "A sample without an answer is left out of that question's training and scores, never counted as a no."
        + (f" {_NAMES}" if any("id" in task and task["id"] != task["name"] for task in contents.tasks) else ""),
    )


def _beneath(task: Mapping[str, Any]) -> str:
    """The name to copy where the title stands above, and what the task does not see."""
    parts = [str(task["id"])] if task.get("id", task["name"]) != task["name"] else []
    if task.get("excluded_sources"):
        parts.append(f"does not see {words.listed(task['excluded_sources'])}")
    if task.get("unknown_class"):
        parts.append(f"{words.counted(task['unknown_class'], 'test row')} of a class that training lacks")
    return "; ".join(parts)


def _side(task: Mapping[str, Any], name: str) -> tuple[Cell, Cell]:
    side = task.get(name) or {}
    known = Cell(words.whole(side.get("labelled")))
    if task["kind"] == "binary" and side.get("prevalence") is not None:
        return known, Cell(f"{words.whole(side['positive'])} ({words.percent(side['prevalence'])})")
    shares = {label: share for label, share in (side.get("shares") or {}).items() if share is not None}
    if shares:
        ordered = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
        return known, Cell(
            "", words.listed([f"{label} {words.percent(share, 0)}" for label, share in ordered], most=4), "wrap"
        )
    if task["kind"] == "regression" and side.get("mean") is not None:
        return known, Cell(*_moments(side))
    return known, Cell(words.NOTHING, tone="quiet")


def _moments(side: Mapping[str, Any]) -> tuple[str, str]:
    mean = f"{words.measure(side['mean'])} ({words.measure(side['sd'])})"
    if side.get("median") is None:
        return mean, ""
    return mean, f"{words.measure(side['median'])} [{words.measure(side['q1'])} to {words.measure(side['q3'])}]"


def left_out(contents: Contents) -> list[tuple[str, str]]:
    """Tasks that were not trained or scored, each with its reason."""
    return [(entry["task"], entry["reason"]) for entry in contents.run.get("left_out") or []]


def _identical(groups: Sequence[Sequence[str]]) -> list[str]:
    """The first groups of columns that are the same, and how many more there are."""
    told = [f"identical: {words.listed(same, 4)}" for same in groups[:_GROUPS]]
    more = len(groups) - _GROUPS
    return [*told, f"and {words.counted(more, 'more group', 'more groups')} of identical ones"] if more > 0 else told


def sources(contents: Contents) -> Table | None:
    """The sources: how each is read, how many numbers it becomes, what the audit saw in it."""
    rows = []
    for source in contents.audit.get("sources") or []:
        seen = []
        if source.get("unreadable"):
            seen.append(f"{words.whole(source['unreadable'])} unreadable")
        if source.get("constant_columns"):
            seen.append(f"constant: {words.listed(source['constant_columns'], 4)}")
        seen += _identical(source.get("identical_columns") or [])
        rows.append(
            (
                Cell(source["name"]),
                Cell(f"{source['modality']}, {source['encoder']}"),
                Cell(words.whole(source["width"])),
                Cell(words.percent(source["coverage_train"])),
                Cell(words.percent(source["coverage_test"])),
                Cell("; ".join(seen) or "nothing of note", tone="" if seen else "quiet"),
            )
        )
    if not rows:
        return None
    columns = ("Source", "Kind, encoder", "Numbers", "Training", "Test", "Seen in the audit")
    return Table("The sources", columns, tuple(rows), frozenset({0, 1, 5}))
