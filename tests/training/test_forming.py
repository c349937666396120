from __future__ import annotations

from collections.abc import Callable

import pytest

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, Protocol
from m3h.training import cost
from m3h.training.cost import CORE_WEIGHTS, FLEET_FLOPS, fleet_bytes, member_flops
from m3h.training.forming import evenly, form_fleets, trial_shape
from m3h.training.trial import Trial, make_trial
from made import make_wide

PAPER = PRESETS["paper"]
QUICK = Protocol(epochs=2, batch_sizes=(64,), learning_rates=(3e-4,))


def trials(data: Dataset, *sets: str, protocol: Protocol = QUICK, **more: object) -> list[Trial]:
    return [make_trial(data, part.split("+"), preset=PAPER, protocol=protocol, **more) for part in sets]  # type: ignore[arg-type]


def many(data: Dataset, count: int, **more: object) -> list[Trial]:
    return [
        trial for number in range(count) for trial in trials(data, "death", learning_rate=1e-4 * (1 + number), **more)
    ]


def test_fleets_are_cut_by_shape_and_not_by_order(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    plan = trials(data, "death", "sepsis", "unit", "stay", "death+sepsis") + trials(data, "death", fold=0)
    fleets = form_fleets(data, plan)
    assert sorted(len(fleet) for fleet in fleets) == [1, 1, 1, 1, 2]
    assert form_fleets(data, plan[::-1] + plan) == fleets
    with pytest.raises(TrainingError, match="another dataset"):
        form_fleets(learning_data(seed=1), plan)


def test_learning_rates_sit_in_one_fleet_and_precisions_do_not(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    plan = trials(data, "death", learning_rate=1e-3) + trials(data, "sepsis", learning_rate=1e-4)
    assert [trial.learning_rate for trial in form_fleets(data, plan)[0]] == [1e-4, 1e-3]
    assert len(form_fleets(data, plan + trials(data, "death", precision="bfloat16"))) == 2


def sizes(data: Dataset, plan: list[Trial], memory: int | None = None) -> list[int]:
    return [len(fleet) for fleet in form_fleets(data, plan, memory)]


def test_no_fleet_takes_more_memory_than_it_may(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    plan = many(data, 7, device="cuda")
    shape = trial_shape(data, plan[0])
    most = fleet_bytes(shape, plan[0], data.samples, 6)
    assert sizes(data, plan, most) == sizes(data, plan, most - 1) == [4, 3]
    assert sizes(data, plan, fleet_bytes(shape, plan[0], data.samples, 3)) == [3, 2, 2]
    assert sizes(data, plan, 1) == [1] * 7


def test_on_a_cpu_trials_are_spread_and_a_fleet_is_what_one_core_trains_fast(
    learning_data: Callable[..., Dataset],
) -> None:
    data = learning_data()
    wanted = {1: [1], 2: [2], 3: [2, 1], 4: [2, 2], 9: [3] * 3, 16: [4] * 4, 19: [5] * 3 + [4], 80: [8] * 10}
    assert {count: sorted(sizes(data, many(data, count)), reverse=True) for count in wanted} == wanted
    assert sizes(data, many(data, 80, device="cuda"), 1 << 40) == [80]
    wide = make_wide(rows=300, widths=(6, 451, 2304, 2084))
    shape = trial_shape(wide, many(wide, 1)[0])
    assert max(sizes(wide, many(wide, 40))) == CORE_WEIGHTS // cost.sizes(shape).learned < 8


def test_no_fleet_works_longer_than_about_a_minute(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    one = trials(data, "death")[0]
    once = member_flops(trial_shape(data, one), one, len(data.train_rows)) / one.epochs
    long = Protocol(epochs=int(FLEET_FLOPS["cpu"] / once / 2.5), batch_sizes=(64,), learning_rates=(3e-4,))
    assert sizes(data, many(data, 10, protocol=long)) == [2] * 5
    assert sizes(data, many(data, 10, protocol=long, device="cuda"), 1 << 40) == [10]


def test_the_longest_fleets_of_a_fold_come_first(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    plan = trials(data, "death", "death+sepsis+unit", "death+sepsis")
    assert [len(fleet[0].tasks) for fleet in form_fleets(data, plan)] == [3, 2, 1]


def test_fleets_of_one_fold_follow_each_other(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    plan = [t for fold in (2, 0, 1) for name in ("unit", "death", "stay") for t in trials(data, name, fold=fold)]
    assert [fleet[0].fold for fleet in form_fleets(data, plan)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(7, 6, [4, 3]), (6, 6, [6]), (13, 6, [5, 4, 4]), (3, 1, [1] * 3)]
)
def test_parts_are_as_few_and_as_equal_as_can_be(count: int, most: int, expected: list[int]) -> None:
    parts = evenly(list(range(count)), most)  # type: ignore[arg-type]
    assert [len(part) for part in parts] == expected
    assert [one for part in parts for one in part] == list(range(count))
