from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import re
import tarfile
import tomllib
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from m3h.core.errors import DataError, FolderError
from m3h.hospital import indiana

PATIENTS = {
    "opacity": 455,
    "cardiomegaly": 375,
    "atelectasis": 332,
    "calcified_granuloma": 274,
    "cicatrix": 196,
    "pleural_effusion": 161,
    "atherosclerosis": 132,
    "catheter": 125,
    "airspace_disease": 125,
    "granulomatous_disease": 112,
    "nodule": 111,
    "implanted_device": 110,
    "surgical_instruments": 106,
    "lung_hypoinflation": 291,
    "lung_hyperdistention": 216,
    "thoracic_vertebrae_degenerative": 259,
    "spine_degenerative": 182,
    "aorta_tortuous": 161,
    "calcinosis_lung": 132,
    "calcinosis_lymph_nodes": 108,
    "normal": 1391,
}
FINDINGS = {
    "cardiomegaly": 215,
    "calcified_granuloma": 205,
    "opacity": 149,
    "nodule": 68,
    "cicatrix": 68,
    "atelectasis": 67,
    "pleural_effusion": 36,
    "airspace_disease": 26,
}


def package_data(name: str) -> Path:
    found = importlib.util.find_spec("torchxrayvision")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "data" / name


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return indiana.write_study(tmp_path_factory.mktemp("indiana"))


@pytest.fixture(scope="module")
def samples(study: Path) -> pl.DataFrame:
    return pl.read_parquet(study.parent / "samples.parquet")


@pytest.fixture(scope="module")
def raw_codes() -> dict[str, list[str]]:
    """The ``major`` entries by sample id, by a road that uses neither the parser nor the rules."""
    codes = {}
    with tarfile.open(package_data("NLMCXR_reports.tgz")) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                text = content.read().decode()
                number = int(re.search(r'<IUXRId id="(\d+)"/>', text)[1])
                codes[f"CXR{number:04d}"] = re.findall(r"<major>(.*?)</major>", text)
    return codes


def test_counts_of_the_collection(samples: pl.DataFrame) -> None:
    assert samples.height == 3955
    assert samples["patient"].n_unique() == 3955
    assert samples["age"].count() == 3851
    assert samples["images"].count() == 3851
    assert samples["indication"].count() == 3865
    assert samples["findings"].count() == 3425
    assert samples["report"].is_sorted()


def test_every_binary_task_has_the_patients_it_was_chosen_for(samples: pl.DataFrame) -> None:
    assert {name: samples[name].sum() for name in PATIENTS} == PATIENTS
    assert min(PATIENTS.values()) >= 100
    assert dict(samples["finding"].drop_nulls().value_counts().rows()) == FINDINGS


def test_labels_agree_with_the_raw_entries(samples: pl.DataFrame, raw_codes: dict[str, list[str]]) -> None:
    rows = {row["report"]: row for row in samples.iter_rows(named=True)}
    assert rows.keys() == raw_codes.keys()
    for report, majors in raw_codes.items():
        text = "|" + "|".join(majors).lower() + "|"
        row = rows[report]
        if majors == ["No Indexing"]:
            assert all(row[name] is None for name in [*PATIENTS, "finding"])
            continue
        assert row["cardiomegaly"] == int("|cardiomegaly/" in text or "|cardiomegaly|" in text)
        assert row["catheter"] == int("|catheters, indwelling" in text)
        assert row["lung_hypoinflation"] == int(bool(re.search(r"\|lung/[^|]*hypoinflation", text)))
        assert row["calcinosis_lymph_nodes"] == int(bool(re.search(r"\|calcinosis/[^|]*lymph nodes", text)))
        if row["normal"] is not None:
            assert row["normal"] == int("normal" in majors)
        if row["finding"] is not None:
            assert sum(row[name] for name in FINDINGS) == 1 and row[row["finding"]] == 1


def test_unlabelled_reports_are_those_nobody_coded(samples: pl.DataFrame, raw_codes: dict[str, list[str]]) -> None:
    uncoded = sum(majors == ["No Indexing"] for majors in raw_codes.values())
    only_quality = sum(
        {major.strip() for major in majors} == {"Technical Quality of Image Unsatisfactory"}
        for majors in raw_codes.values()
    )
    assert uncoded == 95 and only_quality == 6
    assert samples["opacity"].null_count() == uncoded
    assert samples["normal"].null_count() == uncoded + only_quality


def test_age_and_images_agree_with_the_headers(samples: pl.DataFrame) -> None:
    ages: dict[str, float] = {}
    images: dict[str, int] = {}
    kvp: dict[str, float] = {}
    with gzip.open(package_data("nlmcxr_dicom_metadata.csv.gz"), "rt", newline="") as stream:
        for row in csv.DictReader(stream):
            report = f"CXR{int(row['Patient ID']):04d}"  # a second road to the report's number
            taken, born = row["Study Date"], row["Patient's Birth Date"]
            days = date.fromisoformat(taken).toordinal() - date.fromisoformat(born).toordinal()
            ages[report] = days / 365.25
            images[report] = images.get(report, 0) + 1
            if float(row["KVP"] or 0) > 0:
                kvp[report] = max(kvp.get(report, 0.0), float(row["KVP"]))
    for row in samples.iter_rows(named=True):
        report = row["report"]
        assert row["images"] == images.get(report)
        assert row["kvp_high"] == kvp.get(report)
        assert row["age"] == (pytest.approx(ages[report], abs=0.0051) if report in ages else None)


