"""Reading study files: every mistake at once, each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from m3h.core.errors import StudyError
from m3h.study.presets import DEFAULT_PRESET, PROTOCOLS
from m3h.study.read import parse, read

GOOD = """\
[samples]
table = "samples.csv"
id = "visit"
patient = "person"
[[source]]
name = "facts"
modality = "tabular"
columns = ["age", "sex"]
[[task]]
name = "died"
kind = "binary"
column = "died"
"""


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _problems(tmp_path: Path, text: str) -> list[str]:
    return [str(problem) for problem in parse(_file(tmp_path, text))[1]]


def _with(tmp_path: Path, after: str, line: str) -> list[str]:
    """Problems of the good study with a line added after another."""
    assert after in GOOD
    return _problems(tmp_path, GOOD.replace(after + "\n", f"{after}\n{line}\n"))


def test_a_small_study_gets_every_default(tmp_path):
    study = read(_file(tmp_path, GOOD))
    assert (study.name, study.seed, study.folder) == (tmp_path.name, 0, tmp_path.resolve())
    assert study.protocol == PROTOCOLS[DEFAULT_PRESET]
    assert study.network.preset == "m3h"
    assert study.sources[0].encoder_name == "tabular/tabular"


def test_every_mistake_of_a_file_is_reported_at_once_in_order(tmp_path):
    text = GOOD.replace("columns =", "colums =").replace('kind = "binary"', 'kind = "binry"')
    text += "[network]\nalfa = 0.2\n[protocl]\nepochs = 3\n"
    assert _problems(tmp_path, text) == [
        'line 5, [[source]] "facts": tabular sources need columns = ["age", ...]',
        'line 8, [[source]] "facts": unknown key "colums"; did you mean "columns"?',
        'line 11, [[task]] "died": kind: unknown "binry"; did you mean "binary"?',
        'line 14, [network]: unknown key "alfa"; did you mean "alpha"?',
        'line 15, [protocl]: unknown table "protocl"; did you mean "protocol"?',
    ]
    with pytest.raises(StudyError, match="5 mistakes in this study") as caught:
        read(tmp_path / "study.toml")
    assert len(caught.value.problems) == 5


def test_what_can_stand_is_kept_for_later_checks(tmp_path):
    study, problems = parse(
        _file(tmp_path, GOOD.replace('modality = "tabular"', 'modality = "tabular"\nencoder = "tabulr"'))
    )
    assert study is not None and study.sources[0].columns == ("age", "sex")
    assert [str(problem) for problem in problems] == [
        'line 8, [[source]] "facts": unknown encoder "tabulr" for tabular; did you mean "tabular"?'
    ]


def test_lines_are_found_beside_comments_strings_and_arrays(tmp_path):
    text = '# [samples]\ntitle = """\n[[source]]\n"""\n' + GOOD.replace(
        '["age", "sex"]', '[  # ] a comment\n  "age", "[[task]]",\n]'
    ).replace('"died"\n', '"died" # [x]\n')
    assert _problems(tmp_path, text.replace('column = "died"', "weight = -1\ncolumn = 'died'")) == [
        'line 2: unknown key "title"; known are diagnoses, network, protocol, samples, search, source, study, task, '
        "tasks, tim",
        'line 18, [[task]] "died": weight: got -1, expected a number above 0',
    ]


def test_tasks_stand_in_the_order_of_the_file(tmp_path):
    several = '[[tasks]]\nkind = "binary"\ncolumns = ["b", "c"]\ndepartment = "ICU"\n'
    last = '[[task]]\nname = "groups"\nkind = "clustering"\nclusters = 4\n'
    study = read(_file(tmp_path, GOOD + several + last))
    assert [task.name for task in study.tasks] == ["died", "b", "c", "groups"]
    assert (study.tasks[1].column, study.tasks[1].department) == ("b", "ICU")


def test_overrides_and_protocol_reach_their_values(tmp_path):
    more = (
        '[network]\npreset = "paper"\nalpha = 1\nbeta = "log"\ndecoder_widths = [64]\n[protocol]\nbatch_sizes = [16]\n'
    )
    study = read(_file(tmp_path, GOOD + more))
    preset = study.network.resolved()
    assert (preset.alpha, preset.beta, preset.decoder_widths, preset.dropout) == (1.0, "log", (64,), 0.1)
    assert study.protocol.batch_sizes == (16,)


def test_search_and_tim_reach_their_values(tmp_path):
    more = '[search]\nmethod = "paper"\nlargest = 4\n[tim]\nmethod = "pairs"\nfolds = 2\nreplicates = 5\n'
    study = read(_file(tmp_path, GOOD + more))
    assert (study.search.method, study.search.largest, study.search.width, study.search.folds) == ("paper", 4, 3, None)
    assert (study.tim.method, study.tim.folds, study.tim.replicates, study.tim.sets) == ("pairs", 2, 5, None)
    plain = read(_file(tmp_path, GOOD))
    assert (plain.search.method, plain.tim.method, plain.tim.inclusion) == ("planned", "shared", 0.5)


@pytest.mark.parametrize(
    ("after", "line", "message"),
    [
        ('patient = "person"', 'tme = "x"', 'line 5, [samples]: unknown key "tme"; did you mean "time"?'),
        ('patient = "person"', 'query = "q.sql"', "line 5, [samples]: table and query exclude each other; keep one"),
        ('patient = "person"', 'subgroups = "sex"', "line 5, [samples]: subgroups: got text, expected a list of texts"),
        ('columns = ["age", "sex"]', 'key = "k"', "key goes with a table of its own; add table or query"),
        ('columns = ["age", "sex"]', 'table = "t.csv"', "a table of its own needs key"),
        ('columns = ["age", "sex"]', 'signal = "s"', "signal does not go with modality tabular, which takes columns"),
        ('columns = ["age", "sex"]', 'options = 3', "options: got a number, expected a table"),
        ('column = "died"', 'classes = ["a"]', "classes: got 1, expected two, the negative, then the positive"),
        ('column = "died"', 'classes = ["a", "a"]', 'classes names "a" twice'),
        ('column = "died"', "clusters = 3", "clusters goes with kind clustering"),
        ('column = "died"', "weight = inf", "weight: got inf, expected a finite number"),
        ('column = "died"', "weight = 0", "weight: got 0, expected a number above 0"),
        ('column = "died"', 'weight = "1"', "weight: got text, expected a number"),
        ('column = "died"', 'exclude_sources = ["fact"]', 'unknown source "fact"; did you mean "facts"?'),
        ('column = "died"', 'exclude_sources = ["facts"]', "exclude_sources leaves no source to learn from"),
        ('column = "died"', "[protocol]\nepochs = 0", "line 14, [protocol]: epochs: got 0, expected 1 or more"),
        ('column = "died"', "[protocol]\nfolds = 1", "folds: got 1, expected 2 or more"),
        ('column = "died"', "[protocol]\nbatch_sizes = [1]", "batch_sizes: got 1, expected 2 or more"),
        ('column = "died"', "[protocol]\nlearning_rates = [0.0]", "learning_rates: got 0, expected above 0"),
        ('column = "died"', "[protocol]\nlearning_rates = []", "learning_rates is empty"),
        ('column = "died"', "[protocol]\ngrid = 1", "grid: got a number, expected true or false"),
        ('column = "died"', "[protocol]\ntest_share = 1.0", "test_share: got 1, expected a share between 0 and 1"),
        ('column = "died"', '[network]\npreset = "papr"', 'unknown preset "papr"; did you mean "paper"?'),
        ('column = "died"', '[network]\nnorm = "batch"', 'norm: unknown "batch"; known are layer, none'),
        ('column = "died"', "[network]\ndropout = 1.0", "dropout: got 1, expected 0 or more and below 1"),
        ('column = "died"', "[network]\nhidden = 0", "hidden: got 0, expected above 0"),
        ('column = "died"', "[network]\nhidden = 1.5", "hidden: got a number, expected a whole number"),
        ('column = "died"', "[study]\nseed = -1", "line 14, [study]: seed: got -1, expected 0 or more"),
        ('column = "died"', "[report]\nx = 1", "line 13, [report]: [report] is not carried out by this version"),
        ('column = "died"', "[tim]\nset = 1", 'line 14, [tim]: unknown key "set"; did you mean "sets"?'),
        ('column = "died"', '[tim]\nmethod = "pair"', 'method: unknown "pair"; did you mean "pairs"?'),
        ('column = "died"', "[tim]\nreplicates = 0", "line 14, [tim]: replicates: got 0, expected 1 or more"),
        ('column = "died"', "[tim]\ninclusion = 1", "inclusion: got 1, expected a probability between 0 and 1"),
        ('column = "died"', '[tim]\ntasks = ["died"]', "tasks names one task; two or more can help each other"),
        ('column = "died"', '[search]\ntasks = ["died", "die"]', 'tasks: unknown task "die"; did you mean "died"?'),
        ('column = "died"', '[search]\nmethod = "beam"', 'method: unknown "beam"; known are paper, planned'),
        ('column = "died"', "[search]\nlargest = 1", "line 14, [search]: largest: got 1, expected 2 or more"),
        ('column = "died"', "[search]\nwidth = 0", "line 14, [search]: width: got 0, expected 1 or more"),
        ('column = "died"', '[[tasks]]\nkind = "clustering"\ncolumns = ["c"]', "clustering has no columns"),
        ('column = "died"', '[[tasks]]\nkind = "binary"', "columns is missing or empty"),
        ('column = "died"', '[[tasks]]\nkind = "binary"\ncolumns = ["died"]', 'a second task of the name "died"'),
        ('column = "died"', '[[tasks]]\nkind = "binary"\ncolumns = ["a+b"]', "declare this column by [[task]]"),
        ('column = "died"', '[source]', "not TOML: Cannot declare"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path, after, line, message):
    found = _with(tmp_path, after, line)
    assert len(found) == 1, found
    assert message in found[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "name is empty"),
        ("a+b", "+ does not go into a name"),
        ("a/b", "/ does not go into a name"),
        ("a,b", ", does not go into a name"),
        (" a", "neither begins nor ends with a blank"),
    ],
)
def test_names_fit_into_files_and_task_sets(tmp_path, name, message):
    for table, old in (("source", "facts"), ("task", "died")):
        found = _problems(tmp_path, GOOD.replace(f'name = "{old}"', f'name = "{name}"'))
        assert any(message in problem and f"[[{table}]]" in problem for problem in found)


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        ('modality = "timeseries"', ["needs table =", "need time", "need signal", "need value"]),
        ('modality = "timeseries"\ntable = "e.csv"\ntime = "t"\nsignal = "s"\nvalue = "v"', ["needs key"]),
        (
            'modality = "language"\ncolumns = ["note"]',
            ["sources need column", "columns does not go with modality language"],
        ),
        ('modality = "vision"', ["sources need column"]),
        ('modality = "language"\ncolumn = "n"\nfolder = "x"', ["folder does not go with modality language"]),
        ('modality = "video"', ['modality: unknown "video"; known are language, tabular, timeseries, vision']),
        ("columns = []", ["modality is missing"]),
        (
            'modality = "language"\ncolumn = "n"\ntable = "t.csv"\nkey = "k"\navailable = "a"',
            ["available goes with time", "[samples] has no time"],
        ),
    ],
)
def test_each_modality_has_its_keys(tmp_path, source, messages):
    text = GOOD.replace('modality = "tabular"\ncolumns = ["age", "sex"]', source)
    found = _problems(tmp_path, text)
    assert len(found) == len(messages), found
    for message in messages:
        assert any(message in problem for problem in found), (message, found)


def test_obligatory_tables_and_keys(tmp_path):
    assert _problems(tmp_path, "") == [
        "[samples] is missing; it names the table of samples and its columns id and patient",
        "no [[source]]; a study needs at least one input: name, modality, columns or a table",
        "no [[task]]; a study asks at least one question: name, kind, column",
    ]
    study, problems = parse(_file(tmp_path, GOOD.replace('patient = "person"\n', "")))
    assert study is None
    assert [str(problem) for problem in problems] == ["line 1, [samples]: patient is missing"]
    assert any(
        "needs column, the samples" in text for text in _problems(tmp_path, GOOD.replace('column = "died"\n', ""))
    )
    twice = GOOD + GOOD[GOOD.index("[[source]]") : GOOD.index("[[task]]")]
    assert _problems(tmp_path, twice) == ['line 14, [[source]] "facts": a second source of the name "facts"']
    single = GOOD.replace("[[task]]", "[task]")
    assert "line 9, [task]: write [[task]] in double brackets" in _problems(tmp_path, single)


def test_a_password_in_a_study_is_a_mistake_and_is_not_shown(tmp_path):
    found = _problems(tmp_path, GOOD + '[database]\nurl = "postgresql://me:hunter2@host/db"\n')
    assert "an address or a password never stands in a study file; write url_env" in found[0]
    assert "hunter2" not in "".join(found)


def test_files_that_are_no_study(tmp_path):
    assert "no such file" in str(parse(tmp_path / "none.toml")[1][0])
    assert "a folder; expected a study file" in str(parse(tmp_path)[1][0])
    (tmp_path / "latin.toml").write_bytes("[study]\nname = 'Klinik für'".encode("latin-1"))
    assert str(parse(tmp_path / "latin.toml")[1][0]) == "line 2: not UTF-8; save the file in the encoding UTF-8"
    found = _problems(tmp_path, GOOD + "[protocol\n")
    assert len(found) == 1 and found[0].startswith("line 13: not TOML:")
    with pytest.raises(StudyError, match=r"none\.toml: 1 mistake in this study"):
        read(tmp_path / "none.toml")
