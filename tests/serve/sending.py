"""What the tests of the web app share: where it is served, whom a browser says it is, and files to send."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.testclient import TestClient

from m3h.serve.guard import Access

ADDRESS = "http://127.0.0.1:8000"
LOOPBACK = Access(frozenset({"127.0.0.1", "localhost", "::1"}), 8000)
#: As a browser sends with a form of this server's own.
OWN = {"origin": ADDRESS, "sec-fetch-site": "same-origin"}
#: Opens a client of what is served, perhaps with another access or limits; each has its own cookies.
Client = Callable[..., TestClient]


@dataclass(frozen=True)
class Made:
    """A run's folder, and its study's, whose tables serve as new patients'."""

    run: Path
    data: Path


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip file of these files."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return written.getvalue()
