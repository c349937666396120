"""Small figures as SVG made here: shapes and names, no style and nothing that runs, so that any page may hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from m3h.report import words

_BLUE, _GREY, _INK, _FAINT = "#0072b2", "#6b7681", "#1f2933", "#dde2e7"
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM = 640, 190, 46, 22, 34


def distribution(of: Mapping[str, Any], *, percent: bool, unit: str = "") -> Markup:
    """Bars of m3h.serve.run_view.distribution; ``percent``: the edges are probabilities."""
    counts: Sequence[int] = of["counts"]
    top = max(max(counts), 1)
    width, height = (_WIDTH - _LEFT - _RIGHT) / len(counts), _HEIGHT - _BOTTOM - 14
    parts = [_scale(top, height)]
    for number, count in enumerate(counts):
        tall = height * count / top
        told = f"{_bar_name(of, number, percent, unit)}: {words.counted(count, 'sample')}"
        parts.append(
            Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"><title>{}</title></rect>'
            ).format(_LEFT + number * width + 1, 14 + height - tall, max(width - 2, 1), tall, _BLUE, told)
        )
    parts.append(_names(of, width, percent, unit))
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" font-family="sans-serif" font-size="12">{}</svg>'
    ).format(_WIDTH, _HEIGHT, _told(of, percent, unit), Markup("").join(parts))


def place(percentile: float | None) -> Markup:
    """A line from the lowest to the highest of a cohort, with a mark where a patient stands."""
    if percentile is None:
        return Markup("")
    at = 5 + 90 * percentile / 100
    return Markup(
        '<svg class="strip" viewBox="0 0 100 12" width="100" height="12" aria-hidden="true" focusable="false">'
        '<line x1="5" y1="6" x2="95" y2="6" stroke="{}" stroke-width="2"/>'
        '<circle cx="{:.1f}" cy="6" r="4" fill="{}"/></svg>'
    ).format(_GREY, at, _BLUE)


def _scale(top: int, height: float) -> Markup:
    line = Markup(
        '<line x1="{0}" y1="{1:.1f}" x2="{2}" y2="{1:.1f}" stroke="{3}"/>'
        '<text x="{4}" y="{5:.1f}" text-anchor="end" fill="{6}">{7}</text>'
    )
    return Markup("").join(
        line.format(
            _LEFT, 14 + height * (1 - share), _WIDTH - _RIGHT, _FAINT, _LEFT - 6, 18 + height * (1 - share), _INK, text
        )
        for share, text in ((0.0, "0"), (1.0, words.whole(top)))
    )


def _names(of: Mapping[str, Any], width: float, percent: bool, unit: str) -> Markup:
    """Names below the bars: each class that has room, or some of the edges."""
    text = Markup('<text x="{:.1f}" y="{}" text-anchor="middle" fill="{}">{}</text>')
    if of["labels"] is not None:
        room = max(3, int(width / 6.5))
        middle = (
            (_LEFT + (number + 0.5) * width, words.shortened(name, room)) for number, name in enumerate(of["labels"])
        )
    else:
        edges = of["edges"]
        chosen = range(0, len(edges), max(1, (len(edges) - 1) // 5))
        middle = ((_LEFT + number * width, edge_name(edges[number], percent)) for number in chosen)
    names = Markup("").join(text.format(x, _HEIGHT - 16, _INK, name) for x, name in middle)
    below = text.format(_LEFT + (_WIDTH - _LEFT) / 2, _HEIGHT - 2, _INK, unit) if unit else Markup("")
    return names + below


def edge_name(value: float, percent: bool) -> str:
    """A probability in per cent, or a number."""
    return words.percent(value, 0) if percent else words.measure(value)


def _bar_name(of: Mapping[str, Any], number: int, percent: bool, unit: str) -> str:
    if of["labels"] is not None:
        return str(of["labels"][number])
    low, high = (edge_name(edge, percent) for edge in of["edges"][number : number + 2])
    return f"{low} to {high} {unit}".strip()


def _told(of: Mapping[str, Any], percent: bool, unit: str) -> str:
    """The figure in a sentence, for those who do not see it."""
    counts = of["counts"]
    number = counts.index(max(counts))
    most = _bar_name(of, number, percent, unit)
    return f"Distribution of {words.counted(sum(counts), 'sample')}; most ({counts[number]:,}) at {most}"
