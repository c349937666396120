"""Can it be trusted: calibration, operating points, coverage, subgroups, what sources are worth, and changed inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.tables import Cell, Table

#: Differences between subgroups are listed if they hold after correction at this level.
LEVEL = 0.05
#: The sensitivity and the level of coverage that tables show; the files have others.
WANTED, COVERED = 0.9, 0.9
#: A subgroup's coverage is judged from so many rows.
LEAST_ROWS = 30
#: How robustness.csv calls changes, and the amounts that the table shows.
UNCHANGED, NOISE, HOLES, ABSENT = "none", "noise", "values missing", " absent"
SHOWN = {NOISE: (0.5, 1.0), HOLES: (0.5,)}
Row = Mapping[str, Any]


def calibration(contents: Contents) -> Table | None:
    """How far risks are from what happened, before calibration and after; None where nothing was appraised."""
    frame = contents.appraisal["calibration"].filter(pl.col("metric").is_in(["slope", "ratio", "ece"]))
    rows = []
    for (task, class_), part in frame.group_by("task", "class", maintain_order=True):
        found = {(row["stage"], row["metric"]): row for row in part.iter_rows(named=True)}
        if ("raw", "ece") not in found:
            continue
        first = found["raw", "ece"]
        name = f"{task}: {class_}" if class_ else str(task)
        fields = [_value(found.get(("raw", metric))) for metric in ("slope", "ratio", "ece")]
        rows.append(
            (
                Cell(name),
                Cell(f"{words.whole(first['events'])} of {words.whole(first['n'])}"),
                *fields,
                _value(found.get(("calibrated", "ece"))),
            )
        )
    return _table(
        "Can a risk be taken at its word?",
        ("Question", "Yes", "Slope", "Observed / expected", "Calibration error", "After calibration"),
        rows,
        note="Right are a slope of 1 (below it, risks are too extreme), a ratio of 1 (above it, too low) and an error "
        "of 0. Calibrators are fitted to training patients held out, never to test patients.",
    )


def operating(contents: Contents) -> Table | None:
    """What flagging does at the threshold that found 90 % of the cases among training patients held out."""
    frame = contents.appraisal["operating"].filter((pl.col("wanted") - WANTED).abs() < 1e-9)
    rows = []
    for (task,), part in frame.group_by("task", maintain_order=True):
        found = {row["metric"]: row for row in part.iter_rows(named=True)}
        threshold = next(iter(found.values()))["threshold"]
        shares = [
            Cell(words.percent(found[name]["value"], 0), _shares(found[name]))
            for name in ("sensitivity", "specificity", "ppv", "npv", "flagged")
        ]
        rows.append((Cell(str(task)), Cell(words.percent(threshold)), *shares))
    return _table(
        "Flagging every patient above a risk",
        ("Question", "Risk", "Sensitivity", "Specificity", "Right if flagged", "Right if not", "Flagged"),
        rows,
        note=f"The risk that {WANTED:.0%} of the cases among training patients held out reached; operating.csv has "
        "other sensitivities.",
    )


def coverage(contents: Contents) -> Table | None:
    """How often sets and intervals held the truth, and in which subgroup least often."""
    frame = contents.appraisal["conformal"].filter((pl.col("level") - COVERED).abs() < 1e-9)
    rows = []
    for (task,), part in frame.group_by("task", maintain_order=True):
        whole = part.filter(pl.col("group") == "").row(0, named=True)
        if whole["covered"] is None:
            continue
        apart = part.filter((pl.col("group") != "") & (pl.col("n") >= LEAST_ROWS)).sort("covered")
        least = apart.row(0, named=True) if apart.height else None
        rows.append(
            (
                Cell(str(task)),
                Cell(words.percent(whole["covered"]), _shares(whole)),
                Cell(words.measure(whole["size"])),
                Cell(words.percent(least["covered"]), f"{least['group']}: {least['subgroup']}, {least['n']} rows")
                if least
                else Cell(words.NOTHING, tone="quiet"),
            )
        )
    return _table(
        f"Sets and intervals that promise to hold the truth {COVERED:.0%} of the time",
        ("Question", "Held it", "Size", "Least often"),
        rows,
        note="Size: the mean number of answers that stay possible, or the width of an interval in the question's unit. "
        "The promise is one over all patients; of a subgroup it promises nothing, so the last column shows where it "
        f"was least kept among subgroups of {LEAST_ROWS} rows or more. {words.NOTHING} in size: no end.",
    )


def subgroups(contents: Contents) -> Table | None:
    """Subgroups whose score differs from all others' beyond what so many tests would find by chance."""
    frame = contents.appraisal["subgroups"].filter(pl.col("holm") < LEVEL).sort("holm", "task", "group", "subgroup")
    rows = [
        (
            Cell(row["task"]),
            Cell(f"{row['group']}: {row['subgroup']}"),
            Cell(words.whole(row["patients"])),
            Cell(words.number(row["value"]), words.interval(row["low"], row["high"])),
            Cell(
                words.signed(row["difference"]),
                words.interval(row["difference_low"], row["difference_high"], plus=True),
                "behind" if row["difference"] < 0 else "ahead",
            ),
        )
        for row in frame.iter_rows(named=True)
    ]
    return _table(
        "For whom it is better or worse",
        ("Question", "Patients who are", "Patients", "Score", "Minus all others"),
        rows,
        texts=frozenset({0, 1}),
        note="Listed where the difference holds after correction for all tests of the report (Holm, 5 %).",
    )


