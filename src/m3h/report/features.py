"""Which features the answers rest on, and whether taking those away hurts more than taking away others."""

from __future__ import annotations

import statistics

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.tables import Cell, Table

#: Features of a question that are shown, and the number of removed ones that is told.
SHOWN, REMOVED = 5, 5


def named(source: str, feature: str) -> str:
    """A feature beside its source; a whole text or image has no feature's name."""
    return f"{source}: {feature}" if feature else f"all of {source}"


def about(contents: Contents) -> str:
    """Whether attributions add up, and what removing the features called important does; "" where nothing is known."""
    return " ".join(text for text in (_complete(contents), _removed(contents)) if text)


def _complete(contents: Contents) -> str:
    frame = contents.appraisal["features"]
    if frame.is_empty():
        return ""
    shares = [
        part["unexplained"][0] / part["value"].max()
        for part in frame.partition_by("task", maintain_order=True)
        if part["value"].max()
    ]
    if not shares:
        return ""
    most = max(shares)
    left = "less than 0.1\u00a0%" if most < 0.001 else f"{words.percent(most)} at most"
    return (
        "What the features of a patient add, summed up, is the answer: what they leave over is, on average, "
        f"{left} of what a question's strongest feature does."
    )


def _removed(contents: Contents) -> str:
    found = _removals(contents)
    if not found:
        return ""
    ratios = [largest[0] / random[0] for largest, random, _ in found.values() if random[0]]
    further = sum(largest[1] < random[1] for largest, random, _ in found.values())
    much = f"moves answers {words.number(statistics.median(ratios), 1)} times as far as" if ratios else "is as good as"
    return (
        f"Taking away the {REMOVED} features that a patient's answer rests on most {much} taking away {REMOVED} random "
        f"ones (median over questions), and costs more of the score for {further} of "
        f"{words.counted(len(found), 'question')}."
    )


def _removals(contents: Contents) -> dict[str, tuple[tuple[float, float], tuple[float, float], float]]:
    """By question: how far answers move and the score without the largest features, the same without random ones, and
    the score with all."""
    frame = contents.appraisal["deletion"].drop_nulls(["moved", "score"])
    found = {}
    for (task,), part in frame.group_by("task", maintain_order=True):
        at = {(row["order"], row["count"]): (row["moved"], row["score"]) for row in part.iter_rows(named=True)}
        keys = ("largest", REMOVED), ("random", REMOVED), ("largest", 0)
        if all(key in at for key in keys):
            found[str(task)] = at[keys[0]], at[keys[1]], at[keys[2]][1]
    return found


def removal(contents: Contents) -> Table | None:
    """Scores without the features called important, and without random ones; None where nothing was removed."""
    metrics = dict(contents.appraisal["deletion"].select("task", "metric").iter_rows())
    rows = tuple(
        (
            Cell(task),
            Cell(words.metric(metrics[task])),
            Cell(words.number(score)),
            Cell(words.number(random[1])),
            Cell(words.number(largest[1])),
            Cell(words.measure(random[0])),
            Cell(words.measure(largest[0])),
        )
        for task, (largest, random, score) in _removals(contents).items()
    )
    if not rows:
        return None
    return Table(
        "Is what is called important so?",
        (
            *("Question", "Measure", "Score", f"Without {REMOVED} random", f"Without the {REMOVED} largest"),
            *("Answers move: random", "Largest"),
        ),
        rows,
        frozenset({0, 1}),
        "Every patient loses the measured features that moved the own answer most, or as many by chance. Answers move "
        "in log-odds or the question's unit. On at most 500 test rows: scores differ a little from those above.",
    )
