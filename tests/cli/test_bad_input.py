"""Every mistake a user can make is told in words, with exit status 2, and nothing half-written stays behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch

from called import Called, call

Edit = Callable[[dict[str, list[dict[str, object]]]], None]
Writes = Callable[..., Path]

SECRETS = ("visit-zq", "person-zq", "told in confidence")


def marked(edit: Edit | None = None) -> Edit:
    """Ids and notes that nothing else looks like, so that a message can be searched for them; then ``edit``."""

    def change(tables: dict[str, list[dict[str, object]]]) -> None:
        for rows in tables.values():
            for row in rows:
                row["visit"] = f"visit-zq{row['visit']}"
                if "patient" in row:
                    row["patient"] = f"person-zq{row['patient']}"
                if "text" in row:
                    row["text"] = f"{row['text']} told in confidence"
        if edit is not None:
            edit(tables)

    return change


def plant(table: str, column: str, value: object, rows: Iterable[int] = (2,)) -> Edit:
    """``value`` in some rows of a column; the column's others become texts, as a CSV holds them."""

    def change(tables: dict[str, list[dict[str, object]]]) -> None:
        for row in tables[table]:
            row[column] = None if row[column] is None else str(row[column])
        for number in rows:
            tables[table][number][column] = value

    return change


def refused(done: Called, *parts: str) -> str:
    """The message, which holds ``parts``; no traceback, no result, and nothing that belongs to a patient."""
    assert done.status == 2, done
    assert done.out == ""
    assert "Traceback" not in done.err
    for part in parts:
        assert part in done.err
    for secret in SECRETS:
        assert secret not in done.err
    return done.err


def check(study: Path, *words: object) -> Called:
    return call("check", study, "--no-cache", *words)


