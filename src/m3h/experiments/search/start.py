"""Search: the best task set of each task, and how many trainings that takes at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

from m3h.core.errors import SettingError
from m3h.experiments.asking import Answer
from m3h.experiments.search.asked import Asked, Say
from m3h.experiments.search.design import draw_count
from m3h.experiments.search.found import Found
from m3h.experiments.search.paper import beam, level_name
from m3h.experiments.search.planned import ALONE, GRID, RANDOM, Planned, halving, round_name
from m3h.experiments.search.settings import Settings


@dataclass(frozen=True)
class Bound:
    """How many trainings a step asks for: that many if ``exact``, otherwise at most that many."""

    step: str
    trainings: int
    exact: bool


def search(
    tasks: Sequence[str],
    settings: Settings,
    seed: int,
    answer: Answer,
    *,
    floor: Mapping[str, float] | None = None,
    say: Say | None = None,
) -> Found:
    """For each of ``tasks`` (in the study's order) the set that it is best learnt with, maybe itself alone.

    ``answer`` is asked once for each step, for all tasks together, and never twice for the same training; what is
    chosen depends on the scores, the names and ``seed`` only. ``floor``: task -> the score below which a fold's score
    counts as this score. ``say`` is told each step and its number of trainings. ``planned`` does as ``paper`` where
    that never takes more trainings, as with few tasks. Errors: SettingError for no tasks or tasks named twice.
    """
    _check(tasks)
    asked = Asked(tasks, answer, floor or {}, say)
    return beam(asked, settings) if _as_paper(len(tasks), settings) else Planned(asked, settings, seed).run()


def bounds(tasks: Sequence[str], settings: Settings) -> list[Bound]:
    """The steps of a search among ``tasks``, with the number of trainings of each. Errors: SettingError, as search."""
    _check(tasks)
    return _paper(len(tasks), settings) if _as_paper(len(tasks), settings) else _planned(len(tasks), settings)


def sets_at_most(tasks: int, settings: Settings) -> list[int]:
    """How many sets of 1, 2, ... tasks the paper's search trains at most, a set wanted for several tasks once.

    Pairs: all. Larger ones: each of ``width`` sets of a task grows by each task not in it; two that differ in one task
    grow into one set at least once. At 44 tasks and width 3: 44, 946 and 44 * 123.
    """
    counts = []
    kept = 1
    for size in range(1, min(settings.largest, tasks) + 1):
        each = kept * (tasks - size + 1) if size > 1 else 1
        if size == 3:  # any two pairs that hold the same task meet in one set
            each -= comb(kept, 2)
        each = min(each, comb(tasks - 1, size - 1))
        counts.append(min(tasks * each, comb(tasks, size)))
        kept = min(settings.width, each)
    return counts


def _check(tasks: Sequence[str]) -> None:
    if not tasks:
        raise SettingError("no tasks to search among", expected="at least one")
    twice = sorted({name for name in tasks if list(tasks).count(name) > 1})
    if twice:
        raise SettingError("a task of a search is named twice", got=", ".join(twice[:3]), expected="each once")


def _as_paper(tasks: int, settings: Settings) -> bool:
    def most(steps: list[Bound]) -> int:
        return sum(step.trainings for step in steps)

    return settings.method == "paper" or most(_paper(tasks, settings)) <= most(_planned(tasks, settings))


def _paper(tasks: int, settings: Settings) -> list[Bound]:
    each = settings.settings * settings.folds
    counts = sets_at_most(tasks, settings)
    return [Bound(level_name(size), sets * each, size <= 2) for size, sets in enumerate(counts, start=1)]


def _planned(tasks: int, settings: Settings) -> list[Bound]:
    s = settings
    size = min(s.largest, tasks)
    allowed = sum(comb(tasks, members) for members in range(2, size + 1))
    steps = [Bound(ALONE, tasks * s.folds, True), Bound(RANDOM, draw_count(tasks, s.draws, size), True)]
    steps += [Bound(round_name(number), min(s.proposals * tasks, allowed), False) for number in range(s.rounds)]
    steps += [Bound(name, min(keep * tasks, allowed) * new, False) for name, keep, _, new in halving(s)]
    if s.settings > 1:
        steps.append(Bound(GRID, 2 * tasks * (s.settings - 1) * s.folds, False))
    return steps
