"""How this server answers: pages and JSON with their headers, and mistakes told without a traceback or a place."""

from __future__ import annotations

import json
import math
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from m3h.core.errors import DataError, FolderError, M3HError, StudyError, WeightsError
from m3h.report import script, words
from m3h.serve.limits import Refusal

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
#: Of the report, which brings its own style and one script: that runs, and no other, in an origin of its own.
REPORT_CSP = (
    f"sandbox allow-scripts allow-downloads; default-src 'none'; script-src {script.source()}; "
    "style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
#: Of every answer. Nothing of a patient stays in a browser's cache, or goes to another site with a link; with
#: "no-referrer" forms of these pages would not say where they come from either.
HEADERS = {
    "content-security-policy": CSP,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_KNOWN = re.compile(r"; known are [^\n]*")
#: Two or more names after a slash that begins a word: a place on this machine.
_PLACE = re.compile(r"(?<![\w./])/(?:[^\s/,:;\"'()]+/)+([^\s/,:;\"'()]*)")


def breakable(text: object) -> Markup:
    """``text`` escaped, with a place after each underscore where a line may break."""
    return Markup(escape(text).replace("_", Markup("_<wbr>")))


def link(path: str, **query: object) -> str:
    """An address of this server; what is None is left out."""
    given = {name: value for name, value in query.items() if value is not None}
    return quote(path) + (f"?{urlencode(given)}" if given else "")


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["breakable"] = breakable
    made.globals |= {"words": words, "link": link}
    return made


_PAGES = _environment()


def page(request: Request, name: str, status: int = 200, **content: Any) -> Response:
    """A page from its template; ``content`` is escaped there."""
    shared = {"path": request.url.path, "title": request.app.state.title, "locked": request.app.state.locked}
    return HTMLResponse(_PAGES.get_template(name).render(**shared, **content), status)


def of_api(request: Request) -> bool:
    """Whether a program asks, which is answered in JSON."""
    return request.url.path == "/api" or request.url.path.startswith("/api/")


def plain(content: Any) -> Any:
    """Content as JSON has it: what is no finite number is null."""
    if isinstance(content, Mapping):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [plain(value) for value in content]
    return content


def as_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    text = json.dumps(plain(content), ensure_ascii=False, allow_nan=False)
    return Response(text.encode(), status, headers, media_type="application/json")


def refused(
    request: Request, status: int, told: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that says what was wrong, as JSON to whoever asked the API."""
    if of_api(request):
        return as_json(told, status, headers)
    answer = page(request, "error.html", status, told=told, known=HTTPStatus(status).phrase)
    answer.headers.update(headers or {})
    return answer


async def on_mistake(request: Request, error: Exception) -> Response:
    """The answer to a mistake of whoever asks."""
    assert isinstance(error, M3HError)
    return refused(request, _status(error), told(error))


async def on_http(request: Request, error: Exception) -> Response:
    """The answer where there is no such page, or not by this method."""
    assert isinstance(error, HTTPException)
    what = {
        404: "there is nothing at this address",
        405: "this address is not asked like that",
        413: "what was sent is too large",
    }
    return refused(request, error.status_code, {"error": what.get(error.status_code, error.detail)}, error.headers)


def failed(error: Exception) -> Response:
    """The answer to a mistake of this program; where it happened goes to standard error, and no value with it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    print(f"m3h serve: a mistake of this program, please report it: {type(error).__name__} at {place}", file=sys.stderr)
    return as_json({"error": "a mistake of this program; the terminal of m3h serve says where"}, 500)


def _status(error: M3HError) -> int:
    if isinstance(error, Refusal):
        return error.status
    return 503 if isinstance(error, (FolderError, WeightsError)) else 422


def told(error: M3HError) -> dict[str, str]:
    """What is wrong and what to do, without places of this machine. What was got may be a patient's value, or made of
    several: it stays here."""
    parts = {"error": error.what, "where": error.where, "expected": error.expected, "next_step": error.next_step}
    if not isinstance(error, (DataError, StudyError)):
        parts["got"] = error.got
        return {name: without_places(text) for name, text in parts.items() if text}
    # what a table is known to have is its first line, and that of one without names of columns is a patient's
    return {name: _KNOWN.sub("", without_places(text)) for name, text in parts.items() if text}


def without_places(text: str) -> str:
    """A text with each absolute path shortened to its last name."""
    return _PLACE.sub(lambda found: found.group(1) or "a folder", text)
