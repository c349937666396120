"""Can it be trusted: the appraisal in a sentence for each of its parts, with numbers."""

from __future__ import annotations

import statistics

import polars as pl

from m3h.dataset.audit import LEAKS
from m3h.report import appraisal, words
from m3h.report.contents import Contents
from m3h.report.points import Point

_NAMED = 3
_RANKS = ("auroc", "macro_auroc")


def points(contents: Contents) -> list[Point]:
    """Calibration, coverage, subgroups, sources that are missing, and leaks, each where the run measured it; a word
    where it measured nothing of its model."""
    made = [
        ("trust", "Can it be trusted?", (calibration(contents), coverage(contents), subgroups(contents))),
        ("inputs", "What the answers rest on", (missing(contents),)),
        ("made", "How it was made", (leaks(contents),)),
    ]
    found = [Point(text, place, section) for place, section, texts in made for text in texts if text]
    if all(frame.is_empty() for frame in contents.appraisal.values()):
        return [Point("This run did not appraise its model beyond its scores.", "limits", "Limits"), *found]
    return found


def calibration(contents: Contents) -> str:
    """How far risks are from what happens after calibration, and before; "" without yes-or-no questions."""
    frame = contents.appraisal["calibration"].filter((pl.col("metric") == "ece") & (pl.col("class") == ""))
    errors = {
        stage: frame.filter((pl.col("stage") == stage) & pl.col("value").is_not_null()).sort("value")
        for stage in ("raw", "calibrated")
    }
    after, before = errors["calibrated"], errors["raw"]
    if after.is_empty():
        return ""
    worst = after.row(-1, named=True)
    if after.height == 1:
        return f"Calibrated risks of {worst['task']} are off by {_points(worst['value'])} on average{_before(before)}."
    middle = statistics.median(after.get_column("value").to_list())
    return (
        f"Calibrated risks are off by {_points(middle)} on average{_before(before)}, the median of {after.height} "
        f"yes-or-no questions; most for {worst['task']}, {_points(worst['value'], named=False)}."
    )


def _before(raw: pl.DataFrame) -> str:
    """Percentage points as they were before calibration."""
    if raw.is_empty():
        return ""
    return f" ({_points(statistics.median(raw.get_column('value').to_list()), named=False)} before calibration)"


def _points(share: float, *, named: bool = True) -> str:
    return f"{words.number(100 * share, 1)}{' percentage points' if named else ''}"


def coverage(contents: Contents) -> str:
    """How often sets and intervals hold what they promise; "" where none were made."""
    frame = contents.appraisal["conformal"].filter(
        ((pl.col("level") - appraisal.COVERED).abs() < 1e-9) & (pl.col("group") == "") & pl.col("covered").is_not_null()
    )
    if frame.is_empty():
        return ""
    promised = words.percent(appraisal.COVERED, 0)
    ends = [words.percent(share) for share in sorted(frame.get_column("covered").to_list())]
    held = ends[0] if frame.height == 1 else f"{ends[0]} to {ends[-1]}"
    text = f"Sets and intervals that promise to hold the truth {promised} of the time held it {held} of the time"
    short = frame.filter(pl.col("high") < appraisal.COVERED).get_column("task").to_list()
    return f"{text}; less than promised beyond doubt for {words.listed(short, _NAMED)}." if short else f"{text}."


def subgroups(contents: Contents) -> str:
    """Subgroups whose patients are answered worse beyond doubt; "" where none was compared."""
    frame = contents.appraisal["subgroups"]
    tested = frame.filter(pl.col("p").is_not_null()).height
    if frame.is_empty():
        return ""
    if not tested:
        return "No subgroup was large enough to be compared with the other patients."
    sure = frame.filter(pl.col("holm") < appraisal.LEVEL)
    worse = sure.filter(pl.col("difference") < 0)
    better = sure.height - worse.height
    names = []
    for (task,), part in worse.group_by("task", maintain_order=True):
        whom = [f"{group} {value}" for group, value in part.select("group", "subgroup").iter_rows()]
        names.append(f"{task} for {words.listed(whom, 2)}")
    verb = "is" if worse.height <= 1 else "are"
    told = f" ({'; '.join(names[:_NAMED])}{'; and others' if len(names) > _NAMED else ''})" if names else ""
    more = f", {better} {'is' if better == 1 else 'are'} better" if better else ""
    return (
        f"Of {words.counted(tested, 'subgroup')} compared with all other patients, {worse.height or 'none'} {verb} "
        f"answered worse beyond doubt after Holm's correction{told}{more}."
    )


def missing(contents: Contents) -> str:
    """What becomes of the scores without the source that matters most; "" where it was not tried."""
    frame = contents.appraisal["robustness"].filter(pl.col("metric") != "moved")
    ranked = frame.filter(pl.col("metric").is_in(_RANKS))
    frame = frame if ranked.is_empty() else ranked
    whole = dict(frame.filter(pl.col("change") == appraisal.UNCHANGED).select("task", "value").iter_rows())
    lost: dict[str, dict[str, tuple[float, float, float]]] = {}
    for task, change, value in frame.select("task", "change", "value").iter_rows():
        first = whole.get(task)
        if change.endswith(appraisal.ABSENT) and value is not None and first is not None:
            lost.setdefault(change.removesuffix(appraisal.ABSENT), {})[task] = (first - value, first, value)
    if not lost:
        return ""
    falls = {name: statistics.median(fall for fall, _, _ in found.values()) for name, found in lost.items()}
    name = max(falls, key=lambda source: falls[source])
    task, (_, first, value) = max(lost[name].items(), key=lambda pair: pair[1][0])
    what = "the score" if ranked.is_empty() else "AUROC"
    others = [fall for other, fall in falls.items() if other != name]
    rest = f"; without any other, by {words.number(max(max(others), 0.0))} at most" if others else ""
    return (
        f"Without the source {name}, {what} falls by {words.number(max(falls[name], 0.0))} in the median, most for "
        f"{task} ({words.number(first)} to {words.number(value)}){rest}."
    )


def leaks(contents: Contents) -> str:
    """What the audit of the data found of leaks; "" where the run kept no audit."""
    if "alarms" not in contents.audit:
        return ""
    found = [alarm for alarm in contents.audit["alarms"] or [] if alarm["kind"] in LEAKS]
    if not found:
        return "The audit of the data found no sign of a leak from answers to inputs."
    return f"The audit of the data found {words.counted(len(found), 'sign')} of leaks: scores may be too good."
