"""m3h run, train, search, tim, demo and report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.cli import options as o
from m3h.core.errors import SettingError

if TYPE_CHECKING:
    from m3h.api.options import Options
    from m3h.api.run import Finished

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]


def run(
    study: o.StudyFile,
    out: o.Out,
    tasks: o.Tasks = "",
    search: o.Search = False,
    tim: o.Tim = False,
    baseline: o.Baseline = False,
    grid: o.Grid = None,
    preset: o.PresetName = None,
    seed: o.Seed = None,
    device: o.Device = "cpu",
    precision: o.Precision = "float32",
    epochs: o.Epochs = None,
    memory: o.Memory = None,
    ledger: o.LedgerFile = None,
    executor: o.Executor = "local",
    address: o.Address = None,
    strict: o.Strict = False,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    weights: o.WeightsFolder = None,
    as_json: o.Json = False,
) -> None:
    """Encode, train, evaluate and report: each task alone and all of them together."""
    given = o.run_options(
        device=device,
        precision=precision,
        memory=memory,
        ledger=ledger,
        executor=executor,
        address=address,
        cache=cache,
        no_cache=no_cache,
        weights=weights,
        tasks=o.names(tasks),
        preset=preset,
        seed=seed,
        epochs=epochs,
        strict=strict,
        search=search,
        tim=tim,
        baseline=baseline,
        grid=grid,
    )
    _finish(study, out, given, as_json)


def train(
    study: o.StudyFile,
    out: o.Out,
    tasks: o.Tasks = "",
    grid: o.Grid = None,
    preset: o.PresetName = None,
    seed: o.Seed = None,
    device: o.Device = "cpu",
    precision: o.Precision = "float32",
    epochs: o.Epochs = None,
    memory: o.Memory = None,
    ledger: o.LedgerFile = None,
    executor: o.Executor = "local",
    address: o.Address = None,
    strict: o.Strict = False,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    weights: o.WeightsFolder = None,
    as_json: o.Json = False,
) -> None:
    """Train the joint networks alone: a model, its scores and predictions, no report."""
    given = o.run_options(
        device=device,
        precision=precision,
        memory=memory,
        ledger=ledger,
        executor=executor,
        address=address,
        cache=cache,
        no_cache=no_cache,
        weights=weights,
        tasks=o.names(tasks),
        preset=preset,
        seed=seed,
        epochs=epochs,
        strict=strict,
        grid=grid,
        singles=False,
        report=False,
    )
    _finish(study, out, given, as_json)


def search(
    study: o.StudyFile,
    out: o.Out,
    tasks: o.Tasks = "",
    method: o.SearchMethod = None,
    largest: o.Largest = None,
    folds: o.SearchFolds = None,
    grid: o.Grid = None,
    baseline: o.Baseline = False,
    preset: o.PresetName = None,
    seed: o.Seed = None,
    device: o.Device = "cpu",
    precision: o.Precision = "float32",
    epochs: o.Epochs = None,
    memory: o.Memory = None,
    ledger: o.LedgerFile = None,
    executor: o.Executor = "local",
    address: o.Address = None,
    strict: o.Strict = False,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    weights: o.WeightsFolder = None,
    as_json: o.Json = False,
) -> None:
    """Look for the set of tasks that helps each task most, by cross-validation, and test it against the task alone."""
    given = o.run_options(
        device=device,
        precision=precision,
        memory=memory,
        ledger=ledger,
        executor=executor,
        address=address,
        cache=cache,
        no_cache=no_cache,
        weights=weights,
        tasks=o.names(tasks),
        preset=preset,
        seed=seed,
        epochs=epochs,
        strict=strict,
        baseline=baseline,
        grid=grid,
        joint=False,
        search=True,
        searching={"method": method, "largest": largest, "folds": folds, "tasks": o.names(tasks)},
    )
    _finish(study, out, given, as_json)


def tim(
    study: o.StudyFile,
    out: o.Out,
    tasks: o.Tasks = "",
    method: o.TimMethod = None,
    folds: o.TimFolds = None,
    replicates: o.Replicates = None,
    sets: o.Sets = None,
    inclusion: o.Inclusion = None,
    limit: o.Limit = None,
    preset: o.PresetName = None,
    seed: o.Seed = None,
    device: o.Device = "cpu",
    precision: o.Precision = "float32",
    epochs: o.Epochs = None,
    memory: o.Memory = None,
    ledger: o.LedgerFile = None,
    executor: o.Executor = "local",
    address: o.Address = None,
    strict: o.Strict = False,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    weights: o.WeightsFolder = None,
    as_json: o.Json = False,
) -> None:
    """Measure which task helps which: what adding a task does to the score of another, with intervals."""
    given = o.run_options(
        device=device,
        precision=precision,
        memory=memory,
        ledger=ledger,
        executor=executor,
        address=address,
        cache=cache,
        no_cache=no_cache,
        weights=weights,
        tasks=o.names(tasks),
        preset=preset,
        seed=seed,
        epochs=epochs,
        strict=strict,
        singles=False,
        joint=False,
        tim=True,
        measuring={
            "method": method,
            "folds": folds,
            "replicates": replicates,
            "sets": sets,
            "inclusion": inclusion,
            "limit": limit,
            "tasks": o.names(tasks),
        },
    )
    _finish(study, out, given, as_json)


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The run folder to write.")] = Path("runs/demo"),
    findings: Annotated[
        bool, typer.Option("--findings", help="Let the networks read the findings that the labels were coded from.")
    ] = False,
    baseline: o.Baseline = False,
    epochs: o.Epochs = None,
    grid: o.Grid = None,
    device: o.Device = "cpu",
    memory: o.Memory = None,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
) -> None:
    """The built-in study of 3,955 real chest X-ray reports, end to end; nothing is downloaded."""
    from m3h.experiments.results import check_place
    from m3h.hospital.indiana import write_study

    given = o.run_options(
        device=device, memory=memory, cache=cache, no_cache=no_cache, epochs=epochs, grid=grid, baseline=baseline
    )
    check_place(out)
    with tempfile.TemporaryDirectory(prefix="m3h-") as folder:
        _finish(write_study(Path(folder) / "indiana", findings=findings), out, given, as_json)


def report(
    folder: RunFolder,
    compare: Annotated[
        str | None,
        typer.Option("--compare", help="paper: the paper's scores beside the run's, also in paper.csv."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="DIR", help="Also write every figure there, as SVG.", show_default=False),
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Write the report of a run folder anew."""
    if compare not in (None, "paper"):
        raise SettingError(f"--compare {compare}", expected="paper")
    from m3h.cli.screen import console, counted, print_json
    from m3h.report.figure_files import write_figures
    from m3h.report.page import write_report
    from m3h.report.paper import compared

    page = write_report(folder, compare="paper" if compare else None)
    count = compared(page.with_name("paper.csv")) if compare else None
    drawn = write_figures(page, figures) if figures else None
    if as_json:
        more = {} if drawn is None else {"figures": [str(file) for file in drawn]}
        print_json({"report": str(page)} | ({} if count is None else {"compared": count}) | more)
        return
    screen = console()
    if count:
        screen.print(f"beside the paper: {counted(count, 'task')}, also in paper.csv", markup=False)
    elif count == 0:
        told = "no task of this run is one of the paper's with the same measure; they are found by name (m3h tasks)"
        screen.print(f"note: nothing to compare: {told}", soft_wrap=True, markup=False)
    if drawn is not None:
        screen.print(f"{counted(len(drawn), 'figure')}: {figures}", soft_wrap=True, markup=False)
    screen.print(f"report: {page}", soft_wrap=True, markup=False)


