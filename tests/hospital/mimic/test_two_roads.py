"""Time-series features of a synthetic hospital by two roads: this project's, and plain loops with NumPy and SciPy."""

from __future__ import annotations

import csv
import gzip
import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.signal import find_peaks
from scipy.stats import linregress

from m3h.encoders.timeseries import STATISTICS, Statistics, statistics
from m3h.hospital.events import read_events
from m3h.hospital.mimic.build import make_study
from m3h.hospital.mimic.extract import Choices
from m3h.hospital.mimic.signals import signals
from m3h.hospital.samples import SampleTable, read_samples
from m3h.hospital.simulate.hospital import simulate
from m3h.hospital.tables import Tables
from m3h.study.spec import Study

PATIENTS = 200
Series = dict[tuple[str, str], list[float]]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "hospital"
    simulate(folder, patients=PATIENTS, seed=3, release="2.2", events_per_stay=60, progress=lambda share: None)
    return folder


def rows(hospital: Path, table: str) -> Iterator[dict[str, str]]:
    with gzip.open(hospital / f"{table}.csv.gz", "rt", newline="") as stream:
        for row in csv.DictReader(stream):
            yield {name.lower(): value for name, value in row.items()}


def when(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def study_of(hospital: Path, out: Path, choices: Choices) -> tuple[Study, pl.DataFrame]:
    """The study with its time series alone, and its samples."""
    made = make_study(hospital, out, choices=choices, encoders="offline")
    blocks = made.study.read_text().split("\n\n")
    kept = [text for text in blocks if not text.startswith("[diagnoses]") and "catalog" not in text]
    made.study.write_text("\n\n".join(kept))
    return Study.read(made.study), pl.read_parquet(out / "samples.parquet")


def plain(x: list[float]) -> list[float]:
    """The eleven statistics, one by one."""
    v = np.array(x)
    if len(v) == 1:
        return [v[0], v[0], v[0], 0, 0, 0, 0, 0, 0, 0, 0]
    d = np.diff(v)
    slope = linregress(np.arange(len(v)), v).slope
    return [
        *(v.max(), v.min(), v.mean(), v.var(ddof=1), d.mean(), np.abs(d).mean(), np.abs(d).max(), np.abs(d).sum()),
        *(v[-1] - v[0], len(find_peaks(v)[0]), slope),
    ]


def compare(study: Study, source: str, expected: Series) -> None:
    """Every series of a source, in float64 and as the encoder gives it."""
    names = [name for name, of in signals().select("signal", "source").rows() if of == source]
    (spec,) = [one for one in study.sources if one.name == source]
    with Tables(study) as tables:
        samples = read_samples(tables, study)
        events = read_events(tables, samples, spec)
        found = {}
        for batch in events.batches():
            series = statistics(batch)
            for sample, signal, values in zip(series.sample, series.signal, series.values, strict=True):
                found[str(samples.ids[sample]), events.signals[signal]] = values
        encoder = Statistics(**spec.options)
        state = encoder.fit(events, np.ones(len(samples), dtype=bool))
        block = encoder.transform(source, events, state)
    assert set(found) == set(expected) and len(found) > 500
    for key, x in expected.items():
        np.testing.assert_allclose(found[key], plain(x), rtol=1e-6, atol=1e-9 * max(map(abs, x)), err_msg=str(key))
    assert block.names == tuple(f"{name}.{statistic}" for name in names for statistic in STATISTICS)
    _check_block(block.values, samples, names, expected)


def _check_block(values: np.ndarray, samples: SampleTable, names: list[str], expected: Series) -> None:
    place = {str(name): number for number, name in enumerate(samples.ids)}
    wanted = np.full(values.shape, np.nan)
    for (sample, signal), x in expected.items():
        begin = 11 * names.index(signal)
        wanted[place[sample], begin : begin + 11] = plain(x)
    np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-4)


def items(source: str) -> dict[str, tuple[str, float, float]]:
    """Item -> signal, least and greatest value."""
    found = {}
    for row in signals().filter(pl.col("source") == source).iter_rows(named=True):
        low = -math.inf if row["low"] is None else row["low"]
        found[str(row["itemid"])] = (row["signal"], low, math.inf if row["high"] is None else row["high"])
    return found


