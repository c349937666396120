"""Which questions help which: the interaction measurements (TIM) as a matrix, as tables and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.tables import Cell, Table, grouped

#: The share of false marks among all marks that is put up with.
FALSE_DISCOVERY = 0.05
_CLUSTERING = "Groupings"
# of more tasks than this two helpers are named each, so that the table stays readable
_MANY = 20
# what three decimals can tell from 0
_SMALLEST = 0.001
Floats = npt.NDArray[np.float64]

_METHODS = {
    "exact": "Every possible set of these questions was trained. The value is the mean change of the score over all "
    "sets of the other questions (a Banzhaf value).",
    "pairs": "Each question was trained alone and with each other question. The value is the score with the other "
    "question less the score alone; how a pair behaves in larger sets was not measured.",
    "shared": "Random sets of questions were trained, each training scoring all its members. The value estimates the "
    "mean change of the score over all sets of the other questions (a Banzhaf value) from these trainings together.",
}


@dataclass(frozen=True)
class Group:
    """Tasks that stand together, from place ``start`` up to but not including ``stop``."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Matrix:
    """What adding one task (column) does to the score of another (row); arrays (source, target), NaN where missing.

    ``tim`` is in the unit of the source's ``metric``, above 0 where the target helps; ``low`` to ``high`` is its 95 %
    interval, ``q`` its false-discovery rate. ``rank`` is signed and counts within a row: the largest of the positive
    values has the highest rank, the most negative value the lowest. From place ``apart`` on the tasks are clusterings.
    """

    tasks: tuple[str, ...]
    groups: tuple[Group, ...]
    apart: int
    method: str
    metrics: tuple[str, ...]
    tim: Floats
    low: Floats
    high: Floats
    q: Floats
    rank: Floats
    trials: Floats

    @property
    def marked(self) -> npt.NDArray[np.bool_]:
        """Cells (source, target) that stay below the false-discovery rate; one without q is not marked."""
        return np.asarray(np.isfinite(self.tim) & (self.tim != 0) & (self.q <= FALSE_DISCOVERY), dtype=np.bool_)

    @property
    def measured(self) -> int:
        """Cells with a value."""
        return int(np.isfinite(self.tim).sum())


def matrix(contents: Contents) -> Matrix | None:
    """The matrix of the run, tasks by department and clusterings last; None where no pair of tasks was measured."""
    rows = [row for row in contents.tim.iter_rows(named=True) if row["source"] != row["target"]]
    if not rows:
        return None
    names = {row["source"] for row in rows} | {row["target"] for row in rows}
    tasks, groups, apart = _arranged([task for task in contents.tasks if task["name"] in names])
    place = {name: index for index, name in enumerate(tasks)}
    fields = ("tim", "low", "high", "q", "rank", "trials")
    arrays = {field: np.full((len(tasks), len(tasks)), np.nan) for field in fields}
    metrics = dict.fromkeys(tasks, "")
    for row in rows:
        metrics[row["source"]] = row["metric"]
        for field in fields:
            if row[field] is not None:
                arrays[field][place[row["source"]], place[row["target"]]] = row[field]
    method = rows[0]["method"]
    return Matrix(tuple(tasks), groups, apart, method, tuple(metrics[name] for name in tasks), **arrays)


def _arranged(tasks: Sequence[Mapping[str, Any]]) -> tuple[list[str], tuple[Group, ...], int]:
    """Names in order, their groups, and the place where clusterings begin."""
    departments = any(task.get("department") for task in tasks)
    parts: dict[str, list[str]] = {}
    for task in tasks:
        if task["kind"] != "clustering":
            parts.setdefault((task.get("department") or "Other") if departments else "", []).append(task["name"])
    clusterings = [task["name"] for task in tasks if task["kind"] == "clustering"]
    names: list[str] = []
    groups = []
    for title, members in [*parts.items(), *([(_CLUSTERING, clusterings)] if clusterings else [])]:
        groups.append(Group(title, len(names), len(names) + len(members)))
        names += members
    return names, tuple(groups), len(names) - len(clusterings)


