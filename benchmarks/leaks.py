"""Planted leaks that the audit catches, and alarms on clean studies; writes docs/results/leaks.csv and leaks_clean.csv.

    python benchmarks/leaks.py --studies ../shared/data
    python benchmarks/leaks.py --disguises 2 --seed 5 --out /tmp/leaks   # a glance that leaves the results alone

Each leak is planted in random disguises (tests/disguises*.py, tests/disguised_models.py) into the study of a simulated
hospital, a saved model into that of covid-cxr. A leak counts as caught if an alarm of a kind that fits it is raised.
The clean studies are the host, hospitals of other seeds and sizes, and the studies of the folder.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from disguised_models import quick_model, scaled_on_other_rows  # noqa: E402
from disguises import codes_of_the_stay, label_in_disguise, own_report  # noqa: E402
from disguises_in_tables import known_later, one_person_twice  # noqa: E402
from m3h.cli.check_run import check_run  # noqa: E402
from m3h.core import seeds  # noqa: E402
from m3h.dataset.audit import LEAKS  # noqa: E402
from m3h.dataset.build import build, read_study  # noqa: E402
from planted import Host, Planting, leaks, make_host, plant  # noqa: E402

TELLS = {kind for kind in LEAKS if kind.endswith("label")}
PLANTED: dict[str, tuple[Callable[[Planting], str], set[str]]] = {
    "not known at the sample's time": (known_later, TELLS | {"time not declared", "computed afterwards"}),
    "one person on both sides": (one_person_twice, {"patient on both sides"}),
    "an image's own report": (own_report, TELLS),
    "codes of the same stay": (codes_of_the_stay, TELLS | {"codes among inputs"}),
    "a label in disguise": (label_in_disguise, TELLS),
}
#: Of the disguises; thresholds and detectors were settled on those of seed 0.
SEED = 1
#: (patients, seed) of the clean simulations; the first is the host.
HOSPITALS = ((300, 11), (200, 1), (200, 2), (600, 3))


def planted(host: Host, folder: Path, disguises: int, seed: int) -> list[list[object]]:
    """A row for each leak: its name, disguises, caught, and what was missed."""
    rows: list[list[object]] = []
    for leak, (disguise, kinds) in PLANTED.items():
        missed = []
        for number in range(disguises):
            study = plant(host, folder / f"{disguise.__name__}{number}", seeds.generator(seed, "leak", leak, number))
            how = disguise(study)
            found = {alarm["kind"] for alarm in study.alarms()}
            print(f"{leak}: {how}: {', '.join(sorted(found)) or 'nothing'}", flush=True)
            if not found & kinds:
                missed.append(how)
        rows.append(_row(leak, disguises, missed))
    return rows


def models(study: Path, folder: Path, disguises: int, seed: int) -> list[object]:
    """The row of saved models that were scaled on other rows. An honest one must raise no alarm."""
    data = build(read_study(study), cache=folder / "cache")
    fitted = quick_model(data)
    leak, missed = "a model scaled on other rows", []
    for number in range(disguises):
        random: np.random.Generator = seeds.generator(seed, "leak", leak, number)
        how = scaled_on_other_rows(fitted, data, folder / f"model{number}", random)
        found = check_run(folder / f"model{number}", study, {"cache": folder / "cache"}, lambda text, share: None)
        print(f"{leak}: {how}: {len(found['alarms'])} alarms", flush=True)
        if not found["alarms"]:
            missed.append(how)
    return _row(leak, disguises, missed)


def _row(leak: str, disguises: int, missed: list[str]) -> list[object]:
    return [leak, disguises, disguises - len(missed), len(missed), "; ".join(missed)]


def clean(studies: Path, folder: Path, host: Host) -> list[list[object]]:
    """A row for each clean study: its name, samples, tasks, alarms of leaks and their kinds."""
    rows: list[list[object]] = []
    for patients, seed in HOSPITALS:
        at = folder / f"clean{patients}-{seed}"
        one = host if (patients, seed) == HOSPITALS[0] else make_host(at, patients=patients, seed=seed, events=100)
        rows.append(_clean(f"simulated, {patients} patients, seed {seed}", one.data))
    for name in ("icu2012", "covid-cxr"):
        rows.append(_clean(name, build(read_study(studies / name / "study.toml"), cache=folder / "cache")))
    return rows


def _clean(name: str, data: object) -> list[object]:
    found = leaks(data)  # type: ignore[arg-type]
    print(f"{name}: {len(found)} alarms", flush=True)
    kinds = "; ".join(sorted({str(alarm["kind"]) for alarm in found}))
    return [name, data.samples, len(data.usable()), len(found), kinds]  # type: ignore[attr-defined]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--disguises", type=int, default=20)
    parser.add_argument("--seed", type=int, default=SEED, help="of the disguises")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        patients, seed = HOSPITALS[0]
        host = make_host(folder / "host", patients=patients, seed=seed, events=100)
        quiet = clean(given.studies, folder, host)
        rows = planted(host, folder, given.disguises, given.seed)
        rows.append(models(given.studies / "covid-cxr" / "study.toml", folder, given.disguises, given.seed))
    given.out.mkdir(parents=True, exist_ok=True)
    _write(given.out / "leaks.csv", ["leak", "disguises", "caught", "missed", "which"], rows)
    _write(given.out / "leaks_clean.csv", ["clean study", "samples", "tasks", "alarms of leaks", "kinds"], quiet)


def _write(file: Path, heads: list[str], rows: list[list[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([heads, *rows])


if __name__ == "__main__":
    main(sys.argv[1:])