def _finish(study: Path, out: Path, given: Options, as_json: bool) -> None:
    """Run, then tell what came out."""
    from m3h.api.early import begin
    from m3h.cli.screen import Waiting

    with Waiting(quiet=as_json) as say:
        say("reading the study", None)
        read = begin(study, given, out, ledger=True)
        # takes seconds to load, which nobody should wait for to hear of a mistyped name
        from m3h.api.run import run as pipeline

        done = pipeline(read, out, given, say)
    if as_json:
        _print_json(done, given)
    else:
        _print(done, given)


def _print_json(done: Finished, given: Options) -> None:
    from m3h.cli.screen import print_json

    kept = ("counts", "left_out", "failed", "warnings", "notes", "seconds", "peak_memory_mb", "ledger", "search", "tim")
    content: dict[str, Any] = {
        "out": str(done.folder),
        "report": str(done.folder / "report.html") if given.report else None,
    }
    content |= {name: done.facts[name] for name in kept if name in done.facts}
    for name, table in (("scores", "scores.csv"), ("search", "search.csv"), ("tim", "tim.csv")):
        if table in done.tables:
            content[f"{name}_table" if name in content else name] = done.tables[table].to_dicts()
    print_json(content)


def _print(done: Finished, given: Options) -> None:
    from m3h.cli.screen import chosen_table, console, counted, score_table, tim_table

    screen = console()
    if "scores.csv" in done.tables:
        screen.print(score_table(done.tables["scores.csv"]))
    if "search.csv" in done.tables:
        screen.print(chosen_table(done.tables["search.csv"], done.tables["differences.csv"]))
    if "tim.csv" in done.tables:
        screen.print(tim_table(done.tables["tim.csv"]))
    for line in _told(done.facts):
        screen.print(line, soft_wrap=True, markup=False)
    seconds = sum(done.facts["seconds"].values())
    memory = max(done.facts["peak_memory_mb"].values())
    counts, ledger = done.facts["counts"], done.facts["ledger"]
    amounts = [counted(counts[f"{what}s"], what) for what in ("patient", "task", "network")]
    screen.print(
        f"{', '.join(amounts)}; {counted(ledger['new'], 'training')}; {seconds:.0f} seconds, {memory} MB at most",
        soft_wrap=True,
    )
    if given.report:
        screen.print(f"report: {done.folder / 'report.html'}", soft_wrap=True, markup=False)
    else:
        screen.print(f"run folder: {done.folder}", soft_wrap=True, markup=False)


