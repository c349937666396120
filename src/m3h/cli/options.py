"""Options that several commands share, declared once. Importing this loads nothing heavy."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.core.errors import SettingError

if TYPE_CHECKING:
    from m3h.api.options import Options

StudyFile = Annotated[Path, typer.Argument(metavar="study.toml", help="The study file.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The run folder to write.", show_default=False)]


def _named(context: typer.Context, text: str) -> str:
    """Refuse names that are given and yet none, as an empty variable of the shell gives them: they do not mean all."""
    given = context.get_parameter_source("tasks")
    if given is not None and given.name == "COMMANDLINE" and not names(text):
        raise SettingError("--tasks names no task", got=repr(text), expected="names of tasks, or no --tasks for all")
    return text


Tasks = Annotated[
    str,
    typer.Option(
        "--tasks", metavar="A,B", help="Only these tasks, separated by commas.", show_default="all", callback=_named
    ),
]
PresetName = Annotated[str | None, typer.Option("--preset", help="Network preset, over the study's.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed, over the study's.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or mps.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Epochs, over the study's.")]
Grid = Annotated[
    bool | None, typer.Option("--grid/--no-grid", help="Choose batch size and learning rate by cross-validation.")
]
Memory = Annotated[
    float | None,
    typer.Option(
        "--memory",
        metavar="GB",
        help="Memory that one fleet of networks may take.",
        show_default="a fixed share of the machine's, or of the card's",
    ),
]
Precision = Annotated[str, typer.Option("--precision", help="Of matrix products: float32 or bfloat16.")]
LedgerFile = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        metavar="FILE",
        help="Where finished trainings are kept, and found again by every command that names it.",
        show_default="ledger.sqlite in the run folder",
    ),
]
Executor = Annotated[str, typer.Option("--executor", help="Where networks are trained: local or ray.")]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Of a Ray cluster, such as auto or host:6379.", show_default="a Ray of its own"),
]
Search = Annotated[bool, typer.Option("--search", help="Look for the best task set of each task.")]
Tim = Annotated[bool, typer.Option("--tim", help="Measure which task helps which.")]
SearchMethod = Annotated[
    str | None, typer.Option("--method", help="planned or paper.", show_default="the study's, else planned")
]
Largest = Annotated[
    int | None, typer.Option("--largest", help="Tasks of the largest set.", show_default="the study's, else 3")
]
SearchFolds = Annotated[
    int | None,
    typer.Option("--folds", help="Folds of the protocol's to score sets on.", show_default="the study's, else all"),
]
TimMethod = Annotated[
    str | None, typer.Option("--method", help="shared, pairs or exact.", show_default="the study's, else shared")
]
TimFolds = Annotated[
    int | None, typer.Option("--folds", help="Validation folds of the protocol's.", show_default="the study's, else 1")
]
Replicates = Annotated[
    int | None,
    typer.Option(
        "--replicates",
        help="Repetitions with other random numbers; 1 says nothing of chance.",
        show_default="the study's, else 3",
    ),
]
Sets = Annotated[
    int | None,
    typer.Option("--sets", help="Random sets per fold and replicate.", show_default="by the number of tasks"),
]
Inclusion = Annotated[
    float | None,
    typer.Option("--inclusion", help="Probability of a task in a random set.", show_default="the study's, else 0.5"),
]
Limit = Annotated[int | None, typer.Option("--limit", help="Tasks of the largest random set.", show_default="no limit")]
Baseline = Annotated[bool, typer.Option("--baseline", help="Add LightGBM and a linear model for each task.")]
Strict = Annotated[bool, typer.Option("--strict", help="A broken image is an error, not an absent source.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where encoded sources are kept.", show_default="user's cache folder"),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Encode everything anew and keep nothing.")]


def _there(folder: Path | None) -> Path | None:
    """A folder of weights that is named must be there, whether or not this command needs it."""
    if folder is not None:
        from m3h.encoders.weights.store import check_folder

        check_folder(folder)
    return folder


WeightsFolder = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        callback=_there,
        metavar="DIR",
        help="Where pretrained weights lie.",
        show_default="weights in the user's cache folder",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print a machine-readable result.")]


#: The methods of the parts that have several.
METHODS = {"search": ("planned", "paper"), "tim": ("shared", "pairs", "exact")}
PlanMethod = Annotated[
    str,
    typer.Option(
        "--method",
        metavar="WORD",
        help="Of search (planned, paper) or TIM (shared, pairs, exact); of both, separated by a comma.",
        show_default="the study's",
    ),
]
PlanFolds = Annotated[
    int | None,
    typer.Option("--folds", help="Folds of the protocol's for search and TIM.", show_default="the study's"),
]


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def told(values: Mapping[str, object]) -> list[str]:
    """The names of the options that were given."""
    return [name for name, value in values.items() if value is not None]


def run_options(
    *, device: str, memory: float | None, cache: Path | None, no_cache: bool, executor: str = "local", **more: Any
) -> Options:
    """The options of a run. Errors: SettingError for a word or an amount of memory that does not fit."""
    from m3h.api.options import Options
    from m3h.core.errors import SettingError

    one_of("device", device, ("cpu", "cuda", "mps"))
    one_of("executor", executor, ("local", "ray"))
    one_of("precision", more.get("precision", "float32"), ("float32", "bfloat16"))
    one_of("search method", more.get("searching", {}).get("method"), METHODS["search"])
    one_of("TIM method", more.get("measuring", {}).get("method"), METHODS["tim"])
    if memory is not None and not memory > 0:
        raise SettingError(f"--memory {memory:g}", expected="gigabytes above 0")
    return Options(
        device=device,  # type: ignore[arg-type]  # one of the three, checked above
        executor=executor,  # type: ignore[arg-type]  # as above
        memory=None if memory is None else int(memory * (1 << 30)),
        cache=None if no_cache else cache or "default",
        command=shlex.join(["m3h", *sys.argv[1:]]),
        **more,
    )


def one_of(what: str, word: str | None, known: tuple[str, ...]) -> None:
    """Errors: SettingError for a word that is not known."""
    from m3h.core.errors import SettingError, nearest

    if word is not None and word not in known:
        raise SettingError(f'unknown {what} "{word}"{nearest(word, known)}')
