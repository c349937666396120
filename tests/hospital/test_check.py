"""What a study says against its tables, every mistake at once."""

from __future__ import annotations

import pytest

from m3h.hospital import check
from m3h.hospital.tables import Tables
from m3h.study.read import parse


def _problems(study, **options):
    with Tables(study) as tables:
        return [str(problem) for problem in check.problems(study, tables, **options)]


def _changed(study, *changes):
    file = study.folder / "study.toml"
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    found, _ = parse(file)
    return found


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_study_that_fits_its_tables_has_no_problem(hospital, suffix):
    assert _problems(hospital(suffix)) == []


def test_every_mistake_with_its_place(hospital):
    study = _changed(
        hospital(),
        ('subgroups = ["ward"]', 'subgroups = ["wards"]'),
        ('"age", "ward", "smoker"', '"age", "wird", "smoker"'),
        ('table = "scores.csv"', 'table = "score.csv"'),
        ('"7" = "potassium"', '"8" = "potassium"'),
        ('available = "known"', 'available = "knwn"'),
        ('folder = "images"', 'folder = "films"'),
        ('column = "died"', 'column = "dead"'),
    )
    found = _problems(study)
    assert [text.partition(":")[0] for text in found] == [
        "line 8, [samples]",
        'line 12, [[source]] "facts"',
        'line 16, [[source]] "latest"',
        'line 26, [[source]] "labs"',
        'line 29, [[source]] "labs"',
        'line 52, [[source]] "films"',
        'line 56, [[task]] "died"',
    ]
    for text, message in zip(
        found,
        [
            'subgroups: no column "wards"; did you mean "ward"?',
            'columns: no column "wird"; did you mean "ward"?',
            'score.csv: no such file; did you mean "scores.csv"?',
            'available: no column "knwn"; did you mean "known"?',
            'signals: no row of signal "8"',
            "folder: no such folder",
            'column: no column "dead"; did you mean "died"?',
        ],
        strict=True,
    ):
        assert message in text
    assert len(_problems(study, labels=False)) == len(found) - 1


def test_samples_that_cannot_be_read_hide_no_other_mistake(hospital):
    study = _changed(
        hospital(), ('table = "samples.csv"', 'table = "sample.csv"'), ('signal = "code"', 'signal = "cod"')
    )
    found = _problems(study)
    assert len(found) == 3
    assert 'line 3, [samples]: sample.csv: no such file; did you mean "samples.csv"?' in found[0]
    assert all('signal: no column "cod"; did you mean "code"?' in text for text in found[1:])


def test_encoders_and_categories_that_do_not_exist(hospital):
    study = hospital()
    source = study.sources[0].model_copy(update={"encoder": "tabulr", "options": {"categories": ["wrd"]}})
    found = _problems(study.model_copy(update={"sources": (source,)}))
    assert 'unknown encoder "tabulr" for tabular; did you mean "tabular"?' in found[0]
    assert 'options: no column "wrd" among columns; did you mean "ward"?' in found[1]


def test_the_key_must_be_in_the_samples_table(hospital):
    found = _problems(
        _changed(hospital(), ('table = "notes.csv"\nkey = "person"', 'table = "notes.csv"\nkey = "text"'))
    )
    assert len(found) == 1 and 'key: no column "text" in the samples table' in found[0]


def test_new_patients_may_lack_sources_and_labels(hospital, tmp_path, frames, write):
    study = hospital()
    folder = tmp_path / "new"
    folder.mkdir()
    write(frames["samples"].drop("side", "died", "age", "ward", "smoker"), folder / "samples.csv")
    with Tables(study, data=folder) as tables:
        assert check.problems(study, tables, labels=False) == []
        assert next(problem.message for problem in check.problems(study, tables)).startswith('column: no column "died"')
