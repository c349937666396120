"""How the numbers came about: settings, task sets, stages, versions, fingerprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.tables import Table, cells

_UPDATES = {"joint": "all losses in one step", "sequential": "a step per loss"}
#: Roles of which a run may hold one network per task, and what those are called.
_TOGETHER = {
    "best": ("network of a chosen set", "networks of chosen sets"),
    "single": ("network of one question", "networks of one question each"),
}


def settings(contents: Contents) -> Table:
    """What was run on what, one line each."""
    run, chosen = contents.run, contents.run.get("settings") or {}
    grid = "cross-validated grid, then refitted" if chosen.get("grid") else "without a grid"
    lines = [
        ("Command", run.get("command")),
        ("Written", run.get("created")),
        ("m3h", run.get("m3h")),
        ("Seed", (run.get("study") or {}).get("seed")),
        ("Preset", chosen.get("preset")),
        ("Training", f"{chosen['setting']} ({grid})" if chosen.get("setting") else None),
        ("Device", chosen.get("device")),
        ("Threads", chosen.get("threads")),
        ("Ledger", _ledger(contents.facts("ledger"))),
        ("Data fingerprint", (run.get("data") or {}).get("fingerprint")),
    ]
    rows = tuple(cells(line) for line in lines if line[1] not in (None, ""))
    return Table("Settings", ("", ""), rows, frozenset({0, 1}))


def _ledger(counts: Mapping[str, Any]) -> str | None:
    """How many trainings the ledger holds and how many this command added."""
    names = {"finished": "finished", "failed": "failed", "new": "new in this command"}
    known = [f"{words.whole(counts[key])} {text}" for key, text in names.items() if isinstance(counts.get(key), int)]
    return f"trainings: {', '.join(known)}" if known else None


def fields(contents: Contents) -> str:
    """Every field of the preset and the protocol as ``name value`` pairs in one paragraph."""
    chosen = contents.run.get("settings") or {}
    pairs = {**(chosen.get("fields") or {}), **(chosen.get("protocol") or {})}
    return "; ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in pairs.items())


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return " / ".join(_plain(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def task_sets(contents: Contents) -> Table | None:
    """The networks that were trained: each joint one, the single and the chosen ones as a line each; or None."""
    kept = contents.run.get("task_sets") or []
    rows = [
        cells(
            [
                words.listed(entry["tasks"]),
                words.listed(entry["sources"]),
                words.whole(entry.get("weights")),
                _UPDATES.get(entry.get("update", ""), entry.get("update") or words.NOTHING),
                words.duration(entry.get("seconds")),
            ]
        )
        for entry in kept
        if entry["role"] not in _TOGETHER
    ]
    for role, names in _TOGETHER.items():
        several = [entry for entry in kept if entry["role"] == role]
        if several:
            rows.append(
                cells(
                    [
                        words.counted(len(several), *names),
                        "as above" if rows else _sources(several),
                        _range([entry.get("weights") for entry in several]),
                        words.listed(
                            sorted({_UPDATES.get(entry["update"], "") for entry in several if entry.get("update")})
                        ),
                        words.duration(sum(entry.get("seconds") or 0.0 for entry in several)),
                    ]
                )
            )
    if not rows:
        return None
    titles = ("Questions", "Sources", "Weights", "Steps", "Time")
    return Table("The networks", titles, tuple(rows), frozenset({0, 1, 3}))


def _sources(entries: Sequence[Mapping[str, Any]]) -> str:
    """The sources of several networks, once if they are the same for all."""
    found = {tuple(entry["sources"]) for entry in entries}
    return words.listed(list(found.pop())) if len(found) == 1 else "as their questions allow"


def _range(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return words.NOTHING
    if min(known) == max(known):
        return words.whole(known[0])
    return f"{words.whole(min(known))} to {words.whole(max(known))}"


def stages(contents: Contents) -> Table | None:
    """Seconds and peak memory of each stage; None where the run measured nothing."""
    seconds: Mapping[str, Any] = contents.run.get("seconds") or {}
    memory: Mapping[str, Any] = contents.run.get("peak_memory_mb") or {}
    names = list(dict.fromkeys([*seconds, *memory]))
    if not names:
        return None
    rows = tuple(
        cells([name.replace("_", " "), words.duration(seconds.get(name)), _megabytes(memory.get(name))])
        for name in names
    )
    return Table("Time and memory", ("Stage", "Time", "Peak memory"), rows)


def _megabytes(value: float | None) -> str:
    return words.NOTHING if value is None else f"{words.whole(value)} MB"


def versions(contents: Contents) -> str:
    """Libraries and their versions in one paragraph."""
    return ", ".join(f"{name} {version}" for name, version in (contents.run.get("versions") or {}).items())


def warnings(contents: Contents) -> list[str]:
    """Trainings that failed, then the run's warnings and what else it had to say of its settings."""
    failed = [
        f"Training of {words.listed(entry['tasks'])} did not end well: {entry['reason']}"
        for entry in contents.run.get("failed") or []
    ]
    told = [*(contents.run.get("warnings") or []), *(contents.run.get("notes") or [])]
    return failed + [str(text) for text in told]
