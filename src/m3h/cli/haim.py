"""m3h haim: a study from the published embeddings of HAIM-MIMIC-MM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m3h.cli import options as o

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="The published file, cxr_ic_fusion_1103.csv.", show_default=False)
]
Keys = Annotated[
    Path,
    typer.Option("--keys", metavar="FILE", help="Its key file, haim_mimiciv_key_ids.csv.", show_default=False),
]
Out = Annotated[Path, typer.Option("--out", metavar="STUDY", help="The study's folder to write.", show_default=False)]
Mimic = Annotated[
    Path | None, typer.Option("--mimic", metavar="DIR", help="MIMIC-IV, for the tasks that follow from diagnoses.")
]


def haim(file: File, keys: Keys, out: Out, mimic: Mimic = None, as_json: o.Json = False) -> None:
    """Make a study from the published embeddings of HAIM-MIMIC-MM; damaged and repeated rows are counted."""
    from m3h.cli.screen import Waiting, console, print_json
    from m3h.hospital.haim import make_study

    with Waiting(quiet=as_json) as waiting:
        made = make_study(file, keys, out, mimic=mimic, say=lambda text: waiting(f"reading {text}", None))
    if as_json:
        print_json({"study": str(made.study), "samples": made.samples, "left_out": dict(made.counts)})
        return
    screen = console()
    screen.print(f"{made.samples} samples", markup=False, highlight=False)
    for what, count in made.counts:
        screen.print(f"left out: {count} {what}", markup=False, highlight=False, soft_wrap=True)
    screen.print(f"next: m3h check {made.study}", markup=False, highlight=False, soft_wrap=True)
