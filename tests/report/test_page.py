import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

import pools
from m3h.core.errors import FolderError
from m3h.report.page import write_report

Run = Callable[..., Path]

HOSTILE = "<script>alert('1')</script> & \"$x_{2}$\" 日本"


class Outline(HTMLParser):
    """Tags with their attributes, and the text outside style sheets."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data


def page_of(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def resources(page: str) -> list[str]:
    """Everything that a browser would fetch or follow."""
    outline = Outline(page)
    names = ("src", "href", "srcset", "data", "action", "poster", "xlink:href")
    found = [value or "" for _, attrs in outline.tags for name, value in attrs.items() if name in names]
    return found + re.findall(r"url\(([^)]*)\)", page) + re.findall(r"@import\s+(\S+)", page)


@pytest.mark.parametrize(("count", "departments"), [(1, False), (5, True), (20, False), (44, True)])
def test_any_number_of_tasks_renders(run: Run, count: int, departments: bool) -> None:
    folder = run(count, departments=departments)
    page = page_of(folder)
    names = pl.read_csv(folder / "scores.csv").get_column("task").unique().to_list()
    assert len(names) == count
    text = Outline(page).text
    assert all(name in text for name in names)
    assert len(page.encode()) < 2_000_000
    assert not list(folder.glob(".report*"))


def test_page_fetches_nothing(run: Run) -> None:
    page = page_of(run(5))
    found = resources(page)
    assert found
    assert all(address.startswith("#") for address in found)
    assert not re.search(r"https?://", page)
    tags = {tag for tag, _ in Outline(page).tags}
    assert not tags & {"link", "iframe", "object", "embed", "img"}


def test_one_script_may_run_and_no_other(run: Run) -> None:
    page = page_of(run(2))
    found = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = hashlib.sha256(found[0].encode()).digest()
    policy = next(attrs["content"] or "" for tag, attrs in Outline(page).tags if "http-equiv" in attrs)
    assert len(found) == 1
    assert f"script-src 'sha256-{base64.b64encode(digest).decode()}';" in policy
    assert policy.startswith("default-src 'none';") and "unsafe-eval" not in policy
    assert re.search(r"\son\w+=", page.replace(found[0], "")) is None


def test_the_checklist_is_written_beside_the_page(run: Run, tmp_path: Path) -> None:
    folder = run(["death", "sofa"])
    text = Outline(page_of(folder)).text
    table = pl.read_csv(folder / "tripod.csv")
    assert table.columns == ["item", "part", "topic", "asks", "known", "answer", "section"]
    assert all(answer in text for answer in table.get_column("answer"))
    write_report(folder, tmp_path / "other" / "page.html")
    assert (tmp_path / "other" / "tripod.csv").read_bytes() == (folder / "tripod.csv").read_bytes()


def test_inner_links_have_a_target_and_identifiers_are_unique(run: Run) -> None:
    page = page_of(run(["death", "coma", "sofa"]))
    identifiers = [attrs["id"] for _, attrs in Outline(page).tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    assert {address[1:] for address in resources(page)} <= set(identifiers)


def test_hostile_names_are_escaped(run: Run) -> None:
    folder = run([HOSTILE, "length_of_stay", "icu_type"], title=HOSTILE)
    kept = json.loads((folder / "run.json").read_text())
    kept["audit"]["tasks"][0]["department"] = HOSTILE
    kept["audit"]["sources"][0]["name"] = HOSTILE
    kept["audit"]["alarms"][0]["text"] = HOSTILE
    kept["left_out"][0] = {"task": HOSTILE, "reason": HOSTILE}
    kept["warnings"] = [HOSTILE]
    (folder / "run.json").write_text(json.dumps(kept))
    page = page_of(folder)
    assert page.count("<script") == 1
    assert "<!--" not in page
    assert Outline(page).text.count(HOSTILE) >= 8


def test_no_identity_reaches_the_page(run: Run) -> None:
    page = page_of(run(["death", "sofa"]))
    assert "secret-" not in page
    assert "sample-" not in page


@pytest.mark.parametrize("absent", ["differences.csv", "attention.csv", "predictions.parquet"])
def test_missing_files_are_said_to_be_missing(run: Run, absent: str) -> None:
    folder = run(2)
    (folder / absent).unlink()
    text = Outline(page_of(folder)).text
    sentence = {
        "differences.csv": "The run compared no networks",
        "attention.csv": "left attention weights",
        "predictions.parquet": "kept no test predictions",
    }[absent]
    assert sentence in text


def test_run_without_baselines(run: Run) -> None:
    text = Outline(page_of(run(2, series=("single", "joint")))).text
    assert "No baseline was trained" in text
    assert "LightGBM" not in text


def test_run_with_single_networks_only(run: Run) -> None:
    text = Outline(page_of(run(2, series=("single",)))).text
    assert "No joint network was trained" in text


def test_run_whose_tasks_are_all_left_out(run: Run) -> None:
    folder = run(3)
    frame = pl.read_csv(folder / "scores.csv")
    blank = pl.lit(None, dtype=pl.Float64)
    frame.with_columns(value=blank, low=blank, high=blank, sd_paper=blank).write_csv(folder / "scores.csv")
    assert "No question could be scored" in Outline(page_of(folder)).text


def test_run_with_the_least_there_can_be(run: Run) -> None:
    folder = run(5)
    for name in ("differences.csv", "attention.csv", "predictions.parquet"):
        (folder / name).unlink()
    (folder / "run.json").write_text("{}")
    text = Outline(page_of(folder)).text
    assert "The run kept no counts of samples" in text
    assert "The run kept no sizes of the groups" in text


def test_same_folder_gives_the_same_bytes(run: Run) -> None:
    folder = run(["death", "sofa", "icu_type"])
    first = page_of(folder)
    frame = pl.read_parquet(folder / "predictions.parquet")
    frame.sample(fraction=1.0, shuffle=True, seed=3).write_parquet(folder / "predictions.parquet")
    assert page_of(folder) == first


def test_out_names_the_file(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "page.html"
    folder = run(1)
    assert write_report(folder, target) == target
    assert target.read_text().startswith("<!doctype html>")
    assert not (folder / "report.html").exists()


def test_folder_that_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"run\.json cannot be read") as caught:
        write_report(tmp_path)
    assert "--out" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_run_with_interactions_and_search_holds_every_task(pooled: Run) -> None:
    folder = pooled(5, tim="shared", search=True)
    page = page_of(folder)
    text = Outline(page).text
    table = pl.read_csv(folder / "tim.csv")
    assert text.count("scored with and without") == 5
    assert f"All {table.get_column('tim').drop_nulls().len()} pairs" in text
    for part in ("Who helps whom", "The best sets", "Best set − Single", "winner's curse", "it excludes other sources"):
        assert part in text
    assert all(address.startswith("#") for address in resources(page))


def test_many_pairs_are_folded_and_few_are_not(pooled: Run) -> None:
    for count, attributes in ((6, {}), (5, {"open": None})):
        tags = Outline(page_of(pooled(count, tim="pairs", scored=False))).tags
        assert [attrs for tag, attrs in tags if tag == "details"] == [attributes]


@pytest.mark.parametrize("count", [2, 44])
def test_folder_of_interactions_alone(pooled: Run, count: int) -> None:
    page = page_of(pooled(count, tim="exact", scored=False, departments=True))
    assert len(page.encode()) < 1_500_000
    text = Outline(page).text
    assert "Who helps whom" in text
    # the tables tell how many test samples and labels there are, so that much was looked at
    assert "No network was scored on a row of the test part; the tables below only count" in text
    assert "counted, not scored" in text and "looked at" not in text and "Known, test" in text
    for part in ("All scores", "The best sets", "A closer look", "No baseline", "judged on", "were not compared"):
        assert part not in text
    identifiers = {attrs["id"] for _, attrs in Outline(page).tags if "id" in attrs}
    assert {address[1:] for address in resources(page)} <= identifiers


def test_folder_of_a_search_alone(pooled: Run) -> None:
    text = Outline(page_of(pooled(5, search=True, joint=False))).text
    assert "The best sets" in text
    assert "best set is the network of the questions that the search chose" in text
    assert "by the network of the chosen set" in text
    for part in ("Who helps whom", "Joint − ", "joint learning", "each question was learnt by a network of its own"):
        assert part not in text


def test_interactions_whose_run_json_says_nothing(pooled: Run) -> None:
    folder = pooled(3, tim="shared", scored=False)
    (folder / "run.json").write_text("{}")
    assert "Who helps whom" in Outline(page_of(folder)).text


def test_names_in_interactions_and_search_are_escaped(run: Run) -> None:
    names = [HOSTILE, "length_of_stay", "icu_type"]
    folder = run(names, title=HOSTILE)
    kinds = {HOSTILE: "binary", "length_of_stay": "regression", "icu_type": "multiclass"}
    pools.add_search(folder, names, kinds)
    pools.add_tim(folder, names, kinds)
    page = page_of(folder)
    assert page.count("<script") == 1
    assert HOSTILE in Outline(page[page.index('id="interactions"') :]).text


def test_interactions_in_another_order_give_the_same_bytes(pooled: Run) -> None:
    folder = pooled(5, tim="shared", scored=False)
    first = page_of(folder)
    frame = pl.read_csv(folder / "tim.csv")
    frame.reverse().write_csv(folder / "tim.csv")
    assert page_of(folder) == first
