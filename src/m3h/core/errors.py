"""The one error tree.

    M3HError                 anything the user can mend; the command line prints it and exits 2
    |-- StudyError           mistakes in a study file, all of them at once
    |-- DataError            tables, columns, values, labels, images
    |-- WeightsError         pretrained weights that are not there
    |-- SettingError         an option, a name or a number that does not fit
    |-- FolderError          a run folder, cache or output that cannot be read or written
    `-- TrainingError        a training that cannot be done or did not end well

Everything else that is raised is a mistake of this library: the command line says so and exits 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class M3HError(Exception):
    """A message that says what, where, got, expected and what to do next.

    Only ``what`` is obligatory; the parts that are given are joined, each on a line of its own.
    Patient values never belong into a message: row numbers and at most three offending label, code or number values.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: str | None = None,
        expected: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.got = got
        self.expected = expected
        self.next_step = next_step
        super().__init__(self._text())

    def _text(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        named = (("got", self.got), ("expected", self.expected), ("next", self.next_step))
        return "\n".join([head, *(f"  {name}: {text}" for name, text in named if text)])


class DataError(M3HError):
    """A table, column, value, label or image does not fit what the study says of it."""


class WeightsError(M3HError):
    """Pretrained weights are not on this machine."""


class SettingError(M3HError):
    """An option, a name or a number that does not fit."""


class FolderError(M3HError):
    """A run folder, cache or output that cannot be read or written."""


class TrainingError(M3HError):
    """A training that cannot be done, or none of whose members ended well."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a study: ``place`` is where in the file, ``message`` what is wrong and what would be right."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class StudyError(M3HError):
    """All mistakes found in one study, in ``problems``; ``of`` says in what: the study, or tables of new patients."""

    def __init__(self, file: str, problems: Sequence[Problem], of: str = "this study") -> None:
        self.problems = tuple(problems)
        count = "1 mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        lines = [f"{count} in {of}"] + [f"  - {problem}" for problem in self.problems]
        super().__init__("\n".join(lines), where=file)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean "value"?``, or the list of what is known, or nothing if nothing is known."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        lower = {other.lower(): other for other in names}
        close = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)]
    if close:
        return f'; did you mean "{close[0]}"?'
    if not names:
        return ""
    shown = ", ".join(sorted(names)[:12]) + (", ..." if len(names) > 12 else "")
    return f"; known are {shown}"
