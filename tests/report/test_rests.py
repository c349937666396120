"""What the answers rest on, examples, groups and changed inputs: tables, sentences and drawn data from small files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex

from m3h.report import appraisal, examples, features, groupings, years
from m3h.report.contents import Contents, read
from m3h.report.figures import changes, drawing, importance
from m3h.report.page import render

Run = Callable[..., Path]
Rows = list[dict[str, object]]


def _push(feature: str, measured: str, adds: float) -> dict[str, object]:
    return {"source": "labs", "feature": feature, "unit": "mg/dL", "measured": measured, "adds": adds}


def tables() -> dict[str, Rows]:
    worths = zip("abcdefg", (0.9, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05), (1, -1, 0.2, None, 0.9, 1, 1), strict=True)
    told: Rows = [
        {"task": "death", "source": "labs", "feature": name, "value": worth, "direction": way, "unexplained": 0.009}
        for name, worth, way in worths
    ]
    removed: Rows = [
        {"task": task, "metric": metric, "order": order, "count": count, "moved": moved, "score": score}
        for task, metric, whole, far in (("death", "auroc", 0.9, 0.7), ("length_of_stay", "r2", 0.4, 0.39))
        for order, count, moved, score in (
            *(("largest", 0, 0.0, whole), ("largest", 5, 0.6, far)),
            *(("random", 0, 0.0, whole), ("random", 5, 0.2, 0.385 if task == "length_of_stay" else 0.88)),
        )
    ]
    read_: Rows = [
        {"task": task, "group": group, "number": number, "prediction": prediction, "predicted": said, "truth": truth}
        | {"rank": rank, **push}
        for task, group, number, prediction, said, truth in (
            ("death", "right", 1, 0.97, "yes", "yes"),
            ("death", "wrong", 2, 0.93, "yes", "no"),
            ("icu_type", "wrong", 1, 0.8, "coronary", "trauma"),
            ("length_of_stay", "right", 1, None, "12.1", "12"),
        )
        for rank, push in enumerate((_push("age", "90 or older", 1.5), _push("urea", "", -0.5), _push("", "", 0.2)), 1)
    ]
    changed: Rows = [
        {"task": task, "role": role, "preset": preset, "change": change, "metric": "auroc", "amount": amount}
        | {"value": whole - loss * (2 if role == "baseline" else 1)}
        for task, whole in (("death", 0.9), ("hypotension", 0.8))
        for role, preset in (("joint", "m3h"), ("baseline", "lightgbm"))
        for change, amount, loss in (
            *(("none", 0.0, 0.0), ("noise", 0.5, 0.02), ("noise", 1.0, 0.05), ("labs absent", 1.0, 0.1)),
            ("labs: urea times", 10.0, 0.2),
        )
    ]
    # a question that the baseline does not answer has no place in a mean
    changed += [{**row, "task": "fever", "value": 0.1} for row in changed[:5]]
    group = {"task": "phenotype", "unit": "", "mean": 8.0, "mean_others": 12.5, "measured": 0.9, "measured_others": 0.8}
    groups: Rows = [
        group
        | {"cluster": cluster, "n": 40, "patients": 40, "share": 0.2, "rank": rank, "source": "labs"}
        | {"feature": f"signal{rank}", "smd": smd}
        for cluster in (0, 2)
        for rank, smd in enumerate((-1.5, 1.2, 0.9, 0.8, 0.7, 0.6), 1)
    ]
    groups.append({"task": "phenotype", "cluster": 1})
    return {
        "features": told,
        "deletion": removed,
        "examples": read_,
        "robustness": changed,
        "phenotypes": groups,
        "stability": [
            {"task": "phenotype", "groups": 3, "patients": 90, "resamples": 20, "value": 0.71, "low": 0.5, "high": 0.9}
        ],
        "subgroups": [
            {"task": "death", "group": "years", "subgroup": years_, "reason": "", "patients": 60, "value": value}
            | {"low": 0.7, "high": 0.9, "difference": 0.0, "difference_low": -0.1, "difference_high": 0.1}
            | {"p": 0.5, "holm": 1.0}
            for years_, value in (("2017 - 2019", 0.8), ("2008 - 2010", 0.85))
        ],
    }


def written(made: Path) -> Path:
    for name, rows in tables().items():
        pl.DataFrame(rows, infer_schema_length=None).write_csv(made / f"{name}.csv")
    return made


@pytest.fixture
def folder(run: Run) -> Path:
    return written(run(6))


@pytest.fixture
def contents(folder: Path) -> Contents:
    return read(folder)


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_features_and_what_removing_them_costs(contents: Contents) -> None:
    (bars,) = importance.bars(contents)
    assert bars.values == (0.9, 0.5, 0.4, 0.3, 0.2)
    assert bars.names[0] == "labs: a"
    raises, lowers, neither = importance.RAISES, importance.LOWERS, importance.NEITHER
    assert bars.colours == (raises, lowers, neither, neither, raises)
    with drawing.canvas(3, 3) as figure:
        axes = figure.add_subplot()
        importance._panel(axes, bars)
        assert [patch.get_width() for patch in axes.patches] == [0.9, 0.5, 0.4, 0.3, 0.2]  # type: ignore[attr-defined]
    about = _plain(features.about(contents))
    assert "1.0 % at most of what a question's strongest feature does" in about
    assert "moves answers 3.0 times as far" in about
    # the stay's score falls less without the largest than without random ones
    assert about.endswith("costs more of the score for 1 of 2 questions.")
    table = features.removal(contents)
    assert table is not None
    assert [cell.text for cell in table.rows[0]] == ["death", "AUROC", "0.900", "0.880", "0.700", "0.200", "0.600"]


def test_examples_say_what_pushed(contents: Contents) -> None:
    death, stay, unit = examples.examples(contents)
    assert (death.caption, unit.caption, stay.caption) == ("death", "icu_type", "length_of_stay (days)")
    assert [_plain(row[0].text) for row in death.rows] == ["Surest and right", "Surest and wrong"]
    assert [_plain(cell.text) for cell in death.rows[1][1:3]] == ["93.0 %", "no"]
    assert [_plain(line) for line in death.rows[0][3].lines] == [
        "▲ +1.50 labs: age = 90 or older mg/dL", "▼ −0.50 labs: urea, not measured", "▲ +0.20 all of labs",
    ]  # fmt: skip
    assert (_plain(unit.rows[0][1].text), unit.rows[0][1].small) == ("80.0 %", "coronary")
    assert (stay.rows[0][0].text, stay.rows[0][1].text, stay.rows[0][2].text) == ("Nearest", "12.1", "12")


def test_groups_are_told_by_five_features_and_small_ones_not(contents: Contents) -> None:
    (made,) = groupings.groupings(contents)
    heads = [_plain(row[0].text) for row in made.table.rows if len(row) == 1]
    assert heads == [f"Group {number}: 40 patients, 20.0 % of the test rows" for number in (0, 2)]
    assert len(made.table.rows) == 2 * 6
    assert [cell.text for cell in made.table.rows[1]] == ["▼ labs: signal1", "8.00", "12.5", "−1.50"]
    assert [cell.small for cell in made.table.rows[1]] == ["", "90\u00a0% measured", "80\u00a0% measured", ""]
    assert made.table.note.endswith("1 group of fewer than 10 patients is left out.")
    assert "come again for the most part (adjusted Rand index 0.71" in made.stable


@pytest.mark.parametrize(
    ("value", "words"), [(0.8, "almost unchanged"), (0.4, "in part"), (-0.1, "hardly"), (None, "could not")]
)
def test_stability_in_words(folder: Path, value: float | None, words: str) -> None:
    frame = pl.read_csv(folder / "stability.csv").with_columns(pl.lit(value, pl.Float64).alias("value"))
    frame.write_csv(folder / "stability.csv")
    (made,) = groupings.groupings(read(folder))
    assert words in made.stable


def test_changed_inputs_are_means_over_the_questions_of_every_model(contents: Contents) -> None:
    noise, absent, unit = changes.panels(contents)
    assert [panel.questions for panel in (noise, absent, unit)] == [2, 2, 2]
    baseline, model = noise.curves
    assert (baseline.series, model.series) == ("lightgbm", "joint")
    assert model.places == (0.0, 0.5, 1.0)
    assert model.mean == pytest.approx((0.85, 0.83, 0.80))
    assert baseline.mean == pytest.approx((0.85, 0.81, 0.75))
    low, high = np.percentile([0.85, 0.75], (25, 75))
    assert (model.low[2], model.high[2]) == pytest.approx((low, high))
    assert absent.names == ("as it is", "no labs")
    assert unit.names == ("as it is", "urea × 10")
    assert unit.curves[1].mean == pytest.approx((0.85, 0.65))
    with drawing.canvas(3, 3) as figure:
        axes = figure.add_subplot()
        changes._panel(axes, noise)
        drawn = {to_hex(line.get_color()): line.get_ydata() for line in axes.lines}
        assert drawn[drawing.COLOURS["joint"].lower()] == pytest.approx((0.85, 0.83, 0.80))
    # the table is of the model alone
    table = appraisal.robustness(contents)
    assert table is not None
    assert [cell.text for cell in table.rows[0]] == ["death", "0.900", "0.880", "0.850", "0.800"]


def test_years_stand_in_their_order(contents: Contents) -> None:
    table = years.years(contents)
    assert table is not None
    assert table.columns == ("Question", "2008 - 2010", "2017 - 2019")
    assert [cell.text for cell in table.rows[0]] == ["death", "0.850", "0.800"]


def test_the_page_has_them_and_does_without(run: Run) -> None:
    folder = written(run(["death"], series=("joint",)))
    page = render(read(folder))
    for part in ('id="inputs"', 'id="examples"', 'id="groups"', "Over the years", "What matters most"):
        assert part in page
    for name in tables():
        if name != "robustness":
            (folder / f"{name}.csv").unlink()
    # of a version that knew no presets
    pl.read_csv(folder / "robustness.csv").filter(pl.col("role") == "joint").drop("preset").write_csv(
        folder / "robustness.csv"
    )
    page = render(read(folder))
    assert 'id="inputs"' in page
    for part in ('id="examples"', 'id="groups"', "Over the years", "What matters most"):
        assert part not in page
    old = read(folder)
    assert features.about(old) == "" and features.removal(old) is None
    assert years.years(old) is None
