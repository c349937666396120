"""What a search does, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m3h.core.errors import SettingError


@dataclass(frozen=True)
class Settings:
    """How the best task set of each task is looked for.

    ``largest``: tasks of a set at most. ``folds``: validation folds used, 0 to folds - 1. ``settings``: how many
    hyper-parameter settings there are; ``planned`` chooses sets in the last of them, and tries the others for its
    winners. ``width``: sets that ``paper`` keeps at a level.

    The rest is for ``planned``: ``draws`` random sets of ``largest`` tasks for each task; then ``rounds`` of
    ``proposals`` sets for each task; of these ``survivors`` go to a second fold and ``finalists`` to all folds.
    Errors: SettingError for a number below its least.
    """

    method: Literal["planned", "paper"] = "planned"
    largest: int = 3
    width: int = 3
    folds: int = 5
    settings: int = 1
    draws: int = 12
    rounds: int = 3
    proposals: int = 4
    survivors: int = 4
    finalists: int = 2

    def __post_init__(self) -> None:
        if self.method not in ("planned", "paper"):
            raise SettingError(f'unknown search method "{self.method}"', expected="planned or paper")
        for name in ("largest", "width", "folds", "settings", "draws", "rounds", "proposals", "survivors", "finalists"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} of a search", got=str(getattr(self, name)), expected="at least 1")

    @property
    def base(self) -> int:
        """The setting in which ``planned`` compares sets: the one that is trained where nothing is tried."""
        return self.settings - 1
