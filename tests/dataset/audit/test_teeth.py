"""Planted leaks are caught in random disguises, and the study they are planted in is quiet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from disguises import codes_of_the_stay, label_in_disguise, own_report
from disguises_in_tables import known_later, one_person_twice
from m3h.core import seeds
from m3h.dataset.audit import LEAKS
from planted import Host, Planting, leaks, make_host, plant

TELLS = {kind for kind in LEAKS if kind.endswith("label")}
WITHOUT = ("echo", "ecg", "procedures")
TASKS = ("hypertension", "copd", "diabetes")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return make_host(
        tmp_path_factory.mktemp("hospital"), patients=120, seed=11, events=30, tasks=TASKS, without=WITHOUT
    )


def test_the_clean_study_is_quiet(host: Host) -> None:
    assert leaks(host.data) == []


@pytest.mark.parametrize(
    ("disguise", "kinds", "number"),
    [
        *((label_in_disguise, TELLS, number) for number in range(3)),
        *((own_report, TELLS, number) for number in range(3)),
        *((codes_of_the_stay, TELLS | {"codes among inputs"}, number) for number in (0, 1, 2)),
        *((known_later, TELLS | {"time not declared", "computed afterwards"}, number) for number in range(3)),
        *((one_person_twice, {"patient on both sides"}, number) for number in range(3)),
    ],
)
def test_a_planted_leak_is_caught(
    host: Host, tmp_path: Path, disguise: Callable[[Planting], str], kinds: set[str], number: int
) -> None:
    study = plant(host, tmp_path / "study", seeds.generator(0, "leak", disguise.__name__, number))
    how = disguise(study)
    alarms = study.alarms()
    assert {alarm["kind"] for alarm in alarms} & kinds, how
    assert all({"kind", "text", "sources", "columns", "number"} <= set(alarm) for alarm in alarms)
