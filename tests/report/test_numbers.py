from collections.abc import Callable
from pathlib import Path

import pytest

from m3h.report.contents import read
from m3h.report.numbers import beneath, constant, counted_patients

Run = Callable[..., Path]


@pytest.mark.parametrize(
    ("metric", "value", "low", "high", "patients", "said"),
    [
        ("auroc", 0.5, 0.5, 0.5, 60, "the same for everybody"),
        ("macro_auroc", 0.5, 0.5, 0.5, 60, "the same for everybody"),
        ("auroc", 0.5, 0.4, 0.6, 60, "0.400 to 0.600"),
        ("brier", 0.5, 0.5, 0.5, 60, "the same in every redraw"),
        ("mae", 3.2, 3.2, 3.2, 1, "one test patient"),
        ("mae", 3.2, None, None, 1, ""),
    ],
)
def test_an_interval_of_no_width_is_explained(
    metric: str, value: float, low: float | None, high: float | None, patients: int, said: str
) -> None:
    row = {"task": "death", "metric": metric, "value": value, "low": low, "high": high}
    assert beneath(row, {"death": patients}) == said


def test_a_constant_is_found_without_predictions_too(run: Run) -> None:
    folder = run(["death", "coma"])
    assert constant(read(folder), "joint") == []
    lines = (folder / "scores.csv").read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if "coma,binary,auroc" in line and "joint" in line)
    cells = lines[place].split(",")
    cells[8:11] = ["0.5"] * 3
    lines[place] = ",".join(cells)
    (folder / "scores.csv").write_text("\n".join(lines))
    (folder / "predictions.parquet").unlink()
    assert constant(read(folder), "joint") == ["coma"]
    assert constant(read(folder), "single") == []


def test_test_patients_are_counted_by_question(run: Run) -> None:
    assert counted_patients(read(run(["death"], rows=60))) == {"death": 60}
