import pytest

from m3h.report.figures import drawing, multiples


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Anemia", "Anemia"),
        ("Chronic Obstructive Pulmonary Disease", "Chronic Obstructive\nPulmonary Disease"),
        (f"{'long ' * 12}end", "long long long long long\nlong long long long long…"),
    ],
)
def test_a_long_name_takes_two_lines(name: str, title: str) -> None:
    with drawing.canvas(2, 2) as figure:
        axes = figure.add_subplot()
        multiples.heading(axes, name)
        assert axes.get_title(loc="left") == title
