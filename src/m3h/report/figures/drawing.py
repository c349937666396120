"""What the figures share: colours that colour-blind readers tell apart, sizes for A4, and SVG that fits into a page."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: Inches; an A4 page less its margins.
PAGE_WIDTH = 7.2
PAGE_HEIGHT = 8.5
#: Letters of the longest name that a figure shows in full.
LONGEST = 40

# Okabe and Ito's palette
COLOURS = {"single": "#E69F00", "joint": "#0072B2", "best": "#CC79A7", "lightgbm": "#009E73", "linear": "#8C8C8C"}
#: Shapes differ too, for paper without colour.
MARKERS = {"single": "s", "joint": "o", "best": "P", "lightgbm": "D", "linear": "^"}
CLASS_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#B8A800")
INK, GREY, FAINT = "#1f2933", "#6b7681", "#dde2e7"

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "m3h",
    # names come from the study: a dollar sign in them is a dollar sign
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 7.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}

_Item = TypeVar("_Item")
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
_TOLD = "told:"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@contextlib.contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """An empty figure of ``width`` by ``height`` inches in the report's style; draw and write it inside the block."""
    with warnings.catch_warnings(), mpl.rc_context():
        # whatever the user's own settings are, a report looks the same
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        # a name in letters that the figures' font lacks is drawn as boxes; the tables show it as it is
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        yield figure


def marker(series: str) -> str:
    """The shape of a series' marks."""
    return MARKERS.get(series, "v")


def colour(series: str) -> str:
    """The colour of a series; one that is not known is grey."""
    return COLOURS.get(series, GREY)


def inches(axes: Axes, left: float, bottom: float, width: float, height: float) -> None:
    """Place ``axes`` by inches from the figure's lower left corner."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    total_width, total_height = figure.get_size_inches()
    axes.set_position((left / total_width, bottom / total_height, width / total_width, height / total_height))


def tell(artist: Artist, *texts: str) -> None:
    """Say ``texts`` of what ``artist`` draws, to whoever points at it: one for all of it, or one for each of its marks
    in their order."""
    artist.set_gid(_TOLD + json.dumps(texts))


def _title(group: ElementTree.Element, texts: Sequence[str]) -> None:
    """Put ``texts`` into a group of shapes as titles. Errors: ValueError where there are more or fewer marks."""
    shapes = [group]
    if len(texts) > 1:
        shapes = [shape for shape in group.iter() if shape.tag in ("use", "path") and not _defines(group, shape)]
        if len(shapes) != len(texts):
            raise ValueError(f"{len(texts)} texts for {len(shapes)} marks of a figure")
    for shape, text in zip(shapes, texts, strict=True):
        title = ElementTree.Element("title")
        title.text = text
        shape.insert(0, title)


def _defines(group: ElementTree.Element, shape: ElementTree.Element) -> bool:
    return any(shape in list(part.iter()) for part in group.iter("defs"))


def svg(figure: Figure, *, name: str, title: str) -> str:
    """``figure`` as SVG to be put into a page, the same bytes on every run.

    ``name`` precedes every identifier, so that figures of one page do not share any; ``title`` is what a screen
    reader says. Comments, metadata, name spaces and style sheets of the drawing library are left out: the first
    would repeat names of the study unseen, the last would reach the whole page.
    """
    stream = io.StringIO()
    # "Type" and "Creator" would be addresses, "Date" would differ from run to run
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    root = ElementTree.fromstring(stream.getvalue())
    _strip(root)
    _rename(root, name)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    width = float(root.attrib["viewBox"].split()[2])
    root.set("role", "img")
    root.set("aria-label", title)
    root.set("data-name", name)
    # 1.15: a little larger on screen than on paper
    root.set("style", f"max-width: {width / 72 * 96 * 1.15:.0f}px")
    root.tail = None
    return ElementTree.tostring(root, encoding="unicode")


def _strip(root: ElementTree.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            tag = child.tag.removeprefix(_SVG)
            empty = tag == "defs" and all(part.tag == f"{_SVG}style" for part in child)
            if tag in ("metadata", "style") or empty:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.text = None
        element.tail = None
        if _LINK in element.attrib:
            element.attrib["href"] = element.attrib.pop(_LINK)
        if "d" in element.attrib:
            element.attrib["d"] = " ".join(_DECIMALS.sub(_rounded, element.attrib["d"]).split())


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found.group()):.2f}".rstrip("0").rstrip(".")


def _rename(root: ElementTree.Element, name: str) -> None:
    """Keep the identifiers that something refers to, with ``name`` before them; drop the others."""
    used: set[str] = set()
    for element in root.iter():
        for value in element.attrib.values():
            used.update(_REFERENCE.findall(value))
        if element.attrib.get("href", "").startswith("#"):
            used.add(element.attrib["href"][1:])
    short = {key: f"{name}-{index}" for index, key in enumerate(sorted(used))}
    for element in list(root.iter()):
        own = element.attrib.pop("id", None)
        if own is not None and own.startswith(_TOLD):
            _title(element, json.loads(own.removeprefix(_TOLD)))
        if own in short:
            element.set("id", short[own])
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                element.set(key, f"#{short[value[1:]]}")
            elif "url(#" in value:
                element.set(key, _REFERENCE.sub(lambda found: f"url(#{short[found.group(1)]})", value))


def chunks(items: Sequence[_Item], most: int) -> list[list[_Item]]:
    """``items`` in order, in as few lists of at most ``most`` as can be, of nearly equal length."""
    count = -(-len(items) // most)
    edges = [round(len(items) * index / count) for index in range(count + 1)] if count else [0]
    return [list(items[start:end]) for start, end in itertools.pairwise(edges)]
