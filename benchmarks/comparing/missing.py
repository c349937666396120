"""One source gone when the models are asked, all of them trained with it."""

from __future__ import annotations

import numpy as np

from comparing.lines import Line, append, table
from comparing.measured import Value, Vector, value
from comparing.models import networks
from comparing.parts import Part
from comparing.session import JOINT, TUNED, Board, Session, ours, say
from m3h.core.errors import SettingError

NOTHING = "nothing"


def missing(session: Session) -> None:
    """Print both models with each source gone, over the tasks that read it beside another, and what that costs."""
    joint = [network for network in ours(networks()) if network.role == "joint"]
    if session.tuning is None:
        raise SettingError("LightGBM is not tuned", next_step=f"accuracy.py tune {session.wish.study}")
    sources = [source for source in session.data.blocks if readers(session, source)]
    boards = {source: Board() for source in ("", *sources)}
    for part in session.parts:
        for one in session.ask(part, joint, sources)[JOINT]:
            for source, predictions in one.items():
                tasks = readers(session, source) if source else session.tasks
                for task in tasks:
                    boards[source].add(JOINT, task, session.drawn.vector(part, task, predictions[task]))
        for task in session.tasks:
            _opponent(session, boards, part, task, sources)
    say(session.kept.told())
    lines, rows = [], []
    for source, board in boards.items():
        tasks = readers(session, source) if source else session.tasks
        here = {model: board.mean(model, tasks) for model in (JOINT, TUNED)}
        found = {model: value(vector) for model, vector in here.items()}
        lead = value(board.gap(JOINT, TUNED, tasks))
        lost = [value(here[model] - boards[""].mean(model, tasks)) for model in (JOINT, TUNED)]
        ahead = f"{board.ahead(JOINT, TUNED, tasks)} of {len(tasks)}"
        present = f"{share_present(session, source):.0%}" if source else ""
        rows.append(
            [source or NOTHING, present, *(found[model].value for model in (JOINT, TUNED)), str(lead), ahead, *lost]
        )
        lines += _lines(source or NOTHING, len(tasks), found, lead)
    head = [
        "missing",
        "had it",
        JOINT,
        TUNED,
        "joint - lightgbm [95 %]",
        "tasks ahead",
        "joint loses",
        "lightgbm loses",
    ]
    say(table(head, rows))
    if session.wish.final:
        append(lines, session.data.name)


def readers(session: Session, source: str) -> tuple[str, ...]:
    """The tasks that read a source beside others."""
    reads = {task: session.data.sources_for((task,)) for task in session.tasks}
    return tuple(task for task, read in reads.items() if source in read and len(read) > 1)


def _opponent(session: Session, boards: dict[str, Board], part: Part, task: str, sources: list[str]) -> None:
    assert session.tuning is not None
    said = session.kept.tuned(part, task, session.tuning.chosen(task), sources)
    for source, prediction in said.items():
        vector: Vector = session.drawn.vector(part, task, prediction)
        boards[source].add(TUNED, task, vector)


def _lines(source: str, tasks: int, found: dict[str, Value], lead: Value) -> list[Line]:
    measure = f"mean over {tasks} tasks, {source} missing"
    return [
        *(Line("missing", model, "", measure, one) for model, one in found.items()),
        Line("missing", JOINT, TUNED, measure, lead),
    ]


def share_present(session: Session, source: str) -> float:
    """Of the scored rows, how many have the source at all."""
    return float(np.mean(session.data.blocks[source].present[session.drawn.rows]))
