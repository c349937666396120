"""The planned search: random sets that serve all tasks at once, then only the promising sets of each."""

from __future__ import annotations

from collections.abc import Iterable

from m3h.experiments.asking import Ask
from m3h.experiments.search.asked import Asked, TaskSet
from m3h.experiments.search.design import draw_count, random_sets
from m3h.experiments.search.found import Diary, Found
from m3h.experiments.search.paper import ranking
from m3h.experiments.search.prospects import Prospects
from m3h.experiments.search.settings import Settings

ALONE, RANDOM, GRID, CHOICE = "alone", "random sets", "other settings", "choice"


def round_name(number: int) -> str:
    """The name of a round of promising sets, counted from 0."""
    return f"promising sets, round {number + 1}"


def halving(settings: Settings) -> list[tuple[str, int, int, int]]:
    """How the field narrows: name of the step, sets kept for each task, the folds they have by then, and at most how
    many of these are new to a set."""
    second, last = min(2, settings.folds), settings.folds
    steps = [(f"{second} folds", settings.survivors, second, second - 1)]
    steps += [(f"{last} folds", settings.finalists, last, last - second)]
    return [step for step in steps if step[3]]


class Planned:
    """One search, step by step; see :meth:`run`."""

    def __init__(self, asked: Asked, settings: Settings, seed: int) -> None:
        self._asked, self._settings, self._seed = asked, settings, seed
        self._names = sorted(asked.place)
        self._diary = Diary(asked)

    def run(self) -> Found:
        """Each task alone in all folds; random sets in one fold each; then rounds of the sets that the surrogate of
        each task finds promising, at first with a liking for what it knows little of, in one fold each; the best of
        all sets trained get a second fold, the best of these all folds. The set of largest estimated gain among those
        that have all folds is compared with the task alone by cross-validation, both in the best of all settings."""
        settings = self._settings
        self._step(ALONE, (self._ask((name,), fold) for name in self._names for fold in range(settings.folds)))
        self._step(RANDOM, self._random())
        for number in range(settings.rounds):
            self._step(round_name(number), self._promising(number))
        for name, keep, reach, _ in halving(settings):
            self._step(name, self._completing(keep, reach))
        return self._choice()

    def _random(self) -> list[Ask]:
        size = min(self._settings.largest, len(self._names))
        count = draw_count(len(self._names), self._settings.draws, size)
        sets = random_sets(len(self._names), count, size, self._seed)
        return [
            self._ask(self._asked.ordered(self._names[member] for member in members), place % self._settings.folds)
            for place, members in enumerate(sets)
        ]

    def _promising(self, number: int) -> list[Ask]:
        """For each task the most promising of the sets not trained yet, all in the same fold."""
        settings = self._settings
        prospects = Prospects(self._asked, settings.base)
        optimism = 1.0 - number / (settings.rounds - 1) if settings.rounds > 1 else 0.0
        asks = []
        for name in self._names:
            wanted = settings.proposals
            for tasks in prospects.best(name, settings.largest, optimism):
                if not self._asked.folds(tasks, settings.base):
                    asks.append(self._ask(tasks, number % settings.folds))
                    wanted -= 1
                if not wanted:
                    break
        return asks

    def _completing(self, keep: int, reach: int) -> list[Ask]:
        """What the best sets of each task lack of ``reach`` folds; only those that came so far are looked at."""
        prospects = Prospects(self._asked, self._settings.base)
        asks = []
        for name in self._names:
            for tasks in prospects.ranked(name, self._trained(name, 1 if reach <= 2 else 2))[:keep]:
                done = self._asked.folds(tasks, self._settings.base)
                missing = [fold for fold in range(self._settings.folds) if fold not in done]
                asks += [self._ask(tasks, fold) for fold in missing[: max(0, reach - len(done))]]
        return asks

    def _trained(self, task: str, folds: int) -> list[TaskSet]:
        """The sets of an allowed size, not the task alone, that have scores of the task in so many folds or more."""
        return [
            tasks
            for tasks in self._asked.sets_with(task)
            if 1 < len(tasks) <= self._settings.largest
            and len(self._asked.by_fold(tasks, task, self._settings.base)) >= folds
        ]

    def _choice(self) -> Found:
        settings = self._settings
        prospects = Prospects(self._asked, settings.base)
        best = {}
        for name in self._names:
            scored = len(self._asked.by_fold((name,), name, settings.base))
            complete = [
                tasks
                for tasks in self._trained(name, max(1, scored))
                if len(self._asked.folds(tasks, settings.base)) == settings.folds
            ]
            best[name] = next(iter(prospects.ranked(name, complete)), (name,))
        pairs = {name: {(name,), tasks} for name, tasks in best.items()}
        wanted = {tasks for pair in pairs.values() for tasks in pair}
        others = [setting for setting in range(settings.settings) if setting != settings.base]
        self._step(GRID, (Ask(t, f, 0, s) for t in wanted for s in others for f in range(settings.folds)))
        for name in self._asked.place:
            self._diary.note(CHOICE, name, pairs[name], settings.largest)
        return self._diary.found({name: ranking(self._asked, name, pair)[0] for name, pair in pairs.items()})

    def _ask(self, tasks: TaskSet, fold: int) -> Ask:
        return Ask(tasks, fold=fold, setting=self._settings.base)

    def _step(self, step: str, asks: Iterable[Ask]) -> None:
        sets = self._asked.ask(step, asks)
        for name in self._asked.place:
            self._diary.note(step, name, {tasks for tasks in sets if name in tasks}, self._settings.largest)
