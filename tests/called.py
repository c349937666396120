"""The command line called in this process, as a person would call it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from m3h.cli.main import main


@dataclass(frozen=True)
class Called:
    """What a command left: its exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(*words: object) -> Called:
    """Run ``m3h`` with these words. Exceptions other than its exit go through, as a traceback would."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return Called(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def relying() -> Iterator[None]:
    """Runs keep with their models how far the answers can be relied on, and appraise nothing else."""
    from m3h.api.appraise import Answering, Appraised
    from m3h.api.held import held_out, relied

    def made(data: Any, answering: Sequence[Answering], *_: object) -> Appraised:
        held = held_out(data, [one.network for one in answering])
        found = [relied(data, held[one.network.trial.id]) for one in answering]
        return Appraised({}, (), {name: known for some in found for name, known in some.items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("m3h.api.run.appraised", made)
        yield


@contextlib.contextmanager
def appraising() -> Iterator[None]:
    """Runs appraise their models, as they do for users and elsewhere in tests do not (conftest.scores_alone)."""
    from m3h.api.appraise import appraised

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("m3h.api.run.appraised", appraised)
        yield
