"""Which questions to learn together: the set that the search chose for each task, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from m3h.evaluation.compare import COMPARED
from m3h.report import words
from m3h.report.comparisons import open_count
from m3h.report.contents import Contents, Verdict, verdict
from m3h.report.tables import SIGNS, Cell, Table, grouped, groups

_METHODS = {
    "paper": "For each question the search began with the question alone, added every other one, kept the best few "
    "sets, and added again as long as that raised the score.",
    "planned": "The search trained random sets first, to learn which questions are likely to help which, and then "
    "compared only the promising sets of each question by cross-validation.",
}
_NAMED = 4


@dataclass(frozen=True)
class Choice:
    """The set chosen for one task. ``tasks`` holds the task itself; alone, it holds nothing else.

    ``cv_gain`` is the chosen set's score less that of the task alone by cross-validation, which did the choosing;
    ``test_gain`` with its 95 % interval the same difference on test rows, which took no part in it. Above 0 the set
    is better. None where the run holds no such number.
    """

    task: str
    tasks: tuple[str, ...]
    metric: str
    tried: int
    cv_score: float | None
    cv_gain: float | None
    test_gain: float | None
    low: float | None
    high: float | None

    @property
    def alone(self) -> bool:
        """Whether no set was better than the task alone."""
        return self.tasks == (self.task,)

    @property
    def others(self) -> tuple[str, ...]:
        """The tasks that are learnt with it."""
        return tuple(name for name in self.tasks if name != self.task)

    @property
    def side(self) -> Verdict:
        """To whose side the test gain's interval lies; every metric that sets are compared by rises."""
        return "none" if self.alone else verdict(self.metric, self.low, self.high)


def choices(contents: Contents) -> list[Choice]:
    """One choice per searched task, in the study's order; [] where nothing was searched."""
    kinds = {task["name"]: task["kind"] for task in contents.tasks}
    tested = {
        (row["task"], row["metric"]): row
        for row in contents.differences.iter_rows(named=True)
        if (row["role_a"], row["role_b"]) == ("best", "single")
    }
    found = []
    for (name,), part in contents.search.group_by("task", maintain_order=True):
        task = str(name)
        metric = COMPARED.get(kinds[task], "")
        chosen = part.filter(pl.col("chosen")).row(0, named=True)
        tasks = _members(chosen["task_set"], task, kinds)
        test = tested.get((task, metric), {}) if tasks != (task,) else {}
        tried = part.get_column("tried").max()
        found.append(
            Choice(
                task=task,
                tasks=tasks,
                metric=metric,
                tried=tried if isinstance(tried, int) else part.get_column("task_set").n_unique(),
                cv_score=chosen["cv_score"],
                cv_gain=_gain(part, chosen, task),
                test_gain=test.get("difference"),
                low=test.get("low"),
                high=test.get("high"),
            )
        )
    return found


def _members(task_set: str, task: str, known: Mapping[str, Any]) -> tuple[str, ...]:
    """The tasks of a set as it is written. A name may hold the sign that joins names: then the text stays whole."""
    if task_set == task:
        return (task,)
    parts = tuple(task_set.split("+"))
    return parts if all(part in known for part in parts) else (task, task_set)


def _gain(part: pl.DataFrame, chosen: Mapping[str, Any], task: str) -> float | None:
    """Chosen less alone, both from the step of the choice if it scored both, else from the last that scored alone."""
    alone = part.filter((pl.col("task_set") == task) & pl.col("cv_score").is_not_null())
    same = alone.filter(pl.col("step") == chosen["step"])
    scores = (same if same.height else alone).get_column("cv_score")
    if chosen["task_set"] == task or not len(scores) or chosen["cv_score"] is None:
        return None
    return float(chosen["cv_score"]) - float(scores[-1])


def table(contents: Contents) -> Table:
    """A row per task: the questions it is best learnt with, how many sets were tried, and the two gains."""
    group = groups(contents)
    rows = [(group.get(choice.task, ""), _row(choice)) for choice in choices(contents)]
    return Table(
        caption="The chosen sets, and their gain over the question alone",
        columns=("Question", "Learnt with", "Sets tried", "By cross-validation", "On test rows", "Confirmed"),
        rows=grouped(rows, order=list(dict.fromkeys(group.values()))),
        texts=frozenset({0, 1}),
        note="By cross-validation: on training rows, the score that did the choosing. On test rows: the paired "
        "difference with its 95 % interval, ▲ ahead and ▼ behind where it excludes 0. The last column is the share of "
        "the first gain that the second confirms.",
    )


