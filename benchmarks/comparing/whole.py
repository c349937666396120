"""All models on all tasks: means, tasks, and how far the joint m3h network is ahead of each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from sklearn.metrics import adjusted_rand_score

from comparing.lines import Line, append, plain, table
from comparing.measured import Value, holm, mean, p_value, value
from comparing.models import Asked, networks
from comparing.parts import Part
from comparing.session import JOINT, SINGLE, Board, Said, Session, say
from m3h.study.task import HEADLINE

#: Differences whose corrected p value lies below this are told apart from 0.
LEVEL = 0.05
#: Clusterings: in the space that the network learned, in the one that none learned, and whether replicates agree.
GROUPED = ("silhouette", "silhouette_fixed", "agreement of replicates")


def compare(session: Session, paper_long: bool) -> None:
    """Print everything; with a final session, add it to the results."""
    made = networks(paper_long)
    if not any(network.name == JOINT for network in made):
        say("NOTE: there is no preset m3h here; the others are compared")
    board, grouped, opponents = Board(), Board(), session.models
    for part in session.parts:
        session.score_opponents(board, part, session.tasks, opponents)
        said = session.ask(part, made)
        session.score_networks(board, part, session.tasks, said)
        _group(session, grouped, part, said)
    say(session.kept.told())
    say(tasks_table(session, board))
    lines = [*_means(session, board), *_gaps(session, board), *_tests(session, board), *_groups(grouped)]
    if session.wish.final:
        append(lines, session.data.name)


def tasks_table(session: Session, board: Board) -> str:
    """A row a task, the mean over tasks below."""
    rows: list[list[object]] = [
        [task, HEADLINE[session.data.labels[task].task.kind], *(float(board.of(m, task)[0]) for m in board.models)]
        for task in session.tasks
    ]
    rows.append(["mean", "", *(float(board.mean(model, session.tasks)[0]) for model in board.models)])
    return table(["task", "metric", *board.models], rows)


def _means(session: Session, board: Board) -> list[Line]:
    lines, rows = [], []
    runs = len(session.parts) * len(session.replicates)
    for model in board.models:
        found = value(board.mean(model, session.tasks))
        lines.append(Line("compare", model, "", f"mean over {len(session.tasks)} tasks", found))
        spent = session.kept.seconds.get(model)
        if spent is not None:
            lines.append(Line("compare", model, "", "seconds of training, summed over networks", plain(spent / runs)))
        rows.append([model, found.plain(), "" if spent is None else f"{spent / runs:.0f}"])
        for task in session.tasks:
            metric = HEADLINE[session.data.labels[task].task.kind]
            lines.append(Line("compare", model, "", f"{metric} of {task}", value(board.of(model, task))))
    say("\n" + table(["mean over tasks", "value [95 %]", "seconds"], rows))
    better = _better_paper(session, board)
    if better:
        say("the better of the paper's protocols: " + ", ".join(better))
    return lines


def _better_paper(session: Session, board: Board) -> list[str]:
    found = []
    for role in ("single", "joint"):
        names = [name for name in board.models if name.startswith("paper") and name.endswith(role)]
        if len(names) > 1:
            found.append(max(names, key=lambda name: board.mean(name, session.tasks)[0]))
    return found


def _gaps(session: Session, board: Board) -> list[Line]:
    """The joint network against every other model."""
    if JOINT not in board.models:
        return []
    lines, rows = [], []
    for model in board.models:
        if model == JOINT:
            continue
        found, ahead = value(board.gap(JOINT, model, session.tasks)), board.ahead(JOINT, model, session.tasks)
        rows.append([model, str(found), f"{ahead} of {len(session.tasks)}"])
        lines.append(Line("compare", JOINT, model, f"mean over {len(session.tasks)} tasks", found))
        lines.append(Line("compare", JOINT, model, "tasks ahead", plain(ahead)))
        for task in session.tasks:
            gap = board.of(JOINT, task) - board.of(model, task)
            lines.append(Line("compare", JOINT, model, task, value(gap)))
    say("\n" + table([f"{JOINT} minus", "difference of means [95 %]", "tasks ahead"], rows))
    return lines


def _tests(session: Session, board: Board) -> list[Line]:
    """Joint against single, task by task, corrected for the number of tasks."""
    if not {JOINT, SINGLE} <= set(board.models):
        return []
    gaps = {task: board.of(JOINT, task) - board.of(SINGLE, task) for task in session.tasks}
    corrected = holm({task: p_value(gap) for task, gap in gaps.items()})
    rows = [[task, str(value(gaps[task])), corrected[task]] for task in session.tasks]
    say("\n" + table([f"{JOINT} minus {SINGLE}", "difference [95 %]", "p by Holm"], rows))
    sure = {task: float(gaps[task][0]) for task in session.tasks if corrected[task] < LEVEL}
    worse, better = ([t for t in sure if sign * sure[t] > 0] for sign in (-1, 1))
    say(f"joint is worse on {len(worse)}: {', '.join(worse) or 'none'}; better on {len(better)}: {', '.join(better)}")
    return [
        *(Line("compare", JOINT, SINGLE, f"p by Holm, {task}", plain(corrected[task])) for task in session.tasks),
        Line("compare", JOINT, SINGLE, "tasks worse after Holm", plain(len(worse))),
        Line("compare", JOINT, SINGLE, "tasks better after Holm", plain(len(better))),
    ]


def _group(session: Session, board: Board, part: Part, said: Said) -> None:
    """Clusterings of the networks, which have no truth: how far their groups are apart, and whether they come again."""
    names = [name for name in part.data.usable() if part.data.labels[name].task.kind == "clustering"]
    for model, every in said.items():
        for task in names:
            for metric in GROUPED[:2]:
                for one in every:
                    board.add(model, f"{metric} of {task}", session.drawn.vector(part, task, one[""][task], metric))
            if (agreed := agreement(every, task)) is not None:
                same = np.full(1 + len(session.drawn.draws), np.nan)
                same[0] = agreed
                board.add(model, f"{GROUPED[2]} of {task}", same)


def agreement(every: Sequence[Asked], task: str) -> float | None:
    """Mean adjusted Rand index of the groups of all pairs of replicates on the same rows: 1 the same, 0 as by chance;
    None for a single replicate."""
    clusters = [said[""][task].clusters for said in every]
    pairs = [adjusted_rand_score(a, b) for a, b in combinations(clusters, 2)]
    return float(np.mean(pairs)) if pairs else None


def _groups(board: Board) -> list[Line]:
    if not board.models:
        return []
    measures = list(dict.fromkeys(measure for _, measure in board.vectors))
    found: dict[tuple[str, str], Value] = {key: value(mean(vectors)) for key, vectors in board.vectors.items()}
    rows = [
        [model, *(found[model, one].value if (model, one) in found else "" for one in measures)]
        for model in board.models
    ]
    say("\n" + table(["clustering", *measures], rows))
    return [Line("compare", model, "", measure, one) for (model, measure), one in found.items()]
