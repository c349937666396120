"""Fewer and fewer training patients: does the lead of the joint network grow when they become scarce?"""

from __future__ import annotations

import numpy as np

from comparing.lines import Line, append, plain, table
from comparing.measured import Value, slope_vector, value
from comparing.models import networks
from comparing.parts import Part, fewer, usable_everywhere
from comparing.session import JOINT, LINEAR, SINGLE, TUNED, Board, Session, ours, say
from m3h.core.errors import SettingError

SHARES = (1.0, 0.5, 0.25, 0.1)
REPETITIONS = 3
MODELS = (JOINT, SINGLE, TUNED, LINEAR)


def sizes(session: Session) -> None:
    """Print scores and leads at each size, and the slope of the lead against the logarithm of the patients."""
    made = ours(networks())
    if session.tuning is None:
        raise SettingError("LightGBM is not tuned", next_step=f"accuracy.py tune {session.wish.study}")
    parts = {
        (share, draw): [fewer(one, share, draw) for one in session.parts]
        for share in SHARES
        for draw in range(1 if share == 1 else REPETITIONS)
    }
    tasks = usable_everywhere([one for every in parts.values() for one in every])
    left = [task for task in session.tasks if task not in tasks]
    if left:
        say(f"without {', '.join(left)}: not every drawing has what they need")
    boards: dict[tuple[float, int], Board] = {}
    for (share, draw), every in parts.items():
        boards[share, draw] = board = Board()
        for part in every:
            session.score_opponents(board, part, tasks, (TUNED, LINEAR))
            session.score_networks(board, part, tasks, session.ask(part, made))
        scores = ", ".join(f"{model} {board.mean(model, tasks)[0]:.4f}" for model in MODELS)
        say(f"{share:.0%}, drawing {draw + 1}: {scores}")
    say(session.kept.told())
    lines = [*_sizes(boards, parts, tasks), *_slopes(session, boards, parts, tasks)]
    if session.wish.final:
        append(lines, session.data.name)


Boards = dict[tuple[float, int], Board]
Parts = dict[tuple[float, int], list[Part]]


def _patients(parts: Parts, share: float) -> float:
    """Training patients of a share, mean over parts and drawings."""
    return float(np.mean([one.patients for key, every in parts.items() if key[0] == share for one in every]))


def _at(boards: Boards, share: float) -> list[Board]:
    return [board for key, board in boards.items() if key[0] == share]


def _sizes(boards: Boards, parts: Parts, tasks: tuple[str, ...]) -> list[Line]:
    lines, rows = [], []
    for share in SHARES:
        here, patients = _at(boards, share), _patients(parts, share)
        row: list[object] = [f"{share:.0%}", f"{patients:.0f}"]
        for model in MODELS:
            found = value(np.mean([board.mean(model, tasks) for board in here], axis=0))
            row.append(found.value)
            measure = f"mean over {len(tasks)} tasks, {patients:.0f} patients"
            lines.append(Line("sizes", model, "", measure, found))
        for other in (SINGLE, TUNED):
            lead = value(np.mean([board.gap(JOINT, other, tasks) for board in here], axis=0))
            row.append(str(lead))
            lines.append(Line("sizes", JOINT, other, f"difference of means, {patients:.0f} patients", lead))
        rows.append(row)
    say(table(["share", "patients", *MODELS, "joint - single", "joint - lightgbm tuned"], rows))
    return lines


def _slopes(session: Session, boards: Boards, parts: Parts, tasks: tuple[str, ...]) -> list[Line]:
    """How much the lead changes with ten times the patients; above 0 it grows with them."""
    places = [float(np.log10(_patients(parts, share))) for share in SHARES]
    lines = []
    for other in (SINGLE, TUNED):
        leads = [np.stack([board.gap(JOINT, other, tasks) for board in _at(boards, share)]) for share in SHARES]
        found: Value = value(slope_vector(places, leads, session.data.seed))
        say(f"slope of the lead over {other} per factor of ten in patients: {found}")
        lines.append(Line("sizes", JOINT, other, "slope of the lead per log10(patients)", found))
        lines.append(Line("sizes", JOINT, other, "repetitions below all patients", plain(REPETITIONS)))
    return lines
