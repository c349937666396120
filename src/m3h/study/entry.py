"""One table of a study file under reading: its keys, its place, and the mistakes found in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from m3h.core.errors import Problem
from m3h.study.fields import take


class Entry:
    """The content of one table and the list that its mistakes go to.

    ``place`` turns a key into the text that says where it stands. A key is blamed for one kind of mistake only:
    what does not fit its type is not tested further.
    """

    def __init__(self, content: Mapping[str, Any], place: Callable[[str], str], problems: list[Problem]) -> None:
        self.content = dict(content)
        self.place = place
        self._problems = problems
        self._reported: set[str] = set()

    def report(self, key: str, message: str) -> None:
        """One mistake of a key."""
        self._reported.add(key)
        self._problems.append(Problem(self.place(key), message))

    def check(self, found: Iterable[tuple[str, str]]) -> set[str]:
        """Report what rules found, but for keys that were reported before; the keys that rules found wrong."""
        wrong = list(found)
        before = set(self._reported)
        for key, message in wrong:
            if key not in before:
                self.report(key, message)
        return {key for key, _ in wrong}

    def pop(self, key: str, default: Any = None) -> Any:
        """Take a key out of the content."""
        return self.content.pop(key, default)

    def values(self, spec: type, *, allowed: Iterable[str] | None = None, needed: Iterable[str] = ()) -> dict[str, Any]:
        """The keys that fit the fields of ``spec``; missing or empty ones of ``needed`` are reported."""
        found = take(spec, self.content, self.report, allowed=allowed)
        for key in needed:
            if not found.get(key) and key not in self._reported:
                self.report(key, f"{key} is {'empty' if key in self.content else 'missing'}")
        return found
