"""The report in a few sentences: what was asked, what was found, can it be trusted, what to be careful about."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from m3h.dataset.audit import LEAKS
from m3h.report import choices, interactions, trusted, words
from m3h.report.cohort import left_out
from m3h.report.comparisons import comparisons, sentence
from m3h.report.contents import Contents
from m3h.report.numbers import constant
from m3h.report.points import Point

_FEW = 30
_NAMED = 4


@dataclass(frozen=True)
class Answer:
    """One of the three questions that a reader comes with, and the points that answer it."""

    question: str
    points: tuple[Point, ...]


def answers(contents: Contents) -> list[Answer]:
    """The three questions in the order of reading. Where nothing was scored, nothing is there to be trusted."""
    found = [Answer("What was asked?", (_size(contents), *_models(contents)))]
    learnt = _learnt(contents) if contents.series else []
    searched = [Point(text, "choices", "The best sets") for text in choices.findings(contents)]
    measured = [Point(text, "interactions", "Who helps whom") for text in interactions.findings(contents)]
    found.append(Answer("What was found?", (*learnt, *searched, *measured)))
    if contents.series:
        found.append(Answer("Can it be trusted?", tuple(trusted.points(contents))))
    return [answer for answer in found if answer.points]


def _size(contents: Contents) -> Point:
    counted = contents.audit.get("samples")
    asked = words.counted(len(contents.tasks), "question")
    sources = contents.audit.get("sources") or []
    seen = f", answered from {words.counted(len(sources), 'source')} of data" if sources else ""
    if not counted:
        return Point(f"{asked}{seen}.", "asked", "What is asked")
    patients = words.counted(counted["patients"], "patient")
    samples = f" ({words.counted(counted['rows'], 'sample')})" if counted["rows"] != counted["patients"] else ""
    learnt = words.whole(counted["train_rows"])
    text = f"{asked} about {patients}{samples}{seen}"
    if contents.series:
        tested = words.whole(counted["test_rows"])
        text += f"; learnt on {learnt} samples, judged on {tested} of patients that no model has seen."
    else:
        text += (
            f". Only the {learnt} samples of the training part were used. No network was scored on a row of the test "
            "part; the tables below only count what is in it."
        )
    return Point(text, "asked", "What is asked")


def _models(contents: Contents) -> list[Point]:
    """Which kind of model answers; nothing where the run does not say or no model was scored."""
    chosen = contents.run.get("settings") or {}
    preset, kinds = chosen.get("preset"), chosen.get("fields") or {}
    if not preset or not contents.series:
        return []
    if not kinds.get("additive"):
        together = "one network of all questions" if "joint" in contents.series else "a network of each question"
        text = f"The model is {together} (preset {preset}): a part for each source, a shared part, and attention."
        return [Point(text, "made", "How it was made")]
    beside = "additive models and boosted trees" if kinds.get("trees") else "additive models"
    text = (
        f"The model is not a network alone (preset {preset}): each question has {beside} of its own, and a network "
        "beside them learns to correct what they say."
    )
    gates = contents.appraisal["gates"]
    shut = gates.filter(pl.col("gate") == 0).height
    if shut:
        which = "any question" if shut == gates.height else f"{shut} of {gates.height} questions"
        text += f" Patients held out bore no correction out for {which}: there those models answer alone."
    return [Point(text, "made", "How it was made")]


def _learnt(contents: Contents) -> list[Point]:
    """Scores, and joint against the others; what the search has chosen is told with the search."""
    told = " ".join(text for text in (_chance(contents), _numbers(contents), _same(contents)) if text)
    found = [Point(told, "scores", "Scores")] if told else []
    compared = [comparison for comparison in comparisons(contents) if comparison.subject == "joint"]
    texts = [sentence(comparison) for comparison in compared]
    if "best" in contents.series and "joint" not in contents.series:
        texts.append("The networks of all questions at once were not trained in this run.")
    elif "joint" not in contents.series:
        texts.append("No joint network was trained in this run: each question was learnt by a network of its own.")
    elif contents.alone and not any(comparison.opponent == "single" for comparison in compared):
        names = words.listed(contents.alone, _NAMED)
        texts.append(
            f"For {names} joint and single are the same network, because no other question is allowed the same sources."
        )
    elif not any(comparison.opponent == "single" for comparison in compared):
        texts.append("Joint and single networks were not compared question by question in this run.")
    heading = f"{'Joint' if 'joint' in contents.series else 'Together'} or alone"
    return found + [Point(text, "differences", heading) for text in texts]


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
    text = (
        f"{better} of {words.counted(frame.height, 'yes-or-no or multiple-choice question')} "
        f"{'is' if better == 1 else 'are'} answered better than by chance{_by(contents)} (AUROC above 0.5 with its "
        "whole interval)"
    )
    best = f"{text}: {'best is ' if frame.height > 1 else ''}{top['task']} with {words.number(top['value'], 2)}"
    if frame.height == 1:
        return f"{best}."
    return f"{best}, weakest {last['task']} with {words.number(last['value'], 2)}."


def _numbers(contents: Contents) -> str:
    frame = _scored(contents, ("regression",))
    if frame.is_empty():
        return ""
    parts = [f"{row['task']} {words.number(row['value'], 2)}" for row in frame.iter_rows(named=True)]
    useless = frame.filter(pl.col("value") <= 0).height
    tail = f" Those at or below 0 ({useless}) do no better than always guessing the mean." if useless else ""
    return f"Of numbers it explains this share of the variation (R²): {words.listed(parts, _NAMED)}.{tail}"


def _same(contents: Contents) -> str:
    """Which questions the model answers with one and the same value for everybody; "" for none."""
    names = constant(contents, _best_series(contents))
    return f"For {words.listed(names, _NAMED)} it says the same for everybody." if names else ""


def _scored(contents: Contents, kinds: tuple[str, ...]) -> pl.DataFrame:
    """Headline scores of the joint network, or of the first series there is, best first."""
    frame = contents.headline.filter(
        pl.col("kind").is_in(kinds) & (pl.col("role") == _best_series(contents)) & pl.col("value").is_not_null()
    )
    return frame.sort("value", descending=True, maintain_order=True)


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


def cautions(contents: Contents, *, whole: bool = True) -> list[str]:
    """What to be careful about in this run. Without ``whole``, what the report says elsewhere is not said again: signs
    of leaks, and which questions were left out."""
    found = []
    out = left_out(contents)
    if out:
        which = f": {words.listed([name for name, _ in out])}" if whole else "; What is asked says why"
        found.append(f"{words.counted(len(out), 'question')} could not be trained or scored{which}.")
    failed = contents.run.get("failed") or []
    if failed:
        found.append(f"{words.counted(len(failed), 'training')} did not end well; see the warnings at the end.")
    alarms = contents.audit.get("alarms") or []
    leaks = [alarm for alarm in alarms if alarm["kind"] in LEAKS]
    if leaks and whole:
        found.append(f"The audit of the data found {words.counted(len(leaks), 'sign')} of leaks: see How it was made.")
    few = [
        task["name"]
        for task in contents.tasks
        if task["kind"] == "binary" and 0 < ((task.get("test") or {}).get("positive") or 0) < _FEW
    ]
    if few and contents.series:
        found.append(
            f"Fewer than {_FEW} test samples are a yes for {words.listed(few, _NAMED)}: such scores are uncertain."
        )
    if contents.series and not any(name in contents.series for name in ("lightgbm", "linear")):
        found.append(
            "No baseline was trained, so nothing here says whether a simpler model would do as well; "
            "m3h run --baseline adds two."
        )
    found.append("One split into training and test was used; another split would give somewhat other numbers.")
    return found
