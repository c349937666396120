"""Write docs/pictures/*.png: a report, and pages of `m3h serve`, as a browser shows them.

python .ci/screenshots.py RUN --data STUDY

RUN is a finished run, STUDY the folder of its tables. The pictures in the documentation are of the public icu2012
study. Needs the development extra and chromium.
"""

from __future__ import annotations

import argparse
import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from m3h.serve.app import make
from m3h.serve.served import load
from m3h.serve.start import bind

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium"
WIDTH = 1100
COLOURS = 64
LARGEST = 150_000


@dataclass(frozen=True)
class Shot:
    """A picture: its name, an address or "" for the report, what it begins at, and its height in pixels."""

    name: str
    path: str
    start: str
    height: int


SHOTS = (
    Shot("report", "", "header", 1010),
    Shot("report-scores", "", "#scores", 1000),
    Shot("report-trust", "", "#trust figure", 620),
    Shot("serve-run", "/", "body", 800),
    Shot("serve-patient", "/patients?task=death", "h2", 760),
)


@contextmanager
def served(run: Path, data: Path) -> Iterator[str]:
    """The run in the web app, at the address given, until the block ends."""
    place = bind("127.0.0.1", 0, None)
    config = uvicorn.Config(make(load(run, data=data), place.access), log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place.listening]})
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield place.address.rstrip("/")
    server.should_exit = True
    thread.join(20)


def picture(page: Page, shot: Shot) -> bytes:
    """A PNG of few colours, which such pages need no more of."""
    if shot.name == "serve-patient":
        page.locator("tbody th a").first.click()
    box = page.locator(shot.start).first.bounding_box()
    assert box is not None
    top = max(0.0, box["y"] - 16)
    clip = {"x": 0.0, "y": top, "width": float(WIDTH), "height": float(shot.height)}
    shown = page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]
    target = io.BytesIO()
    Image.open(io.BytesIO(shown)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        target, "PNG", optimize=True
    )
    return target.getvalue()


def main(arguments: list[str]) -> int:
    """1 if a picture is too large for a repository."""
    parser = argparse.ArgumentParser(description="Write the pictures of the documentation.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args(arguments)
    large = 0
    with served(given.run, given.data) as address, sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        for shot in SHOTS:
            page.goto(f"{address}{shot.path}" if shot.path else (given.run / "report.html").resolve().as_uri())
            content = picture(page, shot)
            (FOLDER / f"{shot.name}.png").write_bytes(content)
            large += len(content) > LARGEST
            print(f"{len(content):7,d}  {shot.name}.png")
        browser.close()
    return int(large > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
