"""Which of two models is ahead: paired differences of the headline scores, counted and told."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from m3h.report import words
from m3h.report.contents import Contents, Verdict, series_of, verdict

_NAMED = 2
# what a 95 % interval leaves to chance
_CHANCE = 0.05
_AGAINST = {
    "single": "the same model trained for one question alone",
    "lightgbm": "gradient-boosted trees (LightGBM)",
    "linear": "a linear model",
    "best": "the set that the search chose for each question",
}


@dataclass(frozen=True)
class Comparison:
    """``subject``, joint or best, against one other series on the headline metrics: which tasks, with their
    differences as text; ``same`` counts those whose difference is 0 in every redraw.
    """

    opponent: str
    ahead: tuple[str, ...]
    behind: tuple[str, ...]
    open: int
    same: int = 0
    subject: str = "joint"

    @property
    def count(self) -> int:
        """Questions compared that have an interval."""
        return len(self.ahead) + len(self.behind) + self.open + self.same


def comparisons(contents: Contents) -> list[Comparison]:
    """Joint against every other series, then the chosen sets against theirs.

    A task that is alone in its set is not compared with itself.
    """
    return [*_of_role(contents, "joint"), *_of_role(contents, "best")]


def _of_role(contents: Contents, role: str) -> list[Comparison]:
    headline = set(contents.headline.select("task", "metric").rows())
    alone = set(contents.alone_as(role))
    found: dict[str, dict[Verdict, list[str]]] = {}
    for row in contents.differences.filter(pl.col("role_a") == role).iter_rows(named=True):
        opponent = series_of(row["role_b"], row["preset_b"])
        side = verdict(row["metric"], row["low"], row["high"])
        itself = opponent == "single" and row["task"] in alone
        if (row["task"], row["metric"]) not in headline or side == "none" or itself:
            continue
        interval = words.interval(row["low"], row["high"], plus=True)
        text = f"{row['task']} {words.signed(row['difference'])} [{interval}]"
        found.setdefault(opponent, {}).setdefault(side, []).append(text)
    return [
        Comparison(
            name,
            tuple(found[name].get("ahead", ())),
            tuple(found[name].get("behind", ())),
            len(found[name].get("open", ())),
            len(found[name].get("same", ())),
            role,
        )
        for name in contents.series
        if name in found
    ]


def sentence(comparison: Comparison) -> str:
    """One comparison of joint learning in a sentence: ahead, behind, open, and where both are the same."""
    against = _AGAINST.get(comparison.opponent, words.series(comparison.opponent))
    start = f"Joint learning against {against}: "
    questions = words.counted(comparison.count, "question")
    if comparison.same == comparison.count:
        return f"{start}the same in {'its one question' if comparison.count == 1 else f'all {questions}'}."
    parts = []
    for side, names in (("ahead", comparison.ahead), ("behind", comparison.behind)):
        detail = f" ({words.listed(names, _NAMED)})" if names and len(names) <= _NAMED else ""
        parts.append(f"{side} in {len(names)}{detail}")
    parts += [f"{open_count(comparison.open)} open"] if comparison.open else []
    parts += [f"in {comparison.same} both are the same"] if comparison.same else []
    return f"{start}{', '.join(parts)} (of {questions})."


def open_count(count: int) -> str:
    """``1 stays``, ``3 stay``."""
    return f"{count} {'stays' if count == 1 else 'stay'}"


def multiplicity(contents: Contents) -> str:
    """What to make of many comparisons at once; empty without comparisons that could have been marked."""
    count = sum(comparison.count - comparison.same for comparison in comparisons(contents))
    if not count:
        return ""
    return (
        f"Differences with an interval: {count}. About 1 in 20 would be marked by chance alone, "
        f"here about {words.number(_CHANCE * count, 1)}, even if nothing differed; the intervals are not "
        "corrected for this, so a single mark is a hint and not a finding."
    )
