"""m3h mimic: a study from MIMIC-IV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from m3h.cli import options as o
from m3h.core.errors import SettingError, nearest

Folder = Annotated[
    Path | None,
    typer.Argument(metavar="DIR", help="The folder below which MIMIC-IV's modules lie.", show_default=False),
]
Database = Annotated[
    str | None,
    typer.Option("--database", metavar="NAME", help="Environment variable with the address of a PostgreSQL instead."),
]
Out = Annotated[Path, typer.Option("--out", metavar="STUDY", help="The study's folder to write.", show_default=False)]
Notes = Annotated[Path | None, typer.Option("--notes", metavar="DIR", help="MIMIC-IV-Note, if it lies elsewhere.")]
Cxr = Annotated[Path | None, typer.Option("--cxr", metavar="DIR", help="MIMIC-CXR-JPG, if it lies elsewhere.")]
Ecg = Annotated[Path | None, typer.Option("--ecg", metavar="DIR", help="MIMIC-IV-ECG, if it lies elsewhere.")]
EncoderSet = Annotated[
    str, typer.Option("--encoders", help="paper (pretrained, needs weights) or offline (needs nothing).")
]
ProfileName = Annotated[
    str, typer.Option("--profile", help="strict, or haim: the numbers of the published file, its mistakes included.")
]
At = Annotated[
    float | None,
    typer.Option(
        "--at",
        metavar="HOURS",
        help="Without images: hours from a stay's beginning to its sample.",
        show_default="24",
    ),
]
Single = Annotated[
    bool, typer.Option("--single-pathology", help="Only images with exactly one of the eight chest findings.")
]


def mimic(
    out: Out,
    folder: Folder = None,
    database: Database = None,
    notes: Notes = None,
    cxr: Cxr = None,
    ecg: Ecg = None,
    encoders: EncoderSet = "paper",
    profile: ProfileName = "strict",
    at: At = None,
    single_pathology: Single = False,
    as_json: o.Json = False,
) -> None:
    """Make a study from MIMIC-IV: samples, labels and sources are read once and written beside the study's file."""
    for option, value, known in (
        ("--encoders", encoders, ("paper", "offline")),
        ("--profile", profile, ("strict", "haim")),
    ):
        if value not in known:
            raise SettingError(f"{option} {value}{nearest(value, known)}", expected=" or ".join(known))
    from m3h.cli.screen import Waiting, console, print_json
    from m3h.hospital.mimic.build import make_study
    from m3h.hospital.mimic.extract import Choices

    lacking = without_weights() if encoders == "paper" else {}
    for name, how in lacking.items():
        print(f"note: the weights of {name} are not on this machine; what follows needs them: {how}", file=sys.stderr)
    if lacking:
        print("note: --encoders offline makes a study that needs none", file=sys.stderr)
    with Waiting(quiet=as_json) as waiting:
        made = make_study(
            folder,
            out,
            database=database,
            notes=notes,
            cxr=cxr,
            ecg=ecg,
            choices=Choices(profile, at, single_pathology),  # type: ignore[arg-type]
            encoders=encoders,  # type: ignore[arg-type]
            say=lambda text: waiting(f"reading {text}", None),
        )
    if as_json:
        found = made.extracted
        print_json(
            {
                "study": str(made.study),
                "release": made.release,
                "samples": found.samples,
                "images": found.images,
                "sources": list(found.sources),
                "missing": list(made.missing),
                "counts": dict(found.counts),
                "weights_missing": list(lacking),
            }
        )
        return
    screen = console()
    what = "chest images" if made.extracted.images else "stays in intensive care"
    screen.print(f"MIMIC-IV {made.release}: {made.extracted.samples} samples ({what})", markup=False, highlight=False)
    for told in made.missing:
        screen.print(f"not there: {told}", markup=False, highlight=False, soft_wrap=True)
    for name, count in made.extracted.counts:
        if count:
            screen.print(f"left out: {count} {name}", markup=False, highlight=False, soft_wrap=True)
    screen.print(f"next: m3h check {made.study}", markup=False, highlight=False, soft_wrap=True)


def without_weights() -> dict[str, str]:
    """The pretrained encoders of the paper whose weights are not here or damaged, and how to get them: told first, for
    a study is made in minutes and then cannot be encoded."""
    from m3h.core.errors import WeightsError
    from m3h.encoders.weights import store
    from m3h.encoders.weights.catalog import MODELS

    found = {}
    for name, what in (("clinicalbert", "notes"), ("densenet121-chex", "chest images")):
        try:
            store.require(name)
        except WeightsError:
            found[f"{name} ({what})"] = store.how_to_get(MODELS[name])
    return found
