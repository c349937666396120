"""m3h plan: what a command would train, what of it is done, and what the rest would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.cli import options as o

if TYPE_CHECKING:
    from m3h.experiments.plan import Plan

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The run folder whose ledger is looked at.", show_default="none"),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Fleets that are trained at once (default: as many as here)."),
]


def plan(
    study: o.StudyFile,
    out: Out = None,
    tasks: o.Tasks = "",
    search: o.Search = False,
    tim: o.Tim = False,
    alone: Annotated[
        bool, typer.Option("--only", help="Plan m3h search or m3h tim alone, not a run that does them too.")
    ] = False,
    method: o.PlanMethod = "",
    folds: o.PlanFolds = None,
    largest: o.Largest = None,
    replicates: o.Replicates = None,
    sets: o.Sets = None,
    inclusion: o.Inclusion = None,
    limit: o.Limit = None,
    baseline: o.Baseline = False,
    grid: o.Grid = None,
    preset: o.PresetName = None,
    seed: o.Seed = None,
    device: o.Device = "cpu",
    precision: o.Precision = "float32",
    epochs: o.Epochs = None,
    memory: o.Memory = None,
    ledger: o.LedgerFile = None,
    workers: Workers = None,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    weights: o.WeightsFolder = None,
    as_json: o.Json = False,
) -> None:
    """How many trainings a run takes, how many are done, and what time and memory the rest takes here."""
    from m3h.api.early import begin
    from m3h.cli.screen import Waiting
    from m3h.core.errors import SettingError

    if alone and not (search or tim):
        raise SettingError("--only plans a part alone", expected="--search or --tim beside it")
    of_search, of_tim = methods(method)
    searching = {"method": of_search, "largest": largest}
    measuring = {"method": of_tim, "replicates": replicates, "sets": sets, "inclusion": inclusion, "limit": limit}
    parts = (("--search", search, searching), ("--tim", tim, measuring))
    given = [(f"--{name}", part) for part, wanted, values in parts for name in o.told(values) if not wanted]
    if folds is not None and not (search or tim):
        given.append(("--folds", "--search or --tim"))
    if given:
        raise SettingError(f"{given[0][0]} changes a part that is not planned", expected=f"{given[0][1]} beside it")
    options = o.run_options(
        device=device,
        precision=precision,
        memory=memory,
        ledger=ledger,
        cache=cache,
        no_cache=no_cache,
        weights=weights,
        tasks=o.names(tasks),
        preset=preset,
        seed=seed,
        epochs=epochs,
        grid=grid,
        baseline=baseline,
        search=search,
        tim=tim,
        searching={**searching, "folds": folds, "tasks": o.names(tasks)} if search else {},
        measuring={**measuring, "folds": folds, "tasks": o.names(tasks)} if tim else {},
        singles=search or not alone,
        joint=not alone,
    )
    with Waiting(quiet=as_json) as say:
        say("reading the study", None)
        read = begin(study, options)
        # takes seconds to load, which nobody should wait for to hear of a mistyped name
        from m3h.api.plan import plan as planned

        found = planned(read, out, options, say, workers=workers)
    show(found, as_json=as_json)


def methods(text: str) -> tuple[str | None, str | None]:
    """The methods of search and of TIM among words separated by commas. Errors: SettingError for another word."""
    from m3h.core.errors import SettingError, nearest

    found: dict[str, str] = {}
    for word in o.names(text):
        part = next((name for name, known in o.METHODS.items() if word in known), None)
        every = tuple(one for known in o.METHODS.values() for one in known)
        if part is None:
            raise SettingError(f'unknown method "{word}"{nearest(word, every)}')
        if part in found:
            raise SettingError("--method names two methods of one part", got=f"{found[part]} and {word}")
        found[part] = word
    return found.get("search"), found.get("tim")


def show(plan: Plan, *, as_json: bool) -> None:
    """Print a plan, as a table or machine-readable."""
    from m3h.cli.screen import console, print_json

    if as_json:
        print_json(as_data(plan))
        return
    screen = console()
    screen.print(table(plan))
    for line in notes(plan):
        screen.print(line, markup=False, highlight=False, soft_wrap=True)


def as_data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON data; seconds, and memory in bytes."""
    from m3h.core.fingerprint import canonical

    return {"exact": plan.exact, **canonical(plan)}


def table(plan: Plan) -> Any:
    """A row per step, and one for all of them."""
    from m3h.cli.screen import plain_table

    sharing = any(step.shared for step in plan.steps)
    columns = ["step", "trainings", "done", *(["in a step above"] if sharing else []), "left", "time left"]
    rows = [
        [
            *(step.step, bounded(step.trainings, step.exact), step.done, *([step.shared] if sharing else [])),
            *(bounded(step.left, step.exact), duration(step.seconds, step.exact or not step.left)),
        ]
        for step in plan.steps
    ]
    if len(rows) > 1:
        sums = [sum(getattr(step, name) for step in plan.steps) for name in ("trainings", "done", "shared", "left")]
        trainings, done, shared, left = sums
        middle = [bounded(trainings, plan.exact), done, *([shared] if sharing else []), bounded(left, plan.exact)]
        rows.append(["all", *middle, duration(plan.seconds, plan.exact or not left)])
    return plain_table("Plan", columns, rows)


def notes(plan: Plan) -> list[str]:
    """What to know about the numbers."""
    workers = f" with {plan.workers} fleets at once" if plan.workers > 1 else ""
    lines = [f"time on this machine{workers}, from a short calibration; memory about {gigabytes(plan.memory)}"]
    if not plan.exact:
        lines.append("at most: a search goes on with what it finds, so it may need fewer trainings")
    lines += [f"planned: {plan.settings}"] if plan.settings else []
    return lines + [f"note: {text}" for text in plan.notes]


def bounded(number: int, exact: bool) -> str:
    """A count, or an upper bound."""
    return f"{number:,}" if exact or not number else f"at most {number:,}"


def gigabytes(size: float) -> str:
    """Bytes in GB of 1024 MB, as --memory counts."""
    return f"{size / (1 << 30):.1f} GB"


def duration(seconds: float, exact: bool = True) -> str:
    """A time to two units, as a person says it."""
    if seconds <= 0:
        return "-"
    minutes = round(seconds / 60)
    if seconds < 90:
        text = f"{max(1, round(seconds))} s"
    elif minutes < 90:
        text = f"{minutes} min"
    elif minutes < 48 * 60:
        text = f"{minutes // 60} h {minutes % 60} min"
    else:
        hours = round(seconds / 3600)
        text = f"{hours // 24} d {hours % 24} h"
    return text if exact else f"at most {text}"
