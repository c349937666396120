"""Which values a design can tell: against games that the design cannot tell apart, and against the estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy.linalg import null_space

from m3h.experiments.asking import Ask
from m3h.experiments.tim.design import design
from m3h.experiments.tim.identified import sets_enough, unidentified
from m3h.experiments.tim.measure import measure
from m3h.experiments.tim.settings import Settings

TASKS = tuple("abcdef")


def blind(tasks: Sequence[str], settings: Settings, seed: int) -> set[tuple[str, str]]:
    """Pairs whose effect can be changed, with the others' and the levels', so that no score of the design changes."""
    asks = design(tasks, settings, seed)
    groups = sorted({(ask.fold, ask.replicate) for ask in asks})
    found = set()
    for source in tasks:
        rows = [
            [*((ask.fold, ask.replicate) == group for group in groups), *(t in ask.tasks for t in tasks if t != source)]
            for ask in asks
            if source in ask.tasks
        ]
        free = null_space(np.array(rows, dtype=float)) if rows else np.eye(len(groups) + len(tasks) - 1)
        moved = np.abs(free[len(groups) :]).max(1, initial=0.0) > 1e-9
        found |= {(source, t) for t, m in zip([t for t in tasks if t != source], moved, strict=True) if m}
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("sets", "replicates"), [(2, 3), (4, 2), (4, 3), (6, 3), (None, 3)])
def test_the_same_pairs_as_by_games_that_look_alike(sets: int | None, replicates: int, seed: int) -> None:
    settings = Settings(sets=sets, replicates=replicates)
    named = set(unidentified(TASKS, settings, seed))
    assert blind(TASKS, settings, seed) <= named
    # a source with no more scores than unknowns has no values at all
    more = {source for source, _ in named - blind(TASKS, settings, seed)}
    assert all({(source, t) for t in TASKS if t != source} <= named for source in more)


def alone(asks: Sequence[Ask]) -> Mapping[Ask, Mapping[str, float]]:
    """``a`` helps ``b``, and nothing else does anything."""
    return {ask: {t: 0.1 * (t == "b" and "a" in ask.tasks) for t in ask.tasks} for ask in asks}


def test_targets_that_come_and_go_together_share_their_value_and_are_named() -> None:
    settings, seed = Settings(sets=4, replicates=3), 0
    found = measure(TASKS, settings, seed, alone)
    named = unidentified(TASKS, settings, seed)
    assert named and ("b", "a") in named
    row = found.tim[TASKS.index("b")]
    assert np.isnan(row[0]) or row[0] < 0.08  # the effect of a is spread over those that look like it


def test_with_enough_sets_nothing_is_named_and_the_effect_is_found() -> None:
    enough = sets_enough(TASKS, Settings(), 0)
    assert enough is not None and enough > 2
    settings = Settings(sets=enough)
    assert unidentified(TASKS, settings, 0) == []
    assert unidentified(TASKS, Settings(sets=enough - 2), 0) != []
    found = measure(TASKS, settings, 0, alone)
    assert found.tim[1, 0] == pytest.approx(0.1, rel=0.1)  # shrunken a little towards the common effect


def test_no_number_of_sets_makes_up_for_replicates_that_are_lacking() -> None:
    """Two tasks have two scores of each in one replicate, for a level and an effect: nothing is left for the noise."""
    assert sets_enough(("a", "b"), Settings(replicates=1), 0) is None
    assert sets_enough(("a", "b"), Settings(replicates=2), 0) == 4


@pytest.mark.parametrize("method", ["exact", "pairs"])
def test_methods_that_train_what_they_compare_name_nothing(method: str) -> None:
    assert unidentified(TASKS, Settings(method=method, replicates=1), 0) == []


def test_a_size_limit_counts_too() -> None:
    """Every pair of a source is a set of its own: without it the value has no score."""
    settings = Settings(limit=2, sets=10, replicates=1)
    met = {(s, t) for ask in design(TASKS, settings, 0) for s in ask.tasks for t in ask.tasks if s != t}
    never = {(s, t) for s in TASKS for t in TASKS if s != t} - met
    assert never and never <= set(unidentified(TASKS, settings, 0))
    assert unidentified(TASKS, Settings(limit=2, sets=21), 0) == []
