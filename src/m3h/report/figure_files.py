"""The figures of a report as files of their own: SVG that any program opens, letters drawn as shapes."""

from __future__ import annotations

import re
from pathlib import Path

from m3h.core.atomic import atomic_file
from m3h.core.errors import FolderError

_FIGURE = re.compile(r'<svg\b[^>]*\bdata-name="([A-Za-z0-9._-]+)"[^>]*>.*?</svg>', re.DOTALL)
_HEAD = re.compile(r"<svg\b([^>]*)>")
_VIEW = re.compile(r'viewBox="\S+ \S+ (\S+) (\S+)"')
_STYLE = re.compile(r'\sstyle="[^"]*"')
_SPACE = "http://www.w3.org/2000/svg"


def figures(page: str) -> dict[str, str]:
    """The figures of a report's page by name, each a whole SVG document on white, in points as on paper."""
    return {found[1]: _document(found[0]) for found in _FIGURE.finditer(page)}


def _document(drawn: str) -> str:
    head = _HEAD.match(drawn)
    view = _VIEW.search(drawn)
    assert head is not None and view is not None
    attributes = _STYLE.sub("", head[1])
    size = f'width="{view[1]}pt" height="{view[2]}pt" style="background: #fff"'
    return f'<?xml version="1.0" encoding="utf-8"?>\n<svg xmlns="{_SPACE}" {size}{attributes}>{drawn[head.end() :]}\n'


def write_figures(page: Path, folder: Path) -> list[Path]:
    """Write the figures of the report ``page`` into ``folder``, NAME.svg each, and return the paths in the order of
    the page. Files of those names are replaced, others stay. Errors: FolderError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(
            "the figures cannot be written: this is no folder",
            where=str(folder),
            next_step="choose another --figures",
        ) from error
    written = []
    for name, text in figures(page.read_text(encoding="utf-8")).items():
        with atomic_file(folder / f"{name}.svg") as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.append(folder / f"{name}.svg")
    return written
