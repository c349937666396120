"""Who may ask at all: the host this is served as, pages of its own, and whoever has the token."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3h.serve.answers import HEADERS, failed, of_api, refused
from m3h.serve.sessions import COOKIE, Session, Sessions

SAFE = ("GET", "HEAD", "OPTIONS")
LOGIN = "/login"
STATIC = "/static/"
#: Letters of a token at least.
LEAST = 16
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True)
class Access:
    """``names`` in lower case are what this is served as, ``port`` where; ``any_address``: also as any IP address,
    which no foreign page can make a name stand for. ``token`` is asked of everybody unless it is None."""

    names: frozenset[str]
    port: int
    any_address: bool = False
    token: str | None = None

    def serves(self, host: str | None) -> bool:
        """Whether a Host header names this server. A page of another name that has been made to stand for this
        machine's address (DNS rebinding) sends that other name."""
        found = _HOST.fullmatch(host or "")
        if found is None or int(found["port"] or 80) != self.port:
            return False
        name = found["name"].strip("[]").lower().rstrip(".")
        return name in self.names or (self.any_address and _is_address(name))

    def fits(self, given: str) -> bool:
        """Whether a token is the right one; takes as long for a wrong one."""
        return self.token is not None and secrets.compare_digest(given.encode(), self.token.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Looks at every request before anything else does, and puts the headers of every answer.

    Answers 400 to a wrong Host, 403 to what another site has sent, and 401 or the page that asks for the token where
    it is missing. Gives everybody else a session, in ``request.state.session``.
    """

    def __init__(self, app: ASGIApp, access: Access, sessions: Sessions) -> None:
        self.app, self.access, self.sessions = app, access, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        refusal, session = self._admit(request)
        given = session.key if session is not None and session.key != request.cookies.get(COOKIE) else None
        sending = _Sending(send, given)
        if refusal is not None:
            await refusal(scope, receive, sending)
            return
        scope.setdefault("state", {})["session"] = session
        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            # neither a page nor a traceback: both could fail, or hold a value of a patient
            answer = failed(error)
            if not sending.begun:
                await answer(scope, receive, sending)

    def _admit(self, request: Request) -> tuple[Response | None, Session | None]:
        """What to answer at once, or the session."""
        path = request.url.path if self.access.serves(request.headers.get("host")) else None
        if path is None:
            told = {
                "error": "this server is not served under that name",
                "next_step": "use the address that it printed",
            }
            return _bare(400, told), None
        if not self._of_here(request):
            told = {"error": "another site has sent this", "next_step": "open the page here, and send it from there"}
            return refused(request, 403, told), None
        if path.startswith(STATIC):
            return None, None
        session = self.sessions.find(request.cookies.get(COOKIE))
        if self.access.token is not None and not (session and session.trusted):
            if self._bearer(request):
                return None, self.sessions.start(trusted=True)
            return (None if path == LOGIN else _asking(request)), None
        return None, session or self.sessions.start()

    def _of_here(self, request: Request) -> bool:
        """Whether a request comes from this server's own pages, or from no page at all. A link from elsewhere may lead
        to a page here, and nothing more."""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if request.method in SAFE:
            strange = site in ("cross-site", "same-site")
            return not strange or request.headers.get("sec-fetch-mode") == "navigate"
        if site is not None and site != "same-origin":
            return False
        if origin is not None:
            # without a path, a name and anything else: "http://127.0.0.1:8000", or "https://" behind a proxy
            return origin.lower().partition("://")[2] == request.headers["host"].lower()
        # browsers say where a form comes from; a program that asks the API need not
        return site is not None or of_api(request)

    def _bearer(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        return of_api(request) and kind.lower() == "bearer" and self.access.fits(given.strip())


class _Sending:
    """Puts the headers of every answer, and the cookie of a new session."""

    def __init__(self, send: Send, cookie: str | None) -> None:
        self._send, self._cookie, self.begun = send, cookie, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self._put(message)
        await self._send(message)

    def _put(self, message: MutableMapping[str, Any]) -> None:
        headers = list(message.get("headers", []))
        there = {name.lower() for name, _ in headers}
        headers += [(name.encode(), text.encode()) for name, text in HEADERS.items() if name.encode() not in there]
        if self._cookie is not None and b"set-cookie" not in there:
            headers.append((b"set-cookie", cookie(self._cookie).encode()))
        message["headers"] = headers


def cookie(key: str) -> str:
    """The Set-Cookie header of a session: for this server alone, and out of reach of scripts."""
    return f"{COOKIE}={key}; Path=/; HttpOnly; SameSite=Strict"


def _asking(request: Request) -> Response:
    if of_api(request) or request.method not in SAFE:
        told = {"error": "the token is missing or wrong", "next_step": "send it as Authorization: Bearer, or log in"}
        return refused(request, 401, told, {"www-authenticate": "Bearer"})
    return RedirectResponse(LOGIN, 303)


def _bare(status: int, told: dict[str, str]) -> Response:
    """Under a wrong name not even a page of here is shown."""
    return Response("\n".join(told.values()) + "\n", status, media_type="text/plain")
