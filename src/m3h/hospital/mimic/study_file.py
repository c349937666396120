"""The study file over the extracted tables: all that is left is what any hospital would declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from m3h.hospital.catalog.tasks import THORACIC
from m3h.hospital.mimic.extract import Choices, Extracted
from m3h.hospital.mimic.signals import names

Encoders = Literal["paper", "offline"]
DEMOGRAPHICS = ("age", "gender", "ethnicity", "marital_status", "language", "insurance")
NOTES = ("ecg", "echo", "radiology")
OPERATIONS = "Hospital Operations"


def study_file(found: Extracted, choices: Choices, encoders: Encoders, release: str, images: Path | None) -> str:
    """The text of study.toml. Sources come in the order of the published file: numbers, series, notes, images."""
    parts = [_head(found, choices, release), _demographics()]
    parts += [_series(name, choices) for name in ("chart", "labs", "procedures") if name in found.sources]
    parts += [_notes(name, choices, encoders) for name in NOTES if name in found.sources]
    if images is not None and "images" in found.sources:
        parts += _vision(images, choices, encoders)
    parts.append(tasks_text())
    return "\n".join(parts)


def _head(found: Extracted, choices: Choices, release: str) -> str:
    what = "chest images" if found.images else f"stays in intensive care, {choices.hours:g} hours in"
    samples = {"table": "samples.parquet", "id": "sample_id", "patient": "subject_id", "time": "t"}
    diagnoses = {"table": "diagnoses.parquet", "key": "hadm_id", "code": "icd_code", "version": "icd_version"}
    return "\n".join(
        [
            table_text("[study]", {"name": "mimic", "title": f"MIMIC-IV {release}: {what}", "seed": 2024}),
            table_text("[samples]", {**samples, "subgroups": ["sex", "race", "years"]}),
            table_text("[diagnoses]", diagnoses),
        ]
    )


def _demographics() -> str:
    return _source("demographics", "tabular", columns=list(DEMOGRAPHICS))


def _series(name: str, choices: Choices) -> str:
    strict = choices.profile == "strict"
    times = {"chart": ("charttime", None), "labs": ("charttime", "known"), "procedures": ("starttime", None)}
    time, available = times[name] if strict else ("at", None)
    key = "hadm_id" if strict and name != "procedures" else "sample_id"
    more = {} if available is None else {"available": available}
    signals = {one: one for one in names(name)}
    order = {"labs": ["labevent_id"]}.get(name) if strict else None
    ties = {} if order is None else {"order": order}
    return _source(
        name,
        "timeseries",
        table=f"{name}.parquet",
        key=key,
        time=time,
        **more,
        **ties,
        signal="signal",
        value="value",
        signals=signals,
        options={"extras": False, "every_signal": True},
    )


def _notes(name: str, choices: Choices, encoders: Encoders) -> str:
    keys = {"key": "sample_id", "time": "at"}
    if choices.profile == "strict":
        keys = {"key": "hadm_id", "time": "charttime", "available": "known"}
    encoder = {"encoder": "clinicalbert", "options": {"profile": choices.profile}} if encoders == "paper" else {}
    return _source(name, "language", table=f"{name}.parquet", **keys, column="text", **encoder)


def _vision(images: Path, choices: Choices, encoders: Encoders) -> list[str]:
    own = {"column": "image", "folder": str(images)}
    key = "subject_id" if choices.profile == "strict" else "sample_id"
    history = {"table": "images.parquet", "key": key, "time": "taken", "column": "image", "folder": str(images)}
    if encoders == "offline":
        return [_source("image", "vision", **own)]
    parts = []
    for part in ("dense", "predictions"):
        for name, keys, aggregate in (("image", own, "newest"), ("images", history, "mean")):
            options = {"output": part, "aggregate": aggregate, "profile": choices.profile}
            parts.append(_source(f"{name}_{part}", "vision", **keys, encoder="densenet121-chex", options=options))
    return [parts[0], parts[2], parts[1], parts[3]]


def tasks_text(*, catalogs: bool = True) -> str:
    """The tasks of the paper: those of the catalogs where there are diagnoses, and the four others."""
    declared = [f'[[tasks]]\ncatalog = "{name}"\n' for name in ("diseases", "operations") if catalogs]
    tasks: list[dict[str, object]] = [
        {"name": "mortality_48h", "title": "Mortality in 48hr", "kind": "binary", "column": "mortality_48h"},
        {"name": "length_of_stay", "title": "Length of Stay", "kind": "regression", "column": "length_of_stay"},
        {"name": "thoracic_testing", "title": "Thoracic Testing", "kind": "multiclass", "column": "thoracic"},
        {"name": "patient_phenotyping", "title": "Patient Phenotyping", "kind": "clustering", "clusters": 15},
    ]
    more: dict[str, dict[str, object]] = {
        "mortality_48h": {"department": OPERATIONS},
        "length_of_stay": {"unit": "days", "department": OPERATIONS},
        "thoracic_testing": {"classes": list(THORACIC), "department": "Thoracic Testing"},
        "patient_phenotyping": {"department": "Patient Phenotyping"},
    }
    written = [table_text("[[task]]", {**task, **more[str(task["name"])]}) for task in tasks]
    return "\n".join([*declared, *written])


def _source(name: str, modality: str, **keys: object) -> str:
    return table_text("[[source]]", {"name": name, "modality": modality, **keys})


def table_text(head: str, keys: Mapping[str, object]) -> str:
    """A table of a TOML file."""
    return "\n".join([head, *(f"{key} = {_value(value)}" for key, value in keys.items()), ""])


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        inside = ", ".join(f"{_text(str(key))} = {_value(one)}" for key, one in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, Iterable):
        return f"[{', '.join(_value(one) for one in value)}]"
    return str(value)


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