def subgroups_about(contents: Contents) -> str:
    """How many subgroups were compared, and how many were too small; "" where none was."""
    frame = contents.appraisal["subgroups"]
    if frame.is_empty():
        return ""
    tested, small = frame.filter(pl.col("p").is_not_null()).height, frame.filter(pl.col("reason") != "").height
    if not tested:
        return f"None of {words.counted(small, 'subgroup')}, over all questions, was large enough for a test."
    sure = frame.filter(pl.col("holm") < LEVEL).height
    found = f"{sure or 'none'} {'differs' if sure <= 1 else 'differ'} from the other patients beyond chance"
    few = f" {words.counted(small, 'was', 'were')} too small for a test." if small else ""
    return f"Of {words.counted(tested, 'subgroup')} that could be tested, over all questions, {found}.{few}"


def sources(contents: Contents) -> Table | None:
    """What each source is worth to each question's score."""
    frame = contents.appraisal["sources"]
    names = frame.get_column("source").unique(maintain_order=True).to_list()
    rows = []
    for (task,), part in frame.group_by("task", maintain_order=True):
        found = {row["source"]: row for row in part.iter_rows(named=True)}
        first = next(iter(found.values()))
        cells = [_value(found.get(name), plus=True) for name in names]
        rows.append((Cell(str(task)), Cell(words.number(first["with_none"])), *cells, _plain(first["with_all"])))
    return _table(
        "What each source is worth",
        ("Question", "Nothing known", *names, "All known"),
        rows,
        note="Shapley values: what a source adds to the score of the trained networks, averaged over all orders in "
        "which sources could become known. They add up from the second column to the last. Another network, trained "
        "without a source, might make up for it.",
    )


def robustness(contents: Contents) -> Table | None:
    """Scores with what was asked, with each source missing, with noise and holes."""
    frame = contents.appraisal["robustness"].filter((pl.col("metric") != "moved") & (pl.col("role") != "baseline"))
    columns: dict[tuple[str, float], str] = {}
    for change, amount in frame.select("change", "amount").unique(maintain_order=True).iter_rows():
        if change == UNCHANGED or change.endswith(ABSENT) or amount in SHOWN.get(change, ()):
            columns[change, amount] = _change(change, amount)
    rows = []
    for (task,), part in frame.group_by("task", maintain_order=True):
        found = {(row["change"], row["amount"]): row["value"] for row in part.iter_rows(named=True)}
        rows.append((Cell(str(task)), *(_plain(found.get(key)) for key in columns)))
    return _table(
        "The model's scores when the input changes",
        ("Question", *columns.values()),
        rows,
        note="On at most 1,000 test rows. Noise of half and of one standard deviation is put on every number. "
        "robustness.csv has more steps and changes, intervals, the baselines, and how far predictions move.",
    )


def gates(contents: Contents) -> str:
    """For which questions attention has no part in the answer; "" where nothing is known of it."""
    frame = contents.appraisal["gates"]
    if frame.is_empty():
        return ""
    shut = frame.filter(pl.col("gate") == 0).get_column("task").to_list()
    varies = max(frame.get_column("between_rows").drop_nulls().to_list(), default=0.0)
    text = f"From patient to patient a weight varies by {words.number(varies)} at most (standard deviation)."
    if not shut:
        return text
    count = "all questions" if len(shut) == frame.height else f"{len(shut)} of {frame.height} questions"
    return (
        f"{text} For {count} patients held out bore out nothing that the network would add to what the question's own "
        f"model says, so attention has no part in the answer: {words.listed(shut)}."
    )


def _change(change: str, amount: float) -> str:
    if change == UNCHANGED:
        return "As it is"
    if change == NOISE:
        return f"Noise {amount:g} SD"
    if change == HOLES:
        return f"{amount:.0%} of values missing"
    return f"Without {change.removesuffix(ABSENT)}"


def _value(row: Row | None, *, plus: bool = False) -> Cell:
    if row is None or row["value"] is None:
        return Cell(words.NOTHING, tone="quiet")
    write = words.signed if plus else words.number
    return Cell(write(row["value"], 3), words.interval(row["low"], row["high"], 3, plus=plus))


def _plain(value: float | None) -> Cell:
    return Cell(words.number(value)) if value is not None else Cell(words.NOTHING, tone="quiet")


def _shares(row: Row) -> str:
    if row["low"] is None or row["high"] is None:
        return ""
    return f"{words.percent(row['low'], 0)} to {words.percent(row['high'], 0)}"


def _table(
    caption: str,
    columns: tuple[str, ...],
    rows: Iterable[tuple[Cell, ...]],
    *,
    note: str,
    texts: frozenset[int] = frozenset({0}),
) -> Table | None:
    found = tuple(rows)
    return Table(caption, columns, found, texts, note) if found else None
