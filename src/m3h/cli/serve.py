"""m3h serve: a run in the browser, on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from m3h.cli import options as o
from m3h.core.errors import SettingError
from m3h.core.installing import extra


def serve(
    run: Annotated[Path, typer.Argument(help="Folder of a run that has ended.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Tables of the run's test patients, as in the study's folder: to explain answers and edit values.",
            show_default="what the run kept of them",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to serve at; any but this machine's own needs --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve at; 0 takes one that is free.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="M3H_TOKEN", help="Ask everybody for this, 16 letters or more.", show_default="nobody is asked"
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Further name that this is reached by; may be repeated.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Megabytes of an upload at most.")] = 200,
    idle: Annotated[float, typer.Option(min=1, help="Minutes without a request until an upload is forgotten.")] = 30,
    weights: o.WeightsFolder = None,
    as_json: o.Json = False,
) -> None:
    """Serve a run as a local web app: its scores, its patients' risks, and forecasts for new tables."""
    try:
        import python_multipart  # noqa: F401  # what Starlette reads forms with, and asks for at the first form alone
        import uvicorn  # noqa: F401  # as soon as the server starts

        from m3h.serve.start import bind
        from m3h.serve.start import serve as listen
    except ModuleNotFoundError as error:
        raise SettingError(f"the web app needs {error.name}", next_step=extra("serve")) from error
    # a port that is taken is told before a model is loaded
    place = bind(host, port, token, name or ())
    with place.listening:
        from m3h.cli.screen import Waiting
        from m3h.serve.app import make
        from m3h.serve.limits import MEGABYTE, Limits
        from m3h.serve.served import load

        body = limit * MEGABYTE
        with Waiting(quiet=as_json) as say:
            say("loading the run", None)
            limits = Limits(body=body, unpacked=10 * body, idle=60 * idle)
            served = load(run, data=data, weights=weights, limits=limits)
        if as_json:
            typer.echo(json.dumps({"address": place.address, "warnings": list(place.warnings)}))
        else:
            typer.echo(f"{served.title}: {len(served.model.tasks):,} tasks, {len(served.cohort or ()):,} samples")
            for text in place.warnings:
                typer.echo(text)
            typer.echo(f"{place.address}  (Ctrl-C ends it)")
        listen(make(served, place.access), place)
