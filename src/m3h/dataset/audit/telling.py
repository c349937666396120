"""When an input answers a question too well to be a measurement: the thresholds, and what an alarm says.

A measurement may answer nearly perfectly: the last creatinine tells the kidney failure of the next day with an AUROC of
0.99. What sets a copy of the answer apart is that it stands alone: the mean, the largest and the last value of a
measurement tell nearly the same. So an alarm needs either an answer that leaves almost nothing open, or one that leaves
open a quarter, at most, of what the next best leaves. Neither is held against a score that chance could have made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from m3h.dataset.audit.probes import any_of, source_scores
from m3h.dataset.audit.questions import Question, questions
from m3h.dataset.audit.screen import Single, best_pair, single
from m3h.dataset.audit.table import Numbers, Standard, Table
from m3h.dataset.dataset import Dataset

Alarm = dict[str, Any]

#: AUROC, and correlation, that leave almost nothing open.
CERTAIN = {"binary": 0.995, "amount": 0.99}
#: The same for what stands alone.
STRONG = {"binary": 0.97, "amount": 0.95}
#: What stands alone leaves open at most one part in so many of what the next best leaves open.
ALONE = 4.0
#: Mean AUROC of a text's words over the classes of a task, where it has at least so many.
TEXT, CLASSES = 0.95, 3
#: Standard errors between a score and chance; thousands of columns are looked at.
ERRORS = 5.0
#: The lower 95 % limit of a score that stands alone must still be this high.
LEAST = 0.95
#: A rule "any of these means yes" is told where it covers this share of the answers, from so many rows, and is wrong at
#: most this often, as a share of how often a guess would be.
COVERED, RULE_ROWS, WRONG = 0.5, 15, 0.05
#: Columns with a larger correlation are one column told twice.
SAME = 0.99
#: Images are left out: a picture may well show what is asked.
MODALITIES = ("tabular", "timeseries", "language")


def telling(dataset: Dataset) -> Iterator[Alarm]:
    """Alarms for columns, pairs of columns, missing values and sources that answer a question too well.

    Looks at training rows alone, and at no source that the task excludes. One alarm a question: the plainest finding.
    """
    table = Table.of(dataset, MODALITIES)
    words = dataset.facts.get("tables", {}).get("words", {})
    told: set[str] = set()
    for question in questions(dataset):
        with threadpool_limits(limits=1):  # sums in another number of threads round otherwise
            alarms = list(_alarms(table, question, words))
        for alarm in alarms:
            # of one task's classes, one source is one finding
            key = f"{alarm['kind']} {question.task} {alarm['sources']}"
            if key not in told:
                told.add(key)
                yield alarm


def _alarms(table: Table, question: Question, words: Mapping[str, Any]) -> Iterator[Alarm]:
    columns = table.allowed(question)
    if not len(columns):
        return
    alone = single(table, columns, question)
    texts = list(_texts(question, words))
    yield from texts
    found = list(_single(table, columns, alone, question))
    yield from found or _together(table, columns, alone, question, texts=bool(texts))


def _together(table: Table, columns: Numbers, alone: Single, question: Question, *, texts: bool) -> list[Alarm]:
    """What columns tell that no single one does."""
    standard = table.standard(columns, question)
    found = list(_pair(table, standard, alone, question))
    if not found and question.kind == "binary":
        found = list(_rule(table, columns, question))
    if not found and not texts:
        found = list(_source(table, standard, alone, question))
    return found


def too_good(score: float, other: float, question: Question, answers: tuple[int, int]) -> bool:
    """Whether a score is past belief: almost certain, or strong and alone above ``other``, the next best.

    ``answers`` are the numbers of rows (no, yes) that it is from; of amounts both are the rows.
    """
    kind = question.kind
    if not beyond_chance(score, kind, answers):
        return False
    if score >= CERTAIN[kind]:
        return True
    alone = ALONE * left_open(score, kind) <= left_open(other, kind)
    return score >= STRONG[kind] and alone and score - 1.64 * _error(score, kind, answers) >= LEAST


def left_open(score: float, kind: str) -> float:
    """What a score leaves open: 1 - AUROC, or the share of the variance that is not explained."""
    return 1 - max(score, 0.5) if kind == "binary" else 1 - max(score, 0.0) ** 2


def beyond_chance(score: float, kind: str, answers: tuple[int, int]) -> bool:
    """Whether a score lies 5 standard errors above that of a column that knows nothing."""
    no, yes = (max(count, 1) for count in answers)
    if kind == "amount":
        return bool(score * np.sqrt(yes - 1) >= ERRORS)
    return bool((score - 0.5) / np.sqrt((no + yes + 1) / (12 * no * yes)) >= ERRORS)


def _error(score: float, kind: str, answers: tuple[int, int]) -> float:
    """The standard error of a score; of an AUROC after Hanley and McNeil 1982."""
    no, yes = (max(count, 1) for count in answers)
    if kind == "amount":
        return float((1 - score**2) / np.sqrt(max(yes - 1, 1)))
    one, two = score / (2 - score), 2 * score**2 / (1 + score)
    spread = score * (1 - score) + (yes - 1) * (one - score**2) + (no - 1) * (two - score**2)
    return float(np.sqrt(max(spread, 0.0) / (no * yes)))


def _single(table: Table, columns: Numbers, alone: Single, question: Question) -> Iterator[Alarm]:
    everyone = _everyone(question)
    order = np.argsort(-alone.values, kind="stable")
    best = int(order[0])
    rows = (int(alone.answers[best, 0]), int(alone.answers[best, 1]))
    if too_good(float(alone.values[best]), _next_best(table, columns, alone, order, question), question, rows):
        yield _alarm("column tells label", question, table, [int(columns[best])], float(alone.values[best]))
    gaps = np.argsort(-alone.missing, kind="stable")
    # columns that are missing together are one finding
    top = float(alone.missing[gaps[0]])
    rest = alone.missing[alone.missing < top - 1e-9]
    if too_good(top, float(rest.max(initial=0.0)), question, everyone):
        together = [int(columns[n]) for n in gaps if alone.missing[n] >= top - 1e-9]
        yield _alarm("missing tells label", question, table, together, top)


def _next_best(table: Table, columns: Numbers, alone: Single, order: Numbers, question: Question) -> float:
    """The best score of a column that is not nearly the best one over again."""
    first = table.codes[columns[order[0]], question.rows].astype(np.float64)
    for number in order[1:]:
        other = table.codes[columns[number], question.rows].astype(np.float64)
        both = (first > 0) & (other > 0)
        x, y = first[both], other[both]
        if len(x) < 3 or x.min() == x.max() or y.min() == y.max() or abs(np.corrcoef(x, y)[0, 1]) < SAME:
            return float(alone.values[number])
    return 0.0


def _pair(table: Table, standard: Standard, alone: Single, question: Question) -> Iterator[Alarm]:
    found = best_pair(standard, question.kind)
    if too_good(found.score, float(alone.values.max(initial=0.0)), question, _everyone(question)):
        yield _alarm("columns tell label", question, table, list(found.columns), found.score)


def _rule(table: Table, columns: Numbers, question: Question) -> Iterator[Alarm]:
    found = any_of(table, columns, question)
    usual = float(question.answers.mean())
    if found.rows >= RULE_ROWS and found.coverage >= COVERED and 1 - found.precision <= WRONG * (1 - usual):
        sources = list(dict.fromkeys(table.sources[column] for column in found.columns))
        names = [table.names[column] for column in found.columns]
        what = (
            f"any of {len(names):,} columns of source {_quoted(sources)}, such as {_quoted(names)}, means yes for "
            f"{found.coverage:.0%} of those who have it, and is wrong in {1 - found.precision:.1%}"
        )
        yield _told("rule tells label", question, sources, names[:3], found.precision, what)


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names[:3])


def _source(table: Table, standard: Standard, alone: Single, question: Question) -> Iterator[Alarm]:
    scores = source_scores(table, standard, question.kind)
    best = max(scores, key=lambda name: scores[name])
    others = [score for name, score in scores.items() if name != best]
    rival = max([*others, float(alone.values.max(initial=0.0))])
    if too_good(scores[best], rival, question, _everyone(question)):
        what = f"a linear model of it answers for patients it has not seen with {_number(scores[best], question)}"
        yield _told("source tells label", question, [best], [], scores[best], f'source "{best}": {what}')


def _texts(question: Question, words: Mapping[str, Any]) -> Iterator[Alarm]:
    for source, scores in words.items():
        own = scores.get(question.task, {})
        score = own.get(question.of)
        if source in question.excluded or score is None:
            continue
        if len(own) >= CLASSES and float(np.mean(list(own.values()))) >= TEXT:
            score = float(np.mean(list(own.values())))
            what = f"its words tell the {len(own)} classes apart with a mean AUROC of {score:.3f}"
        elif too_good(score, score, question, _everyone(question)):  # a disease may well be named in a text
            what = f"its words answer for patients they were not chosen on with {_number(score, question)}"
        else:
            continue
        yield _told("text tells label", question, [source], [], score, f'source "{source}": {what}')


def _everyone(question: Question) -> tuple[int, int]:
    if question.kind == "amount":
        return len(question.rows), len(question.rows)
    yes = int(question.answers.sum())
    return len(question.rows) - yes, yes


def _number(score: float, question: Question) -> str:
    return f"AUROC {score:.3f}" if question.kind == "binary" else f"correlation {score:.3f}"


def _alarm(kind: str, question: Question, table: Table, columns: list[int], score: float) -> Alarm:
    sources = list(dict.fromkeys(table.sources[column] for column in columns))
    names = [table.names[column] for column in columns]
    shown = ", ".join(f'"{name}"' for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    where = " and ".join(f'"{source}"' for source in sources[:3])
    what = {
        "column tells label": f"column {shown} of source {where} answers it alone",
        "columns tell label": f"columns {shown} of {where} answer it together",
        "missing tells label": f"whether {shown} of source {where} is known answers it",
    }[kind]
    return _told(kind, question, sources, names[:3], score, f"{what} with {_number(score, question)}")


def _told(kind: str, question: Question, sources: list[str], names: list[str], score: float, what: str) -> Alarm:
    step = "was it known at the sample's time? If not, name the source in exclude_sources or drop the column"
    return {
        "kind": kind,
        "text": f"{question.title}: {what}; {step}",
        "sources": sources,
        "columns": names,
        "number": round(score, 3),
        "task": question.task,
    }
