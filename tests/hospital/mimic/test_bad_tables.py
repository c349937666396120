"""A simulated hospital with one thing wrong at a time: refused with what, where and what to do, or counted."""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from m3h.core.errors import DataError
from m3h.hospital.mimic.build import Made, make_study
from m3h.hospital.mimic.extract import Choices
from m3h.hospital.simulate.hospital import simulate

Damage = Callable[[Path], object]
ADMISSIONS, PATIENTS, STAYS = "hosp/admissions", "hosp/patients", "icu/icustays"
CHART, LABS, PROCEDURES, DIAGNOSES = "icu/chartevents", "hosp/labevents", "icu/procedureevents", "hosp/diagnoses_icd"
RADIOLOGY, CXR = "note/radiology", "cxr/mimic-cxr-2.0.0"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "hospital"
    simulate(folder, patients=25, seed=2, release="2.2", events_per_stay=20)
    return folder


@pytest.fixture(scope="module")
def samples(hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    out = tmp_path_factory.mktemp("made") / "study"
    make_study(hospital, out, encoders="offline")
    return pl.read_parquet(out / "samples.parquet")


@pytest.fixture
def damaged(hospital: Path, tmp_path: Path) -> Callable[[Damage], Path]:
    def copied(damage: Damage) -> Path:
        folder = tmp_path / "mimic"
        shutil.copytree(
            hospital, folder, copy_function=lambda a, b: os.link(a, b) if a.endswith(".jpg") else shutil.copy(a, b)
        )
        damage(folder)
        return folder

    return copied


def made(folder: Path, **more: object) -> Made:
    return make_study(folder, folder.parent / "study", encoders="offline", **more)  # type: ignore[arg-type]


def content(folder: Path, table: str) -> str:
    return gzip.decompress((folder / f"{table}.csv.gz").read_bytes()).decode()


def put(folder: Path, table: str, new: str | bytes) -> None:
    (folder / f"{table}.csv.gz").write_bytes(gzip.compress(new if isinstance(new, bytes) else new.encode(), mtime=0))


def edit(table: str, change: Callable[[str], str | bytes]) -> Damage:
    return lambda folder: put(folder, table, change(content(folder, table)))


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(folder, table))))


def column(table: str, name: str, change: Callable[[int, str], str]) -> Damage:
    """Changes the values of a column, by the row's number from 1."""

    def damage(folder: Path) -> None:
        found = rows(folder, table)
        for number, row in enumerate(found, 1):
            row[name] = change(number, row[name])
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
        put(folder, table, stream.getvalue())

    return damage


def head(text: str, lines: int = 1) -> str:
    return "".join(text.splitlines(keepends=True)[:lines])


def cut(table: str, share: float) -> Damage:
    def damage(folder: Path) -> None:
        file = folder / f"{table}.csv.gz"
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])

    return damage


def without(table: str) -> Damage:
    return lambda folder: (folder / f"{table}.csv.gz").unlink()


def as_number(value: str) -> str:
    return str(int(value)) if value.strip().isdigit() else value


def as_parquet(table: str, *changed: pl.Expr) -> Damage:
    def damage(folder: Path) -> None:
        frame = pl.read_csv(io.StringIO(content(folder, table)), infer_schema=False)
        frame.with_columns(*changed).write_parquet(folder / f"{table}.parquet")
        without(table)(folder)

    return damage


def every(count: int, value: str) -> Callable[[int, str], str]:
    return lambda number, old: value if number % count == 0 else old


