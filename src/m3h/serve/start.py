"""Serving a run from this machine: the address, what it means, and the server itself."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from m3h.core.errors import SettingError
from m3h.serve.guard import LEAST, Access

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Place:
    """Where a run is served: a socket that listens, and who may ask."""

    listening: socket.socket
    access: Access
    address: str
    warnings: tuple[str, ...]


def check_host(host: str, token: str | None) -> None:
    """Errors: SettingError for a token that is too short or cannot be sent, and for a host other than this machine's
    own without one."""
    if token is not None and (len(token) < LEAST or not token.isascii() or not token.isprintable() or " " in token):
        raise SettingError(
            "the token is too short, or holds what a header cannot",
            where="--token",
            expected=f"{LEAST} letters, digits and signs or more, without blanks",
            next_step='make one: python -c "import secrets; print(secrets.token_urlsafe(24))"',
        )
    if not is_loopback(host) and token is None:
        raise SettingError(
            "patients' data would be open to the network without a token",
            where=f"--host {host}",
            expected="--token, or M3H_TOKEN in the environment",
            next_step="leave --host out to serve this machine alone",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def bind(host: str, port: int, token: str | None, names: Sequence[str] = ()) -> Place:
    """Listen at a host and port (0: one that is free). ``names`` are further names that this is reached by. Errors:
    SettingError where that cannot be done, and those of :func:`check_host`."""
    check_host(host, token)
    plain = host.strip("[]")
    try:
        listening = _listen(plain, port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError(
            f"cannot listen there: {reason}",
            where=f"--host {host} --port {port}",
            next_step="choose another --port; 0 takes one that is free",
        ) from error
    found = listening.getsockname()[1]
    every = plain in ("0.0.0.0", "::", "")
    known = {name.lower() for name in (plain, *names)} | (set(LOOPBACK) if is_loopback(host) or every else set())
    if every:
        known |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    access = Access(frozenset(known), found, any_address=every, token=token)
    shown = "127.0.0.1" if every else f"[{plain}]" if ":" in plain else plain
    return Place(listening, access, f"http://{shown}:{found}/", _meaning(host, token, every=every))


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens: who asks before the server is ready waits, and nobody else takes the port."""
    family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _meaning(host: str, token: str | None, *, every: bool) -> tuple[str, ...]:
    if is_loopback(host):
        who = (
            "only this machine can open it; with --token, only those on it who know the token" if token is None else ""
        )
        return (who,) if who else ()
    reach = "every network this machine is in" if every else f"the network of {host}"
    return (
        f"open to {reach}: whoever can reach this machine and knows the token sees the run and its patients",
        "what is sent is not encrypted, the token and patients' data included: put a proxy with TLS before it, "
        "and give its name with --name",
    )


def serve(app: Callable[..., object], place: Place) -> None:
    """Serve until the process is stopped. No address that is asked for is written to a log."""
    import uvicorn

    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=64,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[place.listening])
