"""Plans: counts that a reader can redo, and times that follow from a given speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.experiments import plan as plans
from m3h.experiments.asking import Answer, Ask, Scores
from m3h.experiments.calibrate import Fleet
from m3h.experiments.memory import fleet_bytes
from m3h.experiments.plan import Counted, Found, Plan, Step, count, estimate, replay
from m3h.study.presets import PRESETS, Protocol
from m3h.training.trial import Trial, make_trial
from made import make_dataset

PRESET = replace(PRESETS["paper"], hidden=16, modality_width=16, shared_width=16, task_hidden=16, token_width=8)
PROTOCOL = Protocol(epochs=2, batch_sizes=(64,), folds=3)
MEMORY = 1 << 30


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset(samples=160)


def trials(data: Dataset, *sets: str, fold: int | None = 0) -> tuple[Trial, ...]:
    """Sets as text: "death+stay"."""
    return tuple(make_trial(data, one.split("+"), preset=PRESET, protocol=PROTOCOL, fold=fold) for one in sets)


def ledger(*finished: Trial) -> Found:
    ids = {trial.id for trial in finished}
    return lambda asked: {trial.id: None for trial in asked if trial.id in ids}


def test_fixed_steps_are_counted_exactly(data: Dataset) -> None:
    singles, pairs = trials(data, "death", "sepsis", "stay"), trials(data, "death+stay", "sepsis+stay")
    found = ledger(singles[0], pairs[1], *trials(data, "unit"))
    first, second = count([Step("singles", singles), Step("all", (*pairs, *singles, *pairs))], found)
    assert first == Counted("singles", 3, exact=True, done=1, shared=0, left=2, todo=singles[1:])
    assert second == Counted("all", 5, exact=True, done=2, shared=2, left=1, todo=pairs[:1])


def test_steps_that_choose_are_bounded(data: Dataset) -> None:
    known, typical = trials(data, "death", "stay"), trials(data, "death+stay")
    (step,) = count([Step("search", known, most=10, typical=typical)], ledger(known[0]))
    assert (step.trainings, step.exact, step.done, step.left, step.todo) == (10, False, 1, 9, known[1:])
    (step,) = count([Step("search", known, most=2)], ledger(*known))
    assert (step.trainings, step.exact, step.left) == (2, True, 0)
    for most, like in ((1, typical), (3, ())):
        with pytest.raises(SettingError, match=f"search: a step of at most {most} trainings"):
            Step("search", known, most=most, typical=like)


class Clock:
    """A speed by rule: a second for every member and task, so that a fleet of three pairs takes six."""

    def __init__(self) -> None:
        self.asked: list[Fleet] = []

    def __call__(self, dataset: Dataset, fleets: Sequence[Fleet], **_: object) -> Clock:
        self.asked = list(fleets)
        return self

    def seconds(self, fleets: Sequence[Fleet]) -> list[float]:
        return [float(len(fleet) * len(fleet[0].tasks)) for fleet in fleets]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(plans, "calibrate", made)
    monkeypatch.setattr(plans, "resident_bytes", lambda: 1000)
    return made


def planned(data: Dataset, steps: Sequence[Step], found: Found, **more: int) -> Plan:
    return estimate(data, steps, found, memory=MEMORY, **more)


def test_time_is_that_of_the_fleets_that_are_left(data: Dataset, clock: Clock) -> None:
    singles, pairs = trials(data, "death", "sepsis", "stay"), trials(data, "death+stay", "sepsis+stay")
    plan = planned(data, [Step("singles", singles), Step("pairs", pairs)], ledger(singles[0]))
    assert [step.seconds for step in plan.steps] == [2.0, 4.0] and plan.seconds == 6.0 and plan.exact
    assert sorted(len(fleet) for fleet in clock.asked) == [1, 1, 2], "the finished member is no longer in its fleet"
    assert singles[0] not in [trial for fleet in clock.asked for trial in fleet]


def test_what_is_not_known_takes_the_time_of_what_is_typical(data: Dataset, clock: Clock) -> None:
    known, typical = trials(data, "death"), trials(data, "death+stay", "sepsis+stay", "unit")
    plan = planned(data, [Step("search", known, most=31, typical=typical)], ledger())
    assert plan.steps[0].seconds == pytest.approx(1.0 + 30 * (2 + 2 + 1) / 3)
    assert not plan.exact


def test_workers_share_the_fleets_but_not_one(data: Dataset, clock: Clock) -> None:
    pairs = Step("pairs", trials(data, "death+stay", "sepsis+stay"))  # one fleet
    mixed = Step("mixed", trials(data, "death", "stay", "unit"))  # three fleets
    plan = planned(data, [pairs, mixed], ledger(), workers=2)
    assert [step.seconds for step in plan.steps] == [4.0, 1.5]


def test_nothing_left_takes_no_time_and_no_calibration(data: Dataset, clock: Clock) -> None:
    singles = trials(data, "death", "sepsis")
    plan = planned(data, [Step("singles", singles)], ledger(*singles))
    assert (plan.seconds, plan.memory, clock.asked) == (0.0, 1000, [])
    assert planned(data, [], ledger()).seconds == 0


def test_memory_is_what_is_there_and_the_largest_fleet_of_every_worker(data: Dataset, clock: Clock) -> None:
    sets = trials(data, "death", "unit+group")
    plan = planned(data, [Step("all", sets)], ledger(), workers=3)
    assert fleet_bytes(data, (sets[1],)) > fleet_bytes(data, (sets[0],)) > 0
    assert plan.memory == 1000 + 3 * fleet_bytes(data, (sets[1],))


def procedure(answer: Answer) -> str:
    """Asks for two singles, then for a pair with the better one, then no more."""
    singles = answer([Ask(("a",)), Ask(("b",))])
    better = max("ab", key=lambda name: singles[Ask((name,))][name])
    answer([Ask((better, "c"))])
    return better


@pytest.mark.parametrize(
    ("known", "asked", "ended"),
    [
        ({}, ["a", "b"], False),
        ({"a": 0.1}, ["a", "b"], False),
        ({"a": 0.1, "b": 0.2}, ["a", "b", "b+c"], False),
        ({"a": 0.3, "b": 0.2}, ["a", "b", "a+c"], False),
        ({"a": 0.3, "b": 0.2, "a+c": 0.5}, ["a", "b", "a+c"], True),
    ],
)
def test_a_procedure_is_followed_as_far_as_the_known_scores_carry(
    known: Mapping[str, float], asked: list[str], ended: bool
) -> None:
    def answer(asks: Sequence[Ask]) -> dict[Ask, Scores]:
        labels = {ask: "+".join(ask.tasks) for ask in asks}
        return {ask: {ask.tasks[0]: known[label]} for ask, label in labels.items() if label in known}

    done = replay(procedure, answer)
    assert (["+".join(ask.tasks) for ask in done.asks], done.ended) == (asked, ended)
