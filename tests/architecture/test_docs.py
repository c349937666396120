"""What the README and the pages of docs say is so: commands, links, keys, defaults, files, examples."""

from __future__ import annotations

import csv
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
import typer.main

import m3h
from m3h.cli.main import app
from m3h.core.registry import ENCODERS
from m3h.study.presets import Preset, Protocol
from m3h.study.read import parse
from m3h.study.spec import Diagnoses, Samples, Source, Study
from m3h.study.task import METRICS, Codes, Task

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STUDY_PAGE = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cli_page = load(ROOT / ".ci" / "cli_page.py")
study_page = load(ROOT / ".ci" / "study_page.py")


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """(page, command) of every line of shell in the pages."""
    found = [(page, block) for page in PAGES for block in fences(page.read_text(encoding="utf-8"), "sh")]
    return [(page.name, line) for page, block in found for line in block.splitlines() if line]


# --- commands and links


@pytest.mark.parametrize(("page", "command"), commands())
def test_each_shell_command_exists(page: str, command: str) -> None:
    words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE)
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file()
    else:
        assert words[0] == "m3h"
        # refuses unknown options and missing arguments, and runs nothing
        typer.main.get_group(app).commands[words[1]].make_context(words[1], words[2:])


def test_the_two_commands_are_those_that_are_run_in_ci() -> None:
    assert fences(README, "sh")[0].splitlines() == ["make demo", "make test"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    recipe = re.search(r"^demo: install\n\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe is not None and recipe.group(1) == "$(BIN)/m3h demo --out runs/demo"
    assert "runs/demo/report.html" in README
    assert re.search(r"^  .*(?:m3h|offline\.py) demo --out", script, re.MULTILINE) and "make test" in script
    patients = re.search(r'"patients": (\d+), "tasks": (\d+)', script)
    assert patients is not None
    assert f"{int(patients.group(1)):,} real patients" in README and f"each of {patients.group(2)} questions" in README


def links() -> list[tuple[str, str]]:
    found = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))]
    return [(str(page.relative_to(ROOT)), link) for page, link in found if "://" not in link]


@pytest.mark.parametrize(("page", "link"), links())
def test_each_link_within_the_project_resolves(page: str, link: str) -> None:
    target, _, anchor = link.partition("#")
    file = (ROOT / page).parent / target if target else ROOT / page
    assert file.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


# --- pages that are written


def test_the_page_of_commands_is_what_their_help_says() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert text == cli_page.page(), "run python .ci/cli_page.py"
    assert re.findall(r"^## m3h (\w+)$", text, re.MULTILINE) == [*cli_page.commands()]


def test_a_page_of_commands_that_is_old_is_told_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "cli.md"
    page.write_text("old")
    assert cli_page.main(["--check"], page) == 1 and page.read_text() == "old"
    assert "does not match" in capsys.readouterr().out
    assert cli_page.main([], page) == 0 and cli_page.main(["--check"], page) == 0


def test_the_keys_of_the_study_page_are_those_of_the_specs() -> None:
    after, wrong = study_page.filled(STUDY_PAGE)
    assert wrong == []
    assert after == STUDY_PAGE, "run python .ci/study_page.py"


def test_every_field_and_every_encoder_has_its_row() -> None:
    keys = {name: {key for key, _, _ in rows} for name, rows in study_page.tables().items()}
    tables = {"samples", "diagnoses", "sources", "tasks", "network", "protocol", "search", "tim"}
    assert keys["study"] == set(Study.model_fields) - tables - {"folder", "file", "protocol_given"}
    assert keys["samples"] == set(Samples.model_fields) and keys["source"] == set(Source.model_fields)
    assert keys["diagnoses"] == set(Diagnoses.model_fields) and keys["codes"] == set(vars(Codes()))
    assert keys["task"] == set(vars(Task("a", "binary"))) and keys["tasks"] < keys["task"] | {"columns"}
    assert keys["catalog"] < keys["tasks"] | {"catalog", "only"}
    assert keys["network"] == set(vars(Preset())) | {"preset"} and keys["protocol"] == set(vars(Protocol()))
    for name in ENCODERS.names():
        assert f"### {name}\n" in STUDY_PAGE and f"<!-- keys: {name} -->" in STUDY_PAGE


def test_a_study_page_that_is_old_is_told_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "study.md"
    old = STUDY_PAGE.replace("| `epochs` | whole number |", "| `epochs` | text |")
    assert old != STUDY_PAGE
    page.write_text(old.replace("<!-- keys: vision/hog -->", "<!-- keys: vision/dog -->"))
    assert study_page.main(["--check"], page) == 1
    told = capsys.readouterr().out
    assert 'no table "vision/hog"' in told and "vision/dog" in told and "does not match the specs" in told
    page.write_text(old)
    assert study_page.main([], page) == 0 and page.read_text(encoding="utf-8") == STUDY_PAGE
    page.write_text(re.sub(r"Passes over the training rows\.", "", STUDY_PAGE))
    assert study_page.main(["--check"], page) == 1
    assert "protocol.epochs has no meaning" in capsys.readouterr().out


