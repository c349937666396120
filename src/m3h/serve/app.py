"""The web app of one run, as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import m3h.report
from m3h.core.errors import M3HError
from m3h.serve import api, pages
from m3h.serve.answers import on_http, on_mistake
from m3h.serve.body import BodyLimit
from m3h.serve.guard import Access, Guard
from m3h.serve.served import Served

_OWN = Path(__file__).parent / "static"
#: Everything that pages need, by name: the report's style, and what comes on top of it.
_FILES = {
    "report.css": (Path(m3h.report.__file__).parent / "templates" / "report.css", "text/css"),
    "serve.css": (_OWN / "serve.css", "text/css"),
    "serve.js": (_OWN / "serve.js", "text/javascript"),
    "icon.svg": (_OWN / "icon.svg", "image/svg+xml"),
}
#: Seconds between two looks at whether a session has been idle too long.
_SWEEP = 30.0


def make(served: Served, access: Access) -> Starlette:
    """The app of what is served. Its end forgets all sessions and removes what was uploaded."""

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(served))
        try:
            yield
        finally:
            sweeping.cancel()
            served.sessions.clear()
            served.store.close()

    app = Starlette(
        routes=[*_pages(), *_api(), Route("/static/{name}", _static)],
        middleware=[
            Middleware(Guard, access=access, sessions=served.sessions),
            Middleware(BodyLimit, limits=served.limits),
        ],
        exception_handlers={M3HError: on_mistake, HTTPException: on_http},
        lifespan=life,
    )
    app.router.redirect_slashes = False
    app.state.served, app.state.access = served, access
    app.state.title, app.state.locked = served.title, access.token is not None
    return app


def _pages() -> list[Route]:
    return [
        Route("/", pages.run),
        Route("/report", pages.report),
        Route("/tasks/{task:path}", pages.task),
        Route("/interactions", pages.interactions),
        Route("/patients", pages.patients),
        Route("/patients/{number}", pages.patient, methods=["GET"]),
        Route("/patients/{number}", pages.what_if, methods=["POST"]),
        Route("/upload", pages.upload, methods=["GET"]),
        Route("/upload", pages.send, methods=["POST"]),
        Route("/forget", pages.forget, methods=["POST"]),
        Route("/forecasts.csv", pages.download),
        Route("/login", pages.login, methods=["GET"]),
        Route("/login", pages.log_in, methods=["POST"]),
        Route("/logout", pages.log_out, methods=["POST"]),
    ]


def _api() -> list[Route]:
    return [
        Route("/api/openapi.json", api.description),
        Route("/api/run", api.run),
        Route("/api/tasks", api.tasks),
        Route("/api/tasks/{task:path}", api.task),
        Route("/api/interactions", api.interactions),
        Route("/api/worklist", api.worklist),
        Route("/api/patients/{number}", api.patient),
        Route("/api/patients/{number}/drivers", api.drivers),
        Route("/api/patients/{number}/what-if", api.what_if, methods=["POST"]),
        Route("/api/predict", api.predict, methods=["POST"]),
        Route("/api/predictions.csv", api.predictions),
        Route("/api/upload", api.forget, methods=["DELETE"]),
    ]


def _static(request: Request) -> Response:
    """One of the files of the pages; no other name leads anywhere."""
    found = _FILES.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    file, kind = found
    return Response(file.read_bytes(), headers={"cache-control": "no-cache"}, media_type=kind)


async def _sweep(served: Served) -> None:
    while True:
        await asyncio.sleep(_SWEEP)
        served.sessions.sweep()
