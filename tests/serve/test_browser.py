"""The pages in a real browser: sorting, exploring, editing, sending and fetching; and that everybody can use them."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import uvicorn

from m3h.serve.app import make
from m3h.serve.served import Served
from m3h.serve.start import bind
from serve.sending import Made

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
WANTED = ("playwright", "axe_playwright_python")
pytestmark = pytest.mark.skipif(
    not CHROMIUM.is_file() or any(importlib.util.find_spec(name) is None for name in WANTED),
    reason="chromium is not installed",
)


@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    """Where the run is served, by a server of its own on a port that is free."""
    place = bind("127.0.0.1", 0, None)
    server = uvicorn.Server(
        uvicorn.Config(make(replace(served), place.access), log_level="error", ws="none", access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place.listening]})
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield place.address.rstrip("/")
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page of a new visitor; what the policy forbids, and any request to elsewhere, fails the test."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    wrong: list[str] = []
    opened.on("console", lambda told: wrong.append(told.text) if is_wrong(told.type, told.text) else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    inside = (address, "blob:null")  # a figure that the report saves is made in the page itself
    opened.on("request", lambda one: None if one.url.startswith(inside) else wrong.append(one.url))
    yield opened
    context.close()
    assert wrong == []


def is_wrong(kind: str, text: str) -> bool:
    """Whether a browser complains; of an answer of 4xx it does as well, and some of them are what a test asks for."""
    return kind in ("error", "warning") and "status of 4" not in text


def test_a_table_is_sorted_by_its_headings(page: Page) -> None:
    page.goto("/")
    names = page.locator("table tbody th").all_inner_texts()
    page.get_by_role("button", name="Question").click()
    assert page.locator("table tbody th").all_inner_texts() == sorted(names, reverse=True)
    page.get_by_role("button", name="Question").press("Enter")
    assert page.locator("table tbody th").all_inner_texts() == sorted(names)
    page.get_by_role("button", name="Joint").click()
    values = [float(cell.get_attribute("data-value") or "nan") for cell in page.locator("tbody td:nth-child(6)").all()]
    assert values == sorted(values, reverse=True)
    assert page.locator('th[aria-sort="descending"]').count() == 1


def test_the_work_list_is_sorted_and_shows_another_question(page: Page) -> None:
    page.goto("/patients")
    page.get_by_role("link", name="Sample", exact=True).click()
    first = page.locator("tbody th").all_inner_texts()
    assert first == sorted(first, reverse=True)
    page.get_by_label("Question").select_option("outcome")
    page.wait_for_url("**task=outcome**")
    assert page.get_by_label("Class").input_value() == "home"


def test_a_value_is_edited(page: Page) -> None:
    page.goto("/patients?task=died")
    page.locator("tbody th a").nth(2).click()
    assert "What drives died" in page.locator("main").inner_text()
    page.get_by_label("age", exact=True).fill("91.5")
    page.get_by_role("button", name="See what changes").press("Enter")
    told = page.locator("#changed").inner_text()
    assert "Changed: age to 91.5" in told
    assert page.locator("#changed tbody tr").count() == 4
    assert "91.5" not in page.url and page.get_by_label("age", exact=True).input_value() == "91.5"
    page.get_by_label("age", exact=True).fill("ninety")
    page.get_by_role("button", name="See what changes").click()
    assert "not a number" in page.get_by_role("alert").inner_text()


def test_a_cell_of_a_matrix_is_told(page: Page) -> None:
    page.goto("/interactions")
    readout = page.locator("#tim-told")
    page.locator("table[data-readout=tim-told] td[data-told]").first.hover()
    assert readout.inner_text().startswith("days added to died: +0.012 in AUROC")
    attention = page.locator("#attention-told")
    page.locator("table[data-readout=attention-told] tbody td").first.focus()
    before = attention.inner_text()
    assert before.startswith("died asks died")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert attention.inner_text().startswith("outcome asks outcome")


def test_files_are_sent_and_answers_fetched(page: Page, folder_zip: bytes, served: Served, made: Made) -> None:
    page.goto("/upload")
    send = page.get_by_role("button", name="Send and forecast")
    field = page.get_by_label("One table of samples")
    field.set_input_files({"name": "bad.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"})
    send.click()
    assert 'no column "visit"' in page.get_by_role("alert").inner_text()
    field.set_input_files({"name": "bad.exe", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"})
    send.click()
    assert "no table of this kind can be read" in page.get_by_role("alert").inner_text()
    field.set_input_files({"name": "all.zip", "mimeType": "application/zip", "buffer": folder_zip})
    send.click()
    page.wait_for_url("**/patients?of=upload")
    assert "Your upload: 60 samples" in page.locator("main").inner_text()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download all answers (CSV)").click()
    assert waiting.value.suggested_filename == "forecasts.csv"
    expected = served.model.model.predict(made.data)
    assert pl.read_csv(waiting.value.path()).height == expected.height
    page.goto("/upload")
    page.get_by_role("button", name="Forget it now").click()
    assert page.get_by_role("button", name="Forget it now").count() == 0


def test_a_script_in_a_cell_does_not_run(page: Page) -> None:
    page.goto("/upload")
    content = (
        'visit,patient,hour,age\n"<img src=x onerror=""document.title=1"">","<script>document.title=2</script>",3,50\n'
    )
    field = page.get_by_label("One table of samples")
    field.set_input_files(
        {
            "name": "a.csv",
            "mimeType": "text/csv",
            "buffer": (content[:22] + ",ward" + content[22:-1] + ",heart\n").encode(),
        }
    )
    page.get_by_role("button", name="Send and forecast").click()
    page.wait_for_url("**/patients?of=upload")
    assert "<script>document.title=2</script>" in page.locator("tbody").inner_text()
    page.locator("tbody th a").click()
    assert page.title().startswith("Sample <img src=x")


def test_the_report_is_shown_in_its_sandbox(page: Page) -> None:
    page.goto("/report")
    assert "Sixty visits of forty patients" in page.locator("h1").inner_text()
    assert page.evaluate("window.origin") == "null"
    page.locator("#checklist thead").get_by_role("button", name="Section").click()
    assert page.locator('#checklist th[aria-sort="ascending"]').inner_text().startswith("Section")
    with page.expect_download() as waiting:
        page.locator("figure a.save").first.click()
    assert waiting.value.suggested_filename.endswith(".svg")


def test_keys_alone_will_do(page: Page) -> None:
    page.goto("/patients")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_without_scripts_everything_is_there(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/patients")
    page.get_by_label("Question").select_option("days")
    page.get_by_role("button", name="Show").click()
    assert "task=days" in page.url
    page.locator("tbody th a").first.click()
    page.get_by_label("age", exact=True).fill("30")
    page.get_by_role("button", name="See what changes").click()
    assert "Changed: age to 30" in page.locator("#changed").inner_text()
    context.close()


PLACES = [
    "/",
    "/tasks/died",
    "/tasks/outcome",
    "/patients",
    "/patients/3",
    "/interactions",
    "/upload",
    "/login",
    "/nothing",
]


@pytest.mark.parametrize("place", PLACES)
def test_nobody_is_kept_out(place: str, page: Page) -> None:
    """axe-core finds nothing: names, labels, contrast, structure, keyboard (WCAG 2.2 A and AA, and best practice)."""
    from axe_playwright_python.sync_playwright import Axe

    page.goto(place)
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    told = [
        f"{one['impact']} {one['id']}: {one['help']} {[node['target'] for node in one['nodes'][:3]]}" for one in found
    ]
    assert told == []