def _row(choice: Choice) -> tuple[Cell, ...]:
    first = Cell(choice.task, words.metric(choice.metric) if choice.metric else "")
    tried = Cell(words.whole(choice.tried))
    if choice.alone:
        nothing = Cell(words.NOTHING, tone="quiet")
        return first, Cell("nothing: alone is best", tone="quiet"), tried, nothing, nothing, nothing
    tone = choice.side if choice.side in ("ahead", "behind") else ""
    text = f"{SIGNS[choice.side]} {words.signed(choice.test_gain)}".strip()
    return (
        first,
        Cell(words.listed(choice.others)),
        tried,
        Cell(words.signed(choice.cv_gain)),
        Cell(text, words.interval(choice.low, choice.high, plus=True), tone),
        Cell(_confirmed(choice)),
    )


def _confirmed(choice: Choice) -> str:
    if choice.cv_gain is None or choice.test_gain is None or choice.cv_gain <= 0:
        return words.NOTHING
    return words.percent(choice.test_gain / choice.cv_gain, 0)


def explanation(found: Sequence[Choice], facts: Mapping[str, Any]) -> list[str]:
    """What was searched and how; ``facts`` is what run.json says of it."""
    method = str(facts.get("method") or "")
    text = [
        "For each question the search looks for the questions that it is best learnt with. It compares sets by "
        "cross-validation on training rows alone; the set that won is then trained once more on all training rows and "
        "scored on the test rows, beside the question alone.",
    ]
    if method:
        text.append(_METHODS.get(method, f"Method: {method}."))
    counts = [
        words.counted(int(facts[key]), *names)
        for key, names in (
            ("sets_tried", ("set", "different sets")),
            ("trainings", ("training",)),
            ("folds", ("fold",)),
        )
        if isinstance(facts.get(key), int)
    ]
    each = sorted(choice.tried for choice in found)
    per = f"{each[0]:,}" if each[0] == each[-1] else f"{each[0]:,} to {each[-1]:,}"
    behind = f" Behind this stand {words.listed(counts)}." if counts else ""
    text.append(f"For each question {per} {'set was' if each[-1] == 1 else 'sets were'} tried.{behind}")
    return text


def caution() -> str:
    """Why the first gain is too bright."""
    return (
        "The best of many sets is in part the luckiest: the gain by cross-validation, which did the choosing, is "
        "therefore too large (the winner's curse). The gain on the test rows is the one to go by; what it lacks of "
        "the first was luck."
    )


def findings(contents: Contents) -> list[str]:
    """The search in a few sentences for the summary; none without a search."""
    found = choices(contents)
    if not found:
        return []
    several = [choice for choice in found if not choice.alone]
    text = [
        f"The search found a set that it preferred to the question alone for {len(several)} of "
        f"{words.counted(len(found), 'question')}."
    ]
    sides: dict[Verdict, list[str]] = {}
    for choice in several:
        interval = words.interval(choice.low, choice.high, plus=True)
        sides.setdefault(choice.side, []).append(f"{choice.task} {words.signed(choice.test_gain)} [{interval}]")
    judged = sum(len(sides.get(side, ())) for side in ("ahead", "behind", "open", "same"))
    if judged:
        parts = [f"{side} in {_some(sides.get(side, []))}" for side in ("ahead", "behind")]
        same = f" and in {len(sides['same'])} both are the same" if "same" in sides else ""
        text.append(
            f"On test rows the chosen sets are {parts[0]} and {parts[1]} of {judged}; "
            f"{open_count(len(sides.get('open', ())))} open{same}."
        )
    return text + _curse(several)


def _some(names: Sequence[str]) -> str:
    return f"{len(names)} ({words.listed(names, _NAMED)})" if 0 < len(names) <= _NAMED else str(len(names))


def _curse(several: Sequence[Choice]) -> list[str]:
    """Median gains by metric, those that chose beside those that did not."""
    text = []
    for metric in dict.fromkeys(choice.metric for choice in several):
        both = [
            (choice.cv_gain, choice.test_gain)
            for choice in several
            if choice.metric == metric and choice.cv_gain is not None and choice.test_gain is not None
        ]
        if len(both) > 1:
            chose, tested = (float(np.median([pair[side] for pair in both])) for side in (0, 1))
            text.append(
                f"{words.metric(metric)}, {len(both)} questions: median gain {words.signed(chose)} by the "
                f"cross-validation that chose the sets, {words.signed(tested)} on test rows."
            )
    return text