def _told(facts: Mapping[str, Any]) -> Iterator[str]:
    """What was left out, what failed, and what else the reader of the tables must know, a line each."""
    from m3h.cli.screen import counted
    from m3h.dataset.audit import LEAKS
    from m3h.experiments.pool import OTHERS

    for entry in facts["left_out"]:
        yield f"left out: {entry['task']}: {entry['reason']}"
    for part, name in (("search", "the search"), ("tim", "TIM")):
        others = [entry["task"] for entry in facts.get(part, {}).get("left_out", ()) if entry["reason"] == OTHERS]
        if others:
            yield f"not in {name}: {', '.join(others)}: {OTHERS}; named with --tasks they take part"
    if measured := facts.get("tim"):
        sets = counted(measured["sets"], "different task set")
        yield f"TIM: {counted(measured['trainings'], 'training')} of {sets}"
    for entry in facts["failed"]:
        yield f"failed: {' + '.join(entry['tasks'])}: {entry['reason']}"
    yield from (f"warning: {text}" for text in facts["warnings"])
    yield from (f"note: {text}" for text in facts["notes"])
    # what may be a leak last, where it is read
    for alarm in sorted(facts["audit"]["alarms"], key=lambda alarm: alarm["kind"] in LEAKS):
        head = "sign of a leak" if alarm["kind"] in LEAKS else "note"
        yield f"{head} ({alarm['kind']}): {alarm['text']}"
