"""The made-up hospital read into aligned sources, by hand and by laws that hold for any tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from m3h.core.errors import DataError
from m3h.hospital.inputs import absent, read_source, source_fingerprint
from m3h.hospital.samples import read_samples
from m3h.hospital.sources import Counts, Events, Images, TableColumns, Texts
from m3h.hospital.tables import Tables

FORMATS = ["csv", "csv.gz", "parquet"]


def test_worked_example(hospital, read_all):
    found = read_all(hospital())
    assert found["ids"] == ["10", "7", "8", "9"]  # by text
    assert found["patients"] == ["a01", "c", "b", "a01"]
    assert found["subgroups"] == {"ward": ["icu", "er", "", "icu"]}
    facts, counts = found["facts"]
    assert facts == {
        "age": [50.0, 70.0, None, 51.5],
        "ward": ["icu", "er", None, "icu"],
        "smoker": [1.0, 1.0, None, 0.0],
    }
    assert counts == Counts(rows=4, missing_value=1, used=3)
    latest, counts = found["latest"]
    assert latest == {"score": [1.0, 5.0, None, 2.0], "grade": ["low", None, None, "mid"]}
    # a01's three rows count for both of its visits; visit 8 has no moment, so b's row counts as without time
    assert counts == Counts(rows=5, missing_time=1, later=3, used=3)
    assert found["died"] == ([0.0, 1.0, None, 1.0], (), 0)
    assert found["kind"] == ([0.0, None, 0.0, 1.0], ("x", "y"), 1)  # z is a test class only
    assert found["days"] == ([1.5, 3.0, 2.0, None], (), 0)


def test_worked_example_of_series(hospital, read_all):
    found = read_all(hospital())
    signals, unit, relative, events, counts = found["labs"]
    assert (signals, unit, relative) == (("sodium", "potassium"), "hours", True)
    assert events == [(0, 0, -2.0, 140.0), (3, 0, -1.1, 139.5)]
    # later: one result of the future, one that was known too late; missing time: one row, and visit 8
    assert counts == Counts(rows=10, unmatched=2, missing_time=2, later=2, missing_value=1, used=2, unmapped=1)
    signals, _, _, events, counts = found["everything"]
    assert signals == ("50", "51", "66", "7")
    assert events == [(0, 0, -2.0, 140.0), (0, 2, -3.0, 5.0), (0, 3, -1.0, 4.5), (3, 1, -1.1, 139.5)]
    assert counts == Counts(rows=10, unmatched=2, missing_time=2, later=1, missing_value=1, used=4)


def test_worked_example_of_texts_and_images(hospital, read_all):
    found = read_all(hospital())
    texts, times, counts = found["notes"]
    assert texts == (('a "first"\nnote', "second"), (), (), ('a "first"\nnote', "second", "third, later"))
    assert times == [[-1.0, -1.0], [], [], [-2.0, -2.0, -0.5]]
    assert counts == Counts(rows=5, unmatched=1, later=2, used=5)
    paths, (_, times, counts) = found["films"]
    assert paths == [("images/sub/a.png", "images/b.png"), ("images/gone.png",), (), ()]
    assert times == [[-2.0, -1.0], [0.0], [], []]
    assert counts == Counts(rows=3, used=3)


@pytest.mark.parametrize("suffix", FORMATS[1:])
def test_same_data_in_another_format_give_the_same(hospital, read_all, suffix):
    assert read_all(hospital(suffix)) == read_all(hospital("csv"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_order_of_rows_changes_nothing(hospital, read_all, suffix):
    shuffled = hospital(suffix, lambda name, frame: frame.sample(fraction=1.0, shuffle=True, seed=3))
    assert read_all(shuffled) == read_all(hospital(suffix))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_shifting_all_dates_by_ten_years_changes_nothing(hospital, read_all, suffix):
    def shift(name, frame):
        return frame.with_columns(pl.col(pl.Datetime) + timedelta(days=3653))

    assert read_all(hospital(suffix, shift)) == read_all(hospital(suffix))


def test_a_row_later_than_the_samples_time_changes_nothing(hospital, read_all):
    def poison(name, frame):
        if "at" not in frame.columns:
            return frame
        late = frame.head(1).with_columns(pl.col("at") + timedelta(days=9))
        if name == "labs":
            late = late.with_columns(result=pl.lit(float("inf")), code=pl.lit(51).cast(pl.Int64))
        if name == "scores":
            late = late.with_columns(score=pl.lit(-1e9))
        return pl.concat([frame, late])

    def without_counts(found):
        return {name: part[:-1] if isinstance(part, tuple) else part for name, part in found.items()}

    poisoned, clean = read_all(hospital("parquet", poison)), read_all(hospital("parquet"))
    assert poisoned["labs"][-1].later == clean["labs"][-1].later + 1
    for found in (poisoned, clean):
        found["films"] = found["films"][0]
    assert without_counts(poisoned) == without_counts(clean)


def test_threads_change_nothing(hospital, read_all, monkeypatch):
    several = read_all(hospital("parquet"))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert read_all(hospital("parquet")) == several


def test_further_columns_and_their_order_change_nothing(hospital, read_all):
    def widen(name, frame):
        return frame.with_columns(extra=pl.int_range(pl.len(), 0, -1)).select(sorted([*frame.columns, "extra"]))

    assert read_all(hospital("csv", widen)) == read_all(hospital("csv"))


def _read(study, name="s", **options):
    with Tables(study) as tables:
        samples = read_samples(tables, study)
        source = next(source for source in study.sources if source.name == name)
        return read_source(tables, study, samples, source, **options)


def _message(study):
    with pytest.raises(DataError) as caught:
        _read(study)
    return str(caught.value)


IDS = "id,person,x\n1,a,{}\n2,b,{}\n3,c,{}\n4,d,{}\n"


def test_texts_where_numbers_belong(small):
    message = _message(small(IDS.format(1, "abc", 3, "")))
    assert 'source "s" (samples.csv), column x: 1 of 3 values are texts where numbers belong (row 2)' in message
    assert 'options = { categories = ["..."] }' in message
    assert "abc" not in message
    assert "leave the cell empty" in _message(small(IDS.format(1, "n/a", 3, "")))
    assert "2 of 3 values are texts where numbers belong" in _message(small(IDS.format('"1,5"', '"36,5"', "3.0", "")))


def test_categories_can_be_forced_and_follow_from_values(small):
    source = '[[source]]\nname = "s"\nmodality = "tabular"\ncolumns = ["x"]\noptions = {{ categories = {} }}'
    forced = _read(small(IDS.format(1, "n/a", "3.0", ""), source.format('["x"]')))
    assert forced.columns["x"].tolist() == ["1", "n/a", "3", None]
    words = _read(small(IDS.format("low", "high", "3", "")))
    assert words.columns["x"].tolist() == ["low", "high", "3", None]
    assert _read(small(IDS.format("TRUE", "false", "", ""))).columns["x"].tolist()[:2] == [1.0, 0.0]


def test_kinds_of_columns_can_be_given(small):
    numbers = small(IDS.format(1, 2, 3, ""))
    assert _read(numbers, texts=["x"]).columns["x"].tolist() == ["1", "2", "3", None]
    with pytest.raises(DataError, match="4 of 4 values are texts where numbers belong"):
        _read(small(IDS.format("a", "b", "c", "d")), texts=[])


def test_infinite_numbers_are_refused(small):
    message = _message(small(IDS.format(1, "inf", 3, "-inf")))
    assert "2 infinite values in rows 2, 4" in message


def test_dates_are_no_inputs(small, tmp_path):
    study = small(
        IDS.format(1, 2, 3, 4),
        '[[source]]\nname = "s"\nmodality = "tabular"\nquery = "q.sql"\nkey = "id"\ncolumns = ["x"]',
    )
    (tmp_path / "q.sql").write_text("SELECT id, DATE '2020-01-01' AS x FROM 'samples.csv'")
    assert "neither numbers nor texts" in _message(study)


def test_missing_column_names_the_nearest(small):
    study = small("id,person,xx\n1,a,1\n")
    assert 'no column "x" (columns)' in _message(study)
    assert 'no column "ag" (columns); did you mean "age"?' in _message(
        small("id,person,age\n1,a,1\n", '[[source]]\nname = "s"\nmodality = "tabular"\ncolumns = ["ag"]')
    )


OWN = '[[source]]\nname = "s"\nmodality = "tabular"\ntable = "own.csv"\nkey = "id"\ncolumns = ["v"]\n'


def test_several_rows_of_a_key_need_a_time(small):
    message = _message(small("id,person\n1,a\n2,b\n", OWN, own="id,v\n1,5\n1,6\n2,7\n"))
    assert 'source "s" (own.csv): id: 1 rows too many, keys stand more than once' in message
    assert "at most one row for each key" in message


def test_a_source_with_no_row_for_any_sample(small):
    message = _message(small("id,person\n1,a\n2,b\n", OWN, own="id,v\n8,5\n,6\n"))
    assert 'source "s" (own.csv): no row for any sample' in message
    assert "2 rows: 2 belong to no sample" in message
    assert "no row for any sample" in _message(small(IDS.format("", "", "", "")))


def test_the_key_must_be_in_both_tables(small):
    assert 'no column "id" (key); did you mean "idd"?' in _message(small("id,person\n1,a\n", OWN, own="idd,v\n8,5\n"))
    rest = OWN.replace('key = "id"', 'key = "vid"')
    assert 'no column "vid" in the samples table; did you mean "id"?' in _message(
        small("id,person\n1,a\n", rest, own="vid,v\n8,5\n")
    )


def test_keys_are_joined_as_text(small):
    leading = _read(small("id,person\n007,a\n8.0,b\n", OWN, own="id,v\n7,1\n007,2\n8,3\n"))
    assert leading.columns["v"].tolist() == [2.0, 3.0]


def test_images_stay_in_their_folder(small):
    rest = '[[source]]\nname = "s"\nmodality = "vision"\ncolumn = "x"'
    assert len(_read(small(IDS.format("a.png", "", "b/c.png", ""), rest)).paths[0]) == 1
    for path in ("../a.png", "/etc/passwd", "C:\\a.png", "b\\..\\..\\a.png"):
        message = _message(small(IDS.format("a.png", path, "", ""), rest))
        assert "x: 1 paths leave the folder of images (row 2)" in message
        assert path not in message
    assert "no such folder of images" in _message(small(IDS.format("a.png", "", "", ""), rest + '\nfolder = "films"'))


def test_text_of_the_samples_table(small):
    texts = _read(
        small(IDS.format("one", " ", '"two, three"', ""), '[[source]]\nname = "s"\nmodality = "language"\ncolumn = "x"')
    )
    assert texts.texts == (("one",), (), ("two, three",), ())
    assert texts.counts == Counts(rows=4, missing_value=2, used=2)


def test_fingerprint_follows_content(hospital):
    def prints(study):
        with Tables(study) as tables:
            samples = read_samples(tables, study)
            return {source.name: source_fingerprint(tables, study, samples, source) for source in study.sources}

    first, second = hospital(), hospital()
    assert prints(first) == prints(second)
    (second.folder / "images" / "b.png").write_bytes(b"another film")
    labs = second.folder / "labs.csv"
    labs.write_text(labs.read_text().replace("139.5", "139.25"))
    changed = {name for name, value in prints(second).items() if value != prints(first)[name]}
    assert changed == {"labs", "everything", "films"}
    moved = hospital(
        "csv",
        lambda name, frame: (
            frame.with_columns(moment=pl.col("moment") + timedelta(hours=1)) if name == "samples" else frame
        ),
    )
    assert all(value != prints(first)[name] for name, value in prints(moved).items())


def test_new_patients_may_lack_whole_sources(hospital, read_all, tmp_path, frames, write):
    study = hospital()
    folder = tmp_path / "new"
    folder.mkdir()
    write(frames["samples"].drop("died", "side", "days", "age", "ward", "smoker"), folder / "samples.parquet")
    write(frames["labs"], folder / "labs.csv.gz")
    found = read_all(study, labels=False, data=folder)
    trained = read_all(study)
    assert found["ids"] == trained["ids"]
    assert found["labs"] == trained["labs"]
    assert found["facts"][0] == {"age": [None] * 4, "ward": [None] * 4, "smoker": [None] * 4}
    assert found["notes"][0] == ((),) * 4
    assert found["films"][0] == [()] * 4
    assert "subgroups" in found and found["subgroups"] == {}


def test_new_patients_in_one_file(hospital, read_all, tmp_path, frames, write):
    study = hospital()
    write(frames["samples"].head(1).drop("side"), tmp_path / "one.csv")
    found = read_all(study, labels=False, data=tmp_path / "one.csv")
    assert found["ids"] == ["10"]
    assert found["facts"][0]["age"] == [50.0]
    assert found["labs"][3] == []


def test_absent_has_the_shape_of_each_modality(hospital):
    study = hospital()
    with Tables(study) as tables:
        samples = read_samples(tables, study)
    kinds = [type(absent(samples, source)) for source in study.sources]
    assert kinds == [TableColumns, TableColumns, Events, Events, Texts, Images]
    categories = absent(samples, study.sources[0], texts=["ward"])
    assert categories.columns["ward"].tolist() == [None] * 4
    assert np.isnan(categories.columns["age"]).all()


def test_real_studies_read(studies, read_all):
    from m3h.study.spec import Study

    covid = read_all(Study.read(studies / "covid-cxr" / "study.toml"))
    assert len(covid["ids"]) == 311 and len(set(covid["patients"])) == 156
    assert covid["note"][2] == Counts(rows=311, missing_value=92, used=219)
    assert set(covid["demographics"][0]["view"]) == {"ap", "ap_supine", "l", "pa"}
    study = Study.read(studies / "icu2012" / "study.toml")
    with Tables(study) as tables:
        samples = read_samples(tables, study)
        assert replace(samples).split.tolist().count("train") == 4000
        bedside = read_source(tables, study, samples, study.sources[1])
        assert bedside.counts == Counts(rows=1_889_233, used=1_889_233)
        parts = list(bedside.batches())
        # a second road: polars sums per signal, in whatever order
        events = pl.read_parquet(studies / "icu2012" / "events.parquet")
        ids = {name: number for number, name in enumerate(samples.ids.tolist())}
        expected = events.group_by("signal").agg(pl.len(), pl.col("value").cast(pl.Float64).sum()).sort("signal")
        signal = np.concatenate([part.signal for part in parts])
        assert bedside.signals == tuple(expected["signal"])
        assert np.bincount(signal).tolist() == expected["len"].to_list()
        sums = np.bincount(signal, np.concatenate([part.value for part in parts]))
        np.testing.assert_allclose(sums, expected["value"].to_numpy(), rtol=1e-9)
        present = set(np.concatenate([np.unique(part.sample) for part in parts]).tolist())
        assert present == {ids[str(record)] for record in events["record_id"].unique()}
        assert len(present) == 7990
