"""The audit: what is in a dataset, and signs of leaks in it, in its tables, and in a model that was trained on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from m3h.dataset.audit.kinds import LEAKS

if TYPE_CHECKING:
    from m3h.dataset.dataset import Dataset

__all__ = ["LEAKS", "audit"]


def audit(dataset: Dataset) -> dict[str, Any]:
    """Counts, aggregates and alarms as JSON data (see m3h.dataset.audit.overview); never a patient."""
    from m3h.dataset.audit.overview import overview

    return overview(dataset)
