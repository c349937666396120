"""A figure with its words, as every section of the report takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Plate:
    """One figure: SVG drawn by this library (safe to put into the page as it is) and the words beneath."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Plates:
    """Figures of one kind, or in ``missing`` why there is none."""

    title: str
    plates: tuple[Plate, ...] = ()
    missing: str = ""


def of_sheets(title: str, drawings: Sequence[str], caption: str, missing: str) -> Plates:
    """Plates of ``drawings``, or why they are ``missing``. One caption, beneath the first of several sheets; the others
    say which part they are."""
    if not drawings:
        return Plates(title, missing=missing)
    count = len(drawings)
    parts = [f"Part {index} of {count}." if count > 1 else "" for index in range(1, count + 1)]
    captions = [f"{parts[0]} {caption}".strip(), *parts[1:]]
    # Markup: built by the drawing library, every name in it drawn as shapes or escaped by the serialiser
    return Plates(title, tuple(Plate(Markup(text), words) for text, words in zip(drawings, captions, strict=True)))
