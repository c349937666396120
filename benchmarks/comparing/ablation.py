"""The joint m3h network with other choices, against itself: what each ingredient is worth on training rows."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from comparing.lines import table
from comparing.measured import standard_error, value
from comparing.models import Network, networks
from comparing.session import JOINT, Board, Session, ours, say
from m3h.core.errors import SettingError
from m3h.study import rules
from m3h.study.fields import take
from m3h.study.presets import Preset, Protocol

#: A comma between two fields, not one within a list.
COMMA = re.compile(r",(?![^\[]*\])")
WORD = re.compile(r"[A-Za-z][\w-]*")


def ablate(session: Session, changes: Sequence[str]) -> None:
    """Print the difference of every change to the default, with its standard error over folds, replicates and tasks."""
    default = next(network for network in ours(networks()) if network.role == "joint")
    every = [default, *(changed(default, text) for text in changes)]
    if len({network.name for network in every}) < len(every):
        raise SettingError("two changes have the same name")
    board = Board()
    for part in session.parts:
        session.score_networks(board, part, session.tasks, session.ask(part, every))
    say(session.kept.told())
    rows: list[list[object]] = []
    for network in every:
        mean = float(board.mean(network.name, session.tasks)[0])
        row: list[object] = [network.name, mean, "", "", "", "", session.kept.seconds[network.name]]
        if network is not default:
            gaps = differences(board, network.name, JOINT, session.tasks)
            ahead = board.ahead(network.name, JOINT, session.tasks)
            row[2:6] = [
                f"{sum(gaps) / len(gaps):+.4f}",
                standard_error(gaps),
                str(value(board.gap(network.name, JOINT, session.tasks))),
                f"{ahead} of {len(session.tasks)}",
            ]
        rows.append(row)
    runs = len(session.parts) * len(session.replicates)
    head = ["change", "mean", "minus default", "standard error", "[95 % by patient]", "tasks ahead", "seconds"]
    say(table(head, [[*row[:-1], f"{row[-1] / runs:.0f}"] for row in rows]))  # type: ignore[operator]


def differences(board: Board, a: str, b: str, tasks: Sequence[str]) -> list[float]:
    """a minus b for every fold, replicate and task."""
    return [
        float(first[0] - second[0])
        for task in tasks
        for first, second in zip(board.vectors[a, task], board.vectors[b, task], strict=True)
    ]


def changed(network: Network, text: str) -> Network:
    """The network with the choices that ``text`` names: "name: field=value,field=value", fields of the preset or of its
    protocol. Errors: SettingError for what does not fit them."""
    name, colon, content = text.partition(":")
    if not name.strip() or not colon:
        raise SettingError("a change has a name", got=text, expected="name: field=value,field=value")
    given = _values(content)
    mistakes: list[str] = []

    def report(key: str, what: str) -> None:
        mistakes.append(what)

    for_protocol = {key: one for key, one in given.items() if key in Protocol.__dataclass_fields__}
    for_preset = {key: one for key, one in given.items() if key not in for_protocol}
    protocol, preset = take(Protocol, for_protocol, report), take(Preset, for_preset, report)
    mistakes += [what for _, what in (*rules.overrides(preset), *rules.protocol(protocol))]
    if mistakes:
        raise SettingError("; ".join(mistakes), where=f'change "{name.strip()}"')
    return Network(
        f"m3h/{name.strip()}", replace(network.preset, **preset), replace(network.protocol, **protocol), network.role
    )


def _values(content: str) -> dict[str, Any]:
    """The fields as TOML reads them; a word needs no quotes."""
    found: dict[str, Any] = {}
    for entry in COMMA.split(content):
        key, sign, written = (item.strip() for item in entry.partition("="))
        if WORD.fullmatch(written) and written not in ("true", "false"):
            written = f'"{written}"'
        try:
            found |= tomllib.loads(f"{key} = {written}")
        except tomllib.TOMLDecodeError as error:
            raise SettingError("a change that cannot be read", got=entry.strip(), expected="field=value") from error
        if not sign:
            raise SettingError("a change without a value", got=entry.strip(), expected="field=value")
    return found
