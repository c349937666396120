"""Means, differences, tests and slopes of values that carry their bootstrap draws."""

from __future__ import annotations

import numpy as np
import pytest

from comparing.lines import HEAD, Line, append, plain, table
from comparing.measured import Drawn, holm, mean, mean_of_scored, p_value, slope_vector, standard_error, value
from comparing.parts import Part
from m3h.core.errors import DataError
from m3h.evaluation.compare import difference
from m3h.evaluation.scores import Prediction
from made import make_dataset


def test_p_values_are_corrected_as_holm_did() -> None:
    # worked by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which may not fall below the one before it
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": float("nan")})
    assert {name: round(p, 12) for name, p in found.items() if name != "e"} == {
        "a": 0.03,
        "b": 0.06,
        "c": 0.06,
        "d": 0.02,
    }
    assert np.isnan(found["e"])
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}


def test_a_difference_is_sure_when_hardly_a_draw_is_beyond_0() -> None:
    above = np.concatenate([[0.5], np.full(99, 0.4)])
    assert p_value(above) == p_value(-above) == pytest.approx(2 / 100)
    assert p_value(np.concatenate([[0.1], np.linspace(-1, 1, 99)])) == 1.0
    assert p_value(np.zeros(100)) == 1.0
    assert np.isnan(p_value(np.concatenate([[0.5], np.full(60, np.nan), np.full(39, 0.4)])))


def test_a_vector_of_a_difference_is_what_the_project_reports() -> None:
    data = make_dataset()
    part = Part("test", data, data.test_rows)
    drawn = Drawn(data.patients, [part], data.seed, 200)
    random = np.random.default_rng(3)
    for task in ("sepsis", "stay"):  # a third of both is unlabelled
        labels = data.labels[task]
        a, b = (Prediction(values=random.normal(size=len(data.test_rows))) for _ in range(2))
        gap = value(drawn.vector(part, task, a) - drawn.vector(part, task, b))
        truth = labels.values[data.test_rows]
        told = difference(labels.task.kind, truth, a, b, draws=drawn.draws)
        assert (gap.value, gap.low, gap.high) == pytest.approx((told.difference, told.low, told.high), abs=1e-12)


def test_parts_share_the_draws_of_all_their_patients() -> None:
    data = make_dataset()
    first, second = data.test_rows[:20], data.test_rows[20:]
    parts = [Part(str(n), data, rows) for n, rows in enumerate((second, first))]
    drawn = Drawn(data.patients, parts, data.seed, 50)
    assert (drawn.rows == data.test_rows).all()
    assert drawn.draws.shape == (50, len(data.test_rows))


def test_a_mean_of_nothing_is_refused() -> None:
    assert (mean([np.array([1.0, 2.0]), np.array([3.0, 6.0])]) == [2.0, 4.0]).all()
    with pytest.raises(DataError, match="nothing to average"):
        mean([])


def test_a_draw_is_the_mean_of_what_it_can_score() -> None:
    nothing = float("nan")
    first, second = np.array([1.0, 2.0, nothing, nothing]), np.array([3.0, 6.0, 5.0, nothing])
    np.testing.assert_array_equal(mean_of_scored([first, second]), [2.0, 4.0, 5.0, nothing])
    np.testing.assert_array_equal(mean([first, second]), [2.0, 4.0, nothing, nothing])
    assert np.isnan(mean_of_scored([np.array([nothing, 2.0]), np.array([1.0, 2.0])])[0])


def test_the_error_of_a_mean() -> None:
    assert standard_error([1.0, 2.0, 3.0, 4.0]) == pytest.approx(np.sqrt(5 / 3) / 2)
    assert np.isnan(standard_error([1.0]))


def test_slopes_are_those_of_least_squares() -> None:
    random = np.random.default_rng(5)
    places = [3.5, 3.2, 2.9, 2.5]
    leads = [random.normal(size=(count, 41)) for count in (1, 3, 3, 3)]
    found = slope_vector(places, leads, seed=1)
    assert found[0] == pytest.approx(np.polyfit(places, [lead[:, 0].mean() for lead in leads], 1)[0])
    # one repetition leaves nothing to draw: every draw has the slope of its own column
    single = [lead[:1] for lead in leads]
    every = slope_vector(places, single, seed=1)
    assert every == pytest.approx(np.polyfit(places, np.concatenate(single), 1)[0])


def test_repetitions_are_drawn_together_at_all_sizes() -> None:
    # repetition k is off by the same amount at every size, so that drawing them anew cannot move the slope
    off = np.array([[0.0], [1.0], [5.0]])
    leads = [np.full((1, 101), 2.0), *(np.full((3, 101), height) + off for height in (0.0, 0.0))]
    below = slope_vector([2.0, 1.0], leads[1:], seed=1)
    assert below == pytest.approx(np.zeros(101), abs=1e-12)
    # a size with one repetition does not share the draws of the others
    assert np.ptp(slope_vector([3.0, 2.0], leads[:2], seed=1)) > 0.5


def test_final_lines_are_only_ever_added(tmp_path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("comparing.lines.commit_name", lambda: "abc1234+")
    file = tmp_path / "final.csv"
    append([Line("compare", "m3h joint", "linear", "mean, of all", plain(0.125))], "toy", file)
    before = file.read_text()
    append([Line("cost", "m3h joint", "", "seconds", plain(12))], "toy", file)
    rows = file.read_text().splitlines()
    assert file.read_text().startswith(before) and len(rows) == 3
    assert rows[0].split(",") == list(HEAD)
    assert rows[1].endswith(',toy,compare,m3h joint,linear,"mean, of all",0.12500,,')
    assert rows[2].startswith("abc1234+,") and "1 lines added" in capsys.readouterr().out


def test_tables_stand_in_columns() -> None:
    assert table(["task", "a"], [["sofa", 0.5], ["x", -1.0]]).splitlines() == [
        "task        a",
        "sofa   0.5000",
        "x     -1.0000",
    ]
