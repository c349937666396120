"""One comparison as it was asked for: its data, its parts, its models, and the scores it has so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from comparing import trees
from comparing.measured import Drawn, Vector, mean, mean_of_scored
from comparing.models import Asked, Kept, Network
from comparing.parts import Part, final_parts, fold_parts, opened, usable_everywhere
from m3h.core.errors import DataError, SettingError
from m3h.dataset.dataset import Dataset

JOINT, SINGLE = "m3h joint", "m3h single"
PLAIN, TUNED, LINEAR = "lightgbm", "lightgbm tuned", "linear"
REPLICATES, FINAL_REPLICATES = 2, 3
#: Name of a network -> what each of its replicates says.
Said = dict[str, list[Asked]]


def say(text: str) -> None:
    """On the terminal at once, also where that is a file."""
    print(text, flush=True)


@dataclass
class Board:
    """Scores by model and task: a vector for every part and replicate."""

    vectors: dict[tuple[str, str], list[Vector]] = field(default_factory=dict)

    def add(self, model: str, task: str, vector: Vector) -> None:
        self.vectors.setdefault((model, task), []).append(vector)

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(model for model, _ in self.vectors))

    def of(self, model: str, task: str) -> Vector:
        """Over parts and replicates, in a draw over those that it can score."""
        return mean_of_scored(self.vectors[model, task])

    def mean(self, model: str, tasks: Iterable[str]) -> Vector:
        """Over tasks too."""
        return mean(self.of(model, task) for task in tasks)

    def gap(self, a: str, b: str, tasks: Iterable[str]) -> Vector:
        """How much better a is than b, over tasks; in a draw over the tasks that it can score."""
        return mean_of_scored(self.of(a, task) - self.of(b, task) for task in tasks)

    def ahead(self, a: str, b: str, tasks: Iterable[str]) -> int:
        """On how many tasks a scores above b."""
        return sum(bool(self.of(a, task)[0] > self.of(b, task)[0]) for task in tasks)


@dataclass(frozen=True)
class Wish:
    """What the command line asked for."""

    study: str
    work: Path
    final: bool = False
    folds: int = 2
    replicates: int | None = None
    draws: int = 2000
    threads: int = 1
    tasks: tuple[str, ...] = ()
    retrain: tuple[str, ...] = ()


class Session:
    """What the commands share. Only with ``final`` are test rows scored: networks train on the whole training part."""

    def __init__(self, wish: Wish) -> None:
        if wish.final and (wish.tasks or (wish.replicates or FINAL_REPLICATES) < FINAL_REPLICATES):
            raise SettingError(
                "a final comparison is of all tasks", expected=f"no --tasks, and {FINAL_REPLICATES} replicates or more"
            )
        self.wish = wish
        self.data: Dataset = opened(wish.study, wish.work, final=wish.final, tasks=wish.tasks)
        self.parts: list[Part] = final_parts(self.data) if wish.final else fold_parts(self.data, wish.folds)
        self.replicates = range(wish.replicates or (FINAL_REPLICATES if wish.final else REPLICATES))
        self.drawn = Drawn(self.data.patients, self.parts, self.data.seed, wish.draws)
        self.kept = Kept(wish.work / "kept", strict=wish.final, retrain=wish.retrain, threads=wish.threads, say=say)
        torch.set_num_threads(wish.threads)
        threadpool_limits(wish.threads, user_api="blas")
        where = "the test rows" if wish.final else f"{len(self.parts)} folds of the training rows"
        say(f"{self.data.name}: {len(self.tasks)} labelled tasks, scored on {where}")

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The labelled tasks that every part can score. Errors: DataError for none."""
        found = usable_everywhere(self.parts)
        if not found:
            raise DataError("no labelled task can be scored", where=self.data.name)
        return found

    @cached_property
    def tuning(self) -> trees.Tuning | None:
        """The tuned settings; None, said aloud, where there are none. A final comparison needs all of them."""
        found = trees.kept_tuning(self.data, self.wish.work)
        say(trees.told(self.data, found, self.tasks))
        if self.wish.final and not found.complete(self.tasks):
            raise SettingError("LightGBM is not tuned to the end", next_step=f"accuracy.py tune {self.wish.study}")
        if not all(found.found.get(task) for task in self.tasks):
            say("NOTE: LightGBM is not tuned for every task: it is left out; accuracy.py tune does it")
            return None
        return found

    @property
    def models(self) -> list[str]:
        """The models without a network that are at hand."""
        return [PLAIN, TUNED, LINEAR] if self.tuning else [PLAIN, LINEAR]

    def score_opponents(self, board: Board, part: Part, tasks: Sequence[str], models: Sequence[str]) -> None:
        """Add what models without a network score on a part."""
        for task in tasks:
            for model in models:
                if model == TUNED:
                    assert self.tuning is not None
                    said = self.kept.tuned(part, task, self.tuning.chosen(task))[""]
                else:
                    said = self.kept.baseline(part, task, "linear" if model == LINEAR else "lightgbm")
                board.add(model, task, self.drawn.vector(part, task, said))

    def ask(self, part: Part, networks: Sequence[Network], missing: Sequence[str] = ()) -> Said:
        """What networks say of a part, by name, replicate by replicate."""
        asked = [(network, number) for network in networks for number in self.replicates]
        found: Said = {}
        for (network, _), said in zip(asked, self.kept.networks(part, asked, missing), strict=True):
            found.setdefault(network.name, []).append(said)
        return found

    def score_networks(self, board: Board, part: Part, tasks: Sequence[str], said: Said) -> None:
        """Add what networks score on a part, replicate by replicate."""
        for name, every in said.items():
            for one in every:
                for task in tasks:
                    board.add(name, task, self.drawn.vector(part, task, one[""][task]))


def ours(networks: Sequence[Network]) -> list[Network]:
    """Those of the preset m3h. Errors: SettingError where there is no such preset."""
    found = [network for network in networks if network.label == "m3h"]
    if not found:
        raise SettingError("there is no preset m3h to compare", next_step="add it to m3h.study.presets")
    return found
