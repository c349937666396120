"""How fast events become time-series features, from the CSV.GZ of a hospital to the encoded block.

usage: python benchmarks/series_speed.py FOLDER [FOLDER ...] [--rounds 3] [--slow-samples 40] [--out CSV]

Each FOLDER is a MIMIC (m3h simulate makes them). Side by side, in processes of their own, round by round:

scan      DuckDB reads the same files (chartevents, labevents, procedureevents) and counts them: the limit;
m3h       `m3h mimic` and the encoding of the three sources, files to block;
pandas    for each sample, filter the table by admission and time, and SciPy per signal, as HAIM does it; on a few
          samples of tables that are in memory already, in rows of the table per second of such samples.

Rows are those of the three files. The pandas loop runs in the first round only. Writes series_speed.csv: medians over
the rounds, peak memory of the process.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
TABLES = ("icu/chartevents", "hosp/labevents", "icu/procedureevents")
SOURCES = ("chart", "labs", "procedures")
HEAD = ["event rows", "samples", "who", "seconds", "rows per second", "of the scan", "peak memory (GB)"]


def files(folder: Path) -> list[Path]:
    return [folder / f"{name}.csv.gz" for name in TABLES]


def scan(folder: Path, slow: int) -> dict[str, Any]:
    import duckdb

    connection = duckdb.connect(config={"memory_limit": "2GB"})
    begin = time.perf_counter()
    rows = 0
    for file in files(folder):
        found = connection.execute(
            f"SELECT count(*), count(itemid) FROM read_csv('{file}', all_varchar=true)"
        ).fetchone()
        rows += found[0] if found else 0
    return {"seconds": time.perf_counter() - begin, "rows": rows}


def m3h(folder: Path, slow: int) -> dict[str, Any]:
    from m3h.hospital.mimic.build import make_study

    with tempfile.TemporaryDirectory() as place:
        begin = time.perf_counter()
        made = make_study(folder, Path(place) / "study", encoders="offline")
        width = encoded(made.study)
        return {"seconds": time.perf_counter() - begin, "samples": made.extracted.samples, "width": width}


def encoded(study_file: Path) -> int:
    """Encode the time series of a study; the number of columns."""
    import numpy as np

    from m3h.encoders.timeseries import Statistics
    from m3h.hospital.events import read_events
    from m3h.hospital.samples import read_samples
    from m3h.hospital.tables import Tables
    from m3h.study.spec import Study

    study = Study.read(study_file)
    width = 0
    with Tables(study) as tables:
        samples = read_samples(tables, study)
        for source in study.sources:
            if source.name in SOURCES:
                encoder, events = Statistics(**source.options), read_events(tables, samples, source)
                block = encoder.transform(source.name, events, encoder.fit(events, np.ones(len(samples), bool)))
                width += block.width
    return width


def pandas(folder: Path, slow: int) -> dict[str, Any]:
    """The loop that HAIM's notebooks run, over samples; tables are read before the clock starts."""
    import pandas as pd
    from scipy.signal import find_peaks
    from scipy.stats import linregress

    from m3h.hospital.mimic.build import make_study

    with tempfile.TemporaryDirectory() as place:
        made = make_study(folder, Path(place) / "study", encoders="offline")
        samples = pd.read_parquet(made.study.parent / "samples.parquet").head(slow)
    kept = set(samples["hadm_id"])
    tables = []
    for file in files(folder)[:2]:
        parts = pd.read_csv(file, chunksize=1_000_000, usecols=["hadm_id", "itemid", "charttime", "valuenum"])
        table = pd.concat([part[part["hadm_id"].isin(kept)] for part in parts])
        tables.append(table.assign(charttime=pd.to_datetime(table["charttime"])))
    rows = 0
    begin = time.perf_counter()
    for sample in samples.itertuples():
        for table in tables:
            own = table[table["hadm_id"] == sample.hadm_id]
            own = own[own["charttime"] <= sample.t]
            rows += len(own)
            for _, series in own.groupby("itemid"):
                x = series["valuenum"].to_numpy()
                steps = x[1:] - x[:-1]
                _ = (x.max(), x.min(), x.mean(), x.var(), len(find_peaks(x)[0]))
                if len(x) > 1:
                    _ = (steps.mean(), abs(steps).mean(), abs(steps).max(), abs(steps).sum(), x[-1] - x[0])
                    _ = linregress(range(len(x)), x).slope
    return {"seconds": time.perf_counter() - begin, "rows": rows, "samples": len(samples)}


WHO = {"scan": scan, "m3h": m3h, "pandas": pandas}


def timed(who: str, folder: Path, slow: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--who", who, "--slow-samples", str(slow), str(folder)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(folder: Path, rounds: int, slow: int) -> list[list[str]]:
    found: dict[str, list[dict[str, Any]]] = {who: [] for who in WHO}
    for number in range(rounds):
        for who in WHO:
            # its speed hardly varies, and reading its tables takes longest
            if who != "pandas" or number == 0:
                found[who].append(timed(who, folder, slow))
    rows = found["scan"][0]["rows"]
    samples = found["m3h"][0]["samples"]
    lines = []
    best = rows / statistics.median(one["seconds"] for one in found["scan"])
    for who, each in found.items():
        seconds = statistics.median(one["seconds"] for one in each)
        speed = (each[0]["rows"] if who == "pandas" else rows) / seconds
        memory = max(one["memory"] for one in each) / 1e9
        count = each[0].get("samples", samples)
        lines.append(
            [str(rows), str(count), who, f"{seconds:.1f}", f"{speed:.0f}", f"{speed / best:.1%}", f"{memory:.2f}"]
        )
        print("  ".join(lines[-1]), flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-samples", type=int, default=40)
    parser.add_argument("--who", choices=list(WHO), help="only this one, in this process")
    parser.add_argument("--out", type=Path, default=HERE / "docs" / "results" / "series_speed.csv")
    given = parser.parse_args()
    if given.who:
        done = WHO[given.who](given.folders[0], given.slow_samples)
        print(json.dumps({**done, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
        return
    table = [line for folder in given.folders for line in compared(folder, given.rounds, given.slow_samples)]
    with given.out.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([HEAD, *table])


if __name__ == "__main__":
    main()
