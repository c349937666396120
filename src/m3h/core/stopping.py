"""What is at work outside Python hears of a stop: DuckDB otherwise ends its query before it lets go."""

from __future__ import annotations

import weakref
from typing import Protocol


class Interruptible(Protocol):
    """A connection to a database, say; called from another thread or from a signal's handler."""

    def interrupt(self) -> None:
        """Let what is being done end as soon as may be; nothing where nothing is being done."""


_open: weakref.WeakSet[Interruptible] = weakref.WeakSet()


def interrupted_at_a_stop(work: Interruptible) -> None:
    """From now on, as long as it is held by anyone, ``work`` is interrupted when the program is told to stop."""
    _open.add(work)


def interrupt_all() -> None:
    """For a signal's handler: before it raises, so that what raises has nothing to wait for."""
    for work in list(_open):
        work.interrupt()