def effect(made: Matrix, source: int, target: int) -> str:
    """A value with its interval, such as ``+0.012 (+0.004 to +0.020)``; a dash where there is none."""
    value, low, high = (float(part[source, target]) for part in (made.tim, made.low, made.high))
    text = words.signed(value)
    return f"{text} ({words.interval(low, high, plus=True)})" if np.isfinite(low) and np.isfinite(high) else text


def sign(made: Matrix, source: int, target: int) -> str:
    """▲ or ▼ where a cell is marked, else nothing."""
    if not made.marked[source, target]:
        return ""
    return "▲" if made.tim[source, target] > 0 else "▼"


def helpers(made: Matrix) -> Table:
    """Per question the two or three others that help it most, and those that hurt it most."""
    rows = []
    for source, name in enumerate(made.tasks):
        up = _extreme(made, source, 1.0)
        down = _extreme(made, source, -1.0)
        cells = (Cell(name, words.metric(made.metrics[source])), _listing(up), _listing(down), _marks(made, source))
        rows.append((_group_of(made, source), cells))
    return Table(
        caption="What helps and what hurts each question most",
        columns=("Question", "Helped most by", "Hurt most by", "Marked"),
        rows=grouped(rows),
        texts=frozenset({0, 1, 2}),
        note="Change of the question's score when the other is learnt with it, with its 95 % interval. ▲ ▼ are the "
        f"marks of the figure: a false-discovery rate of at most {words.percent(FALSE_DISCOVERY, 0)}.",
    )


def _group_of(made: Matrix, place: int) -> str:
    return next(group.name for group in made.groups if group.start <= place < group.stop) or "Answers"


def _extreme(made: Matrix, source: int, side: float) -> list[str]:
    """The largest values of one sign in a row, in words."""
    values = side * made.tim[source]
    order = sorted((place for place in range(len(values)) if values[place] > 0), key=lambda place: -values[place])
    return [
        f"{sign(made, source, place)} {made.tasks[place]} {effect(made, source, place)}".strip()
        for place in order[: 3 if len(made.tasks) <= _MANY else 2]
    ]


def _listing(lines: Sequence[str]) -> Cell:
    return Cell("", lines=tuple(lines)) if lines else Cell(words.NOTHING, "none", "quiet")


def _marks(made: Matrix, source: int) -> Cell:
    marked = made.marked[source]
    up, down = int((marked & (made.tim[source] > 0)).sum()), int((marked & (made.tim[source] < 0)).sum())
    text = " ".join(part for part in (f"▲ {up}" if up else "", f"▼ {down}" if down else "") if part)
    return Cell(text) if text else Cell(words.NOTHING, tone="quiet")


def pairs(made: Matrix) -> Table:
    """Every measured pair with its value, interval, false-discovery rate and trainings, in the figure's order."""
    rows = []
    for source, target in zip(*np.nonzero(np.isfinite(made.tim)), strict=True):
        value, low, high = (float(part[source, target]) for part in (made.tim, made.low, made.high))
        text = f"{sign(made, source, target)} {words.signed(value)}".strip()
        known = np.isfinite(low) and np.isfinite(high)
        q, trials = float(made.q[source, target]), float(made.trials[source, target])
        cells = (
            Cell(made.tasks[target]),
            Cell(text),
            Cell(words.interval(low, high, plus=True) if known else words.NOTHING),
            Cell(f"below {words.number(_SMALLEST)}" if q < _SMALLEST else words.number(q)),
            Cell(words.whole(trials if np.isfinite(trials) else None)),
        )
        rows.append((f"{made.tasks[source]} ({words.metric(made.metrics[source])}), scored with and without", cells))
    return Table(
        caption=f"All {words.counted(made.measured, 'pair')}",
        columns=("Question added", "Change", "95 % interval", "False-discovery rate", "Trainings"),
        rows=grouped(rows),
    )


