from __future__ import annotations

import pytest

from m3h.core import errors
from m3h.core.errors import DataError, M3HError, Problem, StudyError, nearest


def test_message_has_each_given_part_on_a_line_of_its_own() -> None:
    error = DataError("14 rows above 40", where="labs.value", got="171", expected="mmol/L", next_step="set the unit")
    assert str(error).splitlines() == [
        "labs.value: 14 rows above 40",
        "  got: 171",
        "  expected: mmol/L",
        "  next: set the unit",
    ]
    assert (error.what, error.where, error.got) == ("14 rows above 40", "labs.value", "171")


def test_message_leaves_out_what_is_not_given() -> None:
    assert str(M3HError("no samples")) == "no samples"


def test_one_tree() -> None:
    classes = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)]
    assert len(classes) == 7
    assert all(issubclass(thing, M3HError) for thing in classes)
    drawn = errors.__doc__ or ""
    assert all(thing.__name__ in drawn for thing in classes)


def test_study_error_tells_all_mistakes_and_counts_them() -> None:
    problems = [Problem("[samples].id", 'no column "ide"; did you mean "id"?'), Problem("", "no task")]
    text = str(StudyError("study.toml", problems))
    assert text.startswith("study.toml: 2 mistakes in this study")
    assert '  - [samples].id: no column "ide"; did you mean "id"?' in text
    assert text.endswith("  - no task")
    assert "1 mistake in" in str(StudyError("study.toml", problems[:1]))


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("valeu", ["value", "time"], '; did you mean "value"?'),
        ("LACTATE", ["Lactate", "pH"], '; did you mean "Lactate"?'),
        ("zzz", ["b", "a"], "; known are a, b"),
        ("zzz", [], ""),
    ],
)
def test_nearest(name: str, known: list[str], hint: str) -> None:
    assert nearest(name, known) == hint


def test_nearest_shows_at_most_twelve() -> None:
    hint = nearest("zzz", [f"name{number:02d}" for number in range(13)])
    assert "name11" in hint and "name12" not in hint and hint.endswith(", ...")
