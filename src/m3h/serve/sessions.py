"""Who is asking: a random cookie, and what is kept for whoever sends it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from m3h.serve.cohort import Cohort, Of
from m3h.serve.limits import Limits

COOKIE = "m3h_session"


@dataclass
class Session:
    """``key`` is the cookie's value; ``trusted`` whether the token was given; ``used`` when it was asked last.

    Patients are addressed by numbers from 1 in a random order that is this session's alone.
    """

    key: str
    used: float
    trusted: bool = False
    upload: Cohort | None = None
    _orders: dict[Of, NDArray[np.int64]] = field(default_factory=dict)

    def row(self, of: Of, cohort: Cohort, number: int) -> int | None:
        """The row of the patient of this number; None if there is none."""
        return int(self._order(of, cohort)[number - 1]) if 1 <= number <= len(cohort) else None

    def numbers(self, of: Of, cohort: Cohort) -> NDArray[np.int64]:
        """The number of each row."""
        found = np.empty(len(cohort), np.int64)
        found[self._order(of, cohort)] = np.arange(1, len(cohort) + 1)
        return found

    def take(self, cohort: Cohort | None) -> None:
        """Keep an upload instead of the one before; None forgets it."""
        self.upload = cohort
        self._orders.pop("upload", None)

    def _order(self, of: Of, cohort: Cohort) -> NDArray[np.int64]:
        order = self._orders.get(of)
        if order is None or len(order) != len(cohort):
            # from the machine's own randomness: nobody is to guess who a number is
            drawn = np.random.Generator(np.random.PCG64(secrets.randbits(128)))
            order = self._orders[of] = drawn.permutation(len(cohort))
        return order


class Sessions:
    """All sessions, in memory alone. ``clock`` gives seconds."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        self._known: dict[str, Session] = {}

    def find(self, key: str | None) -> Session | None:
        """The session of a cookie, if it is not too old."""
        with self._lock:
            session = self._known.get(key or "")
            if session is None or self._clock() - session.used > self._limits.idle:
                return None
            session.used = self._clock()
            return session

    def start(self, *, trusted: bool = False) -> Session:
        """A new session. Beyond the limit that one goes which holds no upload and was used longest ago."""
        with self._lock:
            while len(self._known) >= self._limits.sessions:
                oldest = min(self._known.values(), key=lambda one: (one.upload is not None, one.trusted, one.used))
                self._known.pop(oldest.key)
            session = Session(secrets.token_urlsafe(32), self._clock(), trusted)
            self._known[session.key] = session
            return session

    def end(self, session: Session) -> None:
        """Forget a session and what it holds."""
        with self._lock:
            self._known.pop(session.key, None)

    def sweep(self) -> int:
        """Forget the sessions that have been idle too long; how many there were."""
        with self._lock:
            old = [key for key, one in self._known.items() if self._clock() - one.used > self._limits.idle]
            for key in old:
                self._known.pop(key)
            return len(old)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._known.clear()
