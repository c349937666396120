"""The kinds of alarms that mean a leak; light enough for a page or a screen to ask."""

from __future__ import annotations

#: Others say what was counted.
LEAKS = (
    "feature equals label",
    "column tells label",
    "columns tell label",
    "missing tells label",
    "rule tells label",
    "source tells label",
    "text tells label",
    "time not declared",
    "computed afterwards",
    "codes among inputs",
    "patient on both sides",
)