REFUSED: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "a table is missing": (without(LABS), ("1 table is missing: labevents", "hosp/labevents.csv.gz")),
    "cut at the beginning": (cut(CHART, 0.0001), ("chartevents.csv.gz",)),
    "cut in the middle": (cut(LABS, 0.5), ("labevents.csv.gz: truncated",)),
    "not compressed": (
        lambda folder: (folder / f"{CHART}.csv.gz").write_text("subject_id\n1\n"),
        ("chartevents.csv.gz: truncated or damaged",),
    ),
    "nothing in it": (edit(CHART, lambda _: ""), ("chartevents.csv.gz: the file is empty",)),
    "admissions without rows": (edit(ADMISSIONS, head), ("admissions.csv.gz: the table has no rows",)),
    "diagnoses without rows": (edit(DIAGNOSES, head), ("diagnoses_icd.csv.gz: the table has no rows",)),
    "diagnoses of others": (
        column(DIAGNOSES, "hadm_id", lambda number, old: "29999999"),
        ("diagnoses_icd.csv.gz: no diagnosis of any sample's admission",),
    ),
    "a column of another version": (
        edit(STAYS, lambda text: text.replace("outtime", "out_time", 1)),
        ('icustays.csv.gz: no column "outtime"; did you mean "out_time"?', "MIMIC-IV 1.0 to 3.1"),
    ),
    "two columns of a name": (
        edit(PATIENTS, lambda text: text.replace("gender", "anchor_age", 1)),
        ('patients.csv.gz: two columns of the same name: "anchor_age"',),
    ),
    "a delimiter nobody uses": (edit(PATIENTS, lambda text: text.replace(",", ":")), ('no column "subject_id"',)),
    "a row cut short": (
        edit(CHART, lambda text: text + "1,2,3\n"),
        ("chartevents.csv.gz: line", "has 3 fields, the header 11"),
    ),
    "a quote that does not close": (edit(CHART, lambda text: text + '1,"2\n'), ("chartevents.csv.gz: line", "quote")),
    "not UTF-8": (
        edit(ADMISSIONS, lambda text: text.encode().replace(b"ENGLISH", b"ENGLI\xc9")),
        ("admissions.csv.gz: line", "is not UTF-8"),
    ),
    "two kinds of line ends": (
        edit(ADMISSIONS, lambda text: text.replace("\n", "\r\n", 5)),
        ("admissions.csv.gz: not one kind of line ends",),
    ),
    "codes read as numbers": (
        column(DIAGNOSES, "icd_code", lambda number, old: as_number(old)),
        ("diagnoses_icd.csv.gz: icd_code was read as a number before", "leading zeros"),
    ),
    "codes read as floats": (
        column(DIAGNOSES, "icd_code", lambda number, old: f"{as_number(old)}.0" if old.isdigit() else old),
        ("icd_code was read as a number before",),
    ),
    "codes in Parquet as numbers": (
        as_parquet(DIAGNOSES, pl.col("icd_code").cast(pl.Int64, strict=False)),
        ("diagnoses_icd.parquet: icd_code: codes must be texts", "lose leading zeros"),
    ),
    "a table twice": (
        lambda folder: (folder / f"{PATIENTS}.csv").write_text(content(folder, PATIENTS)),
        ("the table patients is there 2 times", "patients.csv.gz", "one file for each table"),
    ),
    "a time that does not parse": (
        column(ADMISSIONS, "admittime", lambda number, old: "soon" if number == 4 else old),
        ("admissions.csv.gz: admittime cannot be read as a time (row 4)", "YYYY-MM-DD HH:MM:SS"),
    ),
    "a time with a zone": (
        column(ADMISSIONS, "admittime", lambda number, old: f"{old}-05" if number == 4 else old),
        ("admissions.csv.gz: admittime cannot be read as a time (row 4)",),
    ),
    "no time of any row parses": (
        column(CHART, "charttime", lambda number, old: "05/06/2180 10:00"),
        ("chartevents.csv.gz: no row can be used", "rows of chartevents whose charttime cannot be read"),
    ),
    "an id that is no number": (
        column(STAYS, "hadm_id", lambda number, old: f"{old}.5" if number == 2 else old),
        ("icustays.csv.gz: hadm_id cannot be read as a whole number (row 2)",),
    ),
    "an id is empty": (column(STAYS, "hadm_id", every(9, "")), ("icustays.csv.gz: hadm_id is empty (rows 9, 18",)),
    "an admission twice": (
        edit(ADMISSIONS, lambda text: text + text.splitlines(keepends=True)[3]),
        ("admissions.csv.gz: hadm_id not unique (rows 3, ",),
    ),
    "findings twice": (
        edit(f"{CXR}-chexpert", lambda text: text + text.splitlines(keepends=True)[1]),
        ("subject_id and study_id not unique (rows 1, ",),
    ),
    "a finding that is no number": (
        column(f"{CXR}-chexpert", "Edema", every(7, "yes")),
        ("Edema cannot be read as a number (rows 7, 14, 21",),
    ),
    "a date of another kind": (
        column(f"{CXR}-metadata", "StudyDate", lambda number, old: f"{old[:4]}-{old[4:6]}-{old[6:]}"),
        ("StudyDate cannot be read as a whole number (rows 1, 2, 3, ...)",),
    ),
    "none of the images": (
        lambda folder: [shutil.rmtree(place) for place in (folder / "cxr" / "files").iterdir()],
        ("none of the samples' images is there", "p10/p10000001/s50000001"),
    ),
    "no intensive care of these admissions": (
        column(STAYS, "hadm_id", lambda number, old: "29999999"),
        ("no sample", "admissions without intensive care", "stays in intensive care of admissions that the table"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, damaged: Callable[[Damage], Path]) -> None:
    damage, parts = REFUSED[case]
    folder = damaged(damage)
    with pytest.raises(DataError) as told:
        made(folder)
    message = str(told.value)
    for part in parts:
        assert part in message
    assert told.value.where and (told.value.expected or told.value.next_step)
    ids = {row[name] for row in rows(folder, f"{CXR}-metadata") for name in ("subject_id", "study_id")}
    assert not any(one in message for one in ids - {"10000001", "50000001"})
    assert [path.name for path in folder.parent.iterdir()] == ["mimic"]


@pytest.mark.parametrize("cores", [1, 4])
def test_of_two_damaged_tables_the_first_is_told(
    damaged: Callable[[Damage], Path], cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is found to be damaged first: the files are read at the same time."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    folder = damaged(lambda place: [cut(LABS, 0.1)(place), cut(CHART, 0.9)(place), cut(PROCEDURES, 0.5)(place)])
    with pytest.raises(DataError, match=r"chartevents\.csv\.gz: truncated"):
        made(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["mimic"]


UNHARMED: dict[str, Damage] = {
    "a mark of UTF-8 at the beginning": edit(ADMISSIONS, lambda text: "\ufeff" + text),
    "line ends of Windows": edit(ADMISSIONS, lambda text: text.replace("\n", "\r\n")),
    "semicolons": edit(PATIENTS, lambda text: text.replace(",", ";")),
    "names in capitals": edit(PATIENTS, lambda text: head(text).upper() + text[len(head(text)) :]),
    "ids with a point": column(ADMISSIONS, "hadm_id", lambda number, old: f"{old}.0"),
    "Parquet in place of CSV": as_parquet(
        ADMISSIONS, pl.col("hadm_id").cast(pl.Float64), pl.col("admittime").str.to_datetime()
    ),
}


@pytest.mark.parametrize("case", UNHARMED)
def test_what_only_looks_different_gives_the_same_samples(
    case: str, damaged: Callable[[Damage], Path], samples: pl.DataFrame, tmp_path: Path
) -> None:
    made(damaged(UNHARMED[case]))
    assert pl.read_parquet(tmp_path / "study" / "samples.parquet").equals(samples) and len(samples) > 20


def test_rows_that_cannot_be_read_are_counted(damaged: Callable[[Damage], Path], hospital: Path) -> None:
    """A different column of each tenth of the rows; the rest comes through as it was."""
    changes = {3: ("charttime", "soon"), 4: ("hadm_id", "?"), 5: ("itemid", "x"), 6: ("valuenum", "36,5")}

    def damage(folder: Path) -> None:
        for place, (name, value) in changes.items():
            column(CHART, name, lambda number, old, at=place, new=value: new if number % 10 == at else old)(folder)

    folder = damaged(damage)
    counts = dict(made(folder).extracted.counts)
    samples = pl.read_parquet(folder.parent / "study" / "samples.parquet")
    admissions = {str(one) for one in samples["hadm_id"]}
    signals = {"220045", "220179", "220180", "220181", "220210", "220277", "223900", "220739", "223901"}
    wanted = dict.fromkeys(("charttime", "hadm_id", "itemid", "valuenum"), 0)
    good = 0
    for number, row in enumerate(rows(hospital, CHART), 1):
        name = changes.get(number % 10, ("", ""))[0]
        signal, ours = row["itemid"] in signals, row["hadm_id"] in admissions
        if name and (signal or name == "itemid") and (ours or name == "hadm_id"):
            wanted[name] += 1
        good += signal and ours and not name
    assert {name: counts.get(f"rows of chartevents whose {name} cannot be read", 0) for name in wanted} == wanted
    assert all(wanted.values())
    chart = pl.read_parquet(folder.parent / "study" / "chart.parquet")
    assert chart["unreadable"].null_count() == good > 0
    assert chart.filter(pl.col("unreadable") == "valuenum")["value"].null_count() == wanted["valuenum"]


def test_a_result_whose_storage_time_cannot_be_read_is_never_known(damaged: Callable[[Damage], Path]) -> None:
    """Else it would count as known when the blood was taken."""
    folder = damaged(column(LABS, "storetime", every(2, "later")))
    counts = dict(made(folder).extracted.counts)
    labs = pl.read_parquet(folder.parent / "study" / "labs.parquet").filter(pl.col("unreadable") == "storetime")
    assert len(labs) == labs["known"].null_count() == counts["rows of labevents whose storetime cannot be read"] > 0


def test_procedures_without_a_beginning_go_on_to_be_counted(damaged: Callable[[Damage], Path], hospital: Path) -> None:
    folder = damaged(column(PROCEDURES, "starttime", every(3, "soon")))
    counts = dict(made(folder).extracted.counts)
    there = rows(hospital, PROCEDURES)
    assert counts["rows of procedureevents whose starttime cannot be read"] == len(there) // 3
    procedures = pl.read_parquet(folder.parent / "study" / "procedures.parquet")
    assert procedures["starttime"].null_count() > 0


def test_notes_without_an_admission_are_placed_by_time_or_counted(
    damaged: Callable[[Damage], Path], hospital: Path
) -> None:
    folder = damaged(column(RADIOLOGY, "hadm_id", lambda number, old: "x" if number % 5 == 0 else ""))
    counts = dict(made(folder).extracted.counts)
    notes = rows(hospital, RADIOLOGY)
    assert counts["rows of radiology whose hadm_id cannot be read"] == len(notes) // 5
    stays = [
        (row["subject_id"], row["admittime"], row["dischtime"])
        for row in rows(hospital, ADMISSIONS)
        if row["dischtime"] > row["admittime"]
    ]
    within = [
        any(note["subject_id"] == who and start <= note["charttime"] <= end for who, start, end in stays)
        for number, note in enumerate(notes, 1)
        if number % 5
    ]
    lost = counts["radiology notes without an admission id, written outside of the patient's admissions"]
    # a note of the day before an admission belongs to it too
    assert 0 <= lost <= len(within) - sum(within)
    found = pl.read_parquet(folder.parent / "study" / "radiology.parquet")
    assert 0 < len(found) <= len(within) - lost


def test_a_source_without_rows_is_told(damaged: Callable[[Damage], Path]) -> None:
    def damage(folder: Path) -> None:
        edit(CHART, head)(folder)
        edit(RADIOLOGY, head)(folder)
        without(f"{CXR}-chexpert")(folder)

    found = made(damaged(damage))
    assert {"chart", "radiology", "images"}.isdisjoint(found.extracted.sources)
    told = "\n".join(found.missing)
    for part in ("chartevents has no row", "no source radiology", "mimic-cxr-2.0.0-chexpert.csv.gz is missing"):
        assert part in told
    assert "chart.parquet" not in found.study.read_text()


def test_images_that_are_not_there_are_counted(damaged: Callable[[Damage], Path], hospital: Path) -> None:
    files = sorted((hospital / "cxr" / "files").rglob("*.jpg"))
    folder = damaged(lambda place: [(place / file.relative_to(hospital)).unlink() for file in files[::3]])
    counts = dict(made(folder).extracted.counts)
    asked = set(pl.read_parquet(folder.parent / "study" / "samples.parquet")["image"])
    gone = {str(file.relative_to(hospital / "cxr" / "files")) for file in files[::3]}
    assert counts["images of samples that are not among the files"] == len(asked & gone) > 0


def test_admissions_without_an_age_are_counted(damaged: Callable[[Damage], Path], hospital: Path) -> None:
    folder = damaged(column(PATIENTS, "anchor_age", every(4, "")))
    ageless = {row["subject_id"] for number, row in enumerate(rows(hospital, PATIENTS), 1) if number % 4 == 0}
    counts = dict(made(folder).extracted.counts)
    wanted = sum(row["subject_id"] in ageless for row in rows(hospital, ADMISSIONS))
    assert counts["admissions of patients without an age"] == wanted > 0


def test_the_published_numbers_need_the_dictionaries_and_count_images_rightly(
    damaged: Callable[[Damage], Path], hospital: Path, tmp_path: Path
) -> None:
    found = make_study(hospital, tmp_path / "haim", choices=Choices(profile="haim"), encoders="offline")
    samples = pl.read_parquet(tmp_path / "haim" / "samples.parquet")
    outside = dict(found.extracted.counts)["images outside of admissions with intensive care"]
    assert outside + samples["image"].n_unique() == len(rows(hospital, f"{CXR}-metadata"))
    with pytest.raises(DataError, match="1 table is missing: d_items"):
        made(damaged(without("icu/d_items")), choices=Choices(profile="haim"))
