"""The project's own machinery: sizes, result tables, the list of skips, the script of all checks."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sizes = load(ROOT / ".ci" / "sizes.py")
results = load(ROOT / "benchmarks" / "results.py")


def test_a_file_of_more_than_400_lines_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "src" / "a").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "src" / "a" / "long.py").write_text("x = 1\n" * 400)
    (tmp_path / "tests" / "short.py").write_text("x = 1\n")
    assert sizes.main(tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == ["  400  src/a/long.py", "    1  tests/short.py"]
    (tmp_path / "tests" / "short.py").write_text("x = 1\n" * 401)
    assert sizes.main(tmp_path) == 1
    assert "tests/short.py: more than 400 lines" in capsys.readouterr().out


PAGE = "# Results\n<!-- table: icu -->\nold\n<!-- end -->\nbetween\n<!-- table: cxr --><!-- end -->\n"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    (tmp_path / "results.md").write_text(PAGE)
    (tmp_path / "results" / "icu.csv").write_text('task,auroc\n"death, any",0.837\nsofa,-0.1\n')
    (tmp_path / "results" / "cxr.csv").write_text("a|b,n\nx,\n")
    return tmp_path


def test_tables_are_written_between_their_markers(docs: Path) -> None:
    assert results.main([], docs) == 0
    assert (docs / "results.md").read_text() == (
        "# Results\n<!-- table: icu -->\n| task | auroc |\n| --- | --: |\n| death, any | 0.837 |\n| sofa | -0.1 |\n"
        "<!-- end -->\nbetween\n<!-- table: cxr -->\n| a\\|b | n |\n| --- | --: |\n| x |  |\n<!-- end -->\n"
    )


def test_check_tells_a_page_that_would_change_and_writes_nothing(docs: Path) -> None:
    assert results.main(["--check"], docs) == 1
    assert (docs / "results.md").read_text() == PAGE
    results.main([], docs)
    assert results.main(["--check"], docs) == 0
    (docs / "results" / "icu.csv").write_text("task,auroc\ndeath,0.9\n")
    assert results.main(["--check"], docs) == 1


@pytest.mark.parametrize(
    ("page", "csv", "message"),
    [
        ("<!-- table: none --><!-- end -->", "a\n1\n", "none.csv is missing"),
        ("<!-- table: icu -->\n", "a\n1\n", "has no <!-- end -->"),
        ("<!-- table: icu --><!-- end -->", "a,b\n1\n", "icu.csv, row 2: 1 cells, expected 2"),
        ("<!-- table: icu --><!-- end -->", "", "icu.csv is empty"),
    ],
)
def test_a_table_that_cannot_be_written(
    docs: Path, capsys: pytest.CaptureFixture[str], page: str, csv: str, message: str
) -> None:
    (docs / "results.md").write_text(page)
    (docs / "results" / "icu.csv").write_text(csv)
    assert results.main([], docs) == 1
    assert message in capsys.readouterr().out
    assert (docs / "results.md").read_text() == page


def test_the_tables_of_this_project_match() -> None:
    assert results.main(["--check"], ROOT / "docs") == 0


TESTS = """
import pytest

def test_passes(): pass

def test_known(): pytest.skip("the Moon is not here: fly there")

@pytest.mark.skipif(True, reason="{reason}")
def test_other(): pass

@pytest.mark.xfail
def test_expected_failure(): assert False
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / ".ci" / "plugin_skips.py", tmp_path)
    (tmp_path / "skips.txt").write_text("# reasons\n\nthe moon is not here\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p plugin_skips\npythonpath = .\n")
    return tmp_path


def run_tests(project: Path, *, ci: str, options: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", *options, str(project)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=project, env=kept | {"CI": ci})


@pytest.mark.parametrize("options", [("-n", "0"), ("-n", "2")])
def test_a_skip_that_is_not_on_the_list_fails_in_ci(project: Path, options: tuple[str, ...]) -> None:
    (project / "test_a.py").write_text(TESTS.format(reason="too lazy"))
    (project / "test_b.py").write_text("import pytest\npytest.skip('no time', allow_module_level=True)\n")
    done = run_tests(project, ci="true", options=options)
    assert done.returncode == 1, done.stdout
    assert "\ntest_a.py::test_known: the Moon is not here: fly there" in done.stdout
    assert "NOT ON THE LIST test_a.py::test_other: too lazy" in done.stdout
    assert "NOT ON THE LIST test_b.py: no time" in done.stdout
    assert "2 skipped for a reason that is not in skips.txt" in done.stdout
    assert "test_expected_failure:" not in done.stdout


def test_elsewhere_a_skip_is_only_told(project: Path) -> None:
    (project / "test_a.py").write_text(TESTS.format(reason="too lazy"))
    done = run_tests(project, ci="", options=("-n", "0"))
    assert done.returncode == 0
    assert "NOT ON THE LIST test_a.py::test_other: too lazy" in done.stdout


def test_skips_on_the_list_pass_in_ci(project: Path) -> None:
    (project / "test_a.py").write_text(TESTS.format(reason="the Moon is not here either"))
    assert run_tests(project, ci="true", options=("-n", "0")).returncode == 0


def test_the_script_of_all_checks_is_well_formed() -> None:
    script = ROOT / ".ci" / "run"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text and os.access(script, os.X_OK)
    order = [text.rindex(step) for step in ("make install", "make check", 'bash -c "$test_command"', "\ndemo\n")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("readme", "command"),
    [
        (None, "make test"),
        ("make test outside\n```\nmake demo\nmake test  # ten minutes\n```\n", "make test  # ten minutes"),
        ("```\nmake demo\n```\nmake test\n", ""),
    ],
)
def test_the_test_command_is_the_readmes(tmp_path: Path, readme: str | None, command: str) -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    function = text[text.index("readme_test_command() {") : text.index("# The built-in study")]
    if readme is not None:
        (tmp_path / "README.md").write_text(readme)
    script = f"set -euo pipefail\n{function}\nreadme_test_command"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode == 0) == (command, bool(command))


def test_every_file_that_the_makefile_names_is_there() -> None:
    words = (ROOT / "Makefile").read_text(encoding="utf-8").split()
    named = [word for word in words if word.endswith(".py") or word.startswith(".ci/")]
    assert {".ci/sizes.py", "benchmarks/results.py", ".ci/run"} <= set(named)
    assert all((ROOT / name).is_file() for name in named)
