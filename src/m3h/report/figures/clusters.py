"""Sizes of the groups that a clustering task found: rows of the test part per group."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from m3h.report.contents import Contents
from m3h.report.figures import drawing, multiples


@dataclass(frozen=True)
class Panel:
    """One clustering task: rows per group, in the order of the groups' numbers."""

    task: str
    sizes: tuple[int, ...]

    @property
    def empty(self) -> int:
        """Groups without a row."""
        return sum(size == 0 for size in self.sizes)


def panels(contents: Contents) -> list[Panel]:
    """One panel per clustering task whose sizes the run kept, in the study's order."""
    kept = contents.run.get("clusters") or {}
    order = [task["name"] for task in contents.tasks]
    names = sorted(kept, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [Panel(name, tuple(int(size) for size in kept[name]["sizes"])) for name in names if kept[name].get("sizes")]


def draw(found: list[Panel], name: str) -> list[str]:
    """Sheets of small squares, one per task."""
    return multiples.sheets(found, _paint, name=name, title="Rows per group of each grouping", below=0.44)


def _paint(axes: Axes, panel: Panel) -> None:
    axes.bar(range(len(panel.sizes)), panel.sizes, width=0.8, color=drawing.COLOURS["joint"])
    multiples.heading(axes, panel.task)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.tick_params(labelsize=6, pad=1.5)
    axes.set_xlabel("group number", fontsize=6.2, labelpad=1.5)
    axes.set_ylabel("rows", fontsize=6.2, labelpad=1.5)
