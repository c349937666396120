"""m3h simulate: a synthetic hospital in MIMIC-IV's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from m3h.cli import options as o

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write; new, or empty.", show_default=False)]
Patients = Annotated[int, typer.Option("--patients", metavar="N", help="How many patients.")]
Seed = Annotated[int, typer.Option("--seed", help="Another seed, another hospital.")]
Release = Annotated[str, typer.Option("--layout", help="Of which MIMIC-IV: 1.0, 2.2 or 3.1.")]
Events = Annotated[
    int, typer.Option("--events-per-stay", metavar="N", help="Charted rows of a stay in intensive care, about.")
]


def simulate(
    folder: Folder,
    patients: Patients = 100,
    seed: Seed = 0,
    layout: Release = "2.2",
    events_per_stay: Events = 600,
    as_json: o.Json = False,
) -> None:
    """Write a synthetic hospital in MIMIC-IV's layout: tables, notes, chest images, and what is true of them."""
    from m3h.cli.screen import Waiting, console, plain_table, print_json
    from m3h.hospital.simulate.hospital import simulate as write

    with Waiting(quiet=as_json) as say:
        found = write(
            folder,
            patients=patients,
            seed=seed,
            release=layout,
            events_per_stay=events_per_stay,
            progress=lambda share: say("writing patients", share),
        )
    if as_json:
        print_json({"folder": str(folder)} | found)
        return
    screen = console()
    screen.print(plain_table("Tables", ("table", "rows"), list(found["rows"].items())))
    screen.print(told(found), markup=False, highlight=False, soft_wrap=True)
    screen.print(f"{folder}: what is true of it is in truth.json", markup=False, highlight=False, soft_wrap=True)


def told(found: dict[str, Any]) -> str:
    """Counts of what is not a table."""
    notes = found["rows"]["note/radiology"]
    return (
        f"{found['patients']} patients, {found['images']} chest images, {notes} radiology notes of which "
        f"{found['repeated_radiology_texts']} repeat an earlier text of the same patient; "
        f"{len(found['planted'])} pairs of tasks share a cause, {len(found['unplanted'])} share none"
    )
