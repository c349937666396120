"""The forest plot: one row per task, one mark with its 95 % interval per series, one axis per family of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from m3h.report import words
from m3h.report.contents import Contents, Verdict, series_of, verdict
from m3h.report.figures import drawing

_FAMILY = {"binary": "auroc", "multiclass": "auroc", "regression": "r2", "clustering": "silhouette"}
_TITLES = {
    "auroc": "Yes-or-no questions and questions of several classes (AUROC)",
    "r2": "Questions about a number (R²)",
    "silhouette": "Groupings (silhouette)",
}
_AXES = {
    "auroc": "AUROC: 0.5 is chance, 1 is perfect",
    "r2": "R²: 0 is the training mean, 1 is perfect",
    "silhouette": "Silhouette: higher is more compact",
}
# what the axis always shows, and where it is cut however bad a score is: one of -12 would flatten all the others
_ALWAYS = {"auroc": (0.5, 1.0), "r2": (0.0, 0.5), "silhouette": (0.0, 0.3)}
_CUT = {"auroc": (0.2, 1.0), "r2": (-0.5, 1.0), "silhouette": (-0.5, 1.0)}
_REFERENCE = {"auroc": 0.5, "r2": 0.0, "silhouette": 0.0}

_LABELS = 2.15  # inches left for names
_FITTING = 34  # letters of a name that these hold; a longer one is set smaller
_NUMBERED = ("single", "joint", "best")  # series with their numbers at the right
_FIRST, _NEXT = 0.18, 0.61  # inches from the axes to the first number, and from one to the next
_TOP, _BOTTOM = 0.42, 0.42
_LEGEND = 4  # series whose legend fits above the axes
_STEP = 0.062  # between the marks of one row
_ARROWS = {"ahead": " ▲", "behind": " ▼"}
_GROUP_STYLE = {"binary": "Yes or no", "multiclass": "One of several classes"}


@dataclass(frozen=True)
class Mark:
    """A score and its interval; the interval may be missing."""

    series: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """One task's marks; ``changes`` holds, for joint and best, the verdict on it minus single."""

    task: str
    group: str
    marks: tuple[Mark, ...]
    changes: Mapping[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """One SVG: some rows of one family. All panels of a family share their limits."""

    family: str
    title: str
    rows: tuple[Row, ...]
    limits: tuple[float, float]
    series: tuple[str, ...]
    part: int = 1
    parts: int = 1


def panels(contents: Contents) -> list[Panel]:
    """What the forest plot draws: headline scores by family, each cut into parts that fit on a sheet of paper.

    Rows come grouped by department where any task names one, else by kind; within a group they keep the study's
    order. Tasks without a score have no row.
    """
    rows = _rows(contents)
    found: list[Panel] = []
    for family, title in _TITLES.items():
        chosen = sorted((row for row in rows if row[0] == family), key=lambda row: row[1])
        if not chosen:
            continue
        present = {mark.series for _, _, row in chosen for mark in row.marks}
        series = tuple(name for name in contents.series if name in present)
        limits = _limits(family, [row for _, _, row in chosen])
        parts = _parts([row for _, _, row in chosen], len(series))
        found.extend(
            Panel(family, title, tuple(part), limits, series, index, len(parts))
            for index, part in enumerate(parts, start=1)
        )
    return found


def _parts(rows: list[Row], series: int) -> list[list[Row]]:
    """``rows`` in as few parts as fit on sheets of paper each."""
    for count in range(1, len(rows) + 1):
        parts = drawing.chunks(rows, -(-len(rows) // count))
        if all(_height(_lines(part, several=True), series) <= drawing.PAGE_HEIGHT for part in parts):
            return parts
    return [[row] for row in rows]


def _rows(contents: Contents) -> list[tuple[str, int, Row]]:
    """(family, place of the group, row) of every task with a score."""
    tasks = {task["name"]: task for task in contents.tasks}
    departments = list(dict.fromkeys(task.get("department") or "Other" for task in tasks.values()))
    by_department = departments != ["Other"]
    changes = _changes(contents)
    frame = contents.headline.filter(contents.headline.get_column("value").is_not_null())
    rows = []
    for task in frame.get_column("task").unique(maintain_order=True):
        own = frame.filter(frame.get_column("task") == task)
        kind = own.item(0, "kind")
        marks = tuple(
            Mark(series_of(score["role"], score["preset"]), score["value"], score["low"], score["high"])
            for score in own.iter_rows(named=True)
        )
        order = {name: place for place, name in enumerate(contents.series)}
        marks = tuple(sorted(marks, key=lambda mark: order[mark.series]))
        if by_department:
            group = tasks[task].get("department") or "Other"
            place = departments.index(group)
        else:
            group = _GROUP_STYLE.get(kind, "")
            place = list(_FAMILY).index(kind)
        rows.append((_FAMILY[kind], place, Row(task, group, marks, changes.get(task, {}))))
    return rows


def _changes(contents: Contents) -> dict[str, dict[str, Verdict]]:
    headline = set(contents.headline.select("task", "metric").rows())
    found: dict[str, dict[str, Verdict]] = {}
    for row in contents.differences.iter_rows(named=True):
        if row["role_b"] == "single" and (row["task"], row["metric"]) in headline:
            found.setdefault(row["task"], {})[row["role_a"]] = verdict(row["metric"], row["low"], row["high"])
    return found


def _limits(family: str, rows: list[Row]) -> tuple[float, float]:
    ends = [
        end for row in rows for mark in row.marks for end in (mark.value, mark.low, mark.high) if end is not None
    ] + list(_ALWAYS[family])
    lowest, highest = _CUT[family]
    low, high = max(min(ends), lowest), min(max(ends), highest)
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _line_height(line: Row | str, series: int) -> float:
    return 0.11 + _STEP * max(series, 2) if isinstance(line, Row) else 0.26


def _height(lines: Sequence[Row | str], series: int) -> float:
    """Inches of the whole figure."""
    return sum(_line_height(line, series) for line in lines) + _TOP + _BOTTOM


def draw(panel: Panel, name: str) -> str:
    """``panel`` as SVG."""
    lines = _lines(panel.rows, several=len({row.group for row in panel.rows}) > 1 or panel.parts > 1)
    heights = [_line_height(line, len(panel.series)) for line in lines]
    total = sum(heights)
    with drawing.canvas(drawing.PAGE_WIDTH, _height(lines, len(panel.series))) as figure:
        axes = figure.add_subplot()
        drawing.inches(axes, _LABELS, _BOTTOM, _width(panel), total)
        axes.set_xlim(*panel.limits)
        axes.set_ylim(total, 0)
        _frame(axes, panel)
        top, shaded = 0.0, False
        for line, height in zip(lines, heights, strict=True):
            middle = top + height / 2
            shaded = not shaded and isinstance(line, Row)
            if isinstance(line, Row):
                _row(axes, line, panel, middle, height, shaded=shaded)
            else:
                _outside(axes, -_LABELS + 0.02, middle + 0.03, line, weight="bold", color=drawing.INK)
            top += height
        _heads(axes, panel)
        title = f"{panel.title}: " + ", ".join(row.task for row in panel.rows)
        return drawing.svg(figure, name=name, title=title)


def _numbered(panel: Panel) -> list[str]:
    return [series for series in panel.series if series in _NUMBERED]


def _width(panel: Panel) -> float:
    """Inches of the axes: what names and numbers leave."""
    columns = max(2, len(_numbered(panel)))
    return drawing.PAGE_WIDTH - _LABELS - _FIRST - _NEXT * columns


def _column(panel: Panel, series: str) -> float:
    """Inches from the axes' left edge to the numbers of a series."""
    return _width(panel) + _FIRST + _NEXT * _numbered(panel).index(series)


def _lines(rows: Sequence[Row], *, several: bool) -> list[Row | str]:
    """Rows with the headings of their groups between them; a single group needs none."""
    lines: list[Row | str] = []
    last = ""
    for row in rows:
        if several and row.group and row.group != last:
            lines.append(words.shortened(row.group, 40))
        last = row.group
        lines.append(row)
    return lines


def _frame(axes: Axes, panel: Panel) -> None:
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=drawing.FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.axvline(_REFERENCE[panel.family], color=drawing.GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    axes.set_xlabel(_AXES[panel.family])


def _row(axes: Axes, row: Row, panel: Panel, middle: float, height: float, *, shaded: bool) -> None:
    if shaded:
        axes.axhspan(middle - height / 2, middle + height / 2, color="#f4f6f8", linewidth=0, zorder=0)
    name = words.shortened(row.task, drawing.LONGEST)
    _outside(axes, -_LABELS + 0.02, middle, name, size=7.5 if len(name) <= _FITTING else 7.5 * _FITTING / len(name))
    low, high = panel.limits
    start = middle - _STEP * (len(panel.series) - 1) / 2
    for place, series in enumerate(panel.series):
        for mark in (mark for mark in row.marks if mark.series == series):
            _mark(axes, row.task, mark, start + place * _STEP, low, high)
            if series in _NUMBERED:
                arrow = _ARROWS.get(row.changes.get(series, "none"), "")
                text = words.number(mark.value, 3) + arrow
                weight = "bold" if arrow else "normal"
                _outside(axes, _column(panel, series), middle, text, color=drawing.INK, weight=weight)


def _mark(axes: Axes, task: str, mark: Mark, y: float, low: float, high: float) -> None:
    colour = drawing.colour(mark.series)
    interval = words.interval(mark.low, mark.high)
    told = f"{task}, {words.series(mark.series)}: {words.number(mark.value)}" + (f" [{interval}]" if interval else "")
    network = mark.series in ("single", "joint", "best")
    if mark.low is not None and mark.high is not None and mark.high >= low and mark.low <= high:
        ends = (max(mark.low, low), min(mark.high, high))
        (line,) = axes.plot(
            ends, (y, y), color=colour, linewidth=1.4 if network else 0.9, solid_capstyle="butt", zorder=2
        )
        drawing.tell(line, told)
    shape, x = drawing.marker(mark.series), mark.value
    if not low <= mark.value <= high:
        # off the axis: an arrow at its edge; the table has the number
        shape, x = ("<", low) if mark.value < low else (">", high)
    (point,) = axes.plot(
        [x], [y], shape, color=colour, markersize=4.2 if network else 3.2, markeredgewidth=0, clip_on=False, zorder=3
    )
    drawing.tell(point, told)


def _outside(
    axes: Axes, x: float, y: float, text: str, *, color: str = drawing.INK, weight: str = "normal", size: float = 7.5
) -> None:
    """Text at ``x`` inches from the axes' left edge, at ``y`` in data."""
    width = axes.get_position().width * drawing.PAGE_WIDTH
    transform = axes.get_yaxis_transform()
    axes.text(
        x / width, y, text, transform=transform, va="center_baseline", color=color, fontweight=weight, fontsize=size
    )


def _heads(axes: Axes, panel: Panel) -> None:
    for series in _numbered(panel):
        _outside(axes, _column(panel, series), -0.12, words.series(series), color=drawing.GREY)
    handles = [
        Line2D([], [], color=drawing.colour(series), marker=drawing.marker(series), markersize=4.5, linewidth=1.2)
        for series in panel.series
    ]
    axes.legend(
        handles,
        [words.series(series) for series in panel.series],
        loc="lower left",
        # from the sheet's left edge where it would run into the heads of the numbers
        bbox_to_anchor=(0.0 if len(handles) <= _LEGEND else -_LABELS / _width(panel), 1.0),
        ncols=len(handles),
        frameon=False,
        borderaxespad=0.3,
        borderpad=0.2,
        handlelength=1.8,
        columnspacing=1.4,
        fontsize=7.5,
    )