def replaced(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def change(text: str) -> str:
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        return text

    return change


def test_mistakes_of_the_study_file_are_told_together(small_study: Writes, tmp_path: Path) -> None:
    """Those of the file, of its tables and of encoder options: one report."""
    text = replaced(
        ("seed = 3", "sead = 3"),
        ('columns = ["age", "ward"]', 'columns = ["aeg", "ward"]'),
        ('value = "value"', 'value = "value"\nsignals = { heart_rat = "heart rate", lactate = "lactate" }'),
        ('modality = "language"', 'modality = "language"\nencoder = "tfidff"'),
        ('kind = "regression"', 'kind = "regresion"'),
    )
    message = refused(check(small_study(tmp_path / "s", edit=marked(), text=text)))
    for line, told in {
        "seed": 'unknown key "sead"',
        "encoder": 'unknown encoder "tfidff"',
        "kind": '"regresion"',
    }.items():
        assert told in message, line
    assert message.count("did you mean") >= 3
    assert "line " in message


def test_columns_and_signals_that_are_not_there_are_told_together(small_study: Writes, tmp_path: Path) -> None:
    text = replaced(
        ('columns = ["age", "ward"]', 'columns = ["aeg", "ward"]'),
        ('value = "value"', 'value = "value"\nsignals = { heart_rat = "heart rate", lactate = "lactate" }'),
        ('column = "days"', 'column = "dayz"'),
        ('patient = "patient"', 'patient = "patiant"'),
    )
    refused(
        check(small_study(tmp_path / "s", edit=marked(), text=text)),
        "4 mistakes",
        'no column "aeg"; did you mean "age"?',
        'no row of signal "heart_rat"; did you mean "heart_rate"?',
        'no column "dayz"; did you mean "days"?',
        'patient: no column "patiant"; did you mean "patient"?',
    )


@pytest.mark.parametrize(
    ("modality", "encoder", "instead"), [("language", "clinicalbert", "tfidf"), ("vision", "densenet121-chex", "hog")]
)
def test_pretrained_encoders_say_what_works_without_weights(
    modality: str, encoder: str, instead: str, small_study: Writes, tmp_path: Path
) -> None:
    asked = f'modality = "{modality}"'
    text = replaced((asked, f'{asked}\nencoder = "{encoder}"'))
    done = check(small_study(tmp_path / "s", edit=marked(), text=text))
    refused(done, f'encoder "{encoder}"', "pretrained weights", "not on this machine", f'set encoder = "{instead}"')


VALUES: dict[str, tuple[Edit, tuple[str, ...]]] = {
    "a duplicate sample id": (
        lambda tables: tables["samples"].append(dict(tables["samples"][4])),
        ("samples.csv", "1 sample ids stand more than once", "rows 5, 61"),
    ),
    "a label that is no class": (
        plant("samples", "died", "2", [2, 5]),
        ('task "died"', "2 labels do not fit kind binary (rows 3, 6)", 'got: "2"', "0 and 1"),
    ),
    "a label that is no number": (
        plant("samples", "days", "three"),
        ('task "days"', "1 labels do not fit kind regression (row 3)", '"three"'),
    ),
    "a text among numbers": (
        plant("samples", "age", "told in confidence"),
        ('source "basics"', "column age", "texts where numbers belong (row 3)"),
    ),
    "a text among measurements": (
        plant("vitals", "value", "told in confidence"),
        ('source "vitals"', "1 texts where numbers belong", "signals map"),
    ),
    "an infinite number": (
        plant("samples", "age", "inf", [1, 2, 3, 4]),
        ("4 infinite values in rows 2, 3, 4, ...", "column age"),
    ),
    "an infinite measurement": (plant("vitals", "value", "-inf"), ('source "vitals"', "value: 1 infinite values")),
    "an infinite label": (plant("samples", "days", "inf"), ('task "days"', "infinite", "row 3")),
    "a source with no row for any sample": (
        lambda tables: [row.update(visit="visit-zq-other") for row in tables["vitals"]] and None,
        ('source "vitals"', "no row for any sample", "belong to no sample"),
    ),
    "a sample without a patient": (plant("samples", "patient", None), ("1 of 60 samples have no patient", "row 3")),
}


@pytest.mark.parametrize("case", VALUES)
def test_values_that_do_not_fit(case: str, small_study: Writes, tmp_path: Path) -> None:
    edit, parts = VALUES[case]
    refused(check(small_study(tmp_path / "s", edit=marked(edit))), *parts)


def test_a_patient_on_both_sides_of_the_split(small_study: Writes, tmp_path: Path) -> None:
    def edit(tables: dict[str, list[dict[str, object]]]) -> None:
        tables["samples"][0]["part"] = "train"  # the patient's other visit is in the test part

    study = small_study(
        tmp_path / "s", edit=marked(edit), text=replaced(('time = "hour"', 'time = "hour"\nsplit = "part"'))
    )
    refused(check(study), "part: 1 patients have samples on both sides of the split", "leave split out")


def test_an_empty_table(small_study: Writes, tmp_path: Path) -> None:
    study = small_study(tmp_path / "s")
    vitals = study.parent / "vitals.csv"
    vitals.write_text(vitals.read_text().splitlines()[0] + "\n")
    refused(check(study), 'source "vitals"', "no row for any sample", "0 rows")
    samples = study.parent / "samples.csv"
    samples.write_text(samples.read_text().splitlines()[0] + "\n")
    refused(check(study), "samples.csv", "no samples", "a row for each prediction moment")
    samples.write_text("")
    refused(check(study), "samples.csv", "the file is empty", "a header line and rows")


def test_an_unreadable_and_a_truncated_image(small_study: Writes, tmp_path: Path) -> None:
    """Counted and taken as absent; an error if asked."""
    study = small_study(tmp_path / "s", edit=marked())
    images = sorted((study.parent / "images").glob("*.png"))
    images[0].write_bytes(images[0].read_bytes()[:60])
    images[1].write_text("told in confidence")
    source = next(s for s in check(study, "--json").json["sources"] if s["name"] == "xray")
    assert source["unreadable"] == 2
    assert check(study).out.count("2 samples have an image that cannot be read; taken as absent") == 1
    refused(check(study, "--strict"), 'source "xray"', "2 samples have an image that cannot be read", "rows")


def test_a_task_of_one_class(small_study: Writes, tmp_path: Path) -> None:
    """Left out with its reason; an error if it is asked for by name, or if nothing else is left."""

    def edit(tables: dict[str, list[dict[str, object]]]) -> None:
        for row in tables["samples"]:
            row["died"] = 0

    study = small_study(tmp_path / "s", edit=marked(edit))
    done = check(study, "--json")
    task = next(task for task in done.json["tasks"] if task["name"] == "died")
    assert (done.status, task["unusable"]) == (0, "all labels are of one class")
    refused(check(study, "--tasks", "days,died"), 'task "died" cannot be used: all labels are of one class')
    refused(
        call("run", study, "--out", tmp_path / "run", "--no-cache", "--tasks", "died"),
        'task "died" cannot be used: all labels are of one class',
    )
    assert not (tmp_path / "run").exists()
    text = study.read_text()
    study.write_text(text[: text.index('[[task]]\nname = "outcome"')])
    refused(check(study), "no task can be trained and scored", '"died": all labels are of one class')


def test_unknown_names_in_options(small_study: Writes, tmp_path: Path) -> None:
    study, run = small_study(tmp_path / "s"), ["--no-cache", "--out", tmp_path / "run"]
    refused(call("run", study, *run, "--tasks", "deid"), 'unknown task "deid"; did you mean "died"?')
    refused(call("run", study, *run, "--tasks", " "), "--tasks names no task", "no --tasks for all")
    refused(call("run", study, *run, "--device", "cudaa"), 'unknown device "cudaa"; did you mean "cuda"?')
    refused(call("run", study, *run, "--preset", "papper"), 'unknown preset "papper"; did you mean "paper"?')
    refused(call("train", study, *run, "--epochs", "0"), "0 epochs", "1 or more")
    refused(call("train", study, *run, "--memory", "0"), "--memory 0", "gigabytes above 0")
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_here(small_study: Writes, tmp_path: Path) -> None:
    """Nothing falls back to another device; where there is a card, the other kind is missing."""
    missing = "mps" if torch.cuda.is_available() else "cuda"
    done = call("run", small_study(tmp_path / "s"), "--out", tmp_path / "run", "--device", missing)
    refused(done, f'device "{missing}" is not on this machine', "cpu")
    assert not (tmp_path / "run").exists()


def test_no_study_there(tmp_path: Path) -> None:
    refused(check(tmp_path / "study.toml"), "no such file")
    (tmp_path / "bad.toml").write_text("[study\n")
    refused(check(tmp_path / "bad.toml"), "not TOML", "line 1")


def test_a_file_where_out_should_be(small_study: Writes, tmp_path: Path) -> None:
    study, place = small_study(tmp_path / "s"), tmp_path / "mine"
    place.write_text("mine")
    before = sorted(tmp_path.iterdir())
    refused(call("run", study, "--out", place, "--no-cache"), "a file stands where the run folder should be", "--out")
    refused(call("run", study, "--out", place / "run", "--no-cache"), "a file stands where a folder should be")
    assert place.read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_no_run_left_is_not_touched(small_study: Writes, tmp_path: Path) -> None:
    study, place = small_study(tmp_path / "s"), tmp_path / "thesis"
    place.mkdir()
    (place / "chapter.txt").write_text("years of work")
    refused(call("run", study, "--out", place, "--no-cache"), "something in it that no run left", "--out")
    assert [path.name for path in place.iterdir()] == ["chapter.txt"]
    assert (place / "chapter.txt").read_text() == "years of work"


FULL = """
import json, resource, sys
from pathlib import Path
from called import call
import m3h.api.run, m3h.dataset.build, skimage.feature, sklearn.decomposition
study, place = Path(sys.argv[1]), Path(sys.argv[2])
told = []
for name, limit in [("earlier", resource.RLIM_INFINITY), ("earlier", 1000), ("run", 40000), ("earlier", 1000000)]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    words = ("--epochs", 1, "--no-cache", "--ledger", place.parent / "ledgers" / f"{name}.sqlite")
    done = call("train", study, "--out", place / name, *words)
    files = {str(path): path.stat().st_mtime_ns for path in sorted(place.rglob("*"))}
    told.append({"status": done.status, "err": done.err, "files": files})
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps(told))
"""


def test_a_full_disk(small_study: Writes, tmp_path: Path) -> None:
    """Whether the ledger or the weights are being written when the disk is full: nothing half-written stays, an earlier
    run is kept as it was, and what the ledger held before is safe."""
    study, place = small_study(tmp_path / "s", edit=marked()), tmp_path / "place"
    place.mkdir()
    command = [sys.executable, "-c", FULL, study, place]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    first, *full = json.loads(done.stdout.splitlines()[-1])
    assert first["status"] == 0 and str(place / "earlier" / "model" / "networks.safetensors") in first["files"]
    ledger = ("ledger", "what the ledger held before is safe")
    folder = ("cannot be written", "File too large", "nothing half-written")
    for one, words in zip(full, (ledger, ledger, folder), strict=True):
        refused(Called(one["status"], "", one["err"]), *words)
        assert one["files"] == first["files"]


def test_decimal_commas_are_an_error_that_names_them(small_study: Writes, tmp_path: Path) -> None:
    """A column of 36,5 must not become a category for each value."""

    def comma(tables: dict[str, list[dict[str, object]]]) -> None:
        for row in tables["samples"]:
            row["age"] = f"{row['age']}".replace(".", ",") + ("" if "." in f"{row['age']}" else ",5")

    study = small_study(tmp_path / "s", edit=comma)
    refused(call("check", study, "--no-cache"), "texts where numbers belong", "decimal point")


def test_a_run_folder_with_a_file_of_the_users_is_not_replaced(small_study: Writes, tmp_path: Path) -> None:
    study, place = small_study(tmp_path / "s"), tmp_path / "run"
    place.mkdir()
    (place / "run.json").write_text("{}")
    (place / "my_notes.txt").write_text("mine")
    refused(call("run", study, "--out", place, "--no-cache"), "something in it that no run left", "my_notes.txt")
    assert (place / "my_notes.txt").read_text() == "mine"


def test_a_negative_seed_is_refused(small_study: Writes, tmp_path: Path) -> None:
    refused(call("run", small_study(tmp_path / "s"), "--out", tmp_path / "r", "--seed", -1), "seed -1", "0 or more")


def test_mistakes_of_the_file_and_of_its_tables_come_together(small_study: Writes, tmp_path: Path) -> None:
    study = small_study(
        tmp_path / "s", text=lambda text: text.replace("seed = 3", "sed = 3").replace('"age"', '"agee"')
    )
    refused(call("check", study), "2 mistakes", 'unknown key "sed"', 'no column "agee"; did you mean "age"?')
