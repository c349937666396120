"""How numbers and names are written in the report: one place, so that tables, figures and sentences agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

NOTHING = "–"
MINUS = "−"

KINDS = {
    "binary": "yes or no",
    "multiclass": "one of several",
    "regression": "a number",
    "clustering": "a grouping",
}
METRICS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "macro_auroc": "macro AUROC",
    "r2": "R²",
    "mae": "mean absolute error",
    "silhouette": "silhouette",
    "silhouette_fixed": "silhouette, fixed space",
    "reconstruction_mse": "reconstruction error",
}
SERIES = {"single": "Single", "joint": "Joint", "best": "Best set", "lightgbm": "LightGBM", "linear": "Linear"}


def metric(name: str) -> str:
    """A metric's name for people; one that is not known stays as it is."""
    return METRICS.get(name, name.replace("_", " "))


def series(name: str) -> str:
    """A series' name for people, such as ``Joint``."""
    return SERIES.get(name, name)


def whole(value: float | None) -> str:
    """A count, with separators for the thousands."""
    return NOTHING if value is None else f"{int(value):,}"


def number(value: float | None, digits: int = 3) -> str:
    """``digits`` decimals and a true minus sign; nothing known is a dash."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:,.{digits}f}"
    # a value that rounds to zero has no sign
    if text.startswith("-") and not text.strip("-0.,"):
        text = text[1:]
    return text.replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """As :func:`number`, a plus sign before what is above 0."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 and text.strip("0.,") else text


def measure(value: float | None) -> str:
    """A quantity in its own unit: about three significant digits, never an exponent."""
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if size >= 100:
        return number(value, 0)
    if size >= 10 or size == 0:
        return number(value, 1)
    return number(value, 2 if size >= 1 else 3)


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1 as a percentage."""
    return NOTHING if share is None or not math.isfinite(share) else f"{number(100 * share, digits)}\u00a0%"


def interval(low: float | None, high: float | None, digits: int = 3, *, plus: bool = False) -> str:
    """``low to high``; empty where either is missing."""
    if low is None or high is None:
        return ""
    write = signed if plus else number
    return f"{write(low, digits)} to {write(high, digits)}"


def duration(seconds: float | None) -> str:
    """Seconds for people: ``8.4 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 question``, ``3,955 patients``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(items: Sequence[str], most: int = 6) -> str:
    """``a, b and c``; of more than ``most`` the first ones and how many others there are."""
    shown = list(items[:most])
    if len(items) > most:
        return f"{', '.join(shown)} and {len(items) - most} more"
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def shortened(name: str, length: int) -> str:
    """``name`` in at most ``length`` letters on one line, for a figure; the tables have it in full."""
    flat = " ".join(name.split())
    return flat if len(flat) <= length else flat[: length - 1].rstrip() + "…"
