"""The report in a real browser: tables are sorted and filtered, figures saved, under its own policy."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from m3h.report.page import write_report
from report.conftest import make_run, task_names

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(
    not CHROMIUM.is_file() or importlib.util.find_spec("playwright") is None,
    reason="chromium is not installed",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    names = task_names(18)
    folder = make_run(tmp_path_factory.mktemp("browser") / "run", names, series=("single", "joint"), departments=True)
    (folder / "predictions.parquet").unlink()  # without the curves it is drawn in half the time
    return write_report(folder).as_uri()


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
    """The page; what its policy forbids, or anything that it fetches, fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    wrong: list[str] = []
    opened.on("console", lambda told: wrong.append(told.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda one: None if one.url in (address, f"{address}#") else wrong.append(one.url))
    opened.goto(address)
    yield opened
    context.close()
    assert [text for text in wrong if not text.startswith("blob:")] == []


def groups(page: Page, column: int) -> list[list[str]]:
    """Texts of a column of the table of all scores, headings apart from what stands under them."""
    found: list[list[str]] = []
    for row in page.locator("#scores table").first.locator("tbody tr").all():
        if row.get_attribute("class") == "group":
            found += [[]] if row.is_visible() else []
        elif row.is_visible():
            found[-1].append(row.locator("td").nth(column).inner_text().split("\n")[0])
    return found


def test_a_table_is_sorted_under_its_headings_by_click_and_key(page: Page) -> None:
    before = groups(page, 3)
    assert len(before) == 4
    head = page.locator("#scores table").first.locator("thead")
    head.get_by_role("button", name="Single").click()
    assert groups(page, 3) == [sorted(part, key=float, reverse=True) for part in before]
    assert head.locator('th[aria-sort="descending"]').inner_text().startswith("Single")
    head.get_by_role("button", name="Single").press("Enter")
    assert groups(page, 3) == [sorted(part, key=float) for part in before]
    head.get_by_role("button", name="Question").press(" ")
    assert groups(page, 0) == [sorted(part) for part in groups(page, 0)]
    assert head.locator("th[aria-sort]").count() == 1


def test_a_long_table_is_filtered(page: Page) -> None:
    page.locator("#scores").get_by_label("Show questions with").first.fill("HYPO")
    assert sorted(name for part in groups(page, 0) for name in part) == ["hyponatremia", "hypotension"]
    assert page.locator("#scores output").first.inner_text() == "2 of 18 rows"
    assert all(groups(page, 0)) and len(groups(page, 0)) == 2
    page.locator("#scores").get_by_label("Show questions with").first.fill("")
    assert sum(len(part) for part in groups(page, 0)) == 18


def test_a_figure_is_saved_as_it_is(page: Page) -> None:
    figures = page.locator("figure svg[data-name]")
    assert page.locator("figure a.save").count() == figures.count()
    with page.expect_download() as waiting:
        page.locator("#attention a.save").first.click()
    assert waiting.value.suggested_filename == "attention-0.svg"
    root = ElementTree.parse(waiting.value.path()).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    told = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(told) == 18 * 18 and told[0].startswith("death from death: 0.")


def test_a_script_of_a_name_does_not_run(browser: Browser, tmp_path: Path) -> None:
    hostile = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    page = browser.new_page()
    page.goto(write_report(make_run(tmp_path / "run", [hostile, "sofa"], title=hostile)).as_uri())
    page.locator("#scores thead button").first.click()
    assert page.title() == f"{hostile}: report"
    # neither would one that came into the page: the policy names the report's own alone
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'document.title = 1'}))")
    assert page.title() == f"{hostile}: report"
    page.close()


def test_without_scripts_everything_is_there(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#scores tbody tr:visible").count() > 18
    assert page.locator("a.save, .filter, th button").count() == 0
    context.close()
