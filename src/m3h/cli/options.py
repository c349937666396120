"""Options that several commands share, declared once. Importing this loads nothing heavy."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from m3h.api.run import Options

StudyFile = Annotated[Path, typer.Argument(metavar="study.toml", help="The study file.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The run folder to write.", show_default=False)]
Tasks = Annotated[
    str, typer.Option("--tasks", metavar="A,B", help="Only these tasks, separated by commas.", show_default="all")
]
PresetName = Annotated[str | None, typer.Option("--preset", help="Network preset, over the study's.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed, over the study's.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or mps.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Epochs, over the study's.")]
Grid = Annotated[
    bool | None, typer.Option("--grid/--no-grid", help="Choose batch size and learning rate by cross-validation.")
]
Memory = Annotated[float, typer.Option("--memory", metavar="GB", help="Memory that one fleet of networks may take.")]
Baseline = Annotated[bool, typer.Option("--baseline", help="Add LightGBM and a linear model for each task.")]
Strict = Annotated[bool, typer.Option("--strict", help="A broken image is an error, not an absent source.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where encoded sources are kept.", show_default="user's cache folder"),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Encode everything anew and keep nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print a machine-readable result.")]


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def run_options(*, device: str, memory: float, cache: Path | None, no_cache: bool, **more: Any) -> Options:
    """The options of a run. Errors: SettingError for a device or an amount of memory that does not fit."""
    from m3h.api.run import Options
    from m3h.core.errors import SettingError, nearest

    devices = ("cpu", "cuda", "mps")
    if device not in devices:
        raise SettingError(f'unknown device "{device}"{nearest(device, devices)}')
    if not memory > 0:
        raise SettingError(f"--memory {memory:g}", expected="gigabytes above 0")
    return Options(
        device=device,  # type: ignore[arg-type]  # one of the three, checked above
        memory=int(memory * (1 << 30)),
        cache=None if no_cache else cache or "default",
        command=shlex.join(["m3h", *sys.argv[1:]]),
        **more,
    )
