"""Coverage: the share of samples for which each source holds anything, training beside test."""

from __future__ import annotations

from dataclasses import dataclass

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing

_TRAIN, _TEST = drawing.COLOURS["joint"], "#9ecae8"


@dataclass(frozen=True)
class Bar:
    """A source and its shares, 0 to 1; NaN of a part without samples."""

    source: str
    modality: str
    train: float
    test: float


def bars(contents: Contents) -> list[Bar]:
    """One bar per source, in the study's order."""
    return [
        Bar(source["name"], source["modality"], _known(source["coverage_train"]), _known(source["coverage_test"]))
        for source in contents.audit.get("sources") or []
    ]


def _known(share: float | None) -> float:
    return float("nan") if share is None else float(share)


def draw(found: list[Bar], name: str) -> str:
    """``found`` as SVG."""
    step, left, top, bottom = 0.4, 1.6, 0.3, 0.3
    height = step * len(found)
    with drawing.canvas(drawing.PAGE_WIDTH, height + top + bottom) as figure:
        axes = figure.add_subplot()
        drawing.inches(axes, left, bottom, drawing.PAGE_WIDTH - left - 0.7, height)
        axes.set_xlim(0, 1)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.grid(axis="x", color=drawing.FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_yticks(
            range(len(found)),
            [f"{words.shortened(bar.source, 24)}\n{words.shortened(bar.modality, 24)}" for bar in found],
        )
        axes.tick_params(axis="y", length=0)
        for label, offset, shade, shares in (
            ("training", -0.17, _TRAIN, [bar.train for bar in found]),
            ("test", 0.17, _TEST, [bar.test for bar in found]),
        ):
            places = [place + offset for place in range(len(found))]
            bars = axes.barh(places, shares, height=0.3, color=shade, label=label)
            for bar, of, share in zip(bars, found, shares, strict=True):
                drawing.tell(bar, f"{of.source}, {label}: {words.percent(share)}")
            for place, share in zip(places, shares, strict=True):
                axes.text(share + 0.01, place, words.percent(share), va="center_baseline", fontsize=6.5)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=2,
            frameon=False,
            borderpad=0.2,
            handlelength=1.2,
            fontsize=7.5,
        )
        return drawing.svg(figure, name=name, title="Share of samples with each source, training and test")
