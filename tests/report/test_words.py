import pytest

from m3h.report import words


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.81234, 3, "0.812"),
        (-0.02, 3, "−0.020"),
        (-0.0001, 3, "0.000"),
        (-0.0, 1, "0.0"),
        (1234.5, 0, "1,234"),
        (None, 3, "–"),
        (float("nan"), 3, "–"),
        (float("inf"), 3, "–"),
    ],
)
def test_number(value: float | None, digits: int, expected: str) -> None:
    assert words.number(value, digits) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, "+0.500"), (-0.5, "−0.500"), (0.0, "0.000"), (0.0001, "0.000"), (None, "–")],
)
def test_signed(value: float | None, expected: str) -> None:
    assert words.signed(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1234.4, "1,234"), (64.23, "64.2"), (6.451, "6.45"), (0.04567, "0.046"), (0.0, "0.0"), (-12.0, "−12.0")],
)
def test_measure_keeps_about_three_digits(value: float, expected: str) -> None:
    assert words.measure(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(8.42, "8.4 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (None, "–"), (3599.9, "1 h 00 min")],
)
def test_duration(seconds: float | None, expected: str) -> None:
    assert words.duration(seconds) == expected


def test_percent_does_not_break_before_its_sign() -> None:
    assert words.percent(0.1428) == "14.3\u00a0%"


def test_listed() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(["a", "b", "c", "d"], most=2) == "a, b and 2 more"


def test_interval_needs_both_ends() -> None:
    assert words.interval(-0.01, 0.02, plus=True) == "−0.010 to +0.020"
    assert words.interval(None, 0.02) == ""


def test_shortened_keeps_one_line_of_the_length_asked() -> None:
    assert words.shortened("abc\n def", 20) == "abc def"
    assert words.shortened("abcdefgh", 4) == "abc…"


def test_unknown_names_stay_as_they_are() -> None:
    assert (words.metric("auroc"), words.metric("my_metric")) == ("AUROC", "my metric")
    assert (words.series("joint"), words.series("other")) == ("Joint", "other")
