"""How long m3h serve takes for an answer, over HTTP, from a server in a process of its own.

usage: python benchmarks/serve_speed.py RUN --data DIR [--rounds 50] [--patients 1000] [--out FILE.csv]

Each kind of request is sent in turn, round by round, for patients drawn from the run's test part, over one connection
that is kept, as a browser does; medians and 95th percentiles of milliseconds. Then the tables of so many patients are
sent as one zip, from the first byte to the last of all their answers. DIR holds the study's tables: of the samples
table the first patients are taken, and of the others the rows of those.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import io
import json
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

HEAD = ["study", "request", "times", "median ms", "95 % below ms"]
START = "import sys; from m3h.cli.main import main; main(sys.argv[1:])"


class Browser:
    """One kept connection with its cookie."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.cookie = ""

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        """The answer's body. Ends the benchmark where it is not a good one."""
        headers = {"cookie": self.cookie} | ({"content-type": kind} if body is not None else {})
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
        if given := answer.getheader("set-cookie"):
            self.cookie = given.partition(";")[0]
        return content


def requests(browser: Browser, random: np.random.Generator) -> dict[str, Callable[[int], bytes]]:
    """What is asked of one patient, by name."""
    run = json.loads(browser.ask("GET", "/api/run"))
    tasks = [one["task"] for one in run["tasks"]]
    first = json.loads(browser.ask("GET", "/api/patients/1"))
    columns = [one for one in first["columns"] if one["categories"] is None]
    row = {one["name"]: one["value"] for one in first["columns"]}
    found: dict[str, Callable[[int], bytes]] = {
        "a patient's answers (JSON)": lambda number: browser.ask("GET", f"/api/patients/{number}"),
        "what drives one of them (JSON)": lambda number: browser.ask(
            "GET", f"/api/patients/{number}/drivers?task={random.choice(tasks)}"
        ),
        "the patient's page": lambda number: browser.ask("GET", f"/patients/{number}?task={random.choice(tasks)}"),
    }
    if columns:
        name = columns[0]["name"]

        def edit(number: int) -> bytes:
            changed = json.dumps({"values": {name: float(random.integers(20, 90))}}).encode()
            return browser.ask("POST", f"/api/patients/{number}/what-if", changed)

        found["answers after an edit (JSON)"] = edit
        found["a new patient (row in JSON)"] = lambda number: browser.ask(
            "POST", "/api/predict", json.dumps({"rows": [row]}).encode()
        )
    return found


def tables(data: Path, patients: int) -> bytes:
    """A zip of the tables of the first patients of a study whose tables are Parquet."""
    study = tomllib.loads((data / "study.toml").read_text(encoding="utf-8"))
    samples = pl.read_parquet(data / study["samples"]["table"])
    names = samples[study["samples"]["patient"]].unique(maintain_order=True).head(patients)
    samples = samples.filter(pl.col(study["samples"]["patient"]).is_in(names.implode()))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        parts = {study["samples"]["table"]: samples}
        for source in study["source"]:
            if table := source.get("table"):
                key = source["key"]
                own = pl.scan_parquet(data / table).filter(pl.col(key).is_in(samples[key].unique().implode()))
                parts[table] = own.collect()
        for name, frame in parts.items():
            written = io.BytesIO()
            frame.write_parquet(written)
            archive.writestr(name, written.getvalue())
    return made.getvalue()


def sent(browser: Browser, content: bytes) -> float:
    """Seconds from the first byte of a file to the last of all its answers."""
    mark = "m3h-benchmark-mark"
    head = f'--{mark}\r\ncontent-disposition: form-data; name="file"; filename="new.zip"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
    begin = time.perf_counter()
    browser.ask("POST", "/api/predict", body, f"multipart/form-data; boundary={mark}")
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None, help="the CSV to write")
    given = parser.parse_args()
    command = [sys.executable, "-c", START, "serve", str(given.run), "--data", str(given.data), "--port", "0", "--json"]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            started = time.perf_counter() - begin
            measured(given, Browser(int(told["address"].rstrip("/").rpartition(":")[2])), started)
        finally:
            server.terminate()


def measured(given: argparse.Namespace, browser: Browser, started: float) -> None:
    """Ask, print and write."""
    random = np.random.default_rng(given.seed)
    asked = requests(browser, random)
    count = json.loads(browser.ask("GET", "/api/run"))["cohort"]["samples"]
    taken: dict[str, list[float]] = {name: [] for name in asked}
    for turn in range(given.rounds + 3):
        for name, ask in asked.items():
            number = int(random.integers(1, count + 1))
            begin = time.perf_counter()
            ask(number)
            if turn >= 3:  # the first ones load what is loaded once
                taken[name].append(1000 * (time.perf_counter() - begin))
    content = tables(given.data, given.patients)
    whole = [1000 * sent(browser, content) for _ in range(4)][1:]
    taken[f"{given.patients} new patients (zip of tables)"] = whole
    study = given.data.resolve().name
    lines = [
        [study, name, len(times), f"{np.median(times):.1f}", f"{np.quantile(times, 0.95):.1f}"]
        for name, times in taken.items()
    ]
    print(f"ready after {started:.1f} s")
    for line in [HEAD, *lines]:
        print(" | ".join(str(part) for part in line))
    if given.out:
        with given.out.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([HEAD, *lines])


if __name__ == "__main__":
    main()
