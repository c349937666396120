"""The tables of docs/results.md that come from the final results: the last line of each number."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from comparing.lines import FINAL
from comparing.session import JOINT, SINGLE, TUNED

Key = tuple[str, str, str, str, str]
Cells = dict[Key, tuple[str, str, str]]


def tell(file: Path = FINAL) -> list[Path]:
    """Write accuracy_test*.csv beside the final results; where a number was measured again, the last one."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    cells: Cells = {
        (row["study"], row["what"], row["model a"], row["model b"], row["measure"]): (
            row["value"],
            row["low"],
            row["high"],
        )
        for row in rows
    }
    made = {
        "accuracy_test": (("study", "tasks", "model", "mean", "low", "high"), _means(cells)),
        "accuracy_test_differences": (
            ("study", f"{JOINT} minus", "difference of means", "low", "high", "tasks ahead"),
            _differences(cells),
        ),
        "accuracy_test_missing": (
            ("study", "source missing", "tasks", JOINT, TUNED, "difference", "low", "high"),
            _missing(cells),
        ),
        "accuracy_test_sizes": (
            ("study", "patients", JOINT, SINGLE, TUNED, "minus single", "low", "high", "minus tuned", "low ", "high "),
            _sizes(cells),
        ),
        "accuracy_test_slopes": (("study", "lead over", "measure", "value", "low", "high"), _slopes(cells)),
    }
    written = []
    for name, (head, body) in made.items():
        place = file.with_name(f"{name}.csv")
        if not body:
            continue
        with place.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([head, *body])
        written.append(place)
    return written


def _means(cells: Cells) -> list[Sequence[str]]:
    return [
        (study, measure.split()[2], model, *_shown(cells[study, what, model, other, measure]))
        for study, what, model, other, measure in cells
        if what == "compare" and not other and measure.startswith("mean over")
    ]


def _differences(cells: Cells) -> list[Sequence[str]]:
    found = []
    for study, what, model, other, measure in cells:
        if what == "compare" and other and measure.startswith("mean over"):
            ahead = cells[study, what, model, other, "tasks ahead"][0]
            count = f"{float(ahead):.0f} of {measure.split()[2]}"
            found.append((study, other, *_shown(cells[study, what, model, other, measure], "+"), count))
    return found


def _missing(cells: Cells) -> list[Sequence[str]]:
    found = []
    for study, what, model, other, measure in cells:
        if what == "missing" and other:
            of = {one: _shown(cells[study, what, one, "", measure])[0] for one in (JOINT, TUNED)}
            source = measure.split(", ")[1].removesuffix(" missing")
            gap = _shown(cells[study, what, model, other, measure], "+")
            found.append((study, source, measure.split()[2], of[JOINT], of[TUNED], *gap))
    return found


def _sizes(cells: Cells) -> list[Sequence[str]]:
    found = []
    for study, what, model, other, measure in cells:
        if what == "sizes" and model == JOINT and not other and measure.startswith("mean over"):
            patients = measure.split(", ")[1]
            means = [_shown(cells[study, what, one, "", measure])[0] for one in (JOINT, SINGLE, TUNED)]
            gaps = [
                _shown(cells[study, what, JOINT, one, f"difference of means, {patients}"], "+")
                for one in (SINGLE, TUNED)
            ]
            found.append((study, patients.split()[0], *means, *gaps[0], *gaps[1]))
    return found


def _slopes(cells: Cells) -> list[Sequence[str]]:
    return [
        (study, other, measure, *_shown(cells[study, what, model, other, measure], "+"))
        for study, what, model, other, measure in cells
        if what == "sizes" and other and "slope" in measure
    ]


def _shown(numbers: Iterable[str], sign: str = "") -> tuple[str, ...]:
    return tuple(f"{float(one):{sign}.4f}" if one else "" for one in numbers)
