"""Figures as files: each one of the page, whole, and nothing of a patient in it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from m3h.cli.main import app
from m3h.core.errors import FolderError
from m3h.report.figure_files import write_figures
from m3h.report.page import write_report

Run = Callable[..., Path]


def test_every_figure_of_the_page_is_a_file(run: Run, tmp_path: Path) -> None:
    page = write_report(run(["death", "sofa", "icu_type", "phenotype"]))
    written = write_figures(page, tmp_path / "figures")
    text = page.read_text()
    assert [file.stem for file in written] == re.findall(r'<svg [^>]*data-name="([^"]+)"', text)
    assert len(written) == text.count("<svg") == len(list((tmp_path / "figures").iterdir()))
    for file in written:
        root = ElementTree.parse(file).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.attrib["width"].endswith("pt") and "max-width" not in root.attrib["style"]
        assert "secret-" not in file.read_text()


def test_a_file_in_the_folders_place_is_an_error(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "taken"
    place.write_text("")
    with pytest.raises(FolderError, match="--figures"):
        write_figures(write_report(run(1)), place)


def test_the_command_writes_them_on_demand(run: Run, tmp_path: Path) -> None:
    folder, place = run(1), tmp_path / "figures"
    told = CliRunner().invoke(app, ["report", str(folder), "--figures", str(place), "--json"])
    assert json.loads(told.stdout)["figures"] == [str(file) for file in write_figures(folder / "report.html", place)]
    assert (place / "forest-auroc-1.svg").is_file()
    told = CliRunner().invoke(app, ["report", str(folder)])
    assert told.exit_code == 0 and "figures" not in told.stdout
