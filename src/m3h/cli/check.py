"""m3h check: what is in a study, before anything is trained; and whether a model follows from its training rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from m3h.cli import options as o
from m3h.core.errors import FolderError, SettingError

Place = Annotated[
    Path,
    typer.Argument(metavar="STUDY", help="The study file; or a run's folder, to check its model.", show_default=False),
]
#: Told where more rows are used or left out than there are.
SHARED = (
    "a row that several samples share, such as two moments of one stay, counts once for each of them as used, without "
    "time or later: so there may be more of these than rows"
)
OfRun = Annotated[
    Path | None,
    typer.Option(
        "--study",
        metavar="study.toml",
        help="Of a run: the study it was trained on.",
        show_default="the file that the run's command names",
    ),
]


def check(
    place: Place,
    tasks: o.Tasks = "",
    strict: o.Strict = False,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    weights: o.WeightsFolder = None,
    study: OfRun = None,
    as_json: o.Json = False,
) -> None:
    """What is in a study: samples, sources, coverage, prevalence, and signs of leaks. Of a run's folder: whether what
    its model learned of the data follows from its training rows. Changes nothing."""
    reading = {"cache": None if no_cache else cache or "default", "strict": strict, "weights": weights}
    if place.is_dir():
        _refuse_study(place)
        _run(place, study, reading, as_json=as_json)
        return
    if study is not None:
        raise SettingError("--study is for the folder of a run", got=str(place))
    from m3h.api.early import begin
    from m3h.api.options import Options
    from m3h.cli.screen import Waiting, console, print_json

    chosen = o.names(tasks)
    with Waiting(quiet=as_json) as say:
        say("reading the study", None)
        read = begin(place, Options(tasks=chosen, weights=weights))
        from m3h.api.given import of_tasks
        from m3h.dataset.audit import audit
        from m3h.dataset.build import build

        data = build(read, **reading, tasks=chosen or None, progress=say)  # type: ignore[arg-type]  # as declared
        say("auditing", None)
        found = audit(of_tasks(data, chosen))
    if as_json:
        print_json({key: found[key] for key in ("tasks", "sources", "samples")} | {"audit": found})
        return
    screen = console()
    for table in tables(found):
        screen.print(table)
    if any(counted_twice(source["counts"]) for source in found["sources"]):
        screen.print(SHARED, soft_wrap=True)
    if found["diagnoses"]:
        screen.print(diagnoses(found["diagnoses"]), soft_wrap=True)
    from m3h.dataset.audit import LEAKS

    # what may be a leak first, under its own name; the rest is good to know
    for alarm in sorted(found["alarms"], key=lambda alarm: alarm["kind"] not in LEAKS):
        head = "sign of a leak" if alarm["kind"] in LEAKS else "note"
        screen.print(f"{head} ({alarm['kind']}): {alarm['text']}", soft_wrap=True, markup=False)
    if not any(alarm["kind"] in LEAKS for alarm in found["alarms"]):
        screen.print("no sign of a leak was found")


def _refuse_study(folder: Path) -> None:
    """A study is named by its file. Errors: FolderError for a study's folder that is no run's."""
    file = folder / "study.toml"
    if file.is_file() and not any((folder / name).exists() for name in ("model", "model.json", "run.json")):
        raise FolderError(
            "this is the folder of a study, not of a run",
            where=str(folder),
            expected="a study by its file, a run by its folder",
            next_step=f"m3h check {file}",
        )


def _run(folder: Path, study: Path | None, reading: dict[str, Any], *, as_json: bool) -> None:
    from m3h.cli.check_run import check_run
    from m3h.cli.screen import Waiting, console, plain_table, print_json

    with Waiting(quiet=as_json) as say:
        found = check_run(folder, study, reading, say)
    if as_json:
        print_json(found)
        return
    screen = console()
    rows = [(one["task_set"], one["rows"], ", ".join(one["sources"])) for one in found["networks"]]
    screen.print(plain_table("Networks of the model", ("task set", "training rows", "sources"), rows))
    for alarm in found["alarms"]:
        screen.print(f"sign of a leak ({alarm['kind']}): {alarm['text']}", soft_wrap=True, markup=False)
    if not found["alarms"]:
        screen.print("nothing suspicious was found")


def counted_twice(counts: dict[str, int]) -> bool:
    """Whether more rows of a source's table were used or left out than it has."""
    return sum(counts.get(key, 0) for key in ("used", "missing_time", "later")) > counts.get("rows", 0)


def tables(found: dict[str, Any]) -> list[Any]:
    """The audit as tables for the terminal."""
    from m3h.cli.screen import plain_table

    samples = found["samples"]
    sides = [(side, samples[f"{side}_rows"], samples[f"{side}_patients"]) for side in ("train", "test")]
    kept = ("rows", "used", "missing_time", "later")
    sources = [
        (
            *(s["name"], s["modality"], s["encoder"], s["width"]),
            *(f"{s[side]:.1%}" for side in ("coverage_train", "coverage_test")),
            *(s["counts"].get(key, 0) for key in kept),
            s["unreadable"],
        )
        for s in found["sources"]
    ]
    columns = (
        "source",
        "modality",
        "encoder",
        "columns",
        "train",
        "test",
        "rows",
        "used",
        "no time",
        "later",
        "broken",
    )
    asked = [
        (
            t["name"],
            t["kind"],
            t["department"],
            t["train"]["labelled"],
            t["test"]["labelled"],
            typical(t),
            t["unusable"],
        )
        for t in found["tasks"]
    ]
    return [
        plain_table(f"Samples, split {samples['split']}", ("side", "rows", "patients"), sides),
        plain_table("Sources: share of samples that have them, rows read and left out", columns, sources),
        plain_table(
            "Tasks", ("task", "kind", "department", "train", "test", "prevalence or mean", "cannot be used"), asked
        ),
    ]


def diagnoses(counts: dict[str, int]) -> str:
    """What became of the rows of the diagnoses table, and which samples they leave unlabelled."""
    left = [("unmatched", "of no sample"), ("missing_code", "without a code"), ("missing_version", "without a version")]
    parts = ", ".join(f"{counts[key]:,} {text}" for key, text in left)
    text = f"diagnoses: {counts['rows']:,} rows, {counts['used']:,} used, {parts}"
    return f"{text}; unlabelled for want of any: {counts['samples_without']:,} samples"


def typical(task: dict[str, Any]) -> str:
    """Prevalence, mean or number of classes, of the training and the test part."""

    def one(side: dict[str, Any]) -> str:
        if side.get("prevalence") is not None:
            return f"{side['prevalence']:.1%}"
        if side.get("mean") is not None:
            return f"{side['mean']:.3g}"
        return f"{len(side['shares'])} classes" if side.get("shares") else ""

    both = [one(task[side]) for side in ("train", "test")]
    return both[0] if both[0] == both[1] else " / ".join(both)
