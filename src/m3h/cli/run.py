"""m3h run, train, demo and report."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3h.cli import options as o

if TYPE_CHECKING:
    from m3h.api.run import Options

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]


def run(
    study: o.StudyFile,
    out: o.Out,
    tasks: o.Tasks = "",
    baseline: o.Baseline = False,
    grid: o.Grid = None,
    preset: o.PresetName = None,
    seed: o.Seed = None,
    device: o.Device = "cpu",
    epochs: o.Epochs = None,
    memory: o.Memory = 1.0,
    strict: o.Strict = False,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
) -> None:
    """Encode, train, evaluate and report: each task alone and all of them together."""
    given = o.run_options(
        device=device,
        memory=memory,
        cache=cache,
        no_cache=no_cache,
        tasks=o.names(tasks),
        preset=preset,
        seed=seed,
        epochs=epochs,
        grid=grid,
        baseline=baseline,
        strict=strict,
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
    epochs: o.Epochs = None,
    memory: o.Memory = 1.0,
    strict: o.Strict = False,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
) -> None:
    """Train the joint networks alone: a model, its scores and predictions, no report."""
    given = o.run_options(
        device=device,
        memory=memory,
        cache=cache,
        no_cache=no_cache,
        tasks=o.names(tasks),
        preset=preset,
        seed=seed,
        epochs=epochs,
        grid=grid,
        strict=strict,
        singles=False,
        report=False,
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
    memory: o.Memory = 1.0,
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


def report(folder: RunFolder, as_json: o.Json = False) -> None:
    """Write the report of a run folder anew."""
    from m3h.cli.screen import console, print_json
    from m3h.report.page import write_report

    page = write_report(folder)
    if as_json:
        print_json({"report": str(page)})
    else:
        console().print(f"report: {page}", soft_wrap=True, markup=False)


def _finish(study: Path, out: Path, given: Options, as_json: bool) -> None:
    """Run, then tell what came out."""
    from m3h.api.run import run as pipeline
    from m3h.cli.screen import Waiting, console, print_json, score_table
    from m3h.dataset.build import read_study

    with Waiting(quiet=as_json) as say:
        say("reading the study", None)
        done = pipeline(read_study(study), out, given, say)
    page = out / "report.html"
    if as_json:
        print_json(
            {
                "out": str(out),
                "report": str(page) if given.report else None,
                "counts": done.facts["counts"],
                "left_out": done.facts["left_out"],
                "failed": done.facts["failed"],
                "warnings": done.facts["warnings"],
                "seconds": done.facts["seconds"],
                "peak_memory_mb": done.facts["peak_memory_mb"],
                "scores": done.scores.to_dicts(),
            }
        )
        return
    screen = console()
    screen.print(score_table(done.scores))
    for entry in done.facts["left_out"]:
        screen.print(f"left out: {entry['task']}: {entry['reason']}", soft_wrap=True, markup=False)
    for entry in done.facts["failed"]:
        screen.print(f"failed: {' + '.join(entry['tasks'])}: {entry['reason']}", soft_wrap=True, markup=False)
    for text in done.facts["warnings"]:
        screen.print(f"warning: {text}", soft_wrap=True, markup=False)
    for alarm in done.facts["audit"]["alarms"]:
        screen.print(f"note ({alarm['kind']}): {alarm['text']}", soft_wrap=True, markup=False)
    seconds = sum(done.facts["seconds"].values())
    memory = max(done.facts["peak_memory_mb"].values())
    counts = done.facts["counts"]
    screen.print(
        f"{counts['patients']} patients, {counts['tasks']} tasks, {counts['networks']} networks; "
        f"{seconds:.0f} seconds, {memory} MB at most",
    )
    if given.report:
        screen.print(f"report: {page}", soft_wrap=True, markup=False)
    else:
        screen.print(f"run folder: {out}", soft_wrap=True, markup=False)
