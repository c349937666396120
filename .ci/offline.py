"""Run an m3h command with every way out of this machine shut: `python .ci/offline.py demo --out DIR`."""

from __future__ import annotations

import socket
import sys
from typing import Any


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("m3h tried to reach the network")


for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = refuse  # type: ignore[assignment]
socket.create_connection = refuse  # type: ignore[assignment]

from m3h.cli.main import main  # noqa: E402

main(sys.argv[1:])
