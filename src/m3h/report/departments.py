"""What learning together changes by department: figure, table and sentences, all from departments.csv."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import departments as forest
from m3h.report.figures.departments import Heading, Row
from m3h.report.plates import Plates, of_sheets
from m3h.report.tables import Cell, Table

#: Up to so many questions the table is open.
OPEN = 20
_VERDICTS = {
    "ahead": "▲ joint ahead",
    "behind": "▼ joint behind",
    "open": "no difference beyond chance",
    "equal": "the very same score",
    "none": "no interval",
    "same": "same network",
}
_CAPTION = (
    "A row is a question: the difference of joint and single in % of the single score, with the 95 % interval of the "
    "paired difference in the same %. A department's line is the mean of its questions and their range. Width: the "
    "width of the joint score's 95 % interval over that of the single score's; below 1 joint is surer. Arrows lie "
    "beyond the axis. Percentages of AUROC, R² and silhouette are averaged as they are, as the paper does, though 1 % "
    "of one is not 1 % of another."
)


@dataclass(frozen=True)
class Departments:
    """The section's parts; ``about`` says in words where joint and single do not differ; ``open`` the table as long as
    it is short: it is folded, and not printed, beyond OPEN questions."""

    about: tuple[str, ...]
    plates: Plates
    table: Table
    open: bool


def departments(contents: Contents) -> Departments | None:
    """The parts; None where the run compared no joint network with single ones, or kept no departments.csv."""
    lines = forest.lines(contents)
    count = sum(isinstance(line, Row) for line in lines)
    if not count:
        return None
    drawings = [
        forest.draw(panel, f"departments-{place}") for place, panel in enumerate(forest.panels(contents), start=1)
    ]
    return Departments(
        tuple(_about(lines)), of_sheets("By department", drawings, _CAPTION, ""), _table(contents), count <= OPEN
    )


def _about(lines: list[forest.Line]) -> list[str]:
    headings = [line for line in lines if isinstance(line, Heading)]
    whole, each = headings[-1], headings if len(headings) == 1 else headings[:-1]
    if not whole.questions:
        return ["No question has a joint network that is not its single one, so nothing was compared."]
    found = [_compared(whole)]
    nowhere = [line.name for line in each if line.questions and not line.ahead + line.behind]
    if whole.ahead + whole.behind and nowhere:
        found.append(f"Departments in which no question differs: {words.listed(nowhere, 20)}.")
    if whole.mean is not None:
        found.append(
            f"The mean relative improvement is {words.signed(whole.mean, 1)} % over {_those(whole)} (from "
            f"{words.signed(whole.least, 1)} % to {words.signed(whole.most, 1)} %)."
        )
    if whole.ratio is not None:
        found.append(
            f"Intervals of joint scores are {words.number(whole.ratio, 2)} times as wide as those of single ones "
            "(geometric mean)."
        )
    return found


def _compared(whole: Heading) -> str:
    """How many questions differ, and plainly which do not."""
    count = words.counted(whole.questions, "question")
    bare = whole.questions - whole.ahead - whole.behind - whole.open - whole.equal
    parts = [
        f"in {whole.open} joint and single do not differ beyond the chance of the test patients" if whole.open else "",
        f"in {whole.equal} both score the very same: joint learning changed nothing" if whole.equal else "",
        f"{bare} could not be compared with an interval" if bare else "",
    ]
    rest = "; ".join(part for part in parts if part)
    first = f"Of {count}, joint is ahead in {whole.ahead or 'none'} and behind in {whole.behind or 'none'}"
    return f"{first}; {rest}." if rest else f"{first}."


def _those(line: Heading) -> str:
    """The questions whose improvements are averaged."""
    if line.counted == line.questions:
        return words.counted(line.questions, "question")
    return f"{line.counted} of {words.counted(line.questions, 'question')}"


def _table(contents: Contents) -> Table:
    frame = contents.departments
    rows: list[tuple[Cell, ...]] = []
    headings = iter(line for line in forest.lines(contents) if isinstance(line, Heading))
    for row in frame.iter_rows(named=True):
        if not row["task"]:
            rows.append((Cell(_told(next(headings))),))
            continue
        tone = row["verdict"] if row["verdict"] in ("ahead", "behind") else ""
        relative = f"{words.signed(row['relative'], 1)}\u00a0%" if row["relative"] is not None else words.NOTHING
        rows.append(
            (
                Cell(row["task"]),
                Cell(words.metric(row["metric"])),
                Cell(words.number(row["single"])),
                Cell(words.number(row["joint"])),
                Cell(relative, words.interval(row["relative_low"], row["relative_high"], 1, plus=True), tone),
                Cell(words.number(row["width_ratio"], 2)),
                Cell(_VERDICTS.get(row["verdict"], row["verdict"]), tone=tone or "quiet"),
            )
        )
    missing = frame.filter((pl.col("task") != "") & (pl.col("verdict") != "same") & pl.col("relative").is_null()).height
    return Table(
        caption="Joint over single by department",
        columns=("Question", "Measure", "Single", "Joint", "Relative", "Width of intervals", "In short"),
        rows=tuple(rows),
        texts=frozenset({0, 1, 6}),
        note="departments.csv has these numbers in full."
        + (
            f" {words.counted(missing, 'question')} without a percentage: the single score is next to nothing."
            if missing
            else ""
        ),
    )


def _told(line: Heading) -> str:
    """A department in one line."""
    parts = [words.counted(line.questions, "question")]
    if line.mean is not None:
        range_ = f"{words.signed(line.least, 1)} % to {words.signed(line.most, 1)} %"
        parts.append(
            f"mean {words.signed(line.mean, 1)} %, from {range_}" if line.counted > 1 else range_.split(" to ")[0]
        )
    if line.ratio is not None:
        parts.append(f"intervals {words.number(line.ratio, 2)} times as wide")
    if line.questions and not line.ahead + line.behind:
        parts.append("no difference beyond chance")
    return f"{line.name.removesuffix(' questions')}: {'; '.join(parts)}"
