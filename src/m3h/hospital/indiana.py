"""The built-in study: 3,955 real radiology reports of the Indiana University chest X-ray collection.

The reports and their DICOM headers lie in the installed torchxrayvision package, so they are there without a download.
This module writes them as an ordinary study folder, which then takes the ordinary road. Report, patient and sample are
one here: each report is of another patient (the 3,851 headers name 3,851 patients, each with one report).
Source: Demner-Fushman et al., J Am Med Inform Assoc 2016; licence CC BY-NC-ND 4.0.
"""

from __future__ import annotations

import importlib.util
import io
import json
import tarfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from m3h.core.atomic import atomic_file
from m3h.core.errors import DataError
from m3h.core.installing import installing

#: A report has at most 9 kB; a larger member or a larger archive is not this collection.
LARGEST_REPORT = 200_000
MOST_REPORTS = 10_000
DAYS_IN_YEAR = 365.25


@dataclass(frozen=True)
class Report:
    """One report: its number in the collection, two of its texts (None = empty) and its ``major`` codes.

    ``codes`` are (heading, qualifiers), in lower case.
    """

    number: int
    indication: str | None
    findings: str | None
    codes: tuple[tuple[str, frozenset[str]], ...]


def write_study(folder: Path, *, findings: bool = False) -> Path:
    """Write ``samples.parquet`` and ``study.toml`` into ``folder`` and return the path of the study file.

    Without ``findings`` the tasks that were coded from the findings text may not read it, and neither may the
    phenotypes: what the report will say is forecast from indication, age and acquisition. With ``findings`` they
    read the very text that they were coded from. The same bytes every time. Errors: DataError where torchxrayvision
    or its files are missing or are not this collection; FolderError where ``folder`` cannot be written.
    """
    rules = catalog()
    data = _data_folder()
    reports = read_reports(data / rules["collection"]["reports"])
    samples = build_samples(reports, _read_headers(data / rules["collection"]["headers"]), rules)
    buffer = io.BytesIO()
    samples.write_parquet(buffer, compression="zstd", statistics=False)
    with atomic_file(folder / "samples.parquet") as path:
        path.write_bytes(buffer.getvalue())
    study = folder / "study.toml"
    with atomic_file(study) as path:
        path.write_text(_study_text(rules, findings=findings), encoding="utf-8")
    return study


def catalog() -> dict[str, Any]:
    """The rules of this collection: tasks, headings, header fields (``catalog/indiana.toml``)."""
    return tomllib.loads(files("m3h.hospital.catalog").joinpath("indiana.toml").read_text(encoding="utf-8"))


def read_reports(archive: Path) -> tuple[Report, ...]:
    """All reports of the archive in order of their number. Nothing is unpacked to disk; sizes are limited.

    Errors: DataError if the archive cannot be read or holds something else.
    """
    try:
        with tarfile.open(archive, mode="r:gz") as stream:
            reports = [_parse(text) for text in _members(stream)]
    except (OSError, EOFError, tarfile.TarError, ET.ParseError) as error:
        raise _broken(archive, str(error)[:80]) from error
    reports.sort(key=lambda report: report.number)
    if not reports or len({report.number for report in reports}) != len(reports):
        raise _broken(archive, f"{len(reports)} reports, some of them twice" if reports else "no reports")
    return tuple(reports)


def build_samples(reports: Sequence[Report], headers: pl.DataFrame, rules: Mapping[str, Any]) -> pl.DataFrame:
    """One row per report: id and patient, age, acquisition facts, texts and labels (null = unknown).

    ``headers`` has one row per image with the header's names as columns, all text. Age in years, study date minus
    birth date.
    """
    texts = pl.DataFrame(
        {
            "number": [report.number for report in reports],
            "report": [f"CXR{report.number:04d}" for report in reports],
            "indication": [report.indication for report in reports],
            "findings": [report.findings for report in reports],
        },
        schema={"number": pl.Int64, "report": pl.String, "indication": pl.String, "findings": pl.String},
    )
    facts = texts.select("number").join(_facts(headers, rules), on="number", how="left", maintain_order="left")
    labels = pl.DataFrame(
        [_labels(report.codes, rules) for report in reports],
        schema={rule["name"]: pl.Int8 for rule in rules["binary"]} | {"normal": pl.Int8, "finding": pl.String},
    )
    table = pl.concat([texts, facts.drop("number"), labels], how="horizontal").sort("report")
    return table.select(
        "report",
        pl.col("report").alias("patient"),
        *facts.drop("number").columns,
        "indication",
        "findings",
        *labels.columns,
    )


