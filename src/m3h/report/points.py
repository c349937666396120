"""A sentence of the summary with the section that it comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """``text`` is a sentence or two; ``place`` the id of the page's section that has more, ``section`` its heading."""

    text: str
    place: str
    section: str
