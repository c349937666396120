"""What is wrong with a study: its file, its tables and the options of its encoders, every mistake in one message."""

from __future__ import annotations

from pathlib import Path

from m3h.core.errors import Problem, StudyError
from m3h.encoders import options
from m3h.encoders.weights import store
from m3h.encoders.weights.catalog import MODELS
from m3h.study.lines import line_of
from m3h.study.read import parse
from m3h.study.spec import Study


def read_study(path: Path) -> Study:
    """Read a study file; where it holds mistakes, look at its tables too, so that one StudyError tells all of them."""
    try:
        return Study.read(path)
    except StudyError as error:
        study, _ = parse(path)
        if study is None:
            raise
        known = {problem.place for problem in error.problems}
        more = [problem for problem in _mistakes(study) if problem.place not in known]
        found = sorted([*error.problems, *more], key=lambda problem: line_of(problem.place))
        raise StudyError(str(path), found) from None


def refuse(study: Study) -> None:
    """Refuse what shows without reading a row: tables, columns, folders and weights that are not there, options that
    do not fit. Loads no more than it must.

    Errors: StudyError with all mistakes, also those that only rows show; WeightsError.
    """
    # signals are looked for in the rows of a table, which may be millions
    sources = tuple(source.model_copy(update={"signals": {}}) for source in study.sources)
    plain = study.model_copy(update={"sources": sources})
    if not _of_tables(plain):
        for source in study.sources:
            if source.encoder in MODELS:
                store.require(source.encoder)
        if not options.problems(study):
            return
    raise StudyError(str(study.file) if study.file else study.name, _mistakes(study))


def refuse_new(study: Study, data: Path) -> None:
    """Refuse new patients' tables that do not fit the ``study`` of a model; labels and whole sources may be missing.

    Errors: StudyError with all mistakes; DataError where nothing is at ``data``.
    """
    from m3h.hospital import check
    from m3h.hospital.tables import Tables

    with Tables(study, data=data) as tables:
        found = check.problems(study, tables, labels=False)
    if found:
        raise StudyError(str(data), found, "the tables of new patients")


def _mistakes(study: Study) -> list[Problem]:
    return [*_of_tables(study), *options.problems(study)]


def _of_tables(study: Study) -> list[Problem]:
    from m3h.hospital import check
    from m3h.hospital.tables import Tables

    with Tables(study) as tables:
        return check.problems(study, tables)