def _data_folder() -> Path:
    found = importlib.util.find_spec("torchxrayvision")  # importing it takes 12 s and loads torch
    if found is None or found.origin is None:
        raise DataError(
            "the built-in study lies in the package torchxrayvision, which is not installed",
            next_step=installing("torchxrayvision"),
        )
    return Path(found.origin).parent / "data"


def _broken(path: Path, got: str) -> DataError:
    return DataError(
        "cannot be read as the Indiana University collection",
        where=path.name,
        got=got,
        next_step=f"install torchxrayvision anew: {installing('torchxrayvision', again=True)}",
    )


def _members(stream: tarfile.TarFile) -> Iterator[bytes]:
    """The XML files of the archive, read in memory; links, devices and oversized members are refused."""
    for count, member in enumerate(stream):
        if member.isdir():
            continue
        if not member.isfile() or member.size > LARGEST_REPORT or count > MOST_REPORTS:
            raise tarfile.TarError(f"member {count} is not a report")
        content = stream.extractfile(member)
        if content is not None and member.name.endswith(".xml"):
            yield content.read()


def _parse(text: bytes) -> Report:
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:  # entities could expand without end; no report has any
        raise tarfile.TarError("a report with a document type")
    root = ET.fromstring(text)
    found = root.find("IUXRId")
    number = "" if found is None else found.get("id", "")
    if not number.isdecimal():
        raise tarfile.TarError("a report without a number")
    texts = {part.get("Label"): (part.text or "").strip() or None for part in root.iter("AbstractText")}
    entries = [entry.text.lower().split("/") for entry in root.iterfind("MeSH/major") if entry.text]
    codes = tuple((words[0].strip(), frozenset(word.strip() for word in words[1:])) for words in entries)
    return Report(int(number), texts.get("INDICATION"), texts.get("FINDINGS"), codes)


def _labels(codes: Sequence[tuple[str, frozenset[str]]], rules: Mapping[str, Any]) -> dict[str, int | str | None]:
    """Labels of one report: 1 where a rule matches, 0 where a coded report has no match, None where nobody coded."""
    headings = {heading for heading, _ in codes}
    binary = rules["binary"]
    if not headings - {rules["collection"]["uncoded"].lower()}:
        return dict.fromkeys([*(rule["name"] for rule in binary), "normal", "finding"])
    labels: dict[str, int | str | None] = {rule["name"]: int(_matches(rule, codes)) for rule in binary}
    says_something = bool(headings - {rules["collection"]["neither"].lower()})
    labels["normal"] = int(rules["normal"]["heading"].lower() in headings) if says_something else None
    named = [name for name in rules["finding"]["tasks"] if labels[name] == 1]
    labels["finding"] = named[0] if len(named) == 1 else None
    return labels


def _matches(rule: Mapping[str, str], codes: Sequence[tuple[str, frozenset[str]]]) -> bool:
    qualifier = rule.get("qualifier", "").lower()
    return any(
        heading == rule["heading"].lower() and (not qualifier or qualifier in qualifiers)
        for heading, qualifiers in codes
    )


def _read_headers(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path, infer_schema_length=0)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _broken(path, type(error).__name__) from error