def test_forecast_hides_the_text_that_the_labels_were_coded_from(study: Path) -> None:
    content = tomllib.loads(study.read_text())
    kinds = [task["kind"] for task in content["task"]]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "binary": 21,
        "multiclass": 1,
        "regression": 1,
        "clustering": 1,
    }
    for task in content["task"]:
        assert task["exclude_sources"] == (["age"] if task["name"] == "age" else ["findings"])
    assert [source["name"] for source in content["source"]] == ["age", "acquisition", "indication", "findings"]
    assert content["task"][-1]["clusters"] == 15


def test_reading_variant_says_what_it_is(tmp_path: Path) -> None:
    content = tomllib.loads(indiana.write_study(tmp_path / "new", findings=True).read_text())
    excluded = {task["name"]: task.get("exclude_sources", []) for task in content["task"]}
    assert excluded.pop("age") == ["age"] and not any(excluded.values())
    assert "read the findings" in content["study"]["title"]
    assert "report-reading variant" in content["study"]["notes"]
    assert "CC BY-NC-ND 4.0" in content["study"]["notes"]


def test_every_column_that_the_study_names_is_there(study: Path, samples: pl.DataFrame) -> None:
    content = tomllib.loads(study.read_text())
    named = {task["column"] for task in content["task"] if "column" in task}
    for source in content["source"]:
        named |= set(source.get("columns", [])) | ({source["column"]} if "column" in source else set())
    assert named | {"report", "patient"} == set(samples.columns)


def test_acquisition_facts_name_nobody_and_no_day(study: Path, samples: pl.DataFrame) -> None:
    headers = {rule["header"] for kind in ("number", "word") for rule in indiana.catalog()[kind]}
    telling = re.compile(r"\b(ID|UID|Date|Time of|Name|Number|Sex|Comments)\b|Patient|Physician|Study Time", re.I)
    assert [header for header in headers if telling.search(header) and header != "Study Priority ID"] == []
    facts = tomllib.loads(study.read_text())["source"][1]["columns"]
    # serial numbers and the like would have nearly as many values as there are reports
    words = [name for name in facts if samples[name].dtype == pl.String]
    assert max(samples[name].n_unique() for name in words) < 40


def test_the_same_bytes_again(study: Path, tmp_path: Path) -> None:
    again = indiana.write_study(tmp_path)
    assert again.read_bytes() == study.read_bytes()
    assert (tmp_path / "samples.parquet").read_bytes() == (study.parent / "samples.parquet").read_bytes()


REPORT = """<eCitation><IUXRId id="{number}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="INDICATION"> cough </AbstractText><AbstractText Label="FINDINGS"/>
</Abstract></Article></MedlineCitation><MeSH><major>{major}</major></MeSH></eCitation>"""


def archive_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def member_of(number: int, major: str = "normal") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(f"reports/{number}.xml"), REPORT.format(number=number, major=major).encode()


def test_reports_come_in_order_of_their_number(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tgz", member_of(10, "Lung/Hypoinflation /mild"), member_of(2))
    first, second = indiana.read_reports(archive)
    assert (first.number, first.indication, first.findings) == (2, "cough", None)
    assert second.codes == (("lung", frozenset({"hypoinflation", "mild"})),)


def test_a_strange_archive_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("reports/1.xml")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><eCitation/>'
    strange = {
        "link": (link, b""),
        "large": (tarfile.TarInfo("reports/1.xml"), b" " * (indiana.LARGEST_REPORT + 1)),
        "entities": (tarfile.TarInfo("reports/1.xml"), bomb),
        "not xml": (tarfile.TarInfo("reports/1.xml"), b"<eCitation>"),
        "no number": (tarfile.TarInfo("reports/1.xml"), b"<eCitation/>"),
    }
    for name, member in strange.items():
        with pytest.raises(DataError, match="cannot be read as the Indiana"):
            indiana.read_reports(archive_of(tmp_path / f"{name}.tgz", member))
    with pytest.raises(DataError, match="twice"):
        indiana.read_reports(archive_of(tmp_path / "twice.tgz", member_of(1), member_of(1)))
    (tmp_path / "text.tgz").write_text("not an archive")
    with pytest.raises(DataError, match=r"text\.tgz"):
        indiana.read_reports(tmp_path / "text.tgz")


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install 'torchxrayvision'"):
        indiana.write_study(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(FolderError, match="cannot be written"):
        indiana.write_study(tmp_path / "taken")
