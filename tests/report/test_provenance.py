import dataclasses
from collections.abc import Callable
from pathlib import Path

from m3h.report.contents import read
from m3h.report.provenance import fields, settings, stages, task_sets, versions, warnings

Run = Callable[..., Path]


def test_settings_say_which_protocol_was_used(run: Run) -> None:
    lines = {row[0].text: row[1].text for row in settings(read(run(2))).rows}
    assert lines["Training"] == "one setting: batch 256, learning rate 0.0003, 15 epochs (without a grid)"
    assert lines["Command"] == "m3h run study.toml --baseline --out runs/made-up"
    assert lines["Data fingerprint"] == "0123456789abcdef0123456789abcdef"


def test_fields_hold_preset_and_protocol(run: Run) -> None:
    text = fields(read(run(2)))
    assert text == (
        "modality width 128; dropout 0.1; decoder widths 256 / 512; epochs 15; batch sizes 512 / 256; grid no"
    )


def test_single_networks_are_one_line_with_their_time_added(run: Run) -> None:
    table = task_sets(read(run(4)))
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [
        [
            "death, length_of_stay, icu_type and hypotension",
            "demographics and bedside",
            "1,234,567",
            "all losses in one step",
            "1 min 01 s",
        ],
        ["4 networks of one question each", "as above", "234,567", "a step per loss", "38.0 s"],
    ]


def test_stages_join_time_and_memory(run: Run) -> None:
    table = stages(read(run(2)))
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["read", "3.2 s", "410 MB"],
        ["encode", "41.7 s", "–"],
        ["train", "3 min 25 s", "1,388 MB"],
    ]


def test_failures_stand_before_warnings(run: Run) -> None:
    contents = read(run(2))
    failed = {**contents.run, "failed": [{"tasks": ["death"], "reason": "loss became NaN in epoch 2"}]}
    assert warnings(dataclasses.replace(contents, run=failed)) == [
        "Training of death did not end well: loss became NaN in epoch 2",
        "2 images could not be read and count as absent",
    ]


def test_notes_of_the_run_stand_after_its_warnings(run: Run) -> None:
    contents = read(run(2))
    noted = {**contents.run, "notes": ["limit 99 limits nothing: 2 tasks are compared"]}
    assert warnings(dataclasses.replace(contents, run=noted)) == [*warnings(contents), *noted["notes"]]


def test_versions_are_listed(run: Run) -> None:
    assert versions(read(run(2))) == "python 3.11, torch 2.15"


def test_networks_of_chosen_sets_are_one_line(run: Run) -> None:
    contents = read(run(3))
    sets = [entry if entry["role"] == "single" else entry | {"role": "best"} for entry in contents.run["task_sets"]]
    table = task_sets(dataclasses.replace(contents, run={**contents.run, "task_sets": sets}))
    assert table is not None
    assert [[cell.text for cell in row][:2] for row in table.rows] == [
        ["1 network of a chosen set", "demographics and bedside"],
        ["3 networks of one question each", "as above"],
    ]


def test_ledger_says_what_is_new(pooled: Run) -> None:
    lines = {row[0].text: row[1].text for row in settings(read(pooled(5, tim="shared"))).rows}
    assert lines["Ledger"] == "trainings: 121 finished, 1 failed, 120 new in this command"
