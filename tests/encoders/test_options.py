"""Options: every mistake with its place and the nearest valid name; what is right becomes an encoder."""

from pathlib import Path

import pytest

from m3h.core.errors import SettingError
from m3h.encoders.language import Tfidf
from m3h.encoders.options import make, problems
from m3h.encoders.tabular import Tabular
from m3h.study.spec import Samples, Source, Study


def source(modality, encoder="", **options):
    return Source(name=f"my {modality}", modality=modality, encoder=encoder, options=options)


def found(*sources):
    samples = Samples(table="s.csv", id="id", patient="patient")
    return problems(Study(name="s", folder=Path(), samples=samples, sources=sources, tasks=()))


def test_defaults_and_lists():
    assert make(source("language")) == Tfidf()
    assert make(source("tabular", categories=["a", "b"])) == Tabular(categories=("a", "b"))


def test_right_options_have_no_problems():
    sources = [source("tabular", max_categories=3), source("timeseries", extras=False), source("vision", size=64)]
    assert found(*sources) == []


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (source("language", widht=3), 'encoder "language/tfidf" has no option "widht"; did you mean "width"?'),
        (source("language", width="3"), "options.width: got '3', expected a whole number"),
        (source("language", width=3.5), "options.width: got 3.5, expected a whole number"),
        (source("language", width=True), "options.width: got True, expected a whole number"),
        (source("language", version=2), 'has no option "version"'),
        (source("timeseries", extras=1), "options.extras: got 1, expected true or false"),
        (source("tabular", categories="a"), "options.categories: got 'a', expected a list, each item a text"),
        (source("tabular", categories=[1]), "options.categories: got [1], expected a list, each item a text"),
        (source("language", width=0), "options.width is too small; got: 0; expected: at least 1"),
        (source("vision", size=10), "options.size holds no block"),
        (source("language", "clinicalbert", width=3), "known are precision, profile"),
        (source("tabular", "columns", width=3), "this encoder has no options"),
    ],
)
def test_each_mistake_is_told(one, message):
    (problem,) = found(one)
    assert problem.place == f'[[source]] "{one.name}"'
    assert message in problem.message


def test_all_mistakes_of_all_sources_are_told_together():
    assert len(found(source("language", widht=3, ngrams="x"), source("timeseries", extra=True))) == 3


def test_what_others_report_is_not_reported_twice():
    assert found(source("language", "nonsense"), source("language", "clinicalbert")) == []


def test_making_with_a_mistake_names_the_source():
    with pytest.raises(SettingError, match=r'source "my language".*\n?.*did you mean "width"'):
        make(source("language", widht=3))
    with pytest.raises(SettingError, match=r'unknown encoder "language/tfid".*tfidf'):
        make(source("language", "tfid"))