def explanation(made: Matrix, facts: Mapping[str, Any]) -> list[str]:
    """What was measured and how; ``facts`` is what run.json says of it."""
    found = [
        "The interaction measurement (TIM) says what learning a second question does to the answers to a first one: "
        "the score of the first with the second in the network, less its score without. Scores are taken on patients "
        "of the training part whom the network did not see, never on the test part.",
        _METHODS.get(made.method, f"Method: {made.method}."),
    ]
    parts = [
        words.counted(int(facts[key]), *names)
        for key, names in (
            ("trainings", ("training",)),
            ("sets", ("task set", "different task sets")),
            ("replicates", ("replicate with other random numbers", "replicates with other random numbers")),
            ("folds", ("validation fold",)),
        )
        if isinstance(facts.get(key), int)
    ]
    if parts:
        found.append(f"Behind this stand {words.listed(parts)}.")
    return found


def reading(made: Matrix) -> str:
    """The caption of the figure: directions, colours, marks."""
    count = len(made.tasks)
    missing = count * (count - 1) - made.measured
    parts = [
        "A row is a question that is scored, a column the question that is added to its network.",
        "Red helps, blue hurts. The depth is the rank of the value within its row, so that it tells neither how large "
        "a change is nor how rows compare; the tables have the values.",
        "▲ and ▼ mark the cells that are kept at a false-discovery rate of "
        f"{words.percent(FALSE_DISCOVERY, 0)}: among all marks about one in twenty is expected to be false.",
    ]
    if made.apart < count:
        parts.append("Groupings stand beyond the rule: they are measured by a silhouette, not by answers.")
    if missing:
        parts.append(f"{words.counted(missing, 'pair')} could not be measured (grey).")
    return " ".join(parts)


def caution(made: Matrix) -> str:
    """What not to read into the figure."""
    none = "" if np.isfinite(made.q).any() else " This run has no false-discovery rates, so that nothing is marked."
    return (
        "A cell without a mark says little: the change may be there and be smaller than the spread between trainings. "
        "A mark says that the change is unlikely to be chance in this study and this network; it says nothing of "
        f"causes, or of other hospitals.{none}"
    )


def findings(contents: Contents) -> list[str]:
    """The measurements in one sentence or two for the summary; none without measurements."""
    made = matrix(contents)
    if made is None or not made.measured:
        return []
    marked = made.marked
    up, down = int((marked & (made.tim > 0)).sum()), int((marked & (made.tim < 0)).sum())
    found = [
        f"Of {words.counted(made.measured, 'ordered pair')} of questions, adding the second helps the first in {up} "
        f"and hurts it in {down}, at a false-discovery rate of {words.percent(FALSE_DISCOVERY, 0)}; "
        f"{words.whole(made.measured - up - down)} stay open."
    ]
    clearest = [
        f"{made.tasks[target]} {verb} {made.tasks[source]}: {effect(made, source, target)} "
        f"in {words.metric(made.metrics[source])}"
        for verb, side in (("helps", 1.0), ("hurts", -1.0))
        for source, target in _clearest(made, side)
    ]
    return [*found, f"The clearest: {'; '.join(clearest)}."] if clearest else found


def _clearest(made: Matrix, side: float) -> list[tuple[int, int]]:
    """The marked cell of one sign that is largest in widths of its own interval, for scores do not compare; or none."""
    width = np.where(made.high > made.low, made.high - made.low, np.nan)
    score = np.where(made.marked & (side * made.tim > 0), np.abs(made.tim) / width, np.nan)
    if not np.isfinite(score).any():
        return []
    source, target = np.unravel_index(int(np.nanargmax(score)), score.shape)
    return [(int(source), int(target))]


def left_out(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Tasks that took no part, by reason: (names, reason). ``facts`` is what run.json says of the part of the run."""
    reasons: dict[str, list[str]] = {}
    for entry in facts.get("left_out") or []:
        reasons.setdefault(str(entry["reason"]), []).append(str(entry["task"]))
    return [(words.listed(names, len(names)), reason) for reason, names in reasons.items()]
