"""The report in a few sentences: what was asked, how well it was answered, whether learning together helped."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from m3h.dataset.audit import LEAKS
from m3h.report import choices, interactions, words
from m3h.report.cohort import left_out
from m3h.report.contents import Contents, Verdict, series_of, verdict

_FEW = 30
_NAMED = 4
# what a 95 % interval leaves to chance
_CHANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """``subject``, joint or best, against one other series on the headline metrics: which tasks, with their
    differences as text.
    """

    opponent: str
    ahead: tuple[str, ...]
    behind: tuple[str, ...]
    open: int
    subject: str = "joint"

    @property
    def count(self) -> int:
        """Questions compared that have an interval."""
        return len(self.ahead) + len(self.behind) + self.open


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
            role,
        )
        for name in contents.series
        if name in found
    ]


def sentences(contents: Contents) -> list[str]:
    """The findings, in the order of reading."""
    found = [_size(contents), *_learnt(contents)] if contents.series else [_size(contents)]
    return found + choices.findings(contents) + interactions.findings(contents)


def _learnt(contents: Contents) -> list[str]:
    """Scores, and joint against the others; what the search has chosen is told with the search."""
    found = [text for text in (_chance(contents), _numbers(contents)) if text]
    compared = [comparison for comparison in comparisons(contents) if comparison.subject == "joint"]
    found += [_compared(comparison) for comparison in compared]
    if "best" in contents.series and "joint" not in contents.series:
        found.append("The networks of all questions at once were not trained in this run.")
    elif "joint" not in contents.series:
        found.append("No joint network was trained in this run: each question was learnt by a network of its own.")
    elif not any(comparison.opponent == "single" for comparison in compared):
        found.append("Joint and single networks were not compared question by question in this run.")
    if contents.alone:
        names = words.listed(contents.alone)
        found.append(
            f"For {names} joint and single are the same network, because no other question is allowed the same sources."
        )
    return found


def _size(contents: Contents) -> str:
    counted = contents.audit.get("samples")
    asked = words.counted(len(contents.tasks), "question")
    sources = contents.audit.get("sources") or []
    seen = f" from {words.counted(len(sources), 'source')} of data" if sources else ""
    if not counted:
        return f"{asked} were asked{seen}." if len(contents.tasks) != 1 else f"{asked} was asked{seen}."
    samples = words.counted(counted["rows"], "sample")
    patients = words.counted(counted["patients"], "patient")
    learnt = f"The networks learnt from {words.counted(counted['train_rows'], 'sample')}"
    if not contents.series:
        learnt = f"Only the {words.counted(counted['train_rows'], 'sample')} of the training part were used"
        return (
            f"{samples} of {patients} and {asked} about them, answered{seen}. {learnt}. No network was scored on a row "
            "of the test part; the tables below only count what is in it."
        )
    return (
        f"{samples} of {patients} and {asked} about them, answered{seen}. {learnt} and are judged on the "
        f"{words.whole(counted['test_rows'])} of patients whom they have never seen."
    )


def _best_series(contents: Contents) -> str:
    return next((role for role in ("joint", "best") if role in contents.series), contents.series[0])


def _by(contents: Contents) -> str:
    """By which networks, where that is not plain."""
    return "" if _best_series(contents) != "best" else " by the network of the chosen set"


def _chance(contents: Contents) -> str:
    """How many questions with an AUROC are answered better than by chance, and the extremes."""
    frame = _scored(contents, ("binary", "multiclass"))
    if frame.is_empty():
        return ""
    better = frame.filter(pl.col("low") > 0.5).height
    top, last = frame.row(0, named=True), frame.row(-1, named=True)
    answered = f"{'is' if better == 1 else 'are'} answered better than by chance{_by(contents)}"
    text = (
        f"Of {words.counted(frame.height, 'yes-or-no or multiple-choice question')}, {better} {answered} "
        "(AUROC, whole interval above 0.5)"
    )
    if frame.height == 1:
        return f"{text}: {top['task']} with {words.number(top['value'], 2)}."
    return (
        f"{text}; best is {top['task']} with {words.number(top['value'], 2)}, weakest {last['task']} with "
        f"{words.number(last['value'], 2)}."
    )


def _numbers(contents: Contents) -> str:
    frame = _scored(contents, ("regression",))
    if frame.is_empty():
        return ""
    parts = [f"{row['task']} {words.number(row['value'], 2)}" for row in frame.iter_rows(named=True)]
    useless = frame.filter(pl.col("value") <= 0).height
    tail = f" Those at or below 0 ({useless}) do no better than always guessing the mean." if useless else ""
    return f"Share of variation explained (R²) in questions about a number: {words.listed(parts)}.{tail}"


def _scored(contents: Contents, kinds: tuple[str, ...]) -> pl.DataFrame:
    """Headline scores of the joint network, or of the first series there is, best first."""
    frame = contents.headline.filter(
        pl.col("kind").is_in(kinds) & (pl.col("role") == _best_series(contents)) & pl.col("value").is_not_null()
    )
    return frame.sort("value", descending=True, maintain_order=True)


def _compared(comparison: Comparison) -> str:
    against = {
        "single": "the same network trained for one question alone",
        "lightgbm": "gradient-boosted trees (LightGBM)",
        "linear": "a linear model",
        "best": "the set that the search chose for each question",
    }.get(comparison.opponent, words.series(comparison.opponent))
    parts = []
    for side, names in (("ahead", comparison.ahead), ("behind", comparison.behind)):
        detail = f" ({words.listed(names, _NAMED)})" if names and len(names) <= _NAMED else ""
        parts.append(f"{side} in {len(names)}{detail}")
    questions = words.counted(comparison.count, "question")
    return (
        f"Against {against}, joint learning is {parts[0]} and {parts[1]} of {questions}; {comparison.open} stay open."
    )


def scores_about(contents: Contents) -> str:
    """What the series of networks are, and what the marks beside their scores mean."""
    parts = ["Single is a network trained for one question"]
    if "joint" in contents.series:
        parts.append("joint is one network for all of them")
    if "best" in contents.series:
        parts.append("best set is the network of the questions that the search chose for it")
    marked = words.listed([words.series(role).lower() for role in ("joint", "best") if role in contents.series])
    marks = (
        f" ▲ and ▼ mark questions for which {marked.replace(' and ', ' or ')} is ahead of or behind single by a paired "
        "difference whose interval excludes 0."
        if marked
        else ""
    )
    both = "both" if len(parts) == 2 else "all"
    same = f"; {both} see the same patients and the same data" if len(parts) > 1 else ""
    return f"{', '.join(parts)}{same}. Lines are 95 % intervals.{marks}"


def multiplicity(contents: Contents) -> str:
    """What to make of many comparisons at once; empty without comparisons."""
    found = comparisons(contents)
    if not found:
        return ""
    count = sum(comparison.count for comparison in found)
    return (
        f"Differences with an interval: {count}. About 1 in 20 would be marked by chance alone, "
        f"here about {words.number(_CHANCE * count, 1)}, even if nothing differed; the intervals are not "
        "corrected for this, so a single mark is a hint and not a finding."
    )


def cautions(contents: Contents) -> list[str]:
    """What to be careful about in this run."""
    found = []
    out = left_out(contents)
    if out:
        found.append(
            f"{words.counted(len(out), 'question')} could not be trained or scored: "
            f"{words.listed([name for name, _ in out])}."
        )
    failed = contents.run.get("failed") or []
    if failed:
        found.append(f"{words.counted(len(failed), 'training')} did not end well; see the warnings at the end.")
    alarms = contents.audit.get("alarms") or []
    leaks = [alarm for alarm in alarms if alarm["kind"] in LEAKS]
    if leaks:
        found.append(f"The audit of the data found {words.counted(len(leaks), 'sign')} of leaks: see How it was made.")
    few = [
        task["name"]
        for task in contents.tasks
        if task["kind"] == "binary" and 0 < ((task.get("test") or {}).get("positive") or 0) < _FEW
    ]
    if few and contents.series:
        found.append(
            f"Fewer than {_FEW} test samples are a yes for {words.listed(few)}: scores from so few are uncertain."
        )
    if contents.series and not any(name in contents.series for name in ("lightgbm", "linear")):
        found.append(
            "No baseline was trained, so nothing here says whether a simpler model would do as well; "
            "m3h run --baseline adds two."
        )
    found.append("One split into training and test was used; another split would give somewhat other numbers.")
    return found