def test_the_page_of_results_has_the_three_studies() -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert re.findall(r"<!-- table: ([\w-]+) -->", text)[:3] == ["icu2012", "covid-cxr", "indiana"]
    assert text.count("<!-- end -->") == text.count("<!-- table: ")


# --- what the pages say of the code


def test_metrics_of_the_study_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| ((?:`\w+`(?:, )?)+) \|$", STUDY_PAGE, re.MULTILINE)
    assert {kind: tuple(re.findall(r"`(\w+)`", names)) for kind, names in rows} == METRICS


def test_the_folders_of_the_house_stand_in_the_order_of_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    section = ARCHITECTURE.partition("## Folders")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == settings["contracts"][0]["layers"]


def named_files() -> list[str]:
    """Files that the page of the house names, those of "Small modules" with the folder of their bullet."""
    found = re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|toml|html|md))(?::\w+)?`", ARCHITECTURE)
    found += re.findall(r"^    (?:\||v)  ([\w/]+\.py)", ARCHITECTURE, re.MULTILINE)
    for folder, text in re.findall(r"^- `(\w+)`:(.*?)(?=^- |^$)", ARCHITECTURE, re.MULTILINE | re.DOTALL):
        found += [f"{folder}/{name}" for name in re.findall(r"`(\w+\.py)`", text)]
    return sorted(set(found))


def test_every_file_that_the_page_of_the_house_names_is_there() -> None:
    files = named_files()
    assert {"training/fleet.py", "study/rules.py", "api/run.py", ".ci/cli_page.py"} <= set(files)
    assert [name for name in files if not any((top / name).is_file() for top in (ROOT, ROOT / "src" / "m3h"))] == []


def test_the_versions_agree() -> None:
    change = re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    cited = re.search(r"^version: ([\d.]+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert change is not None and cited is not None
    assert change.group(1) == cited.group(1) == m3h.__version__


# --- examples


@pytest.mark.parametrize("text", [*fences(README, "toml"), *fences(STUDY_PAGE, "toml")], ids=["readme", "study"])
def test_each_example_of_a_study_file_has_no_mistake(tmp_path: Path, text: str) -> None:
    file = tmp_path / "study.toml"
    file.write_text(text, encoding="utf-8")
    study, problems = parse(file)
    assert problems == [] and study is not None and study.tasks


def test_mistakes_are_told_as_the_study_page_says(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    samples = '[samples]\ntable = "a.csv"\nid = "a"\npatient = "b"\n\n'
    source = '[[source]]\nname = "age"\nmodality = "tabular"\ncolumns = ["age"]\n\n\n'
    file.write_text(f'{samples}{source}[[task]]\nname = "died"\nkind = "binery"\ncolumn = "d"\ndepartement = "x"\n')
    told = [f"  - {problem}" for problem in parse(file)[1]]
    assert [line for line in STUDY_PAGE.splitlines() if line.startswith("  - line")] == told


def write_stays(folder: Path, stays: int, *, labels: bool) -> None:
    """Tables of the README's study, two stays of each patient."""
    folder.mkdir(parents=True, exist_ok=True)
    notes = ("cough and fever", "pain in the chest", "a fall at home", "")
    with (folder / "stays.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(
            ["stay", "patient", "hour_24", "age", "sex", "admission_note", *["died", "days_in_hospital"] * labels]
        )
        for stay in range(stays):
            told = [stay % 3 == 0, stay % 7 + 0.5] if labels else []
            rows.writerow([stay, stay // 2, 100 * stay + 24, 30 + stay % 50, "fm"[stay % 2], notes[stay % 4], *told])
    with (folder / "labs.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["stay", "taken", "test", "result"])
        rows.writerows(
            [stay, 100 * stay + hour, "sodium", 130 + stay % 9 + hour] for stay in range(stays) for hour in (2, 9)
        )


def test_the_readme_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (toml,), (python,) = fences(README, "toml"), fences(README, "python")
    write_stays(tmp_path / "my-study", 48, labels=True)
    write_stays(tmp_path / "new-patients", 4, labels=False)
    (tmp_path / "my-study" / "study.toml").write_text(toml, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for place in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(place, str(tmp_path / "cache"))
    names: dict[str, object] = {}
    exec(compile(python, "README.md", "exec"), names)
    forecasts, again = names["forecasts"], names["again"]
    assert isinstance(forecasts, pl.DataFrame) and isinstance(again, m3h.M3H)
    assert again.tasks == ("died", "stay", "phenotype")
    assert forecasts.height == 4 * 3 and forecasts["prediction"].is_finite().all()
    # what was saved answers as what was fitted
    assert again.predict("new-patients").equals(forecasts)
