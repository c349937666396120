"""The one script of the report: sorting, filtering, saving figures. The page is complete without it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

_FILE = Path(__file__).parent / "templates" / "report.js"


def text() -> str:
    """The script, as it stands between its tags."""
    return _FILE.read_text(encoding="utf-8")


def source() -> str:
    """What a Content-Security-Policy names to allow this script and no other: the hash of its bytes."""
    digest = hashlib.sha256(text().encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
