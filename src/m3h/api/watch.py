"""Seconds and memory of a run, stage by stage."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, field


@dataclass
class Watch:
    """Seconds and the highest resident memory so far, in MB, stage by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    def stage(self, name: str) -> None:
        """The stage ``name`` ends now."""
        now = time.perf_counter()
        self.seconds[name] = round(now - self.began, 2)
        self.began = now
        unit = 1 if sys.platform == "darwin" else 1024
        self.memory[name] = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)