def _facts(headers: pl.DataFrame, rules: Mapping[str, Any]) -> pl.DataFrame:
    """Age and acquisition facts per report number; reports whose images have no header are not in it."""
    reduced = [pl.len().cast(pl.Int64).alias("images")]
    reduced += [_number(rule["header"], rule["take"]).alias(rule["name"]) for rule in rules["number"]]
    reduced += [_words(rule["header"]).alias(rule["name"]) for rule in rules["word"]]
    born = pl.col("Patient's Birth Date").str.to_date("%Y%m%d", strict=False)
    taken = pl.col("Study Date").str.to_date("%Y%m%d", strict=False)
    age = ((taken - born).dt.total_days() / DAYS_IN_YEAR).min().round(2).alias("age")
    number = pl.col("imageid").str.extract(r"^CXR(\d+)_").cast(pl.Int64).alias("number")
    return headers.group_by(number).agg(age, *reduced).sort("number")


def _number(header: str, take: str) -> pl.Expr:
    first = pl.col(header).str.extract(r"([0-9]+\.?[0-9]*)").cast(pl.Float64)
    recorded = first.filter(first > 0)  # 0: not recorded
    return recorded.min() if take == "lowest" else recorded.max()


def _words(header: str) -> pl.Expr:
    word = pl.col(header).str.replace_all(r"[\[\]']", "").str.strip_chars().replace("", None)
    joined = word.drop_nulls().unique().sort().str.join("+")
    return joined.replace("", None)


def _study_text(rules: Mapping[str, Any], *, findings: bool) -> str:
    """The study file. Numbers and words come from the rules; the variant decides who may read the findings."""
    collection = rules["collection"]
    variant = "tasks read the findings text" if findings else "forecast before the report is written"
    lines = [
        "[study]",
        _entry("name", "indiana-findings" if findings else "indiana"),
        _entry("title", f"{collection['title']}: {variant}"),
        "seed = 2016",
        _entry("notes", _notes(collection, findings=findings)),
        *("", "[samples]", _entry("table", "samples.parquet"), _entry("id", "report"), _entry("patient", "patient")),
    ]
    facts = ["images", *(rule["name"] for rule in (*rules["number"], *rules["word"]))]
    lines += _table("source", name="age", modality="tabular", columns=["age"])
    lines += _table("source", name="acquisition", modality="tabular", columns=facts)
    lines += _table("source", name="indication", modality="language", column="indication")
    lines += _table("source", name="findings", modality="language", column="findings")
    hidden: dict[str, Any] = {} if findings else {"exclude_sources": ["findings"]}
    for rule in rules["binary"]:
        name = rule["name"]
        lines += _table("task", name=name, kind="binary", column=name, department=rule["department"], **hidden)
    whole = rules["normal"]["department"]
    lines += _table("task", name="normal", kind="binary", column="normal", department=whole, **hidden)
    lines += _table(
        "task",
        name="finding",
        kind="multiclass",
        column="finding",
        classes=rules["finding"]["tasks"],
        department=rules["finding"]["department"],
        **hidden,
    )
    lines += _table(
        "task", name="age", kind="regression", column="age", unit="years", department=whole, exclude_sources=["age"]
    )
    clusters = collection["clusters"]
    lines += _table("task", name="phenotype", kind="clustering", clusters=clusters, department=whole, **hidden)
    return "\n".join(lines) + "\n"


def _notes(collection: Mapping[str, str], *, findings: bool) -> str:
    origin = f"Source: {collection['source']}. Licence: {collection['licence']}. "
    if findings:
        return origin + (
            "This is the report-reading variant: the labels were coded from the very findings text that the tasks "
            "read here. It measures reading a report, not forecasting one."
        )
    return origin + (
        "The labels were coded from the findings text, so the tasks coded from it may not read it: what the report "
        "will say is forecast from indication, age and acquisition, which is honestly hard."
    )


def _table(array: str, /, **entries: Any) -> list[str]:
    return ["", f"[[{array}]]", *(_entry(key, value) for key, value in entries.items())]


def _entry(key: str, value: Any) -> str:
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"  # TOML writes strings, integers and lists as JSON does
