import xml.etree.ElementTree as ElementTree

import pytest

from m3h.report.figures import drawing


def sketch(name: str, title: str = "title", label: str = "label") -> str:
    with drawing.canvas(3, 2) as figure:
        axes = figure.add_subplot()
        axes.plot([0.0, 1.0, 2.0], [0.0, 1.0, 0.5])
        axes.set_title(label)
        return drawing.svg(figure, name=name, title=title)


def test_svg_is_the_same_on_every_run_and_stands_alone() -> None:
    made = sketch("a")
    assert made == sketch("a")
    assert "http" not in made
    assert "<style" not in made
    assert "<!--" not in made
    root = ElementTree.fromstring(made)
    identifiers = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    assert identifiers
    assert all(identifier.startswith("a-") for identifier in identifiers)


def test_names_are_shapes_and_titles_are_escaped() -> None:
    made = sketch("a", title='<b onload="x">', label="<script>$x$ 日本")
    assert "script" not in made
    assert "<b " not in made
    assert ElementTree.fromstring(made).attrib["aria-label"] == '<b onload="x">'


def test_two_figures_of_a_page_share_no_identifier() -> None:
    def identifiers(name: str) -> set[str]:
        root = ElementTree.fromstring(sketch(name))
        return {element.attrib["id"] for element in root.iter() if "id" in element.attrib}

    assert not identifiers("a") & identifiers("b")


def test_dollar_signs_are_not_mathematics() -> None:
    # drawn as mathematics this would be an error, for the brace is never closed
    assert sketch("a", label="costs $_{ in $").startswith("<svg")


@pytest.mark.parametrize(
    ("count", "most", "sizes"), [(0, 4, []), (4, 4, [4]), (5, 4, [2, 3]), (9, 4, [3, 3, 3]), (3, 1, [1, 1, 1])]
)
def test_chunks_are_few_and_nearly_equal(count: int, most: int, sizes: list[int]) -> None:
    found = drawing.chunks(list(range(count)), most)
    assert [item for chunk in found for item in chunk] == list(range(count))
    assert sorted(len(chunk) for chunk in found) == sorted(sizes)


def test_marks_tell_what_they_are() -> None:
    with drawing.canvas(3, 2) as figure:
        axes = figure.add_subplot()
        (line,) = axes.plot([0.0, 1.0], [0.0, 1.0])
        drawing.tell(line, "a <b> & c")
        mesh = axes.pcolormesh([[1.0, 2.0], [3.0, 4.0]])
        drawing.tell(mesh, "one", "two", "three", "four")
        made = drawing.svg(figure, name="a", title="title")
    root = ElementTree.fromstring(made)
    assert [title.text for title in root.iter("title")].count("a <b> & c") == 1
    told = {title.text: parent for parent in root.iter() for title in parent.findall("title")}
    assert [told[word].tag for word in ("one", "two", "three", "four")] == ["path"] * 4
    # cells are told in the order in which they lie: the first colour is the lowest value's, the last the highest's
    assert told["one"].attrib["style"] != told["four"].attrib["style"]
    assert "told:" not in made


def test_a_text_too_many_is_a_mistake() -> None:
    with drawing.canvas(3, 2) as figure:
        mesh = figure.add_subplot().pcolormesh([[1.0, 2.0], [3.0, 4.0]])
        drawing.tell(mesh, "one", "two", "three")
        with pytest.raises(ValueError, match="3 texts for 4 marks"):
            drawing.svg(figure, name="a", title="title")
