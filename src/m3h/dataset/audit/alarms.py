"""The alarms for leaks: what was not known at the sample's time, people on both sides, and inputs that hold the answer.

An alarm is JSON data: ``kind``, ``text``, and for leaks ``sources``, ``columns`` (at most three) and ``number``, the
count or score that raised it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from m3h.dataset.audit.telling import telling
from m3h.dataset.audit.twins import twins
from m3h.dataset.dataset import Dataset

Alarm = dict[str, Any]


def leak_alarms(dataset: Dataset) -> Iterator[Alarm]:
    """Every sign of a leak but equal columns (m3h.dataset.audit.leaks), which m3h.dataset.audit.overview names."""
    yield from _times(dataset)
    yield from _afterwards(dataset)
    yield from _beside(dataset)
    yield from _codes(dataset)
    yield from _twins(dataset)
    yield from telling(dataset)


def alarm(kind: str, text: str, sources: list[str], columns: list[str], number: float) -> Alarm:
    """An alarm of a leak."""
    return {"kind": kind, "text": text, "sources": sources, "columns": columns[:3], "number": number}


def _facts(dataset: Dataset, name: str) -> Any:
    return dataset.facts.get("tables", {}).get(name, ())


def _times(dataset: Dataset) -> Iterator[Alarm]:
    for one in _facts(dataset, "times"):
        share = one["rows"] / one["used"]
        what = f'column "{one["column"]}" is later than the sample\'s time in {share:.1%} of the rows that reach one'
        if one["declared"]:
            step = "if it says when a row was known, name it as available"
        else:
            step = "if it says when a row was known, name it as time; else leave the source out"
        text = f'source "{one["source"]}": {what} ({one["samples"]:,} of {one["reached"]:,} samples looked at); {step}'
        yield alarm("time not declared", text, [one["source"]], [one["column"]], round(share, 4))


def _afterwards(dataset: Dataset) -> Iterator[Alarm]:
    for one in _facts(dataset, "after"):
        what = f'column "{one["column"]}" follows "{one["statistic"]}" of source "{one["series"]}" over rows after the'
        text = (
            f'source "{one["source"]}": {what} sample\'s time (correlation of ranks {one["correlation"]:.3f} in '
            f"{one['samples']:,} samples that these rows change); compute it up to the sample's time"
        )
        yield alarm("computed afterwards", text, [one["source"]], [one["column"]], one["correlation"])


def _beside(dataset: Dataset) -> Iterator[Alarm]:
    for one in _facts(dataset, "beside"):
        text = (
            f'task "{one["task"]}": column "{one["column"]}" of source "{one["source"]}" together with '
            f'"{one["beside"]}" of the samples table '
            f"answers it with correlation {one['correlation']:.3f}; was it known at the sample's "
            "time? If not, name the source in exclude_sources or drop the column"
        )
        yield alarm("columns tell label", text, [one["source"]], [one["column"]], one["correlation"])


def _codes(dataset: Dataset) -> Iterator[Alarm]:
    asked = [task for task in dataset.tasks if task.codes]
    for one in _facts(dataset, "codes"):
        tasks = [task for task in asked if one["source"] not in task.exclude_sources]
        if not tasks:
            continue
        labels = "the task" if len(tasks) == 1 else f"{len(tasks)} tasks"
        text = (
            f'source "{one["source"]}": column "{one["column"]}" holds {one["own"]:.0%} of the diagnosis codes of the '
            f"sample's own stay ({one['other']:.0%} of another's), of which the labels of {labels} are made; "
            "name the source in exclude_sources, or read codes of earlier stays"
        )
        yield alarm("codes among inputs", text, [one["source"]], [one["column"]], one["own"])


def _twins(dataset: Dataset) -> Iterator[Alarm]:
    for one in twins(dataset):
        have = "1 test patient has" if one.patients == 1 else f"{one.patients:,} test patients have"
        if one.by:
            what = f'source "{one.by}": {have} nearly the row of a training patient'
        else:
            what = f"{have} values of a training patient that are too rare to be shared by chance"
        text = f"{what}; if they are one person, give both one patient id"
        yield alarm("patient on both sides", text, [one.by] if one.by else [], [], one.patients)
