"""Tables made of final results: the last line of each number."""

from __future__ import annotations

import csv
from pathlib import Path

from comparing.lines import Line, append, plain
from comparing.measured import Value
from comparing.told import tell


def test_the_last_of_each_number_is_told(tmp_path: Path) -> None:
    file = tmp_path / "accuracy_final.csv"
    for joint in (0.7, 0.8125):
        append(
            [
                Line("compare", "m3h joint", "", "mean over 3 tasks", Value(joint, joint - 0.1, joint + 0.1)),
                Line("compare", "m3h joint", "linear", "mean over 3 tasks", Value(joint - 0.7, 0.01, 0.2)),
                Line("compare", "m3h joint", "linear", "tasks ahead", plain(2)),
                Line("missing", "m3h joint", "", "mean over 2 tasks, labs missing", plain(0.6)),
                Line("missing", "lightgbm tuned", "", "mean over 2 tasks, labs missing", plain(0.5)),
                Line("missing", "m3h joint", "lightgbm tuned", "mean over 2 tasks, labs missing", Value(0.1, 0, 0.2)),
            ],
            "toy",
            file,
        )
    assert {place.name for place in tell(file)} == {
        *("accuracy_test.csv", "accuracy_test_differences.csv", "accuracy_test_missing.csv"),
    }

    def rows(name: str) -> list[list[str]]:
        with (tmp_path / name).open(encoding="utf-8", newline="") as stream:
            return list(csv.reader(stream))[1:]

    assert rows("accuracy_test.csv") == [["toy", "3", "m3h joint", "0.8125", "0.7125", "0.9125"]]
    assert rows("accuracy_test_differences.csv") == [["toy", "linear", "+0.1125", "+0.0100", "+0.2000", "2 of 3"]]
    assert rows("accuracy_test_missing.csv") == [
        ["toy", "labs", "2", "0.6000", "0.5000", "+0.1000", "+0.0000", "+0.2000"]
    ]