def test_strict_bedside_and_laboratory(hospital: Path, tmp_path: Path) -> None:
    study, samples = study_of(hospital, tmp_path / "study", Choices())
    stays = {int(row["hadm_id"]): row for row in rows(hospital, "hosp/admissions")}
    of_admission = defaultdict(list)
    for sample, hadm, t in samples.select("sample_id", "hadm_id", "t").rows():
        of_admission[hadm].append((sample, t))
    for source, table in (("chart", "icu/chartevents"), ("labs", "hosp/labevents")):
        wanted, events = items(source), defaultdict(list)
        for row in rows(hospital, table):
            if row["itemid"] not in wanted or not row["valuenum"] or not row["charttime"]:
                continue
            signal, low, high = wanted[row["itemid"]]
            value, time = float(row["valuenum"]), when(row["charttime"])
            if not low <= value <= high or (source == "labs" and low == 0 and value == 0):
                continue
            known = when(row["storetime"]) or time if source == "labs" else time
            hadm = int(row["hadm_id"] or 0) or _admission(stays, row["subject_id"], time)
            for sample, t in of_admission.get(hadm, []):
                if time <= t and known <= t:  # type: ignore[operator]
                    order = (time, known, int(row["labevent_id"])) if source == "labs" else (time,)
                    events[sample, signal].append((*order, value))
        compare(study, source, {key: [one[-1] for one in sorted(found)] for key, found in events.items()})


def _admission(stays: dict[int, dict[str, str]], subject: str, time: datetime | None) -> int | None:
    """The last admission of a patient that had begun and not ended."""
    here = [
        (when(row["admittime"]), hadm)
        for hadm, row in stays.items()
        if row["subject_id"] == subject and when(row["admittime"]) <= time <= when(row["dischtime"])  # type: ignore[operator]
    ]
    return max(here)[1] if here else None


def test_strict_procedures(hospital: Path, tmp_path: Path) -> None:
    study, samples = study_of(hospital, tmp_path / "study", Choices())
    wanted, events = items("procedures"), defaultdict(list)
    of_admission = defaultdict(list)
    for sample, hadm, t in samples.select("sample_id", "hadm_id", "t").rows():
        of_admission[hadm].append((sample, t))
    for row in rows(hospital, "icu/procedureevents"):
        if row["itemid"] in wanted:
            begin, end = when(row["starttime"]), when(row["endtime"])
            for sample, t in of_admission.get(int(row["hadm_id"]), []):
                if begin <= t:  # type: ignore[operator]
                    hours = (min(end, t) - begin).total_seconds() / 3600  # type: ignore[type-var, operator]
                    value = 1.0 if row["valueuom"] in ("", "None") else max(hours, 0.0)
                    events[sample, wanted[row["itemid"]][0]].append((begin, value))
    found = {key: [value for _, value in sorted(one)] for key, one in events.items()}
    compare(study, "procedures", found)


def test_haim_with_its_zero(hospital: Path, tmp_path: Path) -> None:
    study, samples = study_of(hospital, tmp_path / "study", Choices(profile="haim"))
    labels = {row["itemid"]: row["label"] for row in rows(hospital, "icu/d_items")}
    names = {signal for signal, *_ in items("chart").values()}
    of_stay = defaultdict(list)
    for sample, hadm, stay, t in samples.select("sample_id", "hadm_id", "stay_id", "t").rows():
        of_stay[hadm, stay].append((sample, t))
    events: Series = {(sample, signal): [] for sample in samples["sample_id"] for signal in names}
    for row in rows(hospital, "icu/chartevents"):
        if labels.get(row["itemid"]) in names and row["valuenum"]:
            for sample, t in of_stay.get((int(row["hadm_id"]), int(row["stay_id"])), []):
                if not row["charttime"] or when(row["charttime"]) <= t:  # type: ignore[operator]
                    events[sample, labels[row["itemid"]]].append(float(row["valuenum"]))
    compare(study, "chart", {key: [*found, 0.0] for key, found in events.items()})
