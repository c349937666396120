"""What Python gives is checked before anything is done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import m3h
from m3h.core.errors import FolderError, SettingError
from m3h.study.presets import Protocol
from made import make_dataset

DATA = make_dataset(samples=80)
QUICK = Protocol(epochs=1, folds=2)


def refused(act: Any, *parts: str) -> None:
    with pytest.raises(SettingError) as caught:
        act()
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("act", [m3h.search, m3h.tim, lambda data: m3h.M3H().fit(data)])
def test_a_path_is_no_dataset(act: Any) -> None:
    for given in ("study.toml", Path("study.toml"), None):
        refused(lambda given=given: act(given), "no dataset", "m3h.dataset(m3h.Study.read(path))")


@pytest.mark.parametrize("act", [m3h.search, m3h.tim, lambda data, tasks: m3h.M3H().fit(data, tasks)])
def test_one_text_is_no_list_of_names(act: Any) -> None:
    refused(lambda: act(DATA, "stay"), 'the text "stay"', 'tasks=["stay"]')
    refused(lambda: act(DATA, ["stay", 3]), "no text among the names")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sets": 2.5}, "sets: got a number, expected a whole number"),
        ({"sets": True}, "sets: got true or false"),
        ({"sets": 1}, "sets: got 1, expected 2 or more"),
        ({"setz": 4}, 'unknown option setz; did you mean "sets"?'),
        ({"method": "share"}, 'unknown "share"; did you mean "shared"?'),
        ({"method": "exact", "sets": 4}, "sets has no effect with the TIM method exact"),
        ({"folds": 3}, "3 folds for tim"),
        ({"inclusion": 1.5, "replicates": 0}, "replicates: got 0, expected 1 or more; inclusion: got 1.5"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], told: str) -> None:
    refused(lambda: m3h.tim(DATA, protocol=QUICK, **options), told)


def test_options_of_a_search_that_do_not_fit() -> None:
    refused(lambda: m3h.search(DATA, largest=2.0), "m3h.search", "largest: got a number, expected a whole number")
    refused(lambda: m3h.search(DATA, folds=3, protocol=QUICK), "3 folds for search")
    refused(lambda: m3h.search(DATA, protocol=Protocol(folds=33)), "33 folds of 32 training patients")


def test_a_pool_that_is_none_names_the_function() -> None:
    refused(lambda: m3h.tim(DATA, ["death"]), "m3h.tim: nothing to compare", "name two tasks or more")


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    refused(lambda: m3h.tim(DATA, ["death"], sets=np.int64(4)), "nothing to compare")


@pytest.mark.filterwarnings("default")
def test_what_changes_nothing_is_told_once_and_measured_all_the_same() -> None:
    with pytest.warns(UserWarning) as told:
        found = m3h.tim(DATA, ["death", "stay"], protocol=QUICK, replicates=1, limit=99, sets=50, memory=1)
    texts = [str(one.message) for one in told]
    assert [text.split(":")[0] for text in texts[:2]] == ["limit 99 limits nothing", "50 sets are more than there are"]
    assert "interactions of one replicate" in texts[2]
    assert "2 of 2 pairs cannot be told apart" in texts[3] and "more replicates would do" in texts[3]
    assert "less than what one network takes" in texts[4] and len(texts) == 5
    assert found["tim"].null_count() == 2 and all(one.filename == __file__ for one in told)


@pytest.mark.parametrize("act", [m3h.search, m3h.tim])
def test_a_ledger_that_cannot_be_is_told_with_its_path(act: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, told in ((tmp_path, "a folder stands where"), (tmp_path / "file" / "x", "a file stands where")):
        with pytest.raises(FolderError) as caught:
            act(DATA, ["death", "stay"], protocol=QUICK, ledger=place)
        assert told in str(caught.value) and str(place) in str(caught.value) and "next: " in str(caught.value)
